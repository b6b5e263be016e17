//! What our DynamoDB engine takes beside the same thing written by hand, on the same embedded engine in the same run.

mod by_hand;
mod engine;

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use konserve_tests::document::Customer;
use tokio::runtime::Runtime;

use self::by_hand::ByHand;

/// How many documents there are: what `multi_get` gets.
const DOCUMENTS: u64 = 100;

/// How many entries the log has that is read.
const ENTRIES: u64 = 1_000;

fn all(criterion: &mut Criterion) {
    let endpoint = engine::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let by_hand = &runtime.block_on(ByHand::create(engine::client(&endpoint)));
    let keys: Vec<String> = (0..DOCUMENTS).map(|id| format!("customer-{id:06}")).collect();
    let customers: Vec<Customer> = (0..DOCUMENTS).map(Customer::example).collect();
    runtime.block_on(async {
        for (key, customer) in keys.iter().zip(&customers) {
            by_hand.assoc(key, customer).await;
        }
        for id in 0..ENTRIES {
            by_hand.append("log", &Customer::example(id)).await;
        }
    });
    let (keys, customers) = (keys.as_slice(), customers.as_slice());

    pair(criterion, &runtime, "get", |side| {
        let key = &keys[side.turn()];
        async move {
            let found = by_hand.get(key).await;
            assert!(found.is_some());
            black_box(found);
        }
    });
    pair(criterion, &runtime, "assoc", |side| {
        let turn = side.turn();
        by_hand.assoc(&keys[turn], &customers[turn])
    });
    pair(criterion, &runtime, "update_in", |side| {
        let key = &keys[side.turn()];
        async move { assert!(by_hand.update(key).await > 0) }
    });
    pair(criterion, &runtime, "multi_get of 100", |_| async {
        let found = by_hand.multi_get(keys).await;
        assert_eq!(found.len(), keys.len());
        black_box(found);
    });
    pair(criterion, &runtime, "append", |side| {
        let entry = &customers[side.turn()];
        async move {
            black_box(by_hand.append("growing-log", entry).await);
        }
    });
    pair(criterion, &runtime, "log of 1000", |_| async {
        let entries = by_hand.log("log").await;
        assert_eq!(entries.len() as u64, ENTRIES);
        black_box(entries);
    });
}

/// Counts through the documents, so that no two operations in a row concern the same.
#[derive(Default)]
struct Side {
    turn: Cell<u64>,
}

impl Side {
    fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % DOCUMENTS);
        turn as usize
    }
}

fn pair<H: Future>(criterion: &mut Criterion, runtime: &Runtime, name: &str, by_hand: impl Fn(&Side) -> H) {
    let mut group = criterion.benchmark_group(format!("dynamodb {name}"));
    let side = Side::default();
    group.bench_function("by-hand", |bencher| bencher.to_async(runtime).iter(|| by_hand(&side)));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4));
    targets = all
}
criterion_main!(benches);
