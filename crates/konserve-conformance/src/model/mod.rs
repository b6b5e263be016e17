//! Trials by model: any sequence of calls through two handles gives the answers of a model, step by step.
//!
//! What lives here: the model ([`reference`], [`paths`]), what can be done ([`mod@step`]), what is tried ([`strategies`]), how it is
//! done with a store ([`mod@perform`]) and compared ([`subject`]), how a failure is made short ([`mod@search`]), and what failed once
//! ([`regressions`]). What must not: anything that konserve computes, where the model could compute it by itself.

mod answer;
mod paths;
mod perform;
mod reference;
#[rustfmt::skip] // a step is a line
mod regressions;
mod search;
mod step;
mod strategies;
mod subject;

use self::search::search;
use self::strategies::Subjects;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        sequences("model.documents", Subjects::Documents),
        sequences("model.binaries", Subjects::Binaries),
        sequences("model.logs", Subjects::Logs),
        sequences("model.several-keys", Subjects::Several),
        sequences("model.everything", Subjects::Everything),
    ];
    trials.extend(regressions::trials());
    trials
}

/// What an engine cannot do is tried as well: the model knows how it is refused.
fn sequences(id: &str, subjects: Subjects) -> Trial {
    Trial::new(id, &["S-MODEL-1", "S-MODEL-2"], move |arena| search(arena, subjects)).seeded()
}
