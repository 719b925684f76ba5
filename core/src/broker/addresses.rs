//! Where clients are told to find brokers, the controller and the coordinators of groups, and where brokers find one another.

use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::broker::door::{Client, Effect};
use crate::broker::turn::Turn;
use crate::cluster::brokers::Endpoint;
use crate::cluster::facts::Fact;
use crate::cluster::names;
use crate::ids::{BrokerId, LogId};
use crate::time::Instant;

/// A broker as clients are told of it: its id, host, port and rack.
pub(super) type Reached = (BrokerId, String, u16, Option<String>);

impl Broker {
    /// The brokers that a client may talk to, at the listener that it uses: this one alone, or all of the cluster that take part. If
    /// nobody does just now, all that are registered: a client that is told of nobody can ask nobody any more.
    pub(super) fn reached_by(&self, from: &Client) -> Vec<Reached> {
        if self.is_alone() {
            let (host, port) = from.advertised.clone();
            return vec![(self.me, host, port, None)];
        }
        let reached = self.told_of(from, |_, fenced| !fenced);
        if reached.is_empty() { self.fenced(from) } else { reached }
    }

    /// The brokers that Metadata lists: the same, and those that took part a moment ago.
    pub(super) fn listed(&self, now: Instant, from: &Client) -> Vec<Reached> {
        let listed = self.told_of(from, |broker, fenced| !fenced || self.doubt.was_there(broker, now));
        if self.is_alone() || listed.is_empty() { self.reached_by(from) } else { listed }
    }

    /// The brokers that are registered and take no part, as those that are down.
    pub(super) fn fenced(&self, from: &Client) -> Vec<Reached> {
        self.told_of(from, |_, fenced| fenced)
    }

    fn told_of(&self, from: &Client, wanted: impl Fn(BrokerId, bool) -> bool) -> Vec<Reached> {
        let brokers = self.controller.image().brokers().iter().filter(|(id, r)| wanted(**id, r.fenced));
        let told = brokers.filter_map(|(id, registration)| {
            let at = self.endpoint_for(from, &registration.endpoints)?;
            Some((*id, at.host.clone(), at.port, registration.rack.clone()))
        });
        told.collect()
    }

    /// The endpoint of another broker under the name of the listener that this client came in by (Kafka: `listener.name`); the first
    /// one where there is none of that name.
    fn endpoint_for<'a>(&self, from: &Client, endpoints: &'a [Endpoint]) -> Option<&'a Endpoint> {
        let mine = self.member.endpoints().iter();
        let name = mine
            .filter(|e| (e.host.as_str(), e.port) == (from.advertised.0.as_str(), from.advertised.1))
            .map(|e| e.listener.as_str())
            .next();
        endpoints.iter().find(|e| Some(e.listener.as_str()) == name).or(endpoints.first())
    }

    /// Who coordinates a group; `None` while nobody does.
    pub(super) fn coordinator_of(&self, group: &str, from: &Client) -> Option<Reached> {
        if self.is_alone() {
            return self.reached_by(from).pop();
        }
        let topic = self.controller.image().topic(names::GROUP_OFFSETS)?;
        let log = LogId { topic: topic.id, partition: self.groups.shard_of(group) };
        let leader = self.controller.image().partition(log)?.leader?;
        self.reached_by(from).into_iter().find(|(id, ..)| *id == leader)
    }

    /// A fact is committed: it may say that a broker is reached elsewhere.
    pub(super) fn hear_of_addresses(&mut self, fact: &Fact) {
        self.addresses_stale |=
            matches!(fact, Fact::BrokerRegistered { .. } | Fact::BrokerUnregistered { .. });
    }

    /// Tells where the other brokers are reached, if that has changed: the voters where the configs say, all others where they have
    /// registered to be.
    pub(super) fn tell_addresses(&mut self, turn: &mut Turn) {
        let registered = self.controller.image().brokers().iter();
        let at = registered.filter_map(|(id, r)| Some((*id, r.peer.as_ref()?)));
        let at = at.map(|(id, peer)| (id, format!("{}:{}", peer.host, peer.port)));
        let mut all: BTreeMap<BrokerId, String> = at.chain(self.config.voters.clone()).collect();
        all.remove(&self.me);
        if self.member.others != all {
            self.member.others.clone_from(&all);
            turn.out.push(Effect::Peers(all));
        }
    }

    /// The id of the controller that clients are told: any broker takes what a controller decides.
    pub(super) fn controller_told(&self) -> i32 {
        let active = self.known_controller().filter(|id| self.alive.contains_key(id));
        active.unwrap_or(self.me).0
    }
}
