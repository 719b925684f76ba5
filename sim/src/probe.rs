//! Probes: how often each rare situation came up in a run, so that many good runs are known to have been through them.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Rare situations, by name. One that no run ever comes through is a hole in what is drawn.
pub const NAMES: [&str; 72] = [
    "answer: a duplicate",
    "answer: a duplicate of an earlier life",
    "answer: a fenced producer epoch",
    "answer: a fenced static member",
    "answer: a gap in a producer's sequences",
    "answer: a join refused",
    "answer: a produce after its time-out",
    "answer: a sync during the next rebalance",
    "answer: commit of an old generation",
    "answer: commit of an unknown member",
    "answer: commit while a rebalance completes",
    "answer: commit without a coordinator",
    "answer: fetch out of range",
    "answer: read from a follower",
    "answer: read from disk during a round",
    "answer: storage error",
    "crash: before it was ready",
    "crash: between append and sync",
    "crash: during a checkpoint",
    "crash: in a rebalance",
    "crash: with a group's log being replayed",
    "crash: with a lookup under way",
    "crash: with a snapshot under way",
    "crash: with a trim under way",
    "crash: with an election state under way",
    "crash: with answers waiting",
    "disk: a checkpoint without room",
    "disk: a log found damaged at work",
    "disk: a log out of room",
    "disk: a round failed",
    "gone: a connection with requests open",
    "groups: a deposed coordinator answers",
    "log: a segment begun",
    "log: a segment begun during a lookup",
    "log: begun anew",
    "log: cut back",
    "log: cut back to the beginning of a segment with records in it",
    "log: cut back with waiters",
    "log: removed with records in it",
    "log: the group's cut back",
    "log: the metadata's cut back",
    "log: trimmed to its end",
    "quorum: a candidate loses",
    "quorum: a leader gives up",
    "quorum: a leader hands over",
    "quorum: a leader hears of a later epoch",
    "quorum: a leader is cut off",
    "quorum: a log has lost touch with its leader's",
    "quorum: a snapshot replaced while it is fetched",
    "quorum: a vote is refused",
    "quorum: a voter catches up from a snapshot",
    "quorum: a wiped voter votes again",
    "quorum: an uncommitted tail is cut",
    "quorum: elected with a tail of an earlier epoch",
    "quorum: logs part ways",
    "quorum: two lead, in two epochs",
    "request: before it was ready",
    "request: heartbeat during a replay",
    "request: join during a replay",
    "snapshot: of the metadata",
    "start: a log offline",
    "start: a torn tail cut off",
    "start: after a clean stop",
    "start: from a snapshot alone",
    "start: from a snapshot and facts after it",
    "start: from a snapshot beyond the log",
    "start: records that nobody acknowledged",
    "start: with producers",
    "stop: before it was ready",
    "stop: with appends under way",
    "throttle: a follower waits before it asks",
    "throttle: records wait at a leader",
];

/// How often things came up.
pub type Counts<K> = BTreeMap<K, u64>;

#[derive(Default)]
struct Seen {
    probes: Counts<&'static str>,
    crossings: Counts<(&'static str, &'static str)>,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// A rare situation has come up.
///
/// # Panics
/// It is not among [`NAMES`].
pub fn sometimes(name: &'static str) {
    assert!(NAMES.binary_search(&name).is_ok(), "{name} is not in the list of probes");
    SEEN.with_borrow_mut(|seen| *seen.probes.entry(name).or_insert(0) += 1);
}

/// A fault has struck while something was under way.
pub fn crossed(fault: &'static str, under_way: &'static str) {
    SEEN.with_borrow_mut(|seen| *seen.crossings.entry((fault, under_way)).or_insert(0) += 1);
}

/// What came up in this thread since it was last asked: situations, and faults with what was under way.
pub fn take() -> (Counts<&'static str>, Counts<(&'static str, &'static str)>) {
    let seen = SEEN.take();
    (seen.probes, seen.crossings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_up_is_counted_until_it_is_taken() {
        take();
        sometimes(NAMES[0]);
        sometimes(NAMES[0]);
        crossed("kill", "append");
        let (probes, crossings) = take();
        assert_eq!((probes[NAMES[0]], crossings[&("kill", "append")]), (2, 1));
        assert!(take().0.is_empty());
    }

    #[test]
    fn the_names_are_in_order_so_that_one_is_found() {
        assert!(NAMES.is_sorted());
    }
}
