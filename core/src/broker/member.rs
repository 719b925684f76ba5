//! A broker as a member of its cluster: it registers, shows that it lives, and hands over before it stops.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::Broker;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::brokers::{Endpoint, PeerAddress};
use crate::cluster::lifecycle::{Heartbeat, Standing};
use crate::cluster::membership::RegistrationRequest;
use crate::config::BrokerConfig;
use crate::ids::BrokerId;
use crate::peer::message::{FromController, ToController};
use crate::replica::messages::Incarnation;
use crate::time::Instant;

/// How long a stop waits for others to take over what this broker leads.
const HANDOVER_MS: i64 = 10_000;

/// What a member of a cluster knows of itself.
#[derive(Debug)]
pub(super) struct Member {
    /// This run of its process.
    pub(super) run: Incarnation,
    endpoints: Vec<Endpoint>,
    peer: PeerAddress,
    /// Where the others are reached, as the links were told last.
    pub(super) others: BTreeMap<BrokerId, String>,
    next_beat: Option<Instant>,
    /// Until when a stop waits for the hand-over.
    leaves_by: Option<Instant>,
    /// The run that was taken out of the cluster while it ran.
    taken_out: Option<Incarnation>,
    /// Why it could not register, as far as a person was told.
    refused: String,
    /// The brokers that nobody listens for where they are reached, and that have not been heard of since.
    pub(super) absent: BTreeSet<BrokerId>,
    /// Who led the metadata quorum last, of all others, and when it was last heard.
    pub(super) led_by: Option<(BrokerId, Instant)>,
}

impl Member {
    /// A member that nobody knows yet.
    pub(super) fn new(run: u64, config: &BrokerConfig) -> Member {
        let own = config.peer_address.as_deref().and_then(|address| address.rsplit_once(':'));
        let (host, port) = own.unwrap_or(("localhost", "0"));
        let peer = PeerAddress { host: host.to_string(), port: port.parse().unwrap_or(0) };
        let own = |(id, address): (&BrokerId, &String)| (*id, address.clone());
        let client = Endpoint { listener: "PLAINTEXT".into(), host: peer.host.clone(), port: 9092 };
        Member {
            run: Incarnation(run),
            endpoints: vec![client],
            peer,
            others: config.voters.iter().filter(|(id, _)| **id != config.node_id).map(own).collect(),
            next_beat: None,
            leaves_by: None,
            taken_out: None,
            refused: String::new(),
            absent: BTreeSet::new(),
            led_by: None,
        }
    }

    /// Whether others have been asked to take over what it leads, so that it can stop.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaves_by.is_some()
    }

    /// It has something to say at once.
    pub(super) fn beat_at(&mut self, now: Instant) {
        self.next_beat = Some(now);
    }

    /// When it has something to say next.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.next_beat, self.leaves_by].into_iter().flatten().min()
    }

    /// Where clients reach it.
    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl Broker {
    /// The addresses that it registers with; without them clients are told port 9092 of the host that the other brokers know.
    #[must_use]
    pub fn reached_at(mut self, endpoints: Vec<Endpoint>) -> Broker {
        self.member.endpoints = endpoints;
        self
    }

    /// Whether the metadata, as far as it is committed here, has this run of the broker.
    pub(super) fn is_registered(&self) -> bool {
        let known = self.controller.image().brokers().get(&self.me);
        known.is_some_and(|r| r.incarnation == self.member.run.0)
    }

    /// Whether it takes part: this run of it is registered and not fenced, as far as it knows.
    pub(super) fn takes_part(&self) -> bool {
        let known = self.controller.image().brokers().get(&self.me);
        known.is_some_and(|r| r.incarnation == self.member.run.0 && !r.fenced)
    }

    /// A moment that the member asked for has come.
    pub(super) fn wake_member(&mut self, turn: &mut Turn) {
        let now = turn.now.mono;
        if self.member.leaves_by.is_some_and(|at| at <= now) {
            turn.warn("nobody has taken over all that this broker leads: it stops all the same");
            return self.stop_now(turn);
        }
        if self.member.next_beat.is_some_and(|at| at <= now) {
            self.beat(turn);
        }
    }

    fn beat(&mut self, turn: &mut Turn) {
        self.member.next_beat = Some(turn.now.mono.after_ms(self.config.cluster.heartbeat_ms));
        if self.cluster_id().is_none() {
            // What the cluster is, the metadata has yet to say.
            return;
        }
        if self.member.taken_out == Some(self.member.run) {
            return;
        }
        let message = if self.is_registered() {
            ToController::Heartbeat(Heartbeat {
                broker: self.me,
                incarnation: self.member.run.0,
                applied: self.controller.position().0,
                wants_fence: false,
                wants_stop: self.member.is_leaving(),
            })
        } else {
            ToController::Register(self.registration())
        };
        self.tell_controller(turn, message);
        if self.producer_ids.is_asked() {
            self.tell_controller(turn, ToController::ProducerIds(self.member.run));
        }
        self.send_forwards(turn);
    }

    /// This run was registered, and is taken out of the cluster. It stays out: who takes a running broker out does not want it back
    /// before somebody starts it again (Kafka: `BrokerLifecycleManager` registers once).
    pub(super) fn taken_out(&mut self, turn: &mut Turn) {
        turn.warn(
            "this broker was unregistered: it belongs to the cluster no longer, until it is started again",
        );
        self.member.taken_out = Some(self.member.run);
    }

    fn registration(&self) -> RegistrationRequest {
        RegistrationRequest {
            cluster_id: self.identity.cluster_id.clone(),
            broker: self.me,
            incarnation: self.member.run.0,
            directory: self.identity.directory_id,
            endpoints: self.member.endpoints.clone(),
            peer: self.member.peer.clone(),
            rack: self.config.cluster.rack.clone(),
            // Nothing is acknowledged before it is synced, unless that is switched off.
            lost_tail: !self.stopped_clean && self.config.durability == crate::config::Durability::None,
        }
    }

    /// The active controller has answered.
    pub(super) fn told_by_controller(&mut self, turn: &mut Turn, message: FromController) {
        match message {
            FromController::NotRegistered(why) => {
                if self.member.refused != why {
                    turn.warn(format!("the cluster does not let this broker in yet: {why}"));
                    self.member.refused = why;
                }
            }
            FromController::Standing(run, Some(Standing::MayStop))
                if run == self.member.run && self.member.is_leaving() =>
            {
                self.stop_now(turn);
            }
            FromController::Standing(..) => {}
            FromController::NotChanged(run, refused) if run == self.member.run => {
                self.isr_refused(turn, &refused);
            }
            FromController::NotChanged(..) => {}
        }
    }

    /// Asks others to take over before this broker stops. Answers whether that is needed, and was not asked before.
    pub(super) fn hands_over(&mut self, turn: &mut Turn) -> bool {
        let first = !self.member.is_leaving();
        if self.is_alone() || !matches!(self.phase, Phase::Ready) || !first || !self.is_registered() {
            return false;
        }
        self.member.leaves_by = Some(turn.now.mono.after_ms(HANDOVER_MS));
        self.beat(turn);
        true
    }

    /// This broker has lost records that followers may have, in an epoch in which it still leads: it goes on as another run, to which the
    /// active controller gives new epochs, so that the same offset never holds two records in one epoch.
    pub(super) fn begin_new_run(&mut self, turn: &mut Turn) {
        self.member.run = Incarnation(self.draw());
        self.replication.new_run(self.member.run);
        self.beat(turn);
    }

    /// It says nothing more.
    pub(super) fn leave(&mut self) {
        (self.member.next_beat, self.member.leaves_by) = (None, None);
    }
}
