//! Encoding and decoding per codec, and sealing and opening records.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use konserve_core::record::{Codec, Content, Envelope};
use konserve_core::{Instant, Keyword, Value};

/// The nodes of one person, the person itself and its key included.
const NODES_OF_A_PERSON: usize = 10;

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A map of four entries: a name, a number, an instant and two keywords. With its key, it counts ten nodes.
fn person(number: usize) -> (Value, Value) {
    let keyword = |name: &str| Value::Keyword(Keyword::new(name).expect("a keyword"));
    let entries = [
        (text("name"), text(format!("person number {number}"))),
        (text("age"), Value::Integer(number as i128 % 100)),
        (
            text("seen"),
            Value::Instant(Instant::from_millis(1_700_000_000_000 + number as i64)),
        ),
        (keyword("user/role"), keyword("reader")),
    ];
    (text(format!("{number:08}")), Value::Map(entries.into()))
}

/// A document of so many nodes.
fn document(nodes: usize) -> Value {
    Value::Map((0..nodes / NODES_OF_A_PERSON).map(person).collect())
}

fn codecs(criterion: &mut Criterion) {
    let all = [Codec::Cbor, Codec::Json, Codec::Bincode];
    for codec in all.into_iter().filter(|codec| codec.check_available().is_ok()) {
        let mut group = criterion.benchmark_group(format!("codec/{codec:?}").to_lowercase());
        for nodes in [10, 1_000, 100_000] {
            let value = document(nodes);
            let bytes = codec.encode(&value).expect("the value encodes");
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_with_input(BenchmarkId::new("encode", nodes), &value, |bencher, value| {
                bencher.iter(|| codec.encode(black_box(value)));
            });
            group.bench_with_input(BenchmarkId::new("decode", nodes), &bytes, |bencher, bytes| {
                bencher.iter(|| codec.decode(black_box(bytes)));
            });
        }
        group.finish();
    }
}

fn envelope(criterion: &mut Criterion) {
    let envelope = Envelope::default();
    let mut group = criterion.benchmark_group("envelope");
    for length in [1_000, 1_000_000] {
        let plain = vec![42; length];
        let record = envelope.seal(Content::Raw, &plain).expect("bytes are sealed");
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_with_input(BenchmarkId::new("seal", length), &plain, |bencher, plain| {
            bencher.iter(|| envelope.seal(Content::Raw, black_box(plain)));
        });
        group.bench_with_input(BenchmarkId::new("open", length), &record, |bencher, record| {
            bencher.iter(|| envelope.open(black_box(record.clone())));
        });
    }
    group.finish();
}

criterion_group!(benches, codecs, envelope);
criterion_main!(benches);
