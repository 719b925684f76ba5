//! The producer: takes records, finds their partitions, and sees each of them through to a certain outcome or to doubt.

mod answers;
mod identity;
mod lane;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::BrokerId;
use crate::record::build::record_bytes_bound;
use crate::time::{Instant, Timestamp};
use crate::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use super::cluster::{Cluster, Known};
use super::door::{Event, Failure, NewRecord, Outcome, Placed, TopicPartition};
use super::link::Line;
use super::net::{Ask, AskId, Net, Owner, Peer};
use super::partitioner::Placement;
use super::settings::{Acks, ProducerSettings};
use identity::ProducerIdentity;
use lane::{Lane, Pending, Sealed};

/// The producer's state.
#[derive(Debug)]
pub(crate) struct Producer {
    settings: ProducerSettings,
    placement: Placement,
    identity: ProducerIdentity,
    /// Records of topics that are not known yet, in order.
    unplaced: BTreeMap<Arc<str>, VecDeque<Pending>>,
    lanes: BTreeMap<TopicPartition, Lane>,
    /// Lanes with something under way.
    active: BTreeSet<TopicPartition>,
    /// What each request in flight carries: partitions with the batch of each.
    asked: BTreeMap<AskId, Vec<(TopicPartition, u64)>>,
    buffered: usize,
}

/// One request in the making.
#[derive(Default)]
struct Bundle {
    bytes: usize,
    /// When the first of its batches is given up unless it is sent.
    until: Instant,
    batches: Vec<(TopicPartition, u64, Bytes)>,
}

impl Producer {
    pub(crate) fn new(settings: ProducerSettings, seed: u64) -> Producer {
        Producer {
            placement: Placement::new(settings.partitioner, seed),
            settings,
            identity: ProducerIdentity::default(),
            unplaced: BTreeMap::new(),
            lanes: BTreeMap::new(),
            active: BTreeSet::new(),
            asked: BTreeMap::new(),
            buffered: 0,
        }
    }

    /// Whether no record is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.is_empty() && self.unplaced.is_empty()
    }
    /// How many more bytes fit.
    pub(crate) fn room(&self) -> usize {
        self.settings.buffer_bytes.saturating_sub(self.buffered)
    }

    fn idempotent(&self) -> bool {
        self.settings.idempotent && self.settings.acks == Acks::All
    }

    /// Batches in flight per partition. Without sequence numbers only one keeps its order when it is sent again.
    fn in_flight_limit(&self) -> usize {
        if self.idempotent() { self.settings.max_in_flight.clamp(1, 5) } else { 1 }
    }

    /// Takes a record, or refuses it.
    pub(crate) fn take(&mut self, net: &mut Net, cluster: &mut Cluster, tag: u64, record: NewRecord) {
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|h| (h.key.as_ref(), h.value.as_deref())).collect();
        let size = record_bytes_bound(record.key.as_deref(), record.value.as_deref(), &headers);
        let timestamp = record.timestamp.unwrap_or(Timestamp(net.now.wall.0.max(0)));
        let refused = if size > self.settings.request_max_bytes {
            Some(format!(
                "the record takes {size} bytes, more than the {} of max.request.size",
                self.settings.request_max_bytes
            ))
        } else if size > self.room() && self.buffered > 0 {
            Some(format!("{} bytes of records are waiting already (buffer.memory)", self.buffered))
        } else if timestamp.0 < 0 {
            Some(format!("the timestamp {} is negative", timestamp.0))
        } else if record.topic.is_empty() || record.partition.is_some_and(|p| p < 0) {
            Some("the record names no topic, or a negative partition".to_string())
        } else {
            None
        };
        if let Some(text) = refused {
            return net.event(Event::Produced { tag, outcome: Outcome::Failed(Failure::local(text)) });
        }
        self.buffered += size;
        let topic: Arc<str> = record.topic.as_str().into();
        cluster.want(net, &topic);
        let pending = Pending { tag, record, timestamp, taken: net.now.mono, size };
        self.unplaced.entry(topic).or_default().push_back(pending);
    }

    /// Sends what lingers at once.
    pub(crate) fn flush(&mut self, net: &mut Net, cluster: &Cluster) {
        self.place(net, cluster);
        for of in &self.active {
            if let Some(lane) = self.lanes.get_mut(of) {
                lane.seal();
            }
        }
    }

    /// Does everything that can be done now.
    pub(crate) fn pump(&mut self, net: &mut Net, cluster: &mut Cluster) {
        self.place(net, cluster);
        self.give_up_unplaced(net, cluster);
        self.seal(net);
        self.expire(net);
        self.send(net, cluster);
    }

    /// Gives partitions to the records of topics that are known by now.
    fn place(&mut self, net: &mut Net, cluster: &Cluster) {
        for (topic, waiting) in &mut self.unplaced {
            let Known::Partitions(count) = cluster.known(net, topic) else { continue };
            for pending in waiting.drain(..) {
                let key = pending.record.key.as_deref();
                let partition = match pending.record.partition {
                    Some(partition) => partition,
                    None => self.placement.choose(topic, key, count),
                };
                if partition >= count {
                    let text = format!("topic {topic} has {count} partitions, there is no {partition}");
                    self.buffered -= pending.size;
                    let outcome = Outcome::Failed(Failure::local(text));
                    net.event(Event::Produced { tag: pending.tag, outcome });
                    continue;
                }
                let of = TopicPartition::new(topic.clone(), partition);
                let lane = self.lanes.entry(of.clone()).or_default();
                if lane.is_full_for(pending.size, self.settings.batch_bytes) {
                    lane.seal();
                    self.placement.batch_closed(topic);
                }
                lane.add(pending);
                self.active.insert(of);
            }
        }
        self.unplaced.retain(|_, waiting| !waiting.is_empty());
    }

    /// Fails the records of topics that cannot be had, and those that have waited too long to find out.
    fn give_up_unplaced(&mut self, net: &mut Net, cluster: &mut Cluster) {
        let patience = self.settings.delivery_timeout_ms;
        for topic in self.unplaced.keys().cloned().collect::<Vec<_>>() {
            let never = match cluster.known(net, &topic) {
                Known::Never(failure) => Some(failure),
                _ => None,
            };
            if never.is_some() {
                cluster.forget(&topic);
            }
            if let Some(ends) = cluster.patience_ends(net, &topic).filter(|ends| *ends > net.now.mono) {
                net.wake_at(ends);
            }
            let Some(waiting) = self.unplaced.get_mut(&topic) else { continue };
            while let Some(first) = waiting.front() {
                let until = first.taken.after_ms(patience);
                if never.is_none() && until > net.now.mono {
                    net.wake_at(until);
                    break;
                }
                let late = || Failure::local(format!("topic {topic} was not found in time"));
                let failure = never.clone().unwrap_or_else(late);
                if let Some(pending) = waiting.pop_front() {
                    self.buffered -= pending.size;
                    net.event(Event::Produced { tag: pending.tag, outcome: Outcome::Failed(failure) });
                }
            }
        }
        self.unplaced.retain(|_, waiting| !waiting.is_empty());
    }

    fn seal(&mut self, net: &mut Net) {
        for of in &self.active {
            let Some(lane) = self.lanes.get_mut(of) else { continue };
            match lane.lingers_until(self.settings.linger_ms) {
                Some(until) if net.due(until) => {
                    lane.seal();
                    self.placement.batch_closed(&of.topic);
                }
                _ => {}
            }
        }
    }

    /// Gives up batches that have waited for longer than the delivery timeout, and all when there can be no producer id.
    fn expire(&mut self, net: &mut Net) {
        let hopeless = self.identity.hopeless.then(|| self.identity.trouble.clone()).flatten();
        let timeout_ms = self.settings.delivery_timeout_ms;
        for of in self.active.clone() {
            while let Some(lane) = self.lanes.get_mut(&of) {
                let overdue =
                    lane.queue.front().is_some_and(|b| b.taken().after_ms(timeout_ms) <= net.now.mono);
                if !lane.waits() || !(overdue || hopeless.is_some()) {
                    break;
                }
                let trouble = hopeless.clone().or_else(|| self.identity.trouble.clone());
                let Some(batch) = lane.given_up(0, false) else { break };
                let late =
                    || Failure::local(format!("{of}: no leader took the record within {timeout_ms} ms"));
                let failure = batch.last.clone().or(trouble).unwrap_or_else(late);
                self.finish_failed(net, batch, failure);
            }
            self.rest(net, &of);
        }
    }

    /// Notes when a lane is to be looked at again, or that it needs no looking at.
    fn rest(&mut self, net: &mut Net, of: &TopicPartition) {
        let Some(lane) = self.lanes.get(of) else { return };
        if lane.is_idle() {
            self.active.remove(of);
        } else if lane.waits()
            && let Some(first) = lane.queue.front()
        {
            net.wake_at(first.taken().after_ms(self.settings.delivery_timeout_ms));
        }
    }

    fn send(&mut self, net: &mut Net, cluster: &mut Cluster) {
        if self.active.is_empty() {
            return;
        }
        let identity = if self.idempotent() { self.identity.get(net) } else { None };
        if self.idempotent() {
            let Some(identity) = identity else { return };
            for of in &self.active {
                if let Some(lane) = self.lanes.get_mut(of) {
                    lane.settle();
                    lane.align(identity);
                    if let Some(id) = lane.spent_id() {
                        self.identity.discard(id);
                    }
                }
            }
        }
        while self.send_round(net, cluster) {}
    }

    /// Sends at most one batch of each lane. Says whether it sent any.
    fn send_round(&mut self, net: &mut Net, cluster: &mut Cluster) -> bool {
        let (limit, idempotent) = (self.in_flight_limit(), self.idempotent());
        let mut bundles: BTreeMap<BrokerId, Bundle> = BTreeMap::new();
        for of in &self.active {
            let Some(lane) = self.lanes.get_mut(of) else { continue };
            if !lane.waits_anywhere() || lane.spent_id().is_some() || !net.due(lane.retry_at) {
                continue;
            }
            let Some((leader, _)) = cluster.leader(of) else {
                cluster.want(net, &of.topic);
                cluster.doubt();
                continue;
            };
            let Some(at) = lane.next(leader, limit) else { continue };
            let bundle = bundles.entry(leader).or_default();
            let bytes = lane.bytes(at, self.settings.codec, idempotent);
            if bundle.bytes > 0 && bundle.bytes + bytes.len() > self.settings.request_max_bytes {
                continue;
            }
            let until = lane.queue[at].taken().after_ms(self.settings.delivery_timeout_ms);
            bundle.until = if bundle.bytes == 0 { until } else { bundle.until.min(until) };
            bundle.bytes += bytes.len();
            bundle.batches.push((of.clone(), lane.queue[at].id, bytes));
        }
        let any = !bundles.is_empty();
        for (leader, bundle) in bundles {
            self.send_bundle(net, leader, bundle);
        }
        any
    }

    fn send_bundle(&mut self, net: &mut Net, leader: BrokerId, bundle: Bundle) {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let carried: Vec<(TopicPartition, u64)> =
            bundle.batches.iter().map(|(of, id, _)| (of.clone(), *id)).collect();
        for (of, _, bytes) in bundle.batches {
            let part = PartitionProduceData { index: of.partition, records: Some(bytes) };
            match topics.last_mut() {
                Some(topic) if *topic.name == *of.topic => topic.partition_data.push(part),
                _ => topics.push(TopicProduceData { name: of.topic.to_string(), partition_data: vec![part] }),
            }
        }
        let timeout_ms = net.settings.request_timeout_ms;
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.settings.acks.code(),
            // The broker gives up a little sooner than we give up the connection.
            timeout_ms: i32::try_from(timeout_ms - timeout_ms / 10).unwrap_or(i32::MAX),
            topic_data: topics,
        };
        let ask = Ask::new(Peer::Broker(leader), Line::Main, Owner::Producer, request.into(), timeout_ms);
        let left_ms = bundle.until.since(net.now.mono).as_millis() as i64;
        let id = net.ask(Ask { patience_ms: left_ms.clamp(1, timeout_ms), ..ask });
        for (of, batch) in &carried {
            if let Some(lane) = self.lanes.get_mut(of)
                && let Some(at) = lane.queue.iter().position(|b| b.id == *batch)
            {
                lane.sent(at, id, leader);
            }
        }
        self.asked.insert(id, carried);
    }

    /// Tells the user that a batch is not in the log, or may not be.
    fn finish_failed(&mut self, net: &mut Net, batch: Sealed, failure: Failure) {
        for pending in batch.records {
            self.buffered -= pending.size;
            let failure = failure.clone();
            let outcome = if batch.may_exist { Outcome::Unknown(failure) } else { Outcome::Failed(failure) };
            net.event(Event::Produced { tag: pending.tag, outcome });
        }
    }

    /// Tells the user that a batch is in the log, from `base` on if the broker told.
    fn finish_written(
        &mut self,
        net: &mut Net,
        of: &TopicPartition,
        batch: Sealed,
        base: Option<(i64, i64)>,
    ) {
        for (i, pending) in batch.records.into_iter().enumerate() {
            self.buffered -= pending.size;
            let offset = base
                .filter(|(offset, _)| *offset >= 0)
                .map(|(offset, _)| crate::ids::Offset(offset) + i as i64);
            let stamped = base.filter(|(_, time)| *time >= 0).map(|(_, time)| Timestamp(time));
            let placed =
                Placed { partition: of.clone(), offset, timestamp: stamped.unwrap_or(pending.timestamp) };
            net.event(Event::Produced { tag: pending.tag, outcome: Outcome::Done(placed) });
        }
    }
}
