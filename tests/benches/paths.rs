//! Reading and writing at paths into values of 10, 1,000 and 100,000 nodes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use konserve_core::{Value, nested};

/// How many nodes the values have, themselves included.
const NODES: [usize; 3] = [10, 1_000, 100_000];

/// The most children of a node.
const CHILDREN: usize = 10;

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("paths");
    for nodes in NODES {
        let (mut document, mut steps) = tree(nodes, 0);
        assert_eq!(count(&document), nodes);
        assert!(nested::read(&document, &steps).is_some());

        group.bench_function(BenchmarkId::new("read", nodes), |bencher| {
            bencher.iter(|| black_box(nested::read(&document, black_box(&steps))));
        });
        group.bench_function(BenchmarkId::new("write", nodes), |bencher| {
            bencher.iter(|| {
                let whole = std::mem::take(&mut document);
                document = nested::write(Some(whole), black_box(&steps), Value::from(1)).expect("a path of maps");
            });
        });
        if let Some(last) = steps.last_mut() {
            *last = Value::from("new");
        }
        group.bench_function(BenchmarkId::new("write and remove", nodes), |bencher| {
            bencher.iter(|| {
                let whole = std::mem::take(&mut document);
                document = nested::write(Some(whole), black_box(&steps), Value::from(1)).expect("a path of maps");
                assert!(nested::remove(&mut document, &steps));
            });
        });
    }
    group.finish();
}

/// A value of so many nodes (at least one), itself included, and the steps to its last leaf. Maps and lists in turn, maps at
/// the bottom.
fn tree(nodes: usize, depth: usize) -> (Value, Vec<Value>) {
    let below = nodes.saturating_sub(1);
    if below == 0 {
        return (Value::from(depth as i64), Vec::new());
    }
    let children = below.min(CHILDREN);
    let is_list = depth % 2 == 1 && below > CHILDREN;
    let mut values = Vec::with_capacity(children);
    let mut steps = Vec::new();
    for child in 0..children {
        let share = below / children + usize::from(child < below % children);
        let (value, deeper) = tree(share, depth + 1);
        let step = if is_list {
            Value::from(child as i64)
        } else {
            Value::from(format!("field {child}"))
        };
        if child == children - 1 {
            steps = [vec![step.clone()], deeper].concat();
        }
        values.push((step, value));
    }
    let value = match is_list {
        true => Value::List(values.into_iter().map(|(_, value)| value).collect()),
        false => Value::Map(values.into_iter().collect()),
    };
    (value, steps)
}

fn count(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
