//! Leading: what the others have, what is committed by that, and whether enough of them still listen.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::quorum::messages::{Answer, Fetch, Question, Refusal, Tip};
use crate::quorum::voters::{Voter, Voters};
use crate::quorum::{Election, Output, Quorum, Role, Serving, Times};
use crate::time::Instant;

/// An observer that has been silent for so long is forgotten (Kafka: `LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_SESSION: Duration = Duration::from_secs(300);

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leading {
    /// Where this epoch begins in the log.
    start: Offset,
    /// When it was elected.
    since: Instant,
    progress: BTreeMap<BrokerId, Progress>,
    /// The high watermark, once this epoch has raised it.
    high: Offset,
    /// When those who have not fetched yet are told again who leads.
    next_begin: Instant,
}

/// How far another node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The directory that it keeps its log in.
    pub directory: [u8; 16],
    /// Where its log ends.
    pub end: Offset,
    /// How far its disk has it.
    pub flushed: Offset,
    /// When it fetched last.
    pub fetched: Instant,
    /// When it had last all that there was (Kafka: `lastCaughtUpTimestamp`).
    pub caught_up: Option<Instant>,
    /// Where the leader's log ended when it fetched last.
    leader_end: Offset,
    /// The high watermark that it was last told.
    told: Option<Offset>,
    /// Its question that waits for something to answer.
    parked: Option<Parked>,
}

impl Progress {
    /// Of a node whose log is not known to be a part of the leader's: nothing of it counts.
    fn apart(directory: [u8; 16], now: Instant, caught_up: Option<Instant>) -> Progress {
        let (end, flushed, fetched) = (Offset(0), Offset(0), now);
        // Whatever it fetches next, it does not have by that all that there was now.
        let leader_end = Offset(i64::MAX);
        Progress { directory, end, flushed, fetched, caught_up, leader_end, told: None, parked: None }
    }

    /// The high watermark that it has been told, for one that asks with this number: if another question of it is parked, it waits no
    /// more for that, and may not know that the leader is there. Then it is told anew, at once.
    fn told_already(&self, correlation: u64) -> Option<Offset> {
        let asks_again = self.parked.is_some_and(|parked| parked.correlation != correlation);
        self.told.filter(|_| !asks_again)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parked {
    correlation: u64,
    until: Instant,
}

impl Leading {
    pub(super) fn new(start: Offset, now: Instant) -> Leading {
        Leading { start, since: now, progress: BTreeMap::new(), high: Offset(0), next_begin: now }
    }

    /// The next moment at which something is due. Nothing is said before the election is kept.
    pub(super) fn next_deadline(
        &self,
        voters: &Voters,
        me: Voter,
        times: Times,
        kept: bool,
    ) -> Option<Instant> {
        let parked = self.progress.values().filter_map(|p| p.parked.map(|parked| parked.until));
        let begin = (!self.unheard(voters, me).is_empty()).then_some(self.next_begin);
        parked.chain(begin).filter(|_| kept).chain(self.loses_majority(voters, me, times)).min()
    }

    /// The voters that have not fetched in this epoch.
    fn unheard(&self, voters: &Voters, me: Voter) -> Vec<BrokerId> {
        voters.others(me.id).into_iter().filter(|id| !self.progress.contains_key(id)).collect()
    }

    /// A node fetches a snapshot: it lives, and follows this leader.
    pub(super) fn listens(&mut self, id: BrokerId, directory: [u8; 16], now: Instant) {
        let caught_up = self.progress.get(&id).filter(|p| p.directory == directory).and_then(|p| p.caught_up);
        self.progress.insert(id, Progress::apart(directory, now, caught_up));
    }

    /// When it will not be listened to by a majority any more, if nobody fetches until then. `None`: it needs nobody.
    fn loses_majority(&self, voters: &Voters, me: Voter, times: Times) -> Option<Instant> {
        // A voter that has come back with an empty disk keeps nobody in office: it has no vote.
        let heard = |id: &BrokerId| {
            let votes = |p: &&Progress| voters.holds(Voter { id: *id, directory: p.directory });
            self.progress.get(id).filter(votes).map_or(self.since, |p| p.fetched.max(self.since))
        };
        let mut last: Vec<Instant> = voters.others(me.id).iter().map(heard).collect();
        last.sort_unstable_by(|a, b| b.cmp(a));
        let others = (1..=last.len() + 1).find(|count| voters.are_majority(*count))?.checked_sub(1)?;
        Some(*last.get(others.checked_sub(1)?)? + times.fetch * 3 / 2)
    }
}

impl Quorum {
    /// How far the others are, when this node leads.
    pub fn progress(&self) -> impl Iterator<Item = (BrokerId, &Progress)> {
        let progress = if let Role::Leading(leading) = &self.role { Some(&leading.progress) } else { None };
        progress.into_iter().flatten().map(|(id, progress)| (*id, progress))
    }

    /// Gives up the leadership in order, for a successor that knows of it at once.
    pub fn resign(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Role::Leading(leading) = &self.role else { return };
        let me = self.config.me.id;
        let far = |id: &BrokerId| leading.progress.get(id).map_or(Offset(0), |p| p.flushed);
        let mut successors = self.voters.others(me);
        successors.sort_by_key(|id| std::cmp::Reverse(far(id)));
        // Observers look for the next leader at once, too.
        let observers = leading.progress.keys().filter(|id| !successors.contains(id)).copied();
        let told: Vec<BrokerId> = successors.iter().copied().chain(observers).collect();
        for id in told {
            self.ask(id, Question::End { successors: successors.clone() }, out);
        }
        self.step_down(now, out);
    }

    /// Leads no more, and knows of nobody who does.
    pub(super) fn step_down(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.elect(Election { leader: None, ..self.election }, out);
        self.role = self.unattached(now);
    }

    /// A leader that no majority listens to may long have been replaced: it says so to its clients.
    pub(super) fn check_majority(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Role::Leading(leading) = &self.role else { return };
        let ends = leading.loses_majority(&self.voters, self.config.me, self.config.times);
        if ends.is_some_and(|ends| ends <= now) {
            self.step_down(now, out);
        }
    }

    /// A node wants what follows its log.
    pub(super) fn fetched_by(
        &mut self,
        now: Instant,
        from: BrokerId,
        correlation: u64,
        fetch: &Fetch,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        let epoch = self.election.epoch;
        // It must be answered before its sender gives this leader up.
        let parks = now + self.config.times.request.min(self.config.times.fetch) / 2;
        let Role::Leading(leading) = &mut self.role else {
            return self.answer(from, correlation, Refusal::NotLeader, out);
        };
        if let Some(of) = self.snapshot.filter(|snapshot| has_lost_touch(fetch.tip, *snapshot, log)) {
            leading.listens(from, fetch.by.directory, now);
            return self.reply(from, correlation, Answer::Snapshot(of), out);
        }
        if let Some(agreed) = parts_ways(fetch.tip, epoch, log) {
            return self.reply(from, correlation, Answer::Diverging(agreed), out);
        }
        let before = leading.progress.get(&from).filter(|p| p.directory == fetch.by.directory);
        let caught_up = caught_up(before, fetch.tip.end, log.end(), now);
        let progress = Progress {
            directory: fetch.by.directory,
            end: fetch.tip.end,
            flushed: fetch.flushed.min(fetch.tip.end),
            fetched: now,
            caught_up,
            leader_end: log.end(),
            told: before.and_then(|p| p.told_already(correlation)),
            parked: Some(Parked { correlation, until: parks }),
        };
        leading.progress.insert(from, progress);
        let (voters, me) = (self.voters.ids(), self.config.me.id);
        leading
            .progress
            .retain(|id, p| *id != me && (voters.contains(id) || now.since(p.fetched) <= OBSERVER_SESSION));
    }

    /// A follower's disk has everything below. What it has not fetched in this epoch does not count.
    pub(super) fn acknowledged(&mut self, from: BrokerId, to: Offset) {
        if let Role::Leading(leading) = &mut self.role
            && let Some(progress) = leading.progress.get_mut(&from)
        {
            progress.flushed = progress.flushed.max(to.min(progress.end));
        }
    }

    /// Commits what a majority has, and answers who waits for it, or for more.
    pub(super) fn lead_on(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        let (me, epoch, kept) = (self.config.me, self.election.epoch, self.is_kept());
        let voters = &self.voters;
        let Role::Leading(leading) = &mut self.role else { return };
        let flushed = |id: BrokerId| {
            let progress = leading.progress.get(&id);
            let holds = |p: &&Progress| voters.holds(Voter { id, directory: p.directory });
            if id == me.id { log.flushed() } else { progress.filter(holds).map_or(Offset(0), |p| p.flushed) }
        };
        let majority = voters.majority(flushed).min(log.end());
        // What an earlier epoch has left is committed with this one's first record, and not before.
        if majority > leading.start && majority > leading.high.max(log.high()) {
            leading.high = majority;
            out.push(Output::Commit(majority));
        }
        if !kept {
            return;
        }
        let high = leading.high.max(log.high());
        for (id, progress) in &mut leading.progress {
            let Some(parked) = progress.parked else { continue };
            if progress.end < log.end() || progress.told.is_none_or(|told| told < high) || parked.until <= now
            {
                (progress.parked, progress.told) = (None, Some(high));
                let (to, correlation, from) = (*id, parked.correlation, progress.end);
                out.push(Output::Serve(Serving { to, correlation, epoch, from, high }));
            }
        }
        self.tell_who_leads(now, out);
    }

    fn tell_who_leads(&mut self, now: Instant, out: &mut Vec<Output>) {
        let me = self.config.me;
        let Role::Leading(leading) = &mut self.role else { return };
        if now < leading.next_begin {
            return;
        }
        leading.next_begin = now + self.config.times.request;
        for id in leading.unheard(&self.voters, me) {
            self.ask(id, Question::Begin, out);
        }
    }
}

/// When a node that fetches from `end` had last all that there was: now, or when it fetched before, if it has what there was then.
/// Else one that follows closely would never seem to, while the log grows all the time.
fn caught_up(before: Option<&Progress>, end: Offset, leader_end: Offset, now: Instant) -> Option<Instant> {
    if end >= leader_end {
        return Some(now);
    }
    before.and_then(|p| if end >= p.leader_end { Some(p.fetched) } else { p.caught_up })
}

/// Whether nothing can be said of where a log that ends there and this one, which goes on behind a snapshot, are the same: it ends before
/// this one begins, or in an epoch of which this one has nothing left (Kafka: `ReplicatedLog.validateOffsetAndEpoch`).
fn has_lost_touch(tip: Tip, snapshot: Tip, log: &Log) -> bool {
    let before_first = log.epochs().first().is_some_and(|first| tip.epoch < first.epoch);
    log.start() > Offset(0) && tip != snapshot && (tip.end < log.start() || before_first)
}

/// The last epoch in which a log that ends there may agree with this one, and where it ends here; `None` if it is a part of it.
fn parts_ways(tip: Tip, current: LeaderEpoch, log: &Log) -> Option<Tip> {
    if tip.end <= Offset(0) {
        return None;
    }
    let (epoch, end) = log.epochs().end_of(tip.epoch, current, log.end())?;
    (epoch < tip.epoch || end < tip.end).then_some(Tip { epoch, end })
}
