//! Following: one fetch is always under way at the leader, and what comes of it counts only if it is the one.

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::quorum::messages::{Answer, Body, Fetch, Question, Refusal, Tip};
use crate::quorum::snapshot::Gathering;
use crate::quorum::{Election, Output, Quorum, Role};
use crate::record::Batch;
use crate::time::Instant;

/// What a follower knows.
#[derive(Debug)]
pub(super) struct Following {
    leader: BrokerId,
    /// When it gives the leader up, unless it hears from it.
    pub(super) until: Instant,
    /// The question under way: its number, and when it is asked anew.
    pub(super) under_way: Option<(u64, Instant)>,
    /// The snapshot that it fetches: the leader's log has nothing that follows on this one.
    pub(super) gathering: Option<Gathering>,
    /// Whether the leader has found this log to be a part of its own, in this epoch.
    agrees: bool,
    /// How far the leader knows the disk to be.
    told: Offset,
}

impl Following {
    pub(super) fn new(leader: BrokerId, until: Instant) -> Following {
        Following { leader, until, under_way: None, gathering: None, agrees: false, told: Offset(0) }
    }

    pub(super) fn leader(&self) -> BrokerId {
        self.leader
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.under_way.map_or(self.until, |(_, again)| again.min(self.until))
    }
}

impl Quorum {
    /// What this node asks for.
    pub(super) fn fetch(&self, log: &Log) -> Fetch {
        Fetch { by: self.config.me, tip: self.tip(log), flushed: log.flushed() }
    }

    /// Asks for more if nothing is under way, and tells the leader how far the disk is.
    pub(super) fn follow_on(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        let Role::Following(following) = &self.role else { return };
        let (leader, flushed) = (following.leader, log.flushed());
        let waits = following.under_way.is_some_and(|(_, again)| now < again);
        let news = following.agrees && flushed > following.told;
        let stores = following.gathering.as_ref().is_some_and(Gathering::is_whole);
        if !waits && !stores {
            let wanted = following.gathering.as_ref().map(|snapshot| snapshot.wants(self.config.me));
            let question = wanted.map_or_else(|| Question::Fetch(self.fetch(log)), Question::Piece);
            let correlation = self.ask(leader, question, out);
            let again = now + self.config.times.request;
            self.following(|f| (f.under_way, f.told) = (Some((correlation, again)), flushed));
        } else if news {
            self.following(|f| f.told = flushed);
            self.tell(leader, Body::Flushed(flushed), out);
        }
    }

    pub(super) fn following(&mut self, change: impl FnOnce(&mut Following)) {
        if let Role::Following(following) = &mut self.role {
            change(following);
        }
    }

    /// An answer has come, of the epoch that this node is in.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        from: BrokerId,
        correlation: u64,
        answer: Answer,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        match answer {
            Answer::Vote { by, granted, leader } => {
                let epoch = self.election.epoch;
                self.got_vote(now, (from, correlation), (by, granted), log, out);
                // With the last vote that it needed it may be in another epoch now, of which the answer knew nothing.
                if self.election.epoch == epoch {
                    self.heard_of(now, from, leader, out);
                }
            }
            Answer::Refused { why, leader } => self.refused(now, from, why, leader, out),
            Answer::Heard => {}
            Answer::Records { batches, high } if self.is_awaited(from, correlation) => {
                self.heard(now);
                self.following(|f| f.agrees = true);
                self.got_records(batches, high, log, out);
            }
            Answer::Diverging(agreed) if self.is_awaited(from, correlation) => {
                self.heard(now);
                self.diverges(agreed, log, out);
            }
            Answer::Snapshot(_) | Answer::Piece(_) if self.is_awaited(from, correlation) => {
                self.heard(now);
                self.snapshot_answered(now, answer, log, out);
            }
            // Only who leads answers so.
            Answer::Records { .. } | Answer::Diverging(_) | Answer::Snapshot(_) | Answer::Piece(_) => {
                self.heard_from(now, Some(from), out);
            }
        }
    }

    /// Whether this is the answer to the question under way. Any other may be an old one, of a log that was another then.
    fn is_awaited(&self, from: BrokerId, correlation: u64) -> bool {
        matches!(&self.role, Role::Following(f)
            if f.leader == from && f.under_way.is_some_and(|(number, _)| number == correlation))
    }

    /// The leader lives, and nothing is under way.
    fn heard(&mut self, now: Instant) {
        let until = now + self.config.times.fetch;
        self.following(|f| (f.until, f.under_way) = (until, None));
    }

    fn got_records(&mut self, batches: Vec<Batch>, high: Offset, log: &Log, out: &mut Vec<Output>) {
        let mut end = log.end();
        for batch in &batches {
            if batch.header().base_offset != end {
                // Not what follows: the next fetch asks again.
                return;
            }
            end = batch.header().next_offset();
        }
        if !batches.is_empty() {
            out.push(Output::Take(batches));
            self.log_changes = true;
        }
        let high = high.min(end);
        if high > log.high() {
            out.push(Output::Commit(high));
            self.log_changes = true;
        }
    }

    /// The logs part ways: this one's end goes, as far back as they may agree.
    fn diverges(&mut self, agreed: Tip, log: &Log, out: &mut Vec<Output>) {
        let ours = log.epochs().end_of(agreed.epoch, self.election.epoch, log.end());
        let to = ours.map_or(agreed.end, |(_, end)| end.min(agreed.end)).min(log.end());
        if to < log.high() {
            let (epoch, high) = (self.election.epoch, log.high());
            return out.push(Output::Fatal(format!(
                "the leader of epoch {epoch} has another metadata log from offset {to} on, but here everything below {high} \
                 is committed; this node or that one has lost data: compare both logs before one of them is started again"
            )));
        }
        out.push(Output::Cut(to));
        self.log_changes = true;
    }

    fn refused(
        &mut self,
        now: Instant,
        from: BrokerId,
        why: Refusal,
        leader: Option<BrokerId>,
        out: &mut Vec<Output>,
    ) {
        if why == Refusal::NotLeader && leader.is_none() && self.election.leader == Some(from) {
            // It has given up, or forgotten that it led.
            return self.lose_leader(now, out);
        }
        self.heard_of(now, from, leader, out);
    }

    /// The leader of this epoch leads no more, and there will be no other.
    fn lose_leader(&mut self, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.role, Role::Canvassing(_)) {
            self.elect(Election { leader: None, ..self.election }, out);
        } else {
            self.step_down(now, out);
        }
    }

    /// Somebody says who leads this epoch. Of one that this node has known, and given up, only that one itself is believed.
    fn heard_of(&mut self, now: Instant, from: BrokerId, leader: Option<BrokerId>, out: &mut Vec<Output>) {
        if leader != self.election.leader || leader == Some(from) {
            self.heard_from(now, leader, out);
        }
    }

    fn heard_from(&mut self, now: Instant, leader: Option<BrokerId>, out: &mut Vec<Output>) {
        let looking = matches!(self.role, Role::Unattached { .. } | Role::Canvassing(_));
        if let Some(leader) = leader.filter(|leader| looking && *leader != self.config.me.id) {
            self.follow(now, leader, out);
        }
    }

    /// A node says that it leads this epoch.
    pub(super) fn begun(&mut self, now: Instant, from: BrokerId, correlation: u64, out: &mut Vec<Output>) {
        match self.election.leader {
            Some(leader) if leader != from => {
                out.push(Output::Fatal(two_leaders(self.epoch(), leader, from)))
            }
            Some(_) if matches!(self.role, Role::Following(_)) => {}
            _ => self.follow(now, from, out),
        }
        self.reply(from, correlation, Answer::Heard, out);
    }

    /// The leader gives up. Those whom it names stand for election at once, one after the other.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        from: BrokerId,
        successors: &[BrokerId],
        out: &mut Vec<Output>,
    ) {
        if from == self.config.me.id || self.election.leader.is_some_and(|leader| leader != from) {
            return;
        }
        self.step_down(now, out);
        if let Some(place) = successors.iter().position(|id| *id == self.config.me.id) {
            let wait = self.config.times.election * u32::try_from(place).unwrap_or(u32::MAX);
            self.role = Role::Unattached { until: now + wait, named: true };
        }
    }
}

fn two_leaders(epoch: LeaderEpoch, one: BrokerId, other: BrokerId) -> String {
    format!(
        "nodes {one} and {other} both lead the metadata quorum in epoch {epoch}: a voter has voted twice, as one does whose disk \
         was put back to an older state; stop both, and compare their logs"
    )
}
