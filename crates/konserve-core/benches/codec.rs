//! Encoding and decoding per codec, and sealing and opening records.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use konserve_core::record::{Codec, Content, Envelope};
use konserve_core::value::{from_value, to_value};
use konserve_core::{Instant, Keyword, Value};
use serde::{Deserialize, Serialize};

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

/// A document of about a kilobyte.
#[derive(Clone, Serialize, Deserialize)]
struct Profile {
    name: String,
    email: String,
    age: u32,
    active: bool,
    balance: f64,
    created: Instant,
    address: BTreeMap<String, String>,
    tags: Vec<String>,
    history: Vec<Visit>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Visit {
    page: String,
    seconds: u32,
}

fn profile() -> Profile {
    let lines =
        ["street", "city", "country", "postcode"].map(|line| (line.to_owned(), format!("the {line} of somebody")));
    let visit = |number: u32| Visit {
        page: format!("/articles/of/the/day/{number}"),
        seconds: number * 7,
    };
    Profile {
        name: "Somebody Somewhere".to_owned(),
        email: "somebody@somewhere.example".to_owned(),
        age: 42,
        active: true,
        balance: 1234.56,
        created: Instant::from_millis(1_700_000_000_123),
        address: BTreeMap::from(lines),
        tags: (0..8).map(|number| format!("tag number {number}")).collect(),
        history: (0..12).map(visit).collect(),
    }
}

/// A type of the program, directly and through its value, beside the value alone.
fn typed(criterion: &mut Criterion) {
    let codec = Codec::Cbor;
    let profile = profile();
    let bytes = codec.encode_typed(&profile).expect("the document encodes");
    let value = codec.decode(&bytes).expect("the document decodes");
    let mut group = criterion.benchmark_group("typed/cbor");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode value", |bencher| {
        bencher.iter(|| codec.encode(black_box(&value)))
    });
    group.bench_function("encode value as a type", |bencher| {
        bencher.iter(|| codec.encode_typed(black_box(&value)));
    });
    group.bench_function("encode type", |bencher| {
        bencher.iter(|| codec.encode_typed(black_box(&profile)))
    });
    group.bench_function("encode type through value", |bencher| {
        bencher.iter(|| to_value(black_box(&profile)).and_then(|value| codec.encode(&value)));
    });
    group.bench_function("decode value", |bencher| {
        bencher.iter(|| codec.decode(black_box(&bytes)))
    });
    group.bench_function("decode value as a type", |bencher| {
        bencher.iter(|| codec.decode_typed::<Value>(black_box(&bytes)));
    });
    group.bench_function("decode type", |bencher| {
        bencher.iter(|| codec.decode_typed::<Profile>(black_box(&bytes)));
    });
    group.bench_function("decode type through value", |bencher| {
        bencher.iter(|| codec.decode(black_box(&bytes)).and_then(from_value::<Profile>));
    });
    group.finish();
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

criterion_group! {
    name = benches;
    // There are many of them, and nothing but the processor is involved.
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = codecs, typed, envelope
}
criterion_main!(benches);
