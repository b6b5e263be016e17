//! What our memory engine takes beside a plain sharded map that holds the same encoded documents of 1 KB.

mod by_hand;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use konserve_tests::document::Customer;

use self::by_hand::ByHand;

fn all(criterion: &mut Criterion) {
    let map = ByHand::new();
    let customer = Customer::example(1);
    map.assoc("customer", &customer);
    let mut group = criterion.benchmark_group("memory get");
    group.bench_function("by-hand", |bencher| bencher.iter(|| black_box(map.get("customer"))));
    group.finish();
    let mut group = criterion.benchmark_group("memory assoc");
    group.bench_function("by-hand", |bencher| bencher.iter(|| map.assoc("customer", &customer)));
    group.finish();
    let mut group = criterion.benchmark_group("memory update_in");
    group.bench_function("by-hand", |bencher| bencher.iter(|| black_box(map.update("customer"))));
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
