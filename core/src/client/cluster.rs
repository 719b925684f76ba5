//! What the client knows of the cluster: brokers, topics, leaders; asked for again when it is old or proved wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{BrokerId, TopicId};
use crate::time::Instant;
use crate::wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use crate::wire::{ErrorCode, Request, Response};

use super::door::{Address, Failure, TopicPartition};
use super::net::{AskId, Done, Net, Owner, Peer};

/// The cluster as metadata describes it.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    controller: Option<BrokerId>,
    topics: BTreeMap<Arc<str>, Topic>,
    wanted: BTreeMap<Arc<str>, Want>,
    asking: Option<AskId>,
    stale: bool,
    /// Answers since something last proved wrong: how long to wait before asking again.
    attempts: u32,
    not_before: Instant,
    fetched: Option<Instant>,
    /// Why the last request for metadata failed.
    trouble: Option<Failure>,
}

/// A topic that some role uses.
#[derive(Clone, Copy, Debug)]
struct Want {
    /// When it was first asked for.
    since: Instant,
    /// Whether an answer has named it since.
    asked: bool,
}

#[derive(Debug)]
struct Topic {
    id: TopicId,
    error: ErrorCode,
    leaders: BTreeMap<i32, Leader>,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: Option<BrokerId>,
    pub(crate) epoch: i32,
}

/// What is known of a topic that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has so many partitions.
    Partitions(i32),
    /// Nothing yet: it is being asked for.
    NotYet,
    /// It cannot be had.
    Never(Failure),
}

impl Cluster {
    /// Makes sure that this topic is known, sooner or later.
    pub(crate) fn want(&mut self, net: &Net, topic: &Arc<str>) {
        if !self.wanted.contains_key(topic) {
            self.wanted.insert(topic.clone(), Want { since: net.now.mono, asked: false });
            self.stale = true;
        }
    }

    /// What is known has proved wrong: ask again.
    pub(crate) fn doubt(&mut self) {
        self.stale = true;
    }

    /// A broker that was taken for a partition's leader is not: nobody is asked until metadata names one again.
    pub(crate) fn depose(&mut self, of: &TopicPartition, broker: BrokerId) {
        self.stale = true;
        let known = self.topics.get_mut(&of.topic).and_then(|t| t.leaders.get_mut(&of.partition));
        if let Some(leader) = known.filter(|l| l.broker == Some(broker)) {
            leader.broker = None;
        }
    }

    /// Nobody uses this topic: it is not asked for any more.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.wanted.remove(topic);
        self.topics.remove(topic);
    }

    /// Brokers are needed, whatever the topics.
    pub(crate) fn need(&mut self, net: &mut Net) {
        self.stale |= !self.is_known() && self.asking.is_none();
        self.pump(net);
    }

    /// The leader of a partition and its epoch, if there is one.
    pub(crate) fn leader(&self, of: &TopicPartition) -> Option<(BrokerId, i32)> {
        let leader = self.topics.get(&of.topic)?.leaders.get(&of.partition)?;
        Some((leader.broker?, leader.epoch))
    }

    /// The topic's id; zero when brokers give none.
    pub(crate) fn topic_id(&self, topic: &str) -> TopicId {
        self.topics.get(topic).map_or(TopicId::ZERO, |t| t.id)
    }

    /// The partitions of a topic that is known.
    pub(crate) fn partitions(&self, topic: &str) -> Vec<i32> {
        self.topics.get(topic).map(|t| t.leaders.keys().copied().collect()).unwrap_or_default()
    }

    /// What is known of a wanted topic.
    pub(crate) fn known(&self, net: &Net, topic: &str) -> Known {
        let waited = self.wanted.get(topic).map_or(0, |w| net.now.mono.since(w.since).as_millis() as i64);
        let patient = waited < net.settings.unknown_topic_timeout_ms;
        match self.topics.get(topic) {
            Some(t) if !t.leaders.is_empty() => {
                Known::Partitions(t.leaders.keys().next_back().map_or(0, |last| last + 1))
            }
            Some(t) if t.error.is_err() && !(t.error.retriable() && patient) => {
                Known::Never(Failure::broker(t.error, format_args!("topic {topic}")))
            }
            None if !patient && self.wanted.get(topic).is_some_and(|w| !w.asked) => {
                let text = format!("topic {topic}: no broker could be asked for it");
                Known::Never(self.trouble.clone().unwrap_or_else(|| Failure::local(text)))
            }
            _ => Known::NotYet,
        }
    }

    /// When patience with a topic that is not known ends.
    pub(crate) fn patience_ends(&self, net: &Net, topic: &str) -> Option<Instant> {
        self.wanted.get(topic).map(|w| w.since.after_ms(net.settings.unknown_topic_timeout_ms))
    }

    /// A broker's hint at who leads a partition now (KIP-951). `addr` is given when the hint says where it is.
    pub(crate) fn hint(
        &mut self,
        net: &mut Net,
        of: &TopicPartition,
        leader: (i32, i32),
        addr: Option<Address>,
    ) {
        let (broker, epoch) = (BrokerId(leader.0), leader.1);
        if broker.0 < 0 || epoch < 0 {
            return;
        }
        if let Some(addr) = addr {
            net.add_address(broker, addr);
        }
        let place = self.topics.get_mut(&of.topic).and_then(|t| t.leaders.get_mut(&of.partition));
        if let Some(known) = place
            && known.epoch < epoch
            && net.knows(broker)
        {
            *known = Leader { broker: Some(broker), epoch };
        }
    }

    /// Asks for metadata when it is due.
    pub(crate) fn pump(&mut self, net: &mut Net) {
        if self.asking.is_some() {
            return;
        }
        let leaderless = self.wanted.keys().any(|t| self.lacks_leader(t));
        let fresh_until = self.fetched.map(|at| at.after_ms(net.settings.metadata_max_age_ms));
        let old = !self.wanted.is_empty() && fresh_until.is_some_and(|at| net.due(at));
        if !(self.stale || leaderless || old) {
            return;
        }
        if net.due(self.not_before) {
            let topics = self
                .wanted
                .keys()
                .map(|t| MetadataRequestTopic { name: Some(t.to_string()), ..Default::default() });
            let request = MetadataRequest {
                topics: Some(topics.collect()),
                allow_auto_topic_creation: net.settings.auto_create_topics,
                ..Default::default()
            };
            let peer = net.any();
            self.stale = false;
            self.asking = Some(net.ask_main(peer, Owner::Cluster, request.into()));
        }
    }

    fn lacks_leader(&self, topic: &str) -> bool {
        match self.topics.get(topic) {
            Some(t) => t.error.retriable() || t.leaders.values().any(|l| l.broker.is_none()),
            None => false,
        }
    }

    /// The answer has come, or is lost.
    pub(crate) fn answered(&mut self, net: &mut Net, done: Done) {
        if self.asking != Some(done.ask) {
            return;
        }
        self.asking = None;
        match done.result {
            Ok(Response::Metadata(r)) if r.error_code.is_none() => {
                self.trouble = None;
                self.learn(net, r);
            }
            Ok(Response::Metadata(r)) => self.failed(Failure::broker(r.error_code, "metadata")),
            Ok(_) => self.failed(Failure::local("a broker answered a metadata request with something else")),
            Err(lost) => self.failed(Failure::local(lost.text())),
        }
        // Whoever doubts again at once waits longer each time; a while of peace begins anew.
        let wait = net.backoff().wait_ms(self.attempts);
        let peace = self.fetched.is_some_and(|at| {
            net.now.mono.since(at).as_millis() as i64 > 10 * net.settings.retry_backoff_max_ms
        });
        self.attempts = if peace { 0 } else { self.attempts.saturating_add(1) };
        self.fetched = Some(net.now.mono);
        self.not_before = net.now.mono.after_ms(wait);
    }

    fn failed(&mut self, why: Failure) {
        self.trouble = Some(why);
        self.stale = true;
    }

    fn learn(&mut self, net: &mut Net, r: MetadataResponse) {
        let address = |host: String, port: i32| Some(Address { host, port: u16::try_from(port).ok()? });
        let brokers: BTreeMap<BrokerId, Address> = r
            .brokers
            .into_iter()
            .filter_map(|b| Some((BrokerId(b.node_id), address(b.host, b.port)?)))
            .collect();
        self.controller = (r.controller_id >= 0).then_some(BrokerId(r.controller_id));
        if !brokers.is_empty() {
            net.set_addresses(brokers);
        }
        for topic in r.topics {
            if let Some(name) = topic.name.clone().filter(|n| self.wanted.contains_key(n.as_str())) {
                self.learn_topic(net, name.into(), topic);
            }
        }
        self.attempts = if self.wanted.keys().any(|t| self.lacks_leader(t)) { self.attempts } else { 0 };
    }

    fn learn_topic(&mut self, net: &Net, name: Arc<str>, found: MetadataResponseTopic) {
        if let Some(want) = self.wanted.get_mut(&name) {
            want.asked = true;
            if found.error_code.is_none() {
                want.since = net.now.mono;
            }
        }
        let old = self.topics.remove(&name).filter(|t| t.id == found.topic_id);
        // A topic that is being created or elected for answers with an error for a moment: what was known still serves.
        let keep = found.error_code.retriable()
            && found.partitions.is_empty()
            && old.as_ref().is_some_and(|t| t.error.is_none());
        if keep && let Some(topic) = old {
            self.topics.insert(name, Topic { error: found.error_code, ..topic });
            return;
        }
        let leaders = found.partitions.iter().filter(|p| p.partition_index >= 0).map(|p| {
            let broker = (p.leader_id >= 0).then_some(BrokerId(p.leader_id)).filter(|b| net.knows(*b));
            let new = Leader { broker, epoch: p.leader_epoch };
            // Brokers that are behind tell older news: a leader's epoch never goes back for the same topic.
            let known = old.as_ref().and_then(|t| t.leaders.get(&p.partition_index));
            (
                p.partition_index,
                known.filter(|k| k.epoch > new.epoch && new.epoch >= 0).copied().unwrap_or(new),
            )
        });
        let topic = Topic { id: found.topic_id, error: found.error_code, leaders: leaders.collect() };
        self.topics.insert(name, topic);
    }

    /// The broker to ask when only the controller will do, or any while none is known.
    pub(crate) fn controller_peer(&self, net: &Net) -> Peer {
        match self.controller {
            Some(id) if net.knows(id) => Peer::Broker(id),
            _ => net.any(),
        }
    }

    /// Whether anything has been learnt yet.
    pub(crate) fn is_known(&self) -> bool {
        self.fetched.is_some() && self.trouble.is_none()
    }
}

/// A request for metadata of these topics, or of all.
pub fn metadata_of(topics: Option<&[String]>) -> Request {
    let named = |t: &String| MetadataRequestTopic { name: Some(t.clone()), ..Default::default() };
    let request = MetadataRequest {
        topics: topics.map(|list| list.iter().map(named).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    request.into()
}
