//! The broker: the one door to the machine. It routes, and the rooms below decide.

mod active;
mod addresses;
mod answers;
mod belonging;
mod commit;
mod configs;
mod describe_quorum;
pub mod door;
mod doubt;
mod elections;
mod electorate;
mod fetch;
mod fetches;
mod follower;
mod forward;
mod groups;
mod hints;
mod isr_words;
mod lane;
mod leader;
mod log_dirs;
mod member;
mod metadata;
mod offsets;
mod once;
mod peers;
mod produce;
mod producer_ids;
mod prune;
mod realize;
mod reassignments;
mod replication;
mod requests;
mod roles;
mod seat;
mod snapshots;
mod start;
mod throttle;
mod topic_pages;
mod topics;
mod turn;
mod upkeep;
pub mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::broker::active::Active;
use crate::broker::answers::{Answers, Part};
use crate::broker::door::{Caller, Client, Effect, Input, Request};
use crate::broker::doubt::Doubt;
use crate::broker::fetches::{FetchId, Fetches};
use crate::broker::forward::Forwards;
use crate::broker::hints::Hints;
use crate::broker::lane::Lane;
use crate::broker::member::Member;
use crate::broker::offsets::Lookups;
use crate::broker::producer_ids::ProducerIds;
use crate::broker::replication::Replication;
use crate::broker::snapshots::Snapshots;
use crate::broker::start::{Loads, Phase};
use crate::broker::turn::Turn;
use crate::broker::upkeep::Upkeep;
use crate::cluster::controller::Controller;
use crate::cluster::facts::ConfigOwner;
use crate::config::{BrokerConfig, TopicConfig};
use crate::group::Groups;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset, TopicId};
use crate::log::tail::TailSpace;
use crate::mix::mix;
use crate::quorum::Quorum;
use crate::replica::Partition;
use crate::replica::messages::Incarnation;
use crate::storage::ops::{Identity, Recovered};
use crate::time::{Instant, Now};
use crate::wire::dialect::Dialect;

/// A partition as this room keeps it: parts of answers wait for it, fetches park at it.
type Replica = Partition<Part, FetchId>;

/// The machine. See [`Broker::step`].
pub struct Broker {
    config: BrokerConfig,
    identity: Identity,
    /// Whether the cluster that `identity` names is the one this broker belongs to, rather than one that it would be.
    belongs: bool,
    me: BrokerId,
    seed: u64,
    draws: u64,
    phase: Phase,
    partitions: BTreeMap<LogId, Replica>,
    /// What each topic's configs come to, for the topics that set any.
    topic_configs: BTreeMap<TopicId, Arc<TopicConfig>>,
    default_topic_config: Arc<TopicConfig>,
    tails: TailSpace,
    lane: Lane,
    controller: Controller,
    /// Who leads the metadata log, and what of it is committed; from when its log is read back until the disk dies.
    quorum: Option<Quorum>,
    snapshots: Snapshots,
    /// What the start has found of elections, until the quorum takes it.
    election_kept: Result<Option<bytes::Bytes>, String>,
    /// What this broker is to its cluster.
    member: Member,
    /// What it knows as the active controller, while it is that.
    active: Option<Active>,
    forwards: Forwards,
    /// Topics that clients ask for and that the active controller is to make.
    topics_wanted: BTreeSet<String>,
    replication: Replication,
    /// The brokers that take part by the committed metadata, and the run that each is in.
    alive: BTreeMap<BrokerId, Incarnation>,
    /// Shards led here whose log is not on disk yet as far as it went when this broker began to lead.
    shards_behind: BTreeMap<LogId, Offset>,
    /// Whether the stop before this start was orderly.
    stopped_clean: bool,
    /// The metadata log has changed since the quorum has looked at it.
    metadata_changed: bool,
    answers: Answers,
    fetches: Fetches,
    groups: Groups,
    loads: Loads,
    lookups: Lookups,
    producer_ids: ProducerIds,
    upkeep: Upkeep,
    /// Who may be told of another leader.
    hints: Hints,
    /// Requests that came before the machine was ready.
    held: VecDeque<HeldRequest>,
    doubt: Doubt,
    /// Logs whose high watermark has moved in this step.
    moved: BTreeSet<LogId>,
    /// The addresses of the other brokers may have changed since the links were told of them.
    addresses_stale: bool,
    /// Free and total bytes of the volume, as last heard.
    space: (u64, u64),
    disk_was_low: bool,
    /// The rules for connections are to be published anew at the end of the step.
    rules_stale: bool,
}

/// A request as it came.
#[derive(Debug)]
struct HeldRequest {
    to: Caller,
    from: Arc<Client>,
    dialect: Dialect,
    request: Request,
}

/// What the machine is doing, for status pages and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// It answers clients.
    pub ready: bool,
    /// The log directory is dead, and why.
    pub dead: Option<String>,
    /// Partitions on this broker, the metadata log among them.
    pub partitions: usize,
    /// Partitions that are offline, with what is wrong.
    pub offline: Vec<(LogId, String)>,
    /// Topics.
    pub topics: usize,
    /// Bytes of the hot tails.
    pub tail_bytes: usize,
    /// The cluster, once it belongs to one.
    pub cluster_id: Option<String>,
    /// The epoch of the metadata quorum and the leader in it, as far as it knows; none before it has taken its seat.
    pub quorum: Option<(LeaderEpoch, Option<BrokerId>)>,
}

impl Broker {
    /// A broker over what a start has found. `seed` is fresh entropy: every id this run draws comes from it.
    pub fn new(config: BrokerConfig, seed: u64, found: Recovered) -> Broker {
        let me = BrokerId(found.identity.node_id);
        let groups = Groups::new(groups::config(&config, seed), config.groups.offsets_partitions);
        let default_topic_config = Arc::new(config.topic_defaults().clone());
        Broker {
            tails: TailSpace::new(usize::try_from(config.hot_tail_bytes).unwrap_or(usize::MAX)),
            upkeep: Upkeep::default(),
            identity: found.identity,
            belongs: false,
            me,
            seed,
            draws: 0,
            phase: Phase::Found { logs: found.logs },
            partitions: BTreeMap::new(),
            topic_configs: BTreeMap::new(),
            default_topic_config,
            lane: Lane::default(),
            controller: Controller::default(),
            quorum: None,
            snapshots: Snapshots::default(),
            election_kept: found.election,
            metadata_changed: false,
            member: Member::new(mix(seed ^ mix(0)), &config),
            active: None,
            forwards: Forwards::default(),
            topics_wanted: BTreeSet::new(),
            replication: Replication::new(&config.cluster),
            alive: BTreeMap::new(),
            shards_behind: BTreeMap::new(),
            stopped_clean: found.clean,
            answers: Answers::default(),
            fetches: Fetches::default(),
            groups,
            loads: Loads::default(),
            lookups: Lookups::default(),
            producer_ids: ProducerIds::default(),
            held: VecDeque::new(),
            doubt: Doubt::default(),
            hints: Hints::default(),
            moved: BTreeSet::new(),
            addresses_stale: false,
            space: found.space,
            disk_was_low: false,
            rules_stale: false,
            config,
        }
    }

    /// Takes one input to its end: no half-done state survives a step. The effects are appended to `out`.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        let first = out.len();
        let turn = &mut Turn { now, out };
        match input {
            Input::Request { to, from, dialect, request } => {
                self.request(turn, HeldRequest { to, from, dialect, request });
            }
            Input::Peer { from, message } => self.hears(turn, from, message),
            Input::Absent { broker } => self.absent(turn, broker),
            Input::Unlinked { broker } => self.unlinked(turn, broker),
            Input::Stored { lane: _, result } => self.stored(turn, result),
            Input::Loaded { load, result } => self.loaded(turn, load, result),
            Input::Looked { lookup, result } => self.looked(turn, lookup, result),
            Input::Gone { conn } => self.gone(conn),
            Input::Wake => self.wake(turn),
            Input::Stop => self.stop(turn),
        }
        self.settle(turn);
        self.return_forwarded(turn, first);
        self.hint_leaders(turn, first);
    }

    /// The moment at which [`Input::Wake`] is wanted next.
    pub fn next_wake(&self) -> Option<Instant> {
        let ready = matches!(self.phase, Phase::Ready);
        let groups = if ready { self.groups.next_deadline() } else { None };
        let quorum = self.quorum.as_ref().and_then(Quorum::next_deadline);
        let cluster = if self.is_alone() { None } else { self.next_of_cluster() };
        [
            self.answers.next_deadline(),
            self.fetches.next_deadline(),
            groups,
            self.upkeep.next(),
            quorum,
            cluster,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        let offline = |(log, p): (&LogId, &Replica)| p.offline.clone().map(|why| (*log, why));
        Status {
            ready: self.is_ready(),
            dead: if let Phase::Dead(why) = &self.phase { Some(why.clone()) } else { None },
            partitions: self.partitions.len(),
            offline: self.partitions.iter().filter_map(offline).collect(),
            topics: self.controller.image().topics().count(),
            tail_bytes: self.tails.used(),
            cluster_id: self.cluster_id().map(str::to_owned),
            quorum: self.quorum.as_ref().map(|quorum| (quorum.epoch(), quorum.leader())),
        }
    }

    /// Carries the consequences of a step to their end: who waited is answered, what is too much is dropped.
    fn settle(&mut self, turn: &mut Turn) {
        loop {
            if let Some(before) = self.snapshots.replaced.take() {
                self.take_over(turn, &before);
            } else if std::mem::take(&mut self.metadata_changed) {
                self.steer(turn, |quorum, now, log, out| quorum.settle(now, log, out));
            } else if let Some(log) = self.moved.pop_first() {
                self.committed(turn, log);
            } else if let Some(log) = self.replication.next_touched() {
                self.advance(turn, log);
            } else {
                break;
            }
        }
        if !self.is_alone() {
            if std::mem::take(&mut self.addresses_stale) {
                self.tell_addresses(turn);
            }
            self.end_doubts(turn);
            self.serve_followers(turn);
            self.ask_leaders(turn);
        }
        self.keep_starts(turn);
        self.checkpoint_when_much(turn);
        if std::mem::take(&mut self.rules_stale) {
            self.publish_rules(turn);
        }
        while let Some((log, base)) = self.tails.overdue() {
            if let Some(partition) = self.partitions.get_mut(&log) {
                partition.log.evict(base, &mut self.tails);
            }
        }
    }

    fn gone(&mut self, conn: crate::ids::ConnId) {
        self.answers.gone(conn);
        let parked = self.fetches.gone(conn);
        for id in parked {
            self.unpark(id);
        }
        self.groups.gone(conn);
        self.producer_ids.gone(conn);
        self.lookups.gone(conn);
        self.forwards.gone(conn);
        self.hints.gone(conn);
        self.held.retain(|held| held.to.conn != conn);
        self.doubt.gone(conn);
    }

    /// What a topic's configs come to.
    fn topic_config(&self, topic: TopicId) -> &TopicConfig {
        self.topic_configs.get(&topic).unwrap_or(&self.default_topic_config)
    }

    /// The configs of this broker that were altered while it ran: all brokers', and its own.
    fn dynamic_configs(&self, of: ConfigOwner) -> crate::cluster::image::Configs {
        self.controller.image().broker_configs(of).cloned().unwrap_or_default()
    }

    /// How many brokers can keep replicas.
    fn brokers_for_replicas(&self) -> i16 {
        let brokers = self.controller.draft().brokers();
        brokers.values().filter(|r| r.is_active()).count().clamp(1, i16::MAX as usize) as i16
    }

    /// When something of the cluster is to be done, whatever is heard.
    fn next_of_cluster(&self) -> Option<Instant> {
        let ready = matches!(self.phase, Phase::Ready);
        let replication = if ready { self.replication.next_deadline() } else { None };
        let doubt = self.doubt.next_deadline();
        [self.member.next(), self.next_expiry(), self.forwards.next_deadline(), replication, doubt]
            .into_iter()
            .flatten()
            .min()
    }

    /// A number that this run has not drawn before: a hash of the run's seed and a count.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        mix(self.seed ^ mix(self.draws))
    }
}
