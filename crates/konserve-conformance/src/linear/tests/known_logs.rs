//! What the checker says of histories of logs that people wrote.

use super::super::history::Operation;
use super::super::*;
use super::known::{bad, done, failed, good, open};

fn append(entries: &[u64]) -> LogCall {
    LogCall::Append(entries.to_vec())
}

fn entries(entries: &[u64]) -> LogAnswer {
    LogAnswer::Entries(entries.to_vec())
}

const ALL: LogCall = LogCall::Read { last: None };

fn log(operations: Vec<Operation<LogCall, LogAnswer>>) -> Result<(), Finding> {
    check_log(&History::new(operations))
}

/// Two appends that follow each other, one at the same time, and a reading of the end of the log.
fn appended(all: &[u64]) -> Result<(), Finding> {
    log(vec![
        done(0, 1, append(&[10]), LogAnswer::Appended(0)),
        done(2, 7, append(&[20, 21]), LogAnswer::Appended(2)),
        done(3, 4, append(&[30]), LogAnswer::Appended(1)),
        done(5, 6, LogCall::Read { last: Some(1) }, entries(&[30])),
        done(8, 9, ALL, entries(all)),
    ])
}

#[test]
fn logs_have_one_order() {
    good(appended(&[10, 30, 20, 21]));
    bad(appended(&[10, 30, 20, 21, 21]), "again at");
    bad(appended(&[10, 30, 20, 20]), "again at");
    bad(appended(&[10, 30, 21, 20]), "appended together");
    bad(appended(&[10, 20, 30, 21]), "appended together");
    bad(appended(&[10, 20, 21, 30]), "acknowledged at position");
    bad(appended(&[30, 10, 20, 21]), "acknowledged at position");
    bad(appended(&[10, 30, 40, 20, 21]), "nobody appended");
    bad(appended(&[10, 30, 21]), "without the first");
    bad(appended(&[10, 30, 20]), "appended together");
    // Both are lost, as is the end.
    bad(appended(&[10, 30]), "read up to position 2");
    bad(appended(&[10, 20, 21]), "acknowledged at position");
    bad(appended(&[]), "which a longer one does not have");
}

#[test]
fn readings_of_logs_are_beginnings_and_in_time() {
    let read = |first: &[u64]| {
        log(vec![
            done(0, 1, append(&[10]), LogAnswer::Appended(0)),
            done(2, 3, append(&[20]), LogAnswer::Appended(1)),
            done(4, 7, append(&[30]), LogAnswer::Appended(2)),
            done(5, 6, ALL, entries(first)),
            done(8, 9, ALL, entries(&[10, 20, 30])),
        ])
    };
    good(read(&[10, 20]));
    good(read(&[10, 20, 30]));
    bad(read(&[10]), "read up to position 1");
    bad(read(&[]), "read up to position 0");
    bad(read(&[20, 30]), "where a longer one has");
    bad(read(&[10, 30]), "where a longer one has");
    bad(read(&[20, 10]), "where a longer one has");
}

#[test]
fn unknown_appends_are_there_once_or_not() {
    let with = |last: &[u64]| {
        log(vec![
            open(0, append(&[10])),
            failed(1, append(&[40])),
            done(2, 3, append(&[20]), LogAnswer::Appended(1)),
            open(4, append(&[30])),
            done(8, 9, ALL, entries(last)),
        ])
    };
    good(with(&[10, 20]));
    good(with(&[10, 20, 30]));
    bad(with(&[30, 20]), "append 1 at position 1");
    bad(with(&[20]), "acknowledged at position 1");
    bad(with(&[10, 20, 40]), "whose append failed");
    bad(with(&[10, 20, 30, 30]), "again at");
    // Appended before the one that was answered before it was called.
    bad(
        log(vec![
            done(0, 1, append(&[20]), LogAnswer::Appended(1)),
            open(2, append(&[10])),
            done(8, 9, ALL, entries(&[10, 20])),
        ]),
        "append 1 at position 1",
    );
}

fn positioned(first: u64, all: &[u64]) -> LogAnswer {
    LogAnswer::Positioned((first..).zip(all.iter().copied()).collect())
}

fn trim(before: u64) -> LogCall {
    LogCall::Trim { before }
}

/// Three entries, a trim, a fourth entry while it is under way, and a reading after that.
fn trimmed(answer: u64, read: LogCall, found: LogAnswer) -> Result<(), Finding> {
    log(vec![
        done(0, 1, append(&[10, 20, 30]), LogAnswer::Appended(0)),
        done(2, 5, trim(2), LogAnswer::Trimmed(answer)),
        done(3, 4, append(&[40]), LogAnswer::Appended(3)),
        done(6, 7, read, found),
    ])
}

#[test]
fn trimmed_logs_begin_later_and_positions_stay() {
    let last = |last| LogCall::Read { last: Some(last) };
    good(trimmed(2, ALL, positioned(2, &[30, 40])));
    bad(trimmed(1, ALL, positioned(2, &[30, 40])), "it begins at 1");
    bad(trimmed(3, ALL, positioned(2, &[30, 40])), "it begins at 3");
    bad(trimmed(2, ALL, positioned(1, &[20, 30, 40])), "read from position 1 on");
    bad(trimmed(2, ALL, positioned(3, &[40])), "read from position 3 on");
    bad(trimmed(2, ALL, positioned(2, &[30])), "read up to position 3");
    bad(trimmed(2, ALL, positioned(0, &[30, 40])), "without the first");
    bad(trimmed(2, ALL, positioned(2, &[])), "read nothing");
    bad(trimmed(2, ALL, entries(&[30, 40])), "without positions");
    let gap = LogAnswer::Positioned(vec![(2, 30), (4, 40)]);
    bad(trimmed(2, ALL, gap), "has position 4 where 3 should be");
    good(trimmed(2, last(1), positioned(3, &[40])));
    good(trimmed(2, last(2), positioned(2, &[30, 40])));
    good(trimmed(2, last(9), positioned(2, &[30, 40])));
    good(trimmed(2, last(0), positioned(2, &[])));
    bad(
        trimmed(2, last(3), positioned(1, &[20, 30, 40])),
        "read from position 1 on",
    );
    bad(trimmed(2, last(9), positioned(3, &[40])), "read from position 3 on");
    bad(trimmed(2, last(1), positioned(2, &[30, 40])), "of the last");
}

#[test]
fn a_reading_begins_at_one_moment_and_ends_at_another() {
    let read = |called| {
        log(vec![
            done(0, 1, append(&[10, 20, 30]), LogAnswer::Appended(0)),
            done(3, 4, trim(2), LogAnswer::Trimmed(2)),
            done(5, 6, append(&[40]), LogAnswer::Appended(3)),
            done(called, 7, ALL, positioned(0, &[10, 20, 30, 40])),
        ])
    };
    good(read(2));
    bad(
        log(vec![
            done(0, 1, append(&[10, 20, 30]), LogAnswer::Appended(0)),
            done(3, 4, trim(2), LogAnswer::Trimmed(2)),
            done(5, 7, ALL, positioned(0, &[10, 20, 30])),
        ]),
        "read from position 0 on",
    );
    // Two readings of one position.
    bad(
        log(vec![
            open(0, append(&[10])),
            open(0, append(&[20])),
            done(3, 4, ALL, positioned(0, &[10])),
            done(5, 6, ALL, positioned(0, &[20, 10])),
            done(7, 8, trim(0), LogAnswer::Trimmed(0)),
        ]),
        "in one reading",
    );
}

#[test]
fn what_was_trimmed_before_it_was_seen_may_have_been_an_unknown_append() {
    let with = |unknown: Vec<Operation<LogCall, LogAnswer>>| {
        let mut all = vec![
            done(10, 11, append(&[30]), LogAnswer::Appended(2)),
            done(12, 13, trim(2), LogAnswer::Trimmed(2)),
            done(14, 15, ALL, positioned(2, &[30])),
        ];
        all.extend(unknown);
        log(all)
    };
    good(with(vec![open(0, append(&[10])), open(1, append(&[20]))]));
    good(with(vec![open(0, append(&[10, 20]))]));
    good(with(vec![
        open(0, append(&[10])),
        done(1, 2, append(&[20]), LogAnswer::Appended(0)),
    ]));
    bad(with(vec![open(0, append(&[10]))]), "append 1 at position 2");
    bad(
        with(vec![open(0, append(&[10])), failed(1, append(&[20]))]),
        "append 1 at position 2",
    );
    bad(with(vec![open(0, append(&[10, 20, 25]))]), "append 1 at position 2");
    // Only a part of what was appended together was trimmed.
    let part = |first| {
        log(vec![
            open(0, append(&[10, 20])),
            done(4, 5, trim(1), LogAnswer::Trimmed(1)),
            done(6, 7, ALL, positioned(first, &[20])),
        ])
    };
    good(part(1));
    bad(part(0), "without the first");
    // An unknown trim happens once it is seen, and not before it was called.
    let unknown = |called, first, all: &[u64]| {
        log(vec![
            done(0, 1, append(&[10, 20]), LogAnswer::Appended(0)),
            open(called, trim(1)),
            done(3, 4, ALL, positioned(first, all)),
        ])
    };
    good(unknown(2, 1, &[20]));
    good(unknown(2, 0, &[10, 20]));
    bad(unknown(9, 1, &[20]), "read from position 1 on");
}
