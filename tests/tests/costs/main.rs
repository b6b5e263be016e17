//! What each operation costs on DynamoDB at each size: the requests of each kind and the capacity units, counted on the wire.
//!
//! One table says what every operation guarantees, its limits, its errors, and how it is called. What it costs is measured, and all of
//! it together is a section of `docs/dynamodb.md`, which this compares; with `KONSERVE_UPDATE_DOCS=1` it writes the section.

mod operations;
mod page;
mod wire;

use std::fs;
use std::path::Path;

use crate::operations::OPERATIONS;
use crate::page::Measured;

/// The sizes of values that operations are measured with.
const SIZES: [(&str, usize); 5] = [
    ("100 B", 100),
    ("4 kB", 4_000),
    ("100 kB", 100_000),
    ("1 MB", 1_000_000),
    ("10 MiB", 10 * 1024 * 1024),
];

#[tokio::test]
async fn every_operation_costs_what_the_page_says() {
    let mut measured = Vec::new();
    for operation in OPERATIONS {
        let mut costs = Vec::new();
        for (name, size) in SIZES {
            let cost = (operation.measure)(size).await;
            costs.push(cost.unwrap_or_else(|error| panic!("{} of {name}: {error:?}", operation.name)));
        }
        measured.push(Measured { operation, costs });
    }
    let section = page::section(&measured);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dynamodb.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let current = page::replaced(&page, &section).expect("the page has a place for it");
    if std::env::var("KONSERVE_UPDATE_DOCS").is_ok_and(|value| value == "1") {
        fs::write(&path, current).expect("the page can be written");
        return;
    }
    assert!(
        page == current,
        "docs/dynamodb.md is not what was measured; KONSERVE_UPDATE_DOCS=1 cargo test -p konserve-tests --test costs \
         writes it:\n{section}"
    );
}
