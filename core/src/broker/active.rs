//! The active controller at work: it hears brokers, decides what follows, and fences who is silent.

use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::broker::turn::Turn;
use crate::cluster::additions::Additions;
use crate::cluster::alter_partition::{AlterPartition, Member, alter_partition};
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::image::Configs;
use crate::cluster::liveness::Liveness;
use crate::cluster::{lifecycle, membership, producer_ids, view::View};
use crate::config::BrokerConfig;
use crate::ids::{BrokerId, LogId, Offset};
use crate::peer::message::{FromController, ToController};
use crate::replica::isr::{NotChanged, Proposal};
use crate::replica::messages::Incarnation;
use crate::time::Instant;
use crate::wire::error::ErrorCode;

/// Topics that one broker may ask for at once on behalf of its clients.
pub(super) const TOPICS_AT_ONCE: usize = 1000;

/// What only the active controller knows, for as long as it is that.
#[derive(Debug)]
pub(super) struct Active {
    liveness: Liveness,
    /// Its configs with what is altered for all brokers, and without what is altered for itself.
    config: BrokerConfig,
}

impl Broker {
    /// This broker is the active controller from now on.
    pub(super) fn become_active(&mut self, turn: &mut Turn) {
        let mut liveness =
            Liveness::new(self.controller.draft(), self.config.cluster.session_ms, turn.now.mono);
        self.member.absent.iter().for_each(|absent| liveness.lost(*absent));
        if let Some((before, at)) = self.member.led_by {
            liveness.silent_since(before, at);
        }
        self.active = Some(Active { liveness, config: self.common_config() });
    }

    /// The configs that are altered for all brokers have changed.
    pub(super) fn reconfigure_active(&mut self) {
        let config = self.common_config();
        if let Some(active) = &mut self.active {
            active.config = config;
        }
    }

    fn common_config(&self) -> BrokerConfig {
        let altered =
            self.controller.draft().broker_configs(ConfigOwner::Cluster).cloned().unwrap_or_default();
        self.config.altered(&altered, &Configs::new()).0
    }

    /// What is decided against. Of a node alone everything is its own.
    pub(super) fn view(&self) -> View<'_> {
        let config = self.active.as_ref().map_or(&self.config, |active| &active.config);
        View { image: self.controller.draft(), config }
    }

    fn deciding<T>(
        &mut self,
        now: Instant,
        decide: impl FnOnce(&View<'_>, &mut Liveness, (Instant, Offset)) -> T,
    ) -> Option<T> {
        let end = self.partitions.get(&LogId::METADATA)?.log.end();
        let Active { liveness, config } = self.active.as_mut()?;
        let view = View { image: self.controller.draft(), config };
        Some(decide(&view, liveness, (now, end)))
    }

    fn decide_some(&mut self, turn: &mut Turn, facts: Vec<Fact>) {
        if !facts.is_empty() {
            self.decide(turn, facts);
        }
    }

    /// A broker tells the active controller something. Who is not that is not heard: the other finds out who is.
    pub(super) fn asked_as_controller(&mut self, turn: &mut Turn, from: BrokerId, message: ToController) {
        if self.active.is_none() {
            return;
        }
        match message {
            ToController::Register(request) => self.register(turn, from, &request),
            ToController::Heartbeat(beat) => self.heartbeat(turn, from, beat),
            ToController::ProducerIds(run) => {
                let decided =
                    self.deciding(turn.now.mono, |view, _, _| producer_ids::grant(view, from, run.0));
                if let Some(Ok(fact)) = decided {
                    self.decide(turn, vec![fact]);
                }
            }
            ToController::Isr(run, proposals) => self.decide_isr(turn, (from, run), proposals),
            ToController::Topics(names) => self.make_topics(turn, &names),
        }
    }

    fn register(&mut self, turn: &mut Turn, from: BrokerId, request: &membership::RegistrationRequest) {
        // Nobody speaks in another's name.
        if request.broker != from {
            return;
        }
        let now = turn.now.mono;
        match self.deciding(now, |view, liveness, at| membership::register(view, liveness, request, at)) {
            Some(Ok(facts)) if facts.is_empty() => {}
            Some(Ok(facts)) => {
                turn.info(format!("broker {from} registers"));
                self.decide(turn, facts);
            }
            Some(Err((_, why))) => {
                self.tell_as_controller(turn, from, FromController::NotRegistered(why));
            }
            None => {}
        }
    }

    fn heartbeat(&mut self, turn: &mut Turn, from: BrokerId, beat: lifecycle::Heartbeat) {
        if beat.broker != from {
            return;
        }
        let now = turn.now.mono;
        let decided = self.deciding(now, |view, liveness, at| lifecycle::heartbeat(view, liveness, beat, at));
        let standing = match decided {
            Some(Ok((standing, facts))) => {
                if !facts.is_empty() {
                    turn.info(format!("broker {from} is {standing:?} from now on"));
                }
                self.decide_some(turn, facts);
                self.give_vote(turn, from);
                Some(standing)
            }
            _ => None,
        };
        let run = Incarnation(beat.incarnation);
        self.tell_as_controller(turn, from, FromController::Standing(run, standing));
    }

    /// Decides what leaders propose, all against the same state: of two about one partition the second is out of date.
    fn decide_isr(
        &mut self,
        turn: &mut Turn,
        (from, run): (BrokerId, Incarnation),
        proposals: Vec<(LogId, Proposal)>,
    ) {
        let (mut facts, mut refused, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (log, proposal) in proposals {
            if !seen.insert(log) {
                refused.push((log, proposal.partition_epoch, NotChanged::Stale));
                continue;
            }
            let asked = self.asked_isr((from, run), log, &proposal);
            let decided = self.deciding(turn.now.mono, |view, _, _| alter_partition(view, &asked));
            match decided {
                Some(Ok((fact, _))) => facts.extend(fact),
                Some(Err((code, _))) => refused.push((log, proposal.partition_epoch, not_changed(code))),
                None => {}
            }
        }
        self.decide_some(turn, facts);
        if !refused.is_empty() {
            self.tell_as_controller(turn, from, FromController::NotChanged(run, refused));
        }
    }

    fn asked_isr(&self, leader: (BrokerId, Incarnation), log: LogId, proposal: &Proposal) -> AlterPartition {
        let brokers = self.controller.draft().brokers();
        // Of whom the leader has not heard in its epoch, it only does not say that it is out: the run is the registered one.
        let run = |broker: &BrokerId| brokers.get(broker).map_or(0, |r| r.incarnation);
        let member = |(broker, seen): &(BrokerId, Option<Incarnation>)| Member {
            broker: *broker,
            incarnation: seen.map_or_else(|| run(broker), |run| run.0),
        };
        AlterPartition {
            log,
            leader: Member { broker: leader.0, incarnation: leader.1.0 },
            leader_epoch: proposal.epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr.iter().map(member).collect(),
        }
    }

    fn make_topics(&mut self, turn: &mut Turn, names: &[String]) {
        let mut additions = Additions::default();
        for name in names.iter().take(TOPICS_AT_ONCE) {
            self.auto_create(name, &mut additions);
        }
        self.decide_some(turn, additions.into_facts());
    }

    /// Who is known not to be there is fenced next.
    pub(super) fn lost_sight(&mut self, broker: BrokerId) {
        if let Some(active) = &mut self.active {
            active.liveness.lost(broker);
        }
    }

    /// Fences the brokers that were silent for too long, each by a decision of its own (KAFKA-13173).
    pub(super) fn wake_active(&mut self, turn: &mut Turn) {
        let now = turn.now.mono;
        let expired = self.deciding(now, |view, liveness, _| liveness.expired(view.image, now));
        for (broker, run) in expired.unwrap_or_default() {
            let facts = self.deciding(now, |view, _, _| lifecycle::fence(view, broker, run));
            let why = match self.member.absent.contains(&broker) {
                true => "nobody listens where it is reached".to_owned(),
                false => {
                    let session = self.config.cluster.session_ms;
                    format!("it was silent for {session} ms (broker.session.timeout.ms)")
                }
            };
            turn.warn(format!("broker {broker} is fenced: {why}; others lead what it led"));
            self.decide_some(turn, facts.unwrap_or_default());
        }
    }

    /// When somebody may have been silent for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.active.as_ref().and_then(|active| active.liveness.next_expiry(self.controller.draft()))
    }
}

fn not_changed(code: ErrorCode) -> NotChanged {
    match code {
        ErrorCode::INELIGIBLE_REPLICA => NotChanged::Ineligible,
        ErrorCode::NOT_CONTROLLER => NotChanged::Unavailable,
        _ => NotChanged::Stale,
    }
}
