//! The contract and the trials are complete with respect to each other.

use std::collections::{BTreeSet, HashSet};

use konserve_conformance::catalogue;

const CONTRACT: &str = include_str!("../../../docs/contract.md");

/// The ids of the clauses: `- **B-READ-1** …`.
fn clauses() -> Vec<&'static str> {
    let bold = CONTRACT.lines().filter_map(|line| line.strip_prefix("- **"));
    bold.filter_map(|line| line.split("**").next()).collect()
}

#[test]
fn no_clause_without_a_trial_and_no_trial_without_a_clause() {
    let stated: BTreeSet<_> = clauses().into_iter().collect();
    let entries = catalogue();
    let tried: BTreeSet<_> = entries.iter().flat_map(|entry| entry.clauses.iter().copied()).collect();

    let untried: Vec<_> = stated.difference(&tried).collect();
    assert!(
        untried.is_empty(),
        "clauses of docs/contract.md without a trial: {untried:?}"
    );
    let unstated: Vec<_> = tried.difference(&stated).collect();
    assert!(
        unstated.is_empty(),
        "trials name clauses that docs/contract.md does not have: {unstated:?}"
    );
    for entry in &entries {
        assert!(!entry.clauses.is_empty(), "{} stands for no clause", entry.id);
    }
}

#[test]
fn ids_are_unique_and_well_formed() {
    let stated = clauses();
    let unique: HashSet<_> = stated.iter().collect();
    assert_eq!(unique.len(), stated.len(), "a clause is numbered twice");

    let mut ids = HashSet::new();
    for entry in catalogue() {
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(
            entry.id.split('.').count() >= 2 && entry.id.split('.').all(plain),
            "{:?}",
            entry.id
        );
        assert!(ids.insert(entry.id.clone()), "{} is there twice", entry.id);
    }
}

#[test]
fn a_capability_that_is_missing_has_a_trial_of_its_refusal() {
    use konserve_conformance::Capability::*;
    let without: HashSet<_> = catalogue().into_iter().filter_map(|entry| entry.without).collect();
    assert_eq!(
        without,
        HashSet::from([StrongReads, Transactions, ItemLimit, LargeValues])
    );
}
