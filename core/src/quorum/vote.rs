//! Standing for election, and voting.

use std::collections::BTreeMap;

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::quorum::lead::Leading;
use crate::quorum::messages::{Answer, Question, Tip, Vote};
use crate::quorum::voters::{Voter, Voters};
use crate::quorum::{Election, Output, Quorum, Role};
use crate::time::Instant;

/// Votes asked for.
#[derive(Debug)]
pub(super) struct Canvass {
    /// Whether it is only asked whether they would be given.
    pre: bool,
    /// When it is given up.
    pub(super) until: Instant,
    asked: BTreeMap<BrokerId, u64>,
    /// Who votes so, and where each keeps its log.
    granted: BTreeMap<BrokerId, [u8; 16]>,
}

impl Quorum {
    /// How far the log goes. Where nothing of it is left behind a snapshot, that knows the epoch of the last record.
    pub(super) fn tip(&self, log: &Log) -> Tip {
        let epoch = log.epochs().last().map_or(LeaderEpoch(-1), |last| last.epoch);
        Tip { epoch: epoch.max(self.snapshot.map_or(epoch, |snapshot| snapshot.epoch)), end: log.end() }
    }

    /// There has been no leader for too long. A voter asks whether it would be elected, an observer who leads.
    pub(super) fn stand(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        self.attempts = self.attempts.saturating_add(1);
        if self.is_voter() {
            // The leader that it has lost may still be there. Then it answers, and all is as it was.
            if let Some(leader) = self.election.leader.filter(|leader| *leader != self.config.me.id) {
                self.ask(leader, Question::Fetch(self.fetch(log)), out);
            }
            let named = matches!(self.role, Role::Unattached { named: true, .. });
            // Whether it alone is enough need not be asked.
            self.canvass(now, !named && self.voters.needed() > 1, log, out);
        } else {
            self.ask_around(now, log, out);
        }
    }

    fn canvass(&mut self, now: Instant, pre: bool, log: &Log, out: &mut Vec<Output>) {
        let me = self.config.me;
        if !pre {
            let epoch = LeaderEpoch(self.election.epoch.0 + 1);
            self.elect(Election { epoch, voted: Some(me), leader: None }, out);
        }
        let vote = Vote { pre, candidate: me, tip: self.tip(log) };
        let others = self.voters.others(me.id);
        let asked = others.into_iter().map(|id| (id, self.ask(id, Question::Vote(vote), out))).collect();
        let until = self.patience(now);
        self.role = Role::Canvassing(Canvass { pre, until, asked, granted: [(me.id, me.directory)].into() });
        self.count_votes(now, log, out);
    }

    /// An observer asks all voters: who leads says so, and who does not says who does.
    fn ask_around(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        self.role = Role::Unattached { until: now + self.asks_after(), named: false };
        for voter in self.voters.others(self.config.me.id) {
            self.ask(voter, Question::Fetch(self.fetch(log)), out);
        }
    }

    /// Another node wants a vote, in the epoch that this one is in.
    pub(super) fn asked_for_vote(
        &mut self,
        now: Instant,
        from: BrokerId,
        correlation: u64,
        vote: &Vote,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        let long_enough = vote.tip >= self.tip(log);
        let granted = if vote.pre {
            // Who hears of a leader sees no need for another.
            long_enough && !matches!(self.role, Role::Following(_) | Role::Leading(_))
        } else {
            let free = self.election.voted.is_none_or(|voted| voted == vote.candidate);
            long_enough && free && self.election.leader.is_none()
        };
        if granted && !vote.pre {
            self.elect(Election { voted: Some(vote.candidate), ..self.election }, out);
            self.role = self.unattached(now);
        }
        let (by, leader) = (self.config.me, self.election.leader);
        self.reply(from, correlation, Answer::Vote { by, granted, leader }, out);
    }

    /// A vote, or none.
    pub(super) fn got_vote(
        &mut self,
        now: Instant,
        (from, correlation): (BrokerId, u64),
        (by, granted): (Voter, bool),
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        let counts = self.voters.holds(by) && by.id == from;
        let Role::Canvassing(canvass) = &mut self.role else { return };
        if canvass.asked.get(&from) == Some(&correlation) && granted && counts {
            canvass.granted.insert(by.id, by.directory);
            self.count_votes(now, log, out);
        }
    }

    /// Goes on if there are votes enough.
    pub(super) fn count_votes(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        let Role::Canvassing(canvass) = &self.role else { return };
        if canvass.granted.len() < self.voters.needed() {
            return;
        }
        if canvass.pre {
            self.canvass(now, false, log, out);
        } else if self.is_kept() {
            let forming = matches!(self.voters, Voters::Forming(_));
            let forms = forming.then(|| canvass.granted.clone());
            self.win(now, log.end(), forms, out);
        }
    }

    fn win(
        &mut self,
        now: Instant,
        start: Offset,
        forms: Option<BTreeMap<BrokerId, [u8; 16]>>,
        out: &mut Vec<Output>,
    ) {
        self.attempts = 0;
        self.role = Role::Leading(Leading::new(start, now));
        self.elect(Election { leader: Some(self.config.me.id), ..self.election }, out);
        out.push(Output::Lead { epoch: self.election.epoch, forms });
        self.log_changes = true;
    }
}
