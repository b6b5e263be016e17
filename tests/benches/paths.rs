//! Reading and writing at paths into values of 10, 1,000 and 100,000 nodes.

use criterion::{Criterion, criterion_group, criterion_main};

fn all(_: &mut Criterion) {}

criterion_group!(benches, all);
criterion_main!(benches);
