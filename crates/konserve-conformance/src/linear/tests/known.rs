//! Histories of which it is known whether they are linearizable.

use konserve_core::Rev;
use konserve_core::backend::When;

use super::super::documents::Documents;
use super::super::history::{End, Operation};
use super::super::*;

/// An operation: from when to when, what, and the answer. Those that end with `open` and `failed` have none.
pub(super) fn done<C, A>(from: u64, to: u64, call: C, answer: A) -> Operation<C, A> {
    let end = End::Returned { at: to, answer };
    operation(from, call, end)
}

pub(super) fn open<C, A>(from: u64, call: C) -> Operation<C, A> {
    operation(from, call, End::Open)
}

pub(super) fn failed<C, A>(from: u64, call: C) -> Operation<C, A> {
    operation(from, call, End::Failed)
}

fn operation<C, A>(invoked: u64, call: C, end: End<A>) -> Operation<C, A> {
    Operation {
        task: 7,
        call,
        invoked,
        end,
    }
}

fn rev(number: u8) -> Rev {
    let mut bytes = [0; 16];
    bytes[0] = number;
    Rev::from_bytes(bytes)
}

#[track_caller]
pub(super) fn good(verdict: Result<(), Finding>) {
    if let Err(finding) = verdict {
        panic!("a good history was refused: {finding}");
    }
}

/// The verdict is a violation, and its report contains this.
#[track_caller]
pub(super) fn bad(verdict: Result<(), Finding>, told: &str) {
    match verdict {
        Err(Finding::Violation(report)) => assert!(report.contains(told), "{told:?} is not in: {report}"),
        verdict => panic!("a bad history: {verdict:?}"),
    }
}

fn items(members: usize, operations: Vec<Operation<ItemsCall, ItemsAnswer>>) -> Result<(), Finding> {
    let history = History::new(operations);
    check(&Items::new(vec![Place::Vacant; members], &history), &history)
}

fn items_after_failures(operations: Vec<Operation<ItemsCall, ItemsAnswer>>) -> Result<(), Finding> {
    let history = History::new(operations);
    let model = Items::new(vec![Place::Vacant], &history).after_failures(true);
    check(&model, &history)
}

fn read(member: usize) -> ItemsCall {
    ItemsCall::Read { member }
}

fn found(number: u8) -> ItemsAnswer {
    ItemsAnswer::Found(Some(rev(number)))
}

const ABSENT: ItemsAnswer = ItemsAnswer::Found(None);
const APPLIED: ItemsAnswer = ItemsAnswer::Applied(None);

fn write(number: u8, when: When) -> ItemsCall {
    ItemsCall::Change(vec![Part::write(0, rev(number), when)])
}

fn remove(number: u8, when: When) -> ItemsCall {
    ItemsCall::Change(vec![Part::remove(0, rev(number), when)])
}

fn both(number: u8) -> ItemsCall {
    let part = |member| Part::write(member, rev(number), When::Newer);
    ItemsCall::Change(vec![part(0), part(1)])
}

fn refused(place: Place) -> ItemsAnswer {
    ItemsAnswer::Refused(vec![(0, place)])
}

#[test]
fn overlapping_registers_are_linearizable() {
    good(items(1, vec![]));
    good(items(
        1,
        vec![
            done(0, 9, write(1, When::Absent), APPLIED),
            done(1, 8, write(2, When::Absent), refused(Place::Item(rev(1)))),
            done(2, 3, read(0), ABSENT),
            done(4, 5, read(0), found(1)),
            done(
                10,
                13,
                remove(3, When::Exists),
                ItemsAnswer::Applied(Some(Place::Item(rev(1)))),
            ),
            done(
                11,
                12,
                write(4, When::Matches(rev(1))),
                refused(Place::Tombstone(rev(3))),
            ),
            done(
                14,
                15,
                write(5, When::Absent),
                ItemsAnswer::Applied(Some(Place::Tombstone(rev(3)))),
            ),
            done(16, 17, write(4, When::Newer), refused(Place::Item(rev(5)))),
            done(18, 19, read(0), found(5)),
        ],
    ));
}

#[test]
fn a_lost_update_is_told() {
    let history = vec![
        done(0, 1, write(1, When::Absent), APPLIED),
        done(2, 5, write(2, When::Matches(rev(1))), APPLIED),
        done(3, 4, write(3, When::Matches(rev(1))), APPLIED),
    ];
    bad(items(1, history), "if r1 -> applied");
}

#[test]
fn two_creators_are_told() {
    let history = vec![
        done(0, 3, write(1, When::Absent), APPLIED),
        done(1, 2, write(2, When::Absent), APPLIED),
    ];
    bad(items(1, history), "1 of 2 answered");
}

#[test]
fn a_stale_read_is_told() {
    let history = vec![
        done(0, 1, write(1, When::Newer), APPLIED),
        done(2, 3, write(2, When::Newer), APPLIED),
        done(4, 5, read(0), found(1)),
    ];
    bad(items(1, history), "[4..5] task 7: read 0 -> r1");
}

#[test]
fn a_read_that_goes_back_is_told() {
    let history = vec![
        done(0, 1, write(1, When::Newer), APPLIED),
        done(2, 9, write(2, When::Newer), APPLIED),
        done(3, 4, read(0), found(2)),
        done(5, 6, read(0), found(1)),
    ];
    bad(items(1, history), "read 0 -> r1");
}

#[test]
fn a_read_from_the_future_is_told() {
    let history = vec![
        done(0, 1, read(0), found(1)),
        done(2, 3, write(1, When::Newer), APPLIED),
    ];
    bad(items(1, history), "0 of 2 answered");
}

#[test]
fn an_acknowledged_write_that_vanished_is_told() {
    let history = vec![done(0, 1, write(1, When::Newer), APPLIED), done(2, 3, read(0), ABSENT)];
    bad(items(1, history), "which leads to: 0: item r1");
}

#[test]
fn an_older_write_over_a_newer_one_is_told() {
    let history = vec![
        done(0, 1, write(2, When::Newer), APPLIED),
        done(2, 3, write(1, When::Newer), APPLIED),
    ];
    bad(items(1, history), "write r1 at 0 if newer -> applied");
}

#[test]
fn a_refusal_that_tells_what_is_not_there_is_told() {
    let history = vec![
        done(0, 1, write(1, When::Newer), APPLIED),
        done(2, 3, write(2, When::Absent), refused(Place::Tombstone(rev(1)))),
    ];
    bad(items(1, history), "refused: 0 by tombstone r1");
    let history = vec![done(0, 1, write(2, When::Absent), refused(Place::Vacant))];
    bad(items(1, history), "refused: 0 by nothing");
}

#[test]
fn a_tombstone_that_nobody_left_is_told_unless_something_failed() {
    let left = Place::Tombstone(rev(2));
    let history = |last| {
        vec![
            done(0, 1, write(3, When::Exists), refused(Place::Vacant)),
            done(2, 3, write(1, When::Absent), refused(left)),
            done(4, 5, write(4, When::Newer), ItemsAnswer::Applied(Some(left))),
            last,
        ]
    };
    let fine = done(6, 7, read(0), found(4));
    good(items_after_failures(history(fine.clone())));
    bad(items(1, history(fine)), "refused: 0 by tombstone r2");
    let again = done(6, 7, write(5, When::Absent), refused(left));
    bad(items_after_failures(history(again)), "refused: 0 by tombstone r2");
}

#[test]
fn an_unknown_write_that_was_seen_has_happened() {
    let seen = |more| {
        let mut history = vec![
            done(0, 1, write(1, When::Newer), APPLIED),
            open(2, write(2, When::Newer)),
            done(3, 4, read(0), found(1)),
            done(5, 6, read(0), found(2)),
        ];
        history.push(more);
        items(1, history)
    };
    good(seen(done(7, 8, read(0), found(2))));
    bad(seen(done(7, 8, read(0), found(1))), "read 0 -> r1");
}

#[test]
fn an_unknown_write_that_was_not_seen_need_not_have_happened() {
    let after = |answer| {
        items(
            1,
            vec![
                done(0, 1, write(1, When::Newer), APPLIED),
                open(2, write(2, When::Newer)),
                done(3, 4, write(3, When::Newer), APPLIED),
                done(5, 6, read(0), answer),
            ],
        )
    };
    good(after(found(3)));
    // Its revision is lower: after the other it cannot come any more.
    bad(after(found(2)), "read 0 -> r2");
}

#[test]
fn an_unknown_write_explains_what_is_not_named() {
    let with = |open| {
        let mut history = vec![done(3, 4, write(3, When::Exists), APPLIED)];
        history.extend(open);
        items(1, history)
    };
    good(with(Some(open(0, write(1, When::Absent)))));
    bad(with(None), "0 of 1 answered");
    // It must have been called before.
    bad(with(Some(open(9, write(1, When::Absent)))), "0 of 1 answered");
    let vanished = |open| {
        let mut history = vec![done(0, 1, write(1, When::Absent), APPLIED), done(5, 6, read(0), ABSENT)];
        history.extend(open);
        items(1, history)
    };
    good(vanished(Some(open(2, remove(2, When::Exists)))));
    bad(vanished(Some(failed(2, remove(2, When::Exists)))), "1 of 2 answered");
}

#[test]
fn an_unknown_write_whose_condition_never_held_must_not_have_happened() {
    let history = vec![
        done(0, 1, write(1, When::Newer), APPLIED),
        open(2, write(2, When::Absent)),
        done(3, 4, read(0), found(2)),
    ];
    bad(items(1, history), "read 0 -> r2");
}

#[test]
fn a_failed_write_that_happened_is_told() {
    let history = vec![
        done(0, 1, write(1, When::Newer), APPLIED),
        failed(2, write(2, When::Newer)),
        done(3, 4, read(0), found(2)),
    ];
    bad(items(1, history), "read 0 -> r2");
}

#[test]
fn an_unknown_write_happens_once() {
    let history = vec![
        open(0, write(9, When::Always)),
        done(1, 2, read(0), found(9)),
        done(3, 4, write(2, When::Always), APPLIED),
        done(5, 6, read(0), found(2)),
        done(7, 8, read(0), found(9)),
    ];
    // The unknown one is the second in the order of revisions.
    bad(items(1, history), "[7..8] task 7: read 0 -> r2");
}

/// One order needs the unknown write early and then lacks it; another comes to the same without it.
#[test]
fn an_unknown_write_that_was_taken_too_early_is_given_back() {
    let history = vec![
        open(0, write(5, When::Always)),
        done(1, 4, write(1, When::Always), APPLIED),
        done(2, 5, remove(2, When::Always), APPLIED),
        done(6, 7, write(9, When::Exists), APPLIED),
        done(8, 9, read(0), found(5)),
    ];
    good(items(1, history));
}

#[test]
fn a_part_of_a_commit_that_is_seen_is_told() {
    let history = vec![
        done(0, 1, both(1), APPLIED),
        done(2, 9, both(2), APPLIED),
        done(3, 4, read(0), found(2)),
        done(5, 6, read(1), found(1)),
    ];
    bad(items(2, history), "read 1 -> r1");
    let history = vec![
        done(0, 1, both(1), APPLIED),
        open(2, both(2)),
        done(3, 4, read(0), found(2)),
        done(5, 6, read(1), found(1)),
    ];
    bad(items(2, history), "read 1 -> r1");
}

#[test]
fn real_time_across_members_of_a_group_is_kept() {
    let one = |member, number| ItemsCall::Change(vec![Part::write(member, rev(number), When::Newer)]);
    let with = |second_called| {
        items(
            2,
            vec![
                done(0, 1, both(1), APPLIED),
                done(2, 4, one(0, 2), APPLIED),
                done(second_called, 20, one(1, 3), APPLIED),
                // The second is seen before the first.
                done(6, 7, read(1), found(3)),
                done(8, 9, read(0), found(1)),
            ],
        )
    };
    bad(with(5), "read 0 -> r1");
    let history = vec![
        done(0, 1, both(1), APPLIED),
        done(2, 10, one(0, 2), APPLIED),
        done(5, 20, one(1, 3), APPLIED),
        done(6, 7, read(1), found(3)),
        done(8, 9, read(0), found(1)),
    ];
    good(items(2, history));
}

#[test]
fn a_commit_whose_check_did_not_hold_is_told() {
    let checked = ItemsCall::Change(vec![
        Part::write(0, rev(5), When::Newer),
        Part::check(1, When::Matches(rev(1))),
    ]);
    let gone = ItemsCall::Change(vec![Part::remove(1, rev(2), When::Exists)]);
    let history = |applied: bool| {
        let answer = match applied {
            true => APPLIED,
            false => ItemsAnswer::Refused(vec![(1, Place::Tombstone(rev(2)))]),
        };
        vec![
            done(0, 1, both(1), APPLIED),
            done(2, 3, gone.clone(), APPLIED),
            done(4, 5, checked.clone(), answer),
        ]
    };
    good(items(2, history(false)));
    bad(items(2, history(true)), "check 1 if r1 -> applied");
}

fn documents(operations: Vec<Operation<DocumentsCall, DocumentsAnswer>>) -> Result<(), Finding> {
    let history = History::new(operations);
    let model = Documents::new(1, &history)?;
    check(&model, &history)
}

const GET: DocumentsCall = DocumentsCall::Get { key: 0 };

fn assoc(value: ValueId, only: Only) -> DocumentsCall {
    let keys = vec![0];
    DocumentsCall::Assoc { keys, value, only }
}

fn dissoc(only: Only) -> DocumentsCall {
    DocumentsCall::Dissoc { keys: vec![0], only }
}

fn stored(number: u8) -> DocumentsAnswer {
    DocumentsAnswer::Stored(rev(number))
}

fn has(value: ValueId, number: u8) -> DocumentsAnswer {
    DocumentsAnswer::Found(Some((value, rev(number))))
}

fn removed(existed: bool) -> DocumentsAnswer {
    DocumentsAnswer::Removed(vec![existed])
}

#[test]
fn documents_are_registers() {
    good(documents(vec![
        done(0, 1, assoc(1, Only::IfAbsent), stored(1)),
        done(2, 7, assoc(2, Only::Always), stored(2)),
        done(3, 6, assoc(3, Only::IfRevision(rev(1))), DocumentsAnswer::Conflict),
        done(4, 5, GET, has(1, 1)),
        done(8, 9, dissoc(Only::IfRevision(rev(2))), removed(true)),
        done(10, 11, dissoc(Only::Always), removed(false)),
    ]));
    let history = vec![
        done(0, 1, assoc(1, Only::Always), stored(1)),
        done(2, 3, assoc(2, Only::IfRevision(rev(1))), DocumentsAnswer::Conflict),
    ];
    bad(documents(history), "if r1 -> conflict");
    let history = vec![
        done(0, 1, assoc(1, Only::Always), stored(2)),
        done(2, 3, assoc(2, Only::Always), stored(1)),
    ];
    bad(documents(history), "stored as r1");
    let history = vec![
        done(0, 1, assoc(1, Only::Always), stored(1)),
        done(2, 5, dissoc(Only::Always), removed(true)),
        done(3, 4, dissoc(Only::Always), removed(true)),
    ];
    bad(documents(history), "2 of 3 answered");
}

#[test]
fn a_value_under_two_revisions_was_applied_twice() {
    let history = vec![
        done(0, 1, assoc(1, Only::Always), stored(1)),
        done(2, 3, GET, has(1, 2)),
    ];
    bad(documents(history), "applied twice");
}

#[test]
fn unseen_values_explain_conflicts_and_existence() {
    for (call, answer) in [
        (assoc(2, Only::IfAbsent), DocumentsAnswer::Conflict),
        (dissoc(Only::Always), removed(true)),
    ] {
        let with = |called| {
            documents(vec![
                open(called, assoc(1, Only::Always)),
                done(5, 6, call.clone(), answer.clone()),
            ])
        };
        good(with(0));
        bad(with(9), "0 of 1 answered");
    }
}

fn counter(operations: Vec<Operation<CounterCall, CounterAnswer>>) -> Result<(), Finding> {
    let history = History::new(operations);
    check(&Counter::new(&history), &history)
}

fn counted(old: (u64, u64), by: u64) -> CounterAnswer {
    let new = (old.0 + 1, by);
    CounterAnswer::Updated { old, new }
}

#[test]
fn counters_add_up() {
    good(counter(vec![
        done(0, 5, CounterCall::Add(1), counted((1, 2), 1)),
        done(1, 4, CounterCall::Add(2), counted((0, 0), 2)),
        done(6, 7, CounterCall::Get, CounterAnswer::Found((2, 1))),
    ]));
    let lost = vec![
        done(0, 3, CounterCall::Add(1), counted((0, 0), 1)),
        done(1, 2, CounterCall::Add(2), counted((0, 0), 2)),
    ];
    bad(counter(lost), "from 0 by 0 to 1");
}

#[test]
fn what_was_counted_twice_is_told() {
    let twice = |between| {
        let mut history = vec![
            done(0, 1, CounterCall::Add(1), counted((0, 0), 1)),
            done(8, 9, CounterCall::Add(2), counted((2, 1), 2)),
        ];
        history.extend(between);
        counter(history)
    };
    bad(twice(None), "from 2 by 1 to 3 by 2");
    // An unknown call in between would have left its own name.
    bad(twice(Some(open(4, CounterCall::Add(3)))), "from 2 by 1 to 3 by 2");
}

#[test]
fn unknown_counting_fills_gaps() {
    let gap = |unknown: &[u64]| {
        let mut history = vec![
            done(0, 1, CounterCall::Add(1), counted((0, 0), 1)),
            done(20, 21, CounterCall::Add(2), counted((3, 9), 2)),
        ];
        let called = |by: &u64| open(2 + by, CounterCall::Add(*by));
        history.extend(unknown.iter().map(called));
        counter(history)
    };
    good(gap(&[8, 9]));
    good(gap(&[5, 9, 6, 7]));
    bad(gap(&[9]), "from 3 by 9");
    bad(gap(&[7, 8]), "from 3 by 9");
}

#[test]
fn a_search_that_is_given_up_does_not_pass() {
    let history: Vec<_> = (0..20)
        .map(|number| done(u64::from(number), 100, write(number + 1, When::Always), APPLIED))
        .chain([done(101, 102, read(0), found(99))])
        .collect();
    let history = History::new(history);
    let model = Items::new(vec![Place::Vacant], &history);
    let verdict = checker::check_within(1000, &model, &history);
    assert_eq!(verdict, Err(Finding::NotDecided(1000)));
}
