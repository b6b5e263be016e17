//! A process whose writers are recorded: the tests start several of these on one store.
//!
//! Its argument says what it does ([`Share`], as JSON). It says `ready`, waits for a line, works, and prints what came of it
//! ([`Work`](konserve_tests::recorded::Work), as JSON) in one line.

use konserve_tests::recorded::Share;

fn main() {
    let share = std::env::args().nth(1).expect("an argument");
    let share: Share = serde_json::from_str(&share).expect("what to do");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let begin = async {
        println!("ready");
        std::io::stdin()
            .read_line(&mut String::new())
            .expect("the parent lives");
    };
    let work = runtime.expect("a runtime").block_on(share.work(begin));
    println!("{}", serde_json::to_string(&work).expect("no maps"));
}
