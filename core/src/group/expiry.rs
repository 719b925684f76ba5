//! Offset retention (KIP-211): offsets that nobody has needed for long expire, and with the last of them the group.

use std::collections::BTreeSet;

use super::commit::{TopicView, exists};
use super::facts::{Committed, group_removed, offset_removed};
use super::state::{Group, State};
use super::subscription;
use super::turn::Turn;
use crate::time::Timestamp;

/// From when on the retention of a group's offsets counts.
enum Since<'a> {
    /// It does not: they are in use.
    Never,
    /// From one moment on for all: since nobody is in the group.
    Moment(Timestamp),
    /// Each from its commit on, but for these topics, which are in use.
    Commit(BTreeSet<&'a str>),
}

impl Group {
    /// Decides tombstones for what has expired, and for the group when nothing is left of it.
    pub(crate) fn expire(&self, turn: &mut Turn<'_>) {
        let since = self.retention_since();
        let mut left = false;
        for (topic, offsets) in &self.offsets {
            for (partition, committed) in offsets {
                if has_expired(turn, &since, topic, committed) {
                    turn.record(offset_removed(&self.id, topic, *partition));
                } else {
                    left = true;
                }
            }
        }
        let idle = self.state == State::Empty && self.roster.pending.is_empty();
        if !left && idle && self.stored.is_some() {
            turn.record(group_removed(&self.id));
        }
    }

    /// As `ClassicGroup.offsetExpirationCondition`.
    fn retention_since(&self) -> Since<'_> {
        if self.roster.protocol_type.is_none() {
            return Since::Commit(BTreeSet::new());
        }
        match self.state {
            State::Empty => match self.stored.as_ref().and_then(|s| s.since) {
                Some(moment) => Since::Moment(moment),
                // Stored by a broker older than 2.1, which did not note the moment.
                None => Since::Commit(BTreeSet::new()),
            },
            State::Stable => subscription::of_group(&self.roster, self.protocol.as_deref())
                .map_or(Since::Never, Since::Commit),
            State::PreparingRebalance | State::CompletingRebalance => Since::Never,
        }
    }

    /// Forgets the offsets in topics and partitions that are not there (any more).
    pub(crate) fn forget_missing(&self, turn: &mut Turn<'_>, topics: &dyn TopicView) {
        for (topic, offsets) in &self.offsets {
            for partition in offsets.keys().filter(|p| !exists(topics, topic, **p)) {
                turn.record(offset_removed(&self.id, topic, *partition));
            }
        }
    }
}

fn has_expired(turn: &Turn<'_>, since: &Since<'_>, topic: &str, committed: &Committed) -> bool {
    let base = match since {
        Since::Never => return false,
        Since::Commit(in_use) if in_use.contains(topic) => return false,
        Since::Commit(_) => committed.committed,
        Since::Moment(moment) => *moment,
    };
    match committed.expires {
        Some(expires) => turn.now.wall >= expires,
        None => turn.now.wall.0.saturating_sub(base.0) >= turn.config.offsets_retention_ms,
    }
}
