//! The consumer: reads assigned partitions from their leaders, one sessionless fetch a leader at a time, when polled.

mod fetched;
mod positions;
mod spot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{BrokerId, Offset, TopicId};
use crate::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::{ErrorCode, Response};

use super::cluster::{Cluster, Known};
use super::door::{Event, Failure, Start, TopicPartition};
use super::link::Line;
use super::net::{Ask, AskId, Done, Lost, Net, Owner, Peer};
use super::settings::{ConsumerSettings, Isolation};
use spot::{Place, Spot};

/// The newest fetch that names topics instead of ids.
const LAST_BY_NAME: i16 = 12;

/// The consumer's state.
#[derive(Debug)]
pub(crate) struct Consumer {
    settings: ConsumerSettings,
    spots: BTreeMap<TopicPartition, Spot>,
    /// What each request in flight is about.
    asked: BTreeMap<AskId, Question>,
    /// Leaders that have delivered since the user last polled: not asked again before the next poll.
    served: BTreeSet<BrokerId>,
    polled: bool,
}

/// A request in flight.
#[derive(Debug)]
enum Question {
    /// ListOffsets for these, each with the timestamp asked for.
    Offsets(Vec<(TopicPartition, i64)>),
    /// Fetch.
    Fetch(FetchQuestion),
}

/// A fetch in flight.
#[derive(Debug)]
struct FetchQuestion {
    leader: BrokerId,
    /// Partitions with the offset asked for.
    parts: Vec<(TopicPartition, Offset)>,
    /// Names of the topics asked for by id.
    names: BTreeMap<TopicId, Arc<str>>,
}

impl Consumer {
    pub(crate) fn new(settings: ConsumerSettings) -> Consumer {
        Consumer {
            settings,
            spots: BTreeMap::new(),
            asked: BTreeMap::new(),
            served: BTreeSet::new(),
            polled: false,
        }
    }

    /// Takes other settings.
    pub(crate) fn configure(&mut self, settings: ConsumerSettings) {
        self.settings = settings;
    }

    /// What to do when a position does not exist.
    pub(crate) fn reset_policy(&self) -> super::door::Reset {
        self.settings.reset
    }

    /// Whether it sees committed records only.
    pub(crate) fn reads_committed(&self) -> bool {
        self.settings.isolation == Isolation::ReadCommitted
    }

    /// Reads exactly these from now on. Answers to what was asked before are dropped.
    pub(crate) fn assign(&mut self, partitions: Vec<(TopicPartition, Start)>) {
        self.spots = partitions.into_iter().map(|(of, start)| (of, Spot::new(start))).collect();
    }

    /// Goes on elsewhere in a partition that is being read.
    pub(crate) fn seek(&mut self, of: &TopicPartition, start: Start) {
        if let Some(spot) = self.spots.get_mut(of) {
            *spot = Spot::new(start);
        }
    }

    /// Stops reading a partition for good, and says why.
    pub(crate) fn lose(&mut self, net: &mut Net, of: &TopicPartition, failure: Failure) {
        if let Some(spot) = self.spots.get_mut(of) {
            spot.place = Place::Lost;
            net.event(Event::Unreadable { partition: of.clone(), failure });
        }
    }

    /// Every leader may be asked once more.
    pub(crate) fn poll(&mut self) {
        self.polled = true;
        self.served.clear();
    }

    /// Does everything that can be done now.
    pub(crate) fn pump(&mut self, net: &mut Net, cluster: &mut Cluster) {
        let ready = self.ready(net, cluster);
        self.ask_offsets(net, &ready);
        if self.polled {
            self.ask_records(net, cluster, &ready);
        }
    }

    /// Partitions that something can be asked about now, with leader and epoch.
    fn ready(&mut self, net: &mut Net, cluster: &mut Cluster) -> Vec<(TopicPartition, BrokerId, i32)> {
        let mut ready = Vec::new();
        let mut lost = Vec::new();
        for (of, spot) in &self.spots {
            if spot.busy.is_some() || spot.place == Place::Lost || !net.due(spot.retry_at) {
                continue;
            }
            cluster.want(net, &of.topic);
            match (cluster.leader(of), cluster.known(net, &of.topic)) {
                (Some((leader, epoch)), _) => ready.push((of.clone(), leader, epoch)),
                (None, Known::Never(failure)) => lost.push((of.clone(), failure)),
                (None, Known::Partitions(count)) if of.partition >= count || of.partition < 0 => {
                    let text =
                        format!("topic {} has {count} partitions, there is no {}", of.topic, of.partition);
                    lost.push((of.clone(), Failure::local(text)));
                }
                (None, _) => {
                    if let Some(ends) =
                        cluster.patience_ends(net, &of.topic).filter(|ends| *ends > net.now.mono)
                    {
                        net.wake_at(ends);
                    }
                }
            }
        }
        for (of, failure) in lost {
            cluster.forget(&of.topic);
            self.lose(net, &of, failure);
        }
        ready
    }

    fn ask_records(&mut self, net: &mut Net, cluster: &Cluster, ready: &[(TopicPartition, BrokerId, i32)]) {
        let mut leaders: BTreeMap<BrokerId, Vec<(&TopicPartition, Offset, i32)>> = BTreeMap::new();
        for (of, leader, epoch) in ready {
            let Some(spot) = self.spots.get(of) else { continue };
            if let Place::At(offset) = spot.place {
                let from = spot.read_from(*leader, net.now.mono);
                leaders.entry(from).or_default().push((of, offset, *epoch));
            }
        }
        for (leader, parts) in leaders {
            let waiting = self.asked.values().any(|q| matches!(q, Question::Fetch(f) if f.leader == leader));
            if !waiting && !self.served.contains(&leader) {
                self.fetch(net, cluster, leader, &parts);
            }
        }
    }

    /// One fetch for all partitions of a leader. By topic ids where all have one, else by names.
    fn fetch(
        &mut self,
        net: &mut Net,
        cluster: &Cluster,
        leader: BrokerId,
        parts: &[(&TopicPartition, Offset, i32)],
    ) {
        let (topics, names) = self.fetch_topics(cluster, parts);
        let by_name = topics.iter().any(|t| t.topic_id.is_zero());
        let request = FetchRequest {
            max_wait_ms: self.settings.max_wait_ms,
            min_bytes: self.settings.min_bytes,
            max_bytes: self.settings.max_bytes,
            isolation_level: i8::from(self.settings.isolation == Isolation::ReadCommitted),
            rack_id: self.settings.rack.clone(),
            topics,
            ..Default::default()
        };
        let timeout_ms = net.settings.request_timeout_ms + i64::from(self.settings.max_wait_ms);
        let ask = Ask::new(Peer::Broker(leader), Line::Fetch, Owner::Consumer, request.into(), timeout_ms);
        let ask = Ask { cap: if by_name { LAST_BY_NAME } else { i16::MAX }, ..ask };
        let id = net.ask(ask);
        let parts: Vec<(TopicPartition, Offset)> =
            parts.iter().map(|(of, at, _)| ((*of).clone(), *at)).collect();
        for (of, _) in &parts {
            self.occupy(of, id, leader);
        }
        self.asked.insert(id, Question::Fetch(FetchQuestion { leader, parts, names }));
    }

    /// The partitions by topic, with each topic's name by its id.
    fn fetch_topics(
        &self,
        cluster: &Cluster,
        parts: &[(&TopicPartition, Offset, i32)],
    ) -> (Vec<FetchTopic>, BTreeMap<TopicId, Arc<str>>) {
        let mut names = BTreeMap::new();
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (of, offset, epoch) in parts {
            let part = FetchPartition {
                partition: of.partition,
                current_leader_epoch: *epoch,
                fetch_offset: offset.0,
                partition_max_bytes: self.settings.partition_max_bytes,
                ..Default::default()
            };
            let topic_id = cluster.topic_id(&of.topic);
            names.insert(topic_id, of.topic.clone());
            match topics.last_mut() {
                Some(topic) if *topic.topic == *of.topic => topic.partitions.push(part),
                _ => {
                    topics.push(FetchTopic { topic: of.topic.to_string(), topic_id, partitions: vec![part] })
                }
            }
        }
        (topics, names)
    }

    fn occupy(&mut self, of: &TopicPartition, id: AskId, leader: BrokerId) {
        if let Some(spot) = self.spots.get_mut(of) {
            spot.busy = Some((id, leader));
        }
    }

    pub(crate) fn answered(&mut self, net: &mut Net, cluster: &mut Cluster, done: Done) {
        let Some(question) = self.asked.remove(&done.ask) else { return };
        match (question, done.result) {
            (Question::Offsets(parts), Ok(Response::ListOffsets(r))) => {
                self.positioned(net, cluster, done.ask, &parts, r)
            }
            (Question::Fetch(question), Ok(Response::Fetch(r))) => {
                self.fetched(net, cluster, done.ask, &question, r)
            }
            (question, Ok(_)) => {
                self.unanswered(net, cluster, done.ask, question, Lost::NotSent("another answer".into()))
            }
            (question, Err(lost)) => self.unanswered(net, cluster, done.ask, question, lost),
        }
    }

    fn unanswered(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        ask: AskId,
        question: Question,
        lost: Lost,
    ) {
        let parts: Vec<TopicPartition> = match question {
            Question::Offsets(parts) => parts.into_iter().map(|(of, _)| of).collect(),
            Question::Fetch(question) => question.parts.into_iter().map(|(of, _)| of).collect(),
        };
        cluster.doubt();
        for of in parts {
            let Some(asked) = self.release(&of, ask) else { continue };
            cluster.depose(&of, asked);
            match &lost {
                Lost::Unsupported(text) => self.lose(net, &of, Failure::local(text.clone())),
                _ => self.retry(net, &of),
            }
        }
    }

    /// The broker that was asked about a partition, unless that has been assigned or sought anew since.
    fn release(&mut self, of: &TopicPartition, ask: AskId) -> Option<BrokerId> {
        let spot = self.spots.get_mut(of)?;
        let (_, leader) = spot.busy.filter(|(id, _)| *id == ask)?;
        spot.busy = None;
        Some(leader)
    }

    fn retry(&mut self, net: &Net, of: &TopicPartition) {
        if let Some(spot) = self.spots.get_mut(of) {
            spot.nearer = None;
            spot.retry_at = net.retry_at(spot.attempts);
            spot.attempts = spot.attempts.saturating_add(1);
        }
    }

    /// Acts on the error of one partition: later, elsewhere, or not at all.
    fn failed(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        (of, leader): (&TopicPartition, BrokerId),
        code: ErrorCode,
    ) {
        let passing = matches!(
            code,
            ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID | ErrorCode::UNKNOWN_SERVER_ERROR
        );
        if (code.retriable() && code != ErrorCode::CORRUPT_MESSAGE) || passing {
            cluster.depose(of, leader);
            self.retry(net, of);
        } else {
            self.lose(net, of, Failure::broker(code, of));
        }
    }
}
