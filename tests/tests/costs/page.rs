//! The section of the page: what the operations promise, and what they cost.

use std::fmt::Write;

use crate::SIZES;
use crate::operations::Operation;
use crate::wire::Cost;

const BEGIN: &str = "<!-- begin: measured by tests/tests/costs -->";
const END: &str = "<!-- end -->";

/// An operation and its cost at each size.
pub(crate) struct Measured<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) costs: Vec<Cost>,
}

/// The page with this section in its place.
pub(crate) fn replaced(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{section}\n{END}{after}"))
}

pub(crate) fn section(all: &[Measured]) -> String {
    let mut text = String::from("| operation |");
    SIZES
        .iter()
        .for_each(|(size, _)| write!(text, " {size} |").expect("text"));
    text.push_str("\n|---|");
    SIZES.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for Measured { operation, costs } in all {
        write!(text, "| {} |", operation.name).expect("text");
        for (index, cost) in costs.iter().enumerate() {
            let same = index > 0 && costs[index - 1] == *cost;
            let cell = if same { "the same".to_owned() } else { cell(cost) };
            write!(text, " {cell} |").expect("text");
        }
        text.push('\n');
    }
    text.push_str(
        "\n| operation | guarantee | limits | rights | errors beside those of every request |\n|---|---|---|---|---|\n",
    );
    for Measured { operation, costs } in all {
        let Operation {
            name,
            guarantee,
            limits,
            errors,
            ..
        } = operation;
        let errors: Vec<_> = errors.iter().map(|kind| format!("`{kind}`")).collect();
        let rights = rights(costs);
        writeln!(
            text,
            "| {name} | {guarantee} | {limits} | {rights} | {} |",
            errors.join(", ")
        )
        .expect("text");
    }
    text
}

/// `1 GetItem, 0.5 R`
fn cell(cost: &Cost) -> String {
    let mut parts: Vec<_> = cost
        .requests
        .iter()
        .map(|(operation, count)| format!("{count} {operation}"))
        .collect();
    for (units, name) in [(cost.read_units, "R"), (cost.write_units, "W")] {
        if units > 0.0 {
            parts.push(format!("**{units} {name}**"));
        }
    }
    match parts.is_empty() {
        true => "nothing".to_owned(),
        false => parts.join(", "),
    }
}

/// The rights on the table that the requests need. AWS checks the parts of a transaction, not the transaction.
fn rights(costs: &[Cost]) -> String {
    let mut rights: Vec<&str> = costs
        .iter()
        .flat_map(|cost| cost.requests.keys())
        .flat_map(|operation| match operation.as_str() {
            "TransactWriteItems" => vec!["UpdateItem", "ConditionCheckItem"],
            "TransactGetItems" => vec!["GetItem"],
            other => vec![other],
        })
        .collect();
    rights.sort_unstable();
    rights.dedup();
    rights.join(", ")
}
