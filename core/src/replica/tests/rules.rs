//! One leader alone, told what it hears: the rules that hold replicas together.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::node::{SHAPE, log_id};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::tail::TailSpace;
use crate::log::{AppendContext, Log};
use crate::record::Batch;
use crate::record::build::BatchBuilder;
use crate::replica::isr::NotChanged;
use crate::replica::leading::{Leadership, Leading, Terms, TooFew, Wanted};
use crate::replica::messages::{Incarnation, News, OnDisk, Position, Refusal, Tip};
use crate::time::{Instant, Timestamp};

const LAG_MAX: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// A log with records of these epochs, and the batches in it.
pub(super) struct Kept {
    pub(super) log: Log,
    pub(super) batches: Vec<Batch>,
    pub(super) space: TailSpace,
}

impl Kept {
    pub(super) fn of(epochs: &[i32]) -> Kept {
        let mut kept =
            Kept { log: Log::empty(log_id(0)), batches: Vec::new(), space: TailSpace::new(1 << 20) };
        epochs.iter().for_each(|epoch| kept.append(*epoch));
        kept.log.flushed_to(kept.log.end());
        kept
    }

    pub(super) fn append(&mut self, epoch: i32) {
        let mut batch = BatchBuilder::plain(Timestamp(0), &[(None, Some(Bytes::from_static(b"x")))]);
        let context = AppendContext { epoch: LeaderEpoch(epoch), shape: SHAPE, at: Timestamp(0) };
        self.log.append(&mut batch, &context, &mut self.space);
        self.batches.push(batch);
    }

    pub(super) fn epochs(&self) -> Vec<i32> {
        let all = (self.log.start().0..self.log.end().0).map(Offset);
        all.map(|at| self.log.epochs().of(at).map_or(-1, |epoch| epoch.0)).collect()
    }
}

/// Broker 1 leads in epoch 5; brokers 2 to 4 follow.
pub(super) struct Leads {
    pub(super) now: Instant,
    pub(super) kept: Kept,
    pub(super) leading: Leading,
    pub(super) alive: BTreeMap<BrokerId, Incarnation>,
    pub(super) min_isr: usize,
}

pub(super) fn run(id: i32) -> Incarnation {
    Incarnation(id as u64 * 10)
}

pub(super) fn on_disk(epoch: i32, flushed: i64, start: i64) -> OnDisk {
    let (epoch, flushed, start) = (LeaderEpoch(epoch), Offset(flushed), Offset(start));
    OnDisk { log: log_id(0), epoch, flushed, start }
}

impl Leads {
    pub(super) fn new(epochs: &[i32], isr: &[i32]) -> Leads {
        let kept = Kept::of(epochs);
        let now = Instant(1_000_000_000);
        let given = Leadership {
            me: BrokerId(1),
            epoch: LeaderEpoch(5),
            replicas: (1..=4).map(BrokerId).collect(),
            isr: isr.iter().copied().map(BrokerId).collect(),
            partition_epoch: 7,
        };
        let leading = Leading::new(now, &given, &kept.log);
        let alive = (1..=4).map(|id| (BrokerId(id), run(id))).collect();
        Leads { now, kept, leading, alive, min_isr: 1 }
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms { lag_max: LAG_MAX, min_isr: self.min_isr, retry: RETRY, alive: &self.alive }
    }

    pub(super) fn fetch(&mut self, from: i32, epoch: i32, tip: (i32, i64), flushed: i64) -> News<Wanted> {
        let tip = Tip { epoch: LeaderEpoch(tip.0), end: Offset(tip.1) };
        let at = Position { epoch: LeaderEpoch(epoch), tip, flushed: Offset(flushed), start: Offset(0) };
        self.leading.fetched(self.now, (BrokerId(from), run(from)), &at, &self.kept.log)
    }

    pub(super) fn high(&self) -> i64 {
        self.leading.high(self.now, &self.kept.log, &self.terms()).0
    }

    pub(super) fn append(&mut self, count: usize) {
        for _ in 0..count {
            self.leading.appended(self.now, self.kept.log.end());
            self.kept.append(5);
        }
    }

    pub(super) fn flush(&mut self) {
        self.kept.log.flushed_to(self.kept.log.end());
    }

    pub(super) fn raise(&mut self) {
        let high = Offset(self.high());
        self.kept.log.raise_high(high);
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now = self.now.after_ms(seconds * 1_000);
    }

    pub(super) fn shrink(&mut self) -> Option<Vec<i32>> {
        let terms = Terms { lag_max: LAG_MAX, min_isr: self.min_isr, retry: RETRY, alive: &self.alive };
        let proposal = self.leading.shrink(self.now, &self.kept.log, &terms)?;
        Some(proposal.isr.iter().map(|(id, _)| id.0).collect())
    }

    pub(super) fn expand(&mut self) -> Option<Vec<i32>> {
        let terms = Terms { lag_max: LAG_MAX, min_isr: self.min_isr, retry: RETRY, alive: &self.alive };
        let proposal = self.leading.expand(self.now, &self.kept.log, &terms)?;
        Some(proposal.isr.iter().map(|(id, _)| id.0).collect())
    }

    pub(super) fn decided(&mut self, isr: &[i32], partition_epoch: i32) -> bool {
        let isr: Vec<BrokerId> = isr.iter().copied().map(BrokerId).collect();
        self.leading.decided(&isr, partition_epoch)
    }
}

#[test]
fn a_fetch_is_answered_by_where_the_logs_part() {
    let mut one = Leads::new(&[1, 1, 3, 3, 3], &[1, 2]);
    let parts = |epoch: i32, end: i64| News::Diverging(Tip { epoch: LeaderEpoch(epoch), end: Offset(end) });
    let (from, below) = (Offset(4), Offset(5));
    let records = News::Records { records: Wanted { from, below }, high: Offset(0), start: Offset(0) };
    assert_eq!(one.fetch(2, 5, (3, 4), 4), records);
    assert_eq!(one.fetch(2, 5, (3, 9), 9), parts(3, 5), "it has more of an epoch");
    assert_eq!(one.fetch(2, 5, (2, 4), 4), parts(1, 2), "an epoch that is not here (KIP-279)");
    assert_eq!(one.fetch(2, 5, (4, 7), 7), parts(3, 5));
    assert_eq!(one.fetch(2, 4, (3, 4), 4), News::Refused(Refusal::Fenced));
    assert_eq!(one.fetch(2, 6, (3, 4), 4), News::Refused(Refusal::UnknownEpoch));
    assert_eq!(one.fetch(9, 5, (3, 4), 4), News::Refused(Refusal::NotReplica));
    one.kept.log.raise_high(Offset(4));
    one.kept.log.raise_start(Offset(3));
    assert_eq!(one.fetch(2, 5, (1, 2), 2), News::Restart(Offset(3)));
    assert_eq!(one.fetch(2, 5, (2, 3), 3), News::Restart(Offset(3)), "nobody can tell how it came there");
    assert!(matches!(one.fetch(2, 5, (3, 3), 3), News::Records { .. }));
    assert_eq!(one.fetch(3, 5, (-1, 9), 9), News::Restart(Offset(3)), "an empty log beyond the end");
}

#[test]
fn the_high_watermark_waits_for_the_disks_of_all_in_sync_and_the_leaders_own() {
    let mut one = Leads::new(&[1, 1], &[1, 2, 3]);
    one.append(2);
    assert_eq!(one.high(), 0, "nobody has said anything in this epoch");
    one.fetch(2, 5, (5, 4), 4);
    assert_eq!(one.high(), 0, "the other has not");
    one.fetch(3, 5, (5, 4), 1);
    assert_eq!(one.high(), 1, "what is not on its disk does not count");
    let from = (BrokerId(3), run(3));
    assert!(one.leading.flushed(one.now, from, &on_disk(5, 9, 0), &one.kept.log));
    assert_eq!(one.high(), 2, "nor what is not on the leader's");
    one.flush();
    assert_eq!(one.high(), 4, "of what it has flushed only what it has fetched");
}

#[test]
fn a_diverging_fetch_and_a_notice_of_another_epoch_or_run_are_no_progress() {
    let mut one = Leads::new(&[1, 1, 1], &[1, 2]);
    one.fetch(2, 5, (2, 3), 3);
    assert_eq!(one.high(), 0, "KAFKA-13141");
    one.fetch(2, 5, (1, 3), 1);
    let log = &one.kept.log;
    let (now, leading) = (one.now, &mut one.leading);
    assert!(!leading.flushed(now, (BrokerId(2), run(2)), &on_disk(4, 3, 0), log));
    assert!(!leading.flushed(now, (BrokerId(2), run(7)), &on_disk(5, 3, 0), log));
    assert_eq!(one.high(), 1);
}

#[test]
fn nobody_is_let_in_before_its_disk_has_reached_the_epochs_start_and_the_high_watermark() {
    let mut one = Leads::new(&[1, 1, 1], &[1]);
    one.fetch(2, 5, (1, 3), 2);
    assert_eq!(one.expand(), None, "the epoch begins at 3");
    one.fetch(2, 5, (1, 3), 3);
    one.alive.insert(BrokerId(2), run(8));
    assert_eq!(one.expand(), None, "another run of it is registered (KIP-903)");
    one.alive.insert(BrokerId(2), run(2));
    one.append(1);
    one.flush();
    one.kept.log.raise_high(Offset(4));
    assert_eq!(one.expand(), None, "the high watermark is at 4");
    one.fetch(2, 5, (5, 4), 4);
    assert_eq!(one.expand(), Some(vec![1, 2]));
    assert_eq!(one.expand(), None, "one proposal at a time");
}

#[test]
fn who_was_in_sync_when_the_epoch_began_and_is_out_comes_back_with_everything_of_before_it() {
    let mut one = Leads::new(&[1, 1, 1], &[1, 2]);
    one.fetch(2, 5, (1, 3), 2);
    one.decided(&[1], 8);
    assert_eq!(one.expand(), None, "it keeps up, but its disk lacks what is older than this epoch");
    one.fetch(2, 5, (1, 3), 3);
    assert_eq!(one.expand(), Some(vec![1, 2]));
}

#[test]
fn the_high_watermark_waits_for_who_may_be_in_sync_until_the_partition_epoch_moves() {
    let mut one = Leads::new(&[1, 1, 1], &[1]);
    one.fetch(2, 5, (1, 3), 3);
    one.raise();
    assert_eq!(one.expand(), Some(vec![1, 2]));
    one.append(2);
    one.flush();
    one.alive.remove(&BrokerId(2));
    assert_eq!(one.high(), 3, "it may be in sync already");
    one.leading.refused(one.now, 7, NotChanged::Ineligible, RETRY);
    assert_eq!(one.high(), 3, "a copy of the proposal may still be under way");
    one.wait(31);
    assert_eq!(one.shrink(), Some(vec![1]), "this rules it out");
    assert_eq!(one.high(), 3);
    assert!(one.decided(&[1], 8));
    assert_eq!(one.high(), 5);
    assert!(!one.decided(&[1, 2, 3], 8) && !one.decided(&[1, 2, 3], 7), "no news");
    assert_eq!(one.high(), 5);
}

#[test]
fn a_proposal_without_an_answer_is_sent_again_as_it_was() {
    let mut one = Leads::new(&[1], &[1, 2]);
    one.wait(31);
    assert_eq!(one.shrink(), Some(vec![1]));
    let again = |one: &mut Leads| {
        let terms = Terms { lag_max: LAG_MAX, min_isr: 1, retry: RETRY, alive: &one.alive };
        one.leading.resend(one.now, &terms).map(|p| (p.partition_epoch, p.isr.len()))
    };
    assert_eq!(again(&mut one), None);
    one.wait(1);
    assert_eq!(again(&mut one), Some((7, 1)));
    one.leading.refused(one.now, 6, NotChanged::Stale, RETRY);
    assert!(one.leading.in_flight().is_some(), "an answer to an earlier one");
    one.leading.refused(one.now, 7, NotChanged::Unavailable, RETRY);
    assert_eq!(one.shrink(), None, "it rests");
    one.wait(1);
    assert_eq!(one.shrink(), Some(vec![1]));
}

#[test]
fn who_lags_for_too_long_goes_and_who_is_silent_with_everything_stays() {
    let mut one = Leads::new(&[1], &[1, 2, 3]);
    one.fetch(2, 5, (1, 1), 1);
    one.wait(20);
    assert_eq!(one.shrink(), None, "3 was in sync when the epoch began");
    one.wait(11);
    assert_eq!(one.shrink(), Some(vec![1, 2]), "3 has said nothing; 2 has all that there is (KAFKA-7152)");
    one.decided(&[1, 2], 8);
    one.append(1);
    one.wait(29);
    assert_eq!(one.shrink(), None, "it lags since something was appended");
    one.wait(2);
    assert_eq!(one.shrink(), Some(vec![1]));
}

#[test]
fn who_fetches_and_whose_disk_stalls_goes_too() {
    let mut one = Leads::new(&[1], &[1, 2, 3]);
    for _ in 0..16 {
        let before = one.kept.log.end().0;
        one.append(1);
        one.flush();
        // The disk of 2 is one batch late, that of 3 stands still.
        one.fetch(2, 5, (5, before + 1), before);
        one.fetch(3, 5, (5, before + 1), 1);
        one.wait(2);
        one.raise();
    }
    assert_eq!(one.kept.log.high(), Offset(1), "everybody waits for 3");
    assert_eq!(one.shrink(), Some(vec![1, 2]));
    one.decided(&[1, 2], 8);
    assert!(one.high() > 14);
    assert_eq!(one.expand(), None, "and it is not let in again because it fetches");
}

#[test]
fn with_too_few_in_sync_nothing_is_taken_committed_or_acknowledged() {
    let mut one = Leads::new(&[1], &[1, 2]);
    one.min_isr = 9;
    assert_eq!(one.high(), 0);
    one.min_isr = 2;
    assert_eq!(one.leading.may_append(true, 2), Ok(()));
    one.append(1);
    one.flush();
    let early = one.leading.acknowledges(Offset(2), &one.kept.log, 2);
    assert_eq!(early, None);
    one.fetch(2, 5, (5, 2), 2);
    one.raise();
    assert_eq!(one.leading.acknowledges(Offset(2), &one.kept.log, 2), Some(Ok(())));
    one.decided(&[1], 8);
    let (in_sync, needed) = (1, 2);
    let late = one.leading.acknowledges(Offset(2), &one.kept.log, 2);
    assert_eq!(late, Some(Err(TooFew::AfterAppend { in_sync, needed })));
    let before = TooFew::BeforeAppend { in_sync, needed };
    assert_eq!(one.leading.may_append(true, 2), Err(before));
    assert_eq!(one.leading.may_append(false, 2), Ok(()), "acks=1 may");
    one.append(1);
    one.flush();
    assert_eq!(one.high(), 2, "what it has alone is not committed (KIP-966)");
}
