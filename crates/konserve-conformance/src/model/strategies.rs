//! Which steps are tried: few keys and few steps of paths, so that calls meet, and above all what fits the present state.

use std::sync::LazyLock;

use konserve_core::{Kind, Path, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::Sequential;

use super::reference::{Content, Entry, Model};
use super::step::{
    Abilities, Body, Call, Datum, Fields, Function, Handle, How, Life, List, Name, Part, Setup, Size, Step, Steps,
    When, step,
};

/// What a sequence is mainly about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subjects {
    Documents,
    Binaries,
    Logs,
    Several,
    Everything,
}

/// Sequences of steps, with the state that they begin in.
pub(super) type Sequences = Sequential<Model, Step, BoxedStrategy<Model>, BoxedStrategy<Step>>;

/// How much more often than by chance a call is for a key that holds what it is for.
const FITTING: u32 = 6;

/// Into how many levels of a document steps are looked for.
const DEPTH: usize = 3;

static KEYS: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let keys = [":a", ":b", "\"c\"", "[nil {:d 1}]"];
    keys.iter().filter_map(|key| key.parse().ok().map(Name)).collect()
});

static STEPS: LazyLock<Vec<Value>> = LazyLock::new(|| parsed(&[":a", ":b", "0", "1", "2", "-1", "\"a\"", "nil", "[]"]));

/// Values of every kind, and empty ones.
static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parsed(&[
        "1",
        "nil",
        "true",
        "\"\"",
        "{}",
        "[]",
        "#{}",
        "-9223372036854775809",
        "1.5",
        "\"tëxt\\n\"",
        ":ns/name",
        "#bytes \"\"",
        "#bytes \"AAEC/w==\"",
        "#uuid \"6a2f41a3-c54c-fce8-32d2-0324e1c32e22\"",
        "#inst \"2024-02-29T12:00:00.123Z\"",
        "#my/tag [1]",
        "{:a 1, :b nil}",
        "{:a {:b [0 {:a 1}]}, nil {}}",
        "[nil [1 2] {:a 0}]",
        "#{1 :a [2] {:b 1}}",
    ])
});

fn parsed(texts: &[&str]) -> Vec<Value> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Sequences of this many steps.
pub(super) fn sequences(
    subjects: Subjects,
    abilities: Abilities,
    length: std::ops::RangeInclusive<usize>,
) -> Sequences {
    Sequential::new(
        length.into(),
        move || {
            // Shrinks to `false`.
            let setups = (proptest::bool::weighted(0.75), any::<bool>());
            let start = move |(tiny, json)| Model::new(abilities, Setup { tiny, json });
            setups.prop_map(start).boxed()
        },
        |_, _| true,
        move |model| steps(subjects, model),
        |mut model: Model, step| {
            model.apply(step);
            model
        },
    )
}

fn steps(subjects: Subjects, model: &Model) -> BoxedStrategy<Step> {
    let [documents, binaries, logs, several] = match subjects {
        Subjects::Documents => [20, 1, 1, 0],
        Subjects::Binaries => [2, 20, 1, 0],
        Subjects::Logs => [2, 1, 20, 0],
        Subjects::Several => [4, 1, 1, 20],
        Subjects::Everything => [8, 4, 6, 4],
    };
    let mut all = Vec::new();
    all.extend(
        about_documents(model)
            .into_iter()
            .map(|(weight, call)| (weight * documents, call)),
    );
    all.extend(
        about_binaries(model)
            .into_iter()
            .map(|(weight, call)| (weight * binaries, call)),
    );
    all.extend(
        about_logs(model)
            .into_iter()
            .map(|(weight, call)| (weight * logs, call)),
    );
    all.extend(
        about_several(model)
            .into_iter()
            .map(|(weight, call)| (weight * several, call)),
    );
    all.extend(
        about_the_store(model)
            .into_iter()
            .map(|(weight, call)| (weight * 10, call)),
    );
    all.retain(|(weight, _)| *weight > 0);
    let by = prop_oneof![Just(Handle::First), Just(Handle::Second)];
    (by, Union::new_weighted(all))
        .prop_map(|(by, call)| step(by, call))
        .boxed()
}

type Weighted = Vec<(u32, BoxedStrategy<Call>)>;

fn about_documents(model: &Model) -> Weighted {
    let is_document = |entry: Option<&Entry>| entry.is_some_and(|entry| matches!(entry.content, Content::Document(_)));
    let is_free = |entry: Option<&Entry>| entry.is_none() || is_document(entry);
    let root = |name: Name| Steps(Path::from(name.0));
    let reads = prop_oneof![
        2 => paths(model),
        1 => names(model, is_document).prop_map(root)
    ];
    let function = prop_oneof![
        3 => data(1).prop_map(Function::Put),
        2 => Just(Function::Count),
        1 => Just(Function::Keep),
        1 => Just(Function::Fail)
    ];
    let updated = prop_oneof![3 => paths(model), 1 => names(model, is_free).prop_map(root)];
    vec![
        (
            4,
            {
                let all = (names(model, is_free), data(1), conditions(), given(), lives());
                all.prop_map(move |(key, value, when, fields, life)| Call::Assoc {
                    path: root(key),
                    value,
                    when,
                    fields,
                    life,
                })
            }
            .boxed(),
        ),
        (4, {
            let all = (paths(model), data(1), conditions(), given(), lives());
            all.prop_map(|(path, value, when, fields, life)| Call::Assoc {
                path,
                value,
                when,
                fields,
                life,
            })
            .boxed()
        }),
        (3, {
            let all = (updated, function, revisions(), given(), lives());
            all.prop_map(|(path, function, when, fields, life)| Call::Update {
                path,
                function,
                when,
                fields,
                life,
            })
            .boxed()
        }),
        (1, paths(model).prop_map(|path| Call::DissocIn { path }).boxed()),
        (
            3,
            (reads, how()).prop_map(|(path, how)| Call::Get { path, how }).boxed(),
        ),
        (
            1,
            (names(model, is_document), how())
                .prop_map(|(key, how)| Call::GetWithMeta { key, how })
                .boxed(),
        ),
    ]
}

fn about_binaries(model: &Model) -> Weighted {
    let is_binary = |entry: Option<&Entry>| entry.is_some_and(|entry| matches!(entry.content, Content::Binary(_)));
    let is_free = |entry: Option<&Entry>| entry.is_none() || is_binary(entry);
    let piece = select(vec![1000, 7, 4096]);
    let body = prop_oneof![
        4 => (sizes(3), any::<u8>()).prop_map(|(size, seed)| Body::Bytes(size, seed)),
        3 => (sizes(3), any::<u8>(), piece).prop_map(|(size, seed, piece)| Body::Pieces(size, seed, piece)),
        1 => (0..1500_usize).prop_map(Body::Broken)
    ];
    let range = option::of((0..4000_u64, 0..4000_u64));
    vec![
        (3, {
            let all = (names(model, is_free), body, conditions(), given(), lives());
            all.prop_map(|(key, body, when, fields, life)| Call::Bassoc {
                key,
                body,
                when,
                fields,
                life,
            })
            .boxed()
        }),
        (3, {
            let all = (names(model, is_binary), range, how());
            all.prop_map(|(key, range, how)| Call::Bget { key, range, how }).boxed()
        }),
    ]
}

fn about_logs(model: &Model) -> Weighted {
    let is_log = |entry: Option<&Entry>| entry.is_some_and(|entry| matches!(entry.content, Content::Log(_)));
    let is_free = |entry: Option<&Entry>| entry.is_none() || is_log(entry);
    let part = || {
        prop_oneof![
            4 => Just(Part::All),
            3 => (0..12_u64, 0..14_u64).prop_map(|(from, to)| Part::Range(from, to)),
            2 => (0..12_u64).prop_map(Part::From),
            4 => (0..8_u64).prop_map(Part::Last)
        ]
    };
    let before = prop_oneof![6 => 0..9_u64, 1 => Just(100)];
    vec![
        (
            4,
            (names(model, is_free), data(1))
                .prop_map(|(key, entry)| Call::Append { key, entry })
                .boxed(),
        ),
        (2, {
            let all = (names(model, is_free), vec(data(1), 0..5).prop_map(List));
            all.prop_map(|(key, entries)| Call::AppendAll { key, entries }).boxed()
        }),
        (4, {
            let all = (names(model, is_log), part(), how());
            all.prop_map(|(key, part, how)| Call::ReadLog { key, part, how })
                .boxed()
        }),
        (2, {
            let all = (names(model, is_log), part(), how());
            all.prop_map(|(key, part, how)| Call::ReadLogReversed { key, part, how })
                .boxed()
        }),
        (1, {
            let all = (names(model, is_log), part(), how());
            all.prop_map(|(key, part, how)| Call::LogLen { key, part, how }).boxed()
        }),
        (
            1,
            (names(model, is_log), before)
                .prop_map(|(key, before)| Call::Trim { key, before })
                .boxed(),
        ),
        (
            1,
            (names(model, is_log), how())
                .prop_map(|(key, how)| Call::ReduceLog { key, how })
                .boxed(),
        ),
        (
            1,
            names(model, is_log)
                .prop_map(|key| Call::Dissoc {
                    key,
                    when: When::Always,
                })
                .boxed(),
        ),
    ]
}

fn about_several(model: &Model) -> Weighted {
    let is_document = |entry: Option<&Entry>| entry.is_some_and(|entry| matches!(entry.content, Content::Document(_)));
    let is_no_log = |entry: Option<&Entry>| !entry.is_some_and(|entry| matches!(entry.content, Content::Log(_)));
    vec![
        (3, {
            let pairs = vec((names(model, is_no_log), data(1)), 0..4).prop_map(List);
            (pairs, given(), lives())
                .prop_map(|(pairs, fields, life)| Call::MultiAssoc { pairs, fields, life })
                .boxed()
        }),
        (2, {
            let keys = vec(names(model, is_no_log), 0..4).prop_map(List);
            keys.prop_map(|keys| Call::MultiDissoc { keys }).boxed()
        }),
        (3, {
            let keys = vec(names(model, is_document), 0..5).prop_map(List);
            (keys, how())
                .prop_map(|(keys, how)| Call::MultiGet { keys, how })
                .boxed()
        }),
    ]
}

fn about_the_store(model: &Model) -> Weighted {
    let is_there = |entry: Option<&Entry>| entry.is_some();
    let kinds = vec![Kind::Document, Kind::Binary, Kind::Log];
    vec![
        (
            4,
            (names(model, is_there), revisions())
                .prop_map(|(key, when)| Call::Dissoc { key, when })
                .boxed(),
        ),
        (
            2,
            (names(model, is_there), how())
                .prop_map(|(key, how)| Call::GetMeta { key, how })
                .boxed(),
        ),
        (
            1,
            (names(model, is_there), how())
                .prop_map(|(key, how)| Call::Exists { key, how })
                .boxed(),
        ),
        (
            1,
            (option::of(select(kinds)), how())
                .prop_map(|(kind, how)| Call::Keys { kind, how })
                .boxed(),
        ),
        (1, (0..4_usize).prop_map(|after| Call::KeysResumed { after }).boxed()),
        (1, Just(Call::Collect).boxed()),
        (
            2,
            select(vec![1, 4, 11, 40, 200])
                .prop_map(|minutes| Call::Wait { minutes })
                .boxed(),
        ),
        (1, Just(Call::Replace).boxed()),
        (1, Just(Call::Restart).boxed()),
    ]
}

/// A key, most often one that holds what is wanted.
fn names(model: &Model, wanted: impl Fn(Option<&Entry>) -> bool) -> BoxedStrategy<Name> {
    let fitting: Vec<_> = KEYS
        .iter()
        .filter(|name| wanted(model.entry(&name.0)))
        .cloned()
        .collect();
    let any = select(KEYS.as_slice());
    match fitting.is_empty() {
        true => any.boxed(),
        false => prop_oneof![FITTING => select(fitting), 1 => any].boxed(),
    }
}

/// A path of one step or more: one that leads somewhere, one step further, or any.
fn paths(model: &Model) -> BoxedStrategy<Steps> {
    let mut leading = Vec::new();
    for (key, entry) in model.entries() {
        if let Content::Document(document) = &entry.content {
            lead(document, Path::new(key), &mut leading);
        }
    }
    let deeper: Vec<_> = leading
        .iter()
        .filter(|path| !path.steps().is_empty())
        .cloned()
        .collect();
    let one_step = || select(STEPS.as_slice());
    let any = (select(KEYS.as_slice()), vec(one_step(), 1..4))
        .prop_map(|(name, steps)| steps.into_iter().fold(Path::new(name.0), Path::join));
    let mut all = vec![(1, any.boxed())];
    if !leading.is_empty() {
        all.push((
            3,
            (select(leading), one_step())
                .prop_map(|(path, step)| path.join(step))
                .boxed(),
        ));
    }
    if !deeper.is_empty() {
        all.push((4, select(deeper).boxed()));
    }
    Union::new_weighted(all).prop_map(Steps).boxed()
}

/// Collects the paths that lead somewhere in a value.
fn lead(value: &Value, path: Path, into: &mut Vec<Path>) {
    if path.steps().len() < DEPTH {
        let steps: Vec<(Value, &Value)> = match value {
            Value::Map(map) => map.iter().map(|(step, inside)| (step.clone(), inside)).collect(),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(at, inside)| (Value::from(at), inside))
                .collect(),
            Value::Set(members) => members.iter().map(|member| (member.clone(), member)).collect(),
            _ => Vec::new(),
        };
        for (step, inside) in steps {
            lead(inside, path.clone().join(step), into);
        }
    }
    into.push(path);
}

/// A value; a large one with this weight, of about thirty.
fn data(large: u32) -> impl Strategy<Value = Datum> + Clone {
    let small = select(VALUES.as_slice());
    let nested = small.clone().prop_recursive(2, 6, 3, |inner| {
        let step = select(STEPS.as_slice());
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(step, inner, 0..4).prop_map(Value::Map)
        ]
    });
    prop_oneof![
        12 => small.prop_map(Datum::Edn),
        12 => nested.prop_map(Datum::Edn),
        5 => any::<u8>().prop_map(|seed| Datum::Text(Size::Medium, seed)),
        large => any::<u8>().prop_map(|seed| Datum::Text(Size::Large, seed))
    ]
}

/// Sizes around those of the smallest chunks; a large one with this weight, of about thirty.
fn sizes(large: u32) -> impl Strategy<Value = Size> {
    prop_oneof![
        14 => select(vec![1, 0, 200, 1023, 1024, 1025, 1500]).prop_map(Size::Exactly),
        13 => Just(Size::Medium),
        large => Just(Size::Large)
    ]
}

fn conditions() -> impl Strategy<Value = When> {
    prop_oneof![10 => Just(When::Always), 1 => Just(When::Absent), 5 => about_revisions()]
}

fn revisions() -> impl Strategy<Value = When> {
    prop_oneof![7 => Just(When::Always), 3 => about_revisions()]
}

fn about_revisions() -> impl Strategy<Value = When> {
    prop_oneof![
        2 => Just(When::Own(0)),
        2 => (1..3_usize).prop_map(When::Own),
        1 => (0..3_usize).prop_map(When::Any)
    ]
}

fn given() -> impl Strategy<Value = Fields> {
    prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)]
}

/// Mostly nothing is said. What ends does so at a moment that waiting leads to, or between two.
fn lives() -> impl Strategy<Value = Life> {
    prop_oneof![
        6 => Just(Life::Unsaid),
        3 => select(vec![1, 4, 30, 200, 100_000]).prop_map(Life::Minutes),
        1 => Just(Life::Permanent)
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![3 => Just(How::Consistent), 1 => Just(How::Default)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::super::answer::Answer;
    use super::*;

    const ABILITIES: Abilities = Abilities {
        item_limit: Some(400_000),
        transactions: true,
        clock: true,
    };

    #[test]
    fn every_call_comes_and_most_succeed() {
        let mut runner = TestRunner::deterministic();
        let mut calls: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for _ in 0..30 {
            let sequence = sequences(Subjects::Everything, ABILITIES, 30..=40);
            let (mut model, steps, _) = sequence.new_tree(&mut runner).unwrap().current();
            for step in steps {
                let call = format!("{:?}", step.call);
                let call = call.split([' ', '{']).next().unwrap_or_default().to_owned();
                let failed = matches!(model.apply(&step).answer, Answer::Failed(_));
                let (tried, refused) = calls.entry(call).or_default();
                *tried += 1;
                *refused += usize::from(failed);
            }
        }
        assert_eq!(calls.len(), 26, "{calls:?}");
        let (tried, refused) = calls
            .values()
            .fold((0, 0), |sum, call| (sum.0 + call.0, sum.1 + call.1));
        assert!(refused > tried / 20 && refused < tried / 3, "{calls:?}");
        for (call, (tried, refused)) in &calls {
            assert!(refused < tried, "{call} is always refused: {calls:?}");
        }
    }

    #[test]
    fn what_sequences_are_made_of_can_be_read() {
        assert_eq!((KEYS.len(), STEPS.len(), VALUES.len()), (4, 9, 20));
    }
}
