//! The leader's end of replication: followers ask and are answered, the high watermark rises, in-sync replicas are proposed.

use std::collections::BTreeMap;

use crate::broker::replication::{Reading, Replication};
use crate::broker::throttle::Throttled;
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica, isr_words};
use crate::ids::{BrokerId, LogId};
use crate::log::ForReplica;
use crate::peer::message::{Carried, PeerMessage, ToController};
use crate::record::Batch;
use crate::replica::Role;
use crate::replica::isr::NotChanged;
use crate::replica::leading::Terms;
use crate::replica::messages::{
    Incarnation, News, PartitionAnswer, Position, Refusal, ReplicaAnswer, ReplicaFetch, ReplicaFlushed,
};
use crate::replica::serving::{Found, Received, Share};
use crate::storage::ops::LogRange;

use super::start::Purpose;

/// Partitions of one answer whose records are read from disk: each is held in memory until the answer goes.
const READS_AT_ONCE: usize = 4;

impl Broker {
    /// A follower asks.
    pub(super) fn follower_asks(&mut self, turn: &mut Turn, from: BrokerId, fetch: &ReplicaFetch) {
        let now = turn.now.mono;
        let known = self.controller.image().brokers().get(&from).map(|r| Incarnation(r.incarnation));
        match self.replication.serving.receive(now, from, fetch, known) {
            Received::Dropped => {}
            Received::Resync => {
                let (correlation, incarnation) = (fetch.correlation, fetch.incarnation);
                let answer = ReplicaAnswer { correlation, incarnation, resync: true, partitions: Vec::new() };
                self.tell(turn, from, PeerMessage::ReplicaAnswer(answer));
            }
            Received::Parked => {
                for (log, position) in &fetch.partitions {
                    if let Some(Partition { role: Role::Leads(leading), log: data, .. }) =
                        self.partitions.get_mut(log)
                    {
                        leading.fetched(now, (from, fetch.incarnation), position, data);
                        self.replication.touch(*log);
                    }
                }
            }
        }
    }

    /// A follower's disk has come further.
    pub(super) fn follower_flushed(&mut self, turn: &mut Turn, from: BrokerId, flushed: &ReplicaFlushed) {
        let now = turn.now.mono;
        for told in &flushed.logs {
            if let Some(Partition { role: Role::Leads(leading), log: data, .. }) =
                self.partitions.get_mut(&told.log)
                && leading.flushed(now, (from, flushed.incarnation), told, data)
            {
                self.replication.touch(told.log);
            }
        }
    }

    /// Looks at a partition that is led here: what is committed now, what is deleted for good, and who should be in sync.
    pub(super) fn advance(&mut self, turn: &mut Turn, log: LogId) {
        let min_isr = self.topic_config(log.topic).min_insync_replicas as usize;
        let lag_max = self.config.cluster.lag_max;
        let terms = Terms { lag_max, min_isr, retry: self.config.cluster.fetch_patience, alive: &self.alive };
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        let Role::Leads(leading) = &mut partition.role else { return };
        let now = turn.now.mono;
        if partition.log.raise_high(leading.high(now, &partition.log, &terms)) {
            self.moved.insert(log);
        }
        let low = leading.raise_low(now, &partition.log, &terms);
        let proposal = if leading.is_shared() {
            leading
                .resend(now, &terms)
                .or_else(|| leading.shrink(now, &partition.log, &terms))
                .or_else(|| leading.expand(now, &partition.log, &terms))
        } else {
            None
        };
        if let Some(proposal) = proposal {
            turn.info(isr_words::told(now, log, partition, &proposal));
            self.replication.proposals.push((log, proposal));
        }
        self.deleted(turn, log, low);
    }

    /// The active controller has not done what was proposed.
    pub(super) fn isr_refused(&mut self, turn: &mut Turn, refused: &[(LogId, i32, NotChanged)]) {
        let (now, retry) = (turn.now.mono, self.config.cluster.fetch_backoff);
        for (log, partition_epoch, why) in refused {
            if let Some(Partition { role: Role::Leads(leading), .. }) = self.partitions.get_mut(log) {
                leading.refused(now, *partition_epoch, *why, retry);
            }
        }
    }

    /// What is led here is looked at from time to time too: who lags does not say so.
    pub(super) fn look_at_followers(&mut self) {
        let shared = |p: &Replica| matches!(&p.role, Role::Leads(leading) if leading.is_shared());
        let led = self.partitions.iter().filter(|(_, p)| shared(p)).map(|(log, _)| *log);
        let led: Vec<LogId> = led.collect();
        led.into_iter().for_each(|log| self.replication.touch(log));
    }

    /// Sends what is proposed, and answers the followers for whom there is something new.
    pub(super) fn serve_followers(&mut self, turn: &mut Turn) {
        let proposals = std::mem::take(&mut self.replication.proposals);
        if !proposals.is_empty() {
            self.tell_controller(turn, ToController::Isr(self.member.run, proposals));
        }
        for to in self.replication.serving.due(turn.now.mono) {
            self.serve_follower(turn, to);
        }
    }

    fn serve_follower(&mut self, turn: &mut Turn, to: BrokerId) {
        let now = turn.now.mono;
        let Broker { replication, partitions, me, controller, topic_configs, .. } = self;
        let Replication { serving, throttle, .. } = replication;
        let throttled = Throttled { me: *me, image: controller.image(), topics: topic_configs };
        let (mut reads, mut reserved) = (Vec::new(), BTreeMap::new());
        let answer = serving.answer(now, to, |log, at, run, room| {
            let Some(partition) = partitions.get_mut(&log) else {
                return refused(at, Refusal::NotLeader);
            };
            match &mut partition.role {
                _ if partition.offline.is_some() => refused(at, Refusal::Offline),
                Role::Leads(leading) => {
                    let news = leading.fetched(now, (to, run), at, &partition.log);
                    let in_sync = leading.isr().contains(&to);
                    let bounded = !in_sync && throttled.leader(log);
                    let found = throttle.within_leaders(now, bounded, room.bytes, |most| {
                        found(partition, (log, at), news, (most, &mut reads))
                    });
                    if found.quota == Share::Taken {
                        reserved.insert(log, found.bytes);
                    }
                    Found { in_sync, ..found }
                }
                Role::Follows(_) | Role::Idle => refused(at, Refusal::NotLeader),
            }
        });
        let Some(answer) = answer else { return };
        if reads.is_empty() {
            return self.tell(turn, to, PeerMessage::ReplicaAnswer(answer));
        }
        let id = self.replication.reading(Reading { to, answer, outstanding: reads.len(), reserved });
        for range in reads {
            self.loads.read(turn, range, Purpose::Follower(id));
        }
    }

    /// Records that a follower is to get have been read.
    pub(super) fn follower_read(
        &mut self,
        turn: &mut Turn,
        (id, log): (u64, LogId),
        result: Result<Vec<Batch>, String>,
    ) {
        let now = turn.now.mono;
        let gone = result.as_ref().map_or(0, |batches| batches.iter().map(Batch::size).sum());
        if let Some(reserved) = self.replication.reserved(id, log) {
            self.replication.throttle.leader.settle(now, reserved, gone);
        }
        let whole = self.replication.read(id, |answer| {
            let slot = answer.partitions.iter_mut().find(|(of, _)| *of == log);
            let Some((_, slot)) = slot else { return };
            match (result, &mut slot.news) {
                (Ok(batches), News::Records { records, .. }) => records.batches = batches,
                (Ok(_), _) => {}
                (Err(why), news) => {
                    turn.warn(format!("{log:?} cannot be read for a follower: {why}"));
                    *news = News::Refused(Refusal::Offline);
                }
            }
        });
        if let Some(Reading { to, answer, .. }) = whole {
            self.tell(turn, to, PeerMessage::ReplicaAnswer(answer));
        }
    }
}

use crate::replica::Partition;

fn refused(at: &Position, why: Refusal) -> Found<Carried> {
    let answer = PartitionAnswer { epoch: at.epoch, news: News::Refused(why) };
    Found { answer, bytes: 0, more: false, in_sync: false, quota: Share::None }
}

/// What there is for a follower in a partition, about as many bytes as fit: from the tail, or to be read from disk. Where no records are to
/// go, what there is to say beside them.
fn found(
    partition: &Replica,
    (log, at): (LogId, &Position),
    news: News<crate::replica::leading::Wanted>,
    (most, reads): (Option<usize>, &mut Vec<LogRange>),
) -> Found<Carried> {
    let (mut bytes, mut more) = (0, false);
    let news = news.map(|wanted| match most.map(|most| partition.log.read_for_replica(wanted.from, most)) {
        None => {
            more = wanted.from < wanted.below;
            Carried::default()
        }
        Some(ForReplica::Held(batches)) => {
            bytes = batches.iter().map(Batch::size).sum();
            more = batches.last().is_some_and(|last| last.header().next_offset() < wanted.below);
            Carried { batches }
        }
        Some(ForReplica::OnDisk(_)) if reads.len() == READS_AT_ONCE => {
            more = true;
            Carried::default()
        }
        Some(ForReplica::OnDisk(range)) => {
            (bytes, more) = (range.max_bytes.max(1), true);
            reads.push(LogRange { log, ..range });
            Carried::default()
        }
    });
    let answer = PartitionAnswer { epoch: at.epoch, news };
    Found { answer, bytes, more, in_sync: false, quota: Share::None }
}
