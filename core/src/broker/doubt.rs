//! Clients that ask who leads while a leader may be gone: the answer waits for a moment, until that is known.
//!
//! When a process dies its clients' connections break together with those of the other brokers. A client then asks another broker who
//! leads, sooner than anybody can know; told the old leader, it waits before it asks again, for up to a second (librdkafka) or several
//! (franz-go), where another one leads after some milliseconds. Told a little later, it goes on at once.
//!
//! Nor is a broker dropped from the list in the moment in which others take over from it: librdkafka ends what it has of a broker that is
//! not listed any more, in a race with what it moves from there to the next leader, and finds out by its timer after up to a second.

use std::collections::{BTreeMap, VecDeque};

use crate::broker::door::Request;
use crate::broker::turn::Turn;
use crate::broker::{Broker, HeldRequest};
use crate::ids::{BrokerId, ConnId};
use crate::time::Instant;
use crate::wire::Request as Api;

/// How long a broker to which the link broke is in doubt: so long takes an election of its partitions' leaders, and of a controller
/// before that. If it is there all the same, a client has waited for nothing, once.
const DOUBT_MS: i64 = 250;
/// For how long a broker is still listed that takes no part any more: as long as clients of Kafka see one that has died, there for a whole
/// session (`broker.session.timeout.ms`).
const LISTED_MS: i64 = 9_000;
/// Requests that wait at most. One more is answered at once.
const WAITING: usize = 1_000;

/// The brokers in doubt, and the requests that wait.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Until when.
    brokers: BTreeMap<BrokerId, Instant>,
    /// Those that take no part any more, and until when they are listed all the same.
    left: BTreeMap<BrokerId, Instant>,
    /// Each with the moment at which it is answered whatever is known.
    waiting: VecDeque<(Instant, HeldRequest)>,
}

impl Doubt {
    /// The moment at which an answer must not wait any more.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// A broker takes no part any more.
    pub(super) fn left(&mut self, broker: BrokerId, now: Instant) {
        self.left.retain(|_, until| *until > now);
        self.left.insert(broker, now.after_ms(LISTED_MS));
    }

    /// Whether a broker took part a moment ago.
    pub(super) fn was_there(&self, broker: BrokerId, now: Instant) -> bool {
        self.left.get(&broker).is_some_and(|until| *until > now)
    }

    /// A connection has ended.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.waiting.retain(|(_, held)| held.to.conn != conn);
    }
}

impl Broker {
    /// The link to a broker broke.
    pub(super) fn unlinked(&mut self, turn: &Turn, broker: BrokerId) {
        let leads = || self.image().partitions().any(|(_, _, state)| state.leader == Some(broker));
        if broker != self.me && self.alive.contains_key(&broker) && leads() {
            self.doubt.brokers.insert(broker, turn.now.mono.after_ms(DOUBT_MS));
        }
    }

    /// Lets a request for who leads, or where a coordinator is, wait if that is in doubt; else it is given back.
    pub(super) fn wait_in_doubt(&mut self, turn: &Turn, held: HeldRequest) -> Option<HeldRequest> {
        let asks = matches!(&held.request, Request::Api(Api::Metadata(_) | Api::FindCoordinator(_)));
        if !asks || self.doubt.waiting.len() >= WAITING || !self.is_in_doubt(turn) {
            return Some(held);
        }
        self.doubt.waiting.push_back((turn.now.mono.after_ms(DOUBT_MS), held));
        None
    }

    /// Answers whoever has waited for long enough, and all once nobody is in doubt: who was is fenced, and others lead.
    pub(super) fn end_doubts(&mut self, turn: &mut Turn) {
        if self.doubt.waiting.is_empty() {
            return;
        }
        let (known, now) = (!self.is_in_doubt(turn), turn.now.mono);
        while let Some((_, held)) = self.doubt.waiting.pop_front_if(|(until, _)| known || *until <= now) {
            self.serve(turn, held);
        }
    }

    fn is_in_doubt(&mut self, turn: &Turn) -> bool {
        let Broker { doubt, alive, .. } = self;
        doubt.brokers.retain(|broker, until| *until > turn.now.mono && alive.contains_key(broker));
        !doubt.brokers.is_empty()
    }
}
