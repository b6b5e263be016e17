//! What our memory engine takes beside a plain sharded map that holds the same encoded documents of 1 KB.

mod by_hand;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use konserve_core::{Path, Store};
use konserve_memory::Memory;
use konserve_tests::document::Customer;

use self::by_hand::ByHand;

/// The one key: what is measured is the way to it, not the cache of the processor.
const KEY: &str = "customer";

fn all(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = &runtime.expect("a runtime");
    let customer = Customer::example(1);
    let store = Store::new(Memory::new());
    runtime
        .block_on(async { store.assoc(KEY, &customer).await })
        .expect("a new document");
    let map = ByHand::new();
    map.assoc(KEY, &customer);

    let mut group = criterion.benchmark_group("memory get");
    group.bench_function("konserve", |bencher| {
        bencher.to_async(runtime).iter(async || {
            let found = store.get::<Customer>(KEY).await.expect("an answer");
            assert!(black_box(found).is_some());
        });
    });
    group.bench_function("by-hand", |bencher| {
        bencher.iter(|| assert!(black_box(map.get(KEY)).is_some()))
    });
    group.finish();

    let mut group = criterion.benchmark_group("memory assoc");
    group.bench_function("konserve", |bencher| {
        bencher.to_async(runtime).iter(async || {
            black_box(store.assoc(KEY, &customer).await.expect("no newer write"));
        });
    });
    group.bench_function("by-hand", |bencher| bencher.iter(|| map.assoc(KEY, &customer)));
    group.finish();

    let mut group = criterion.benchmark_group("memory update_in");
    group.bench_function("konserve", |bencher| {
        bencher.to_async(runtime).iter(async || {
            let path = Path::new(KEY).join("visits");
            let updated = store
                .update_in(path, |visits: Option<u64>| visits.unwrap_or(0) + 1)
                .await;
            assert!(updated.expect("nobody else writes").new > 0);
        });
    });
    group.bench_function("by-hand", |bencher| bencher.iter(|| assert!(map.update(KEY) > Some(0))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = all
}
criterion_main!(benches);
