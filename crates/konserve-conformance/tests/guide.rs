//! Every piece of code in the guide for authors of engines is a piece of the example that is compiled and run.

const GUIDE: &str = include_str!("../../../docs/backend-guide.md");
const ENGINE: &str = include_str!("../examples/directory/engine.rs");
const HARNESS: &str = include_str!("../examples/directory/conformance.rs");

#[test]
fn the_code_of_the_guide_is_the_code_of_the_example() {
    let blocks: Vec<&str> = GUIDE
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 8, "the guide has only {} pieces of code", blocks.len());
    for block in blocks {
        assert!(
            ENGINE.contains(block) || HARNESS.contains(block),
            "this piece of docs/backend-guide.md is not in the example:\n{block}"
        );
    }
}

#[test]
fn the_example_is_as_short_as_the_guide_says() {
    assert!(GUIDE.contains("fewer than 280 lines"));
    let lines = ENGINE.lines().count();
    assert!(lines < 280, "the example engine has {lines} lines");
}
