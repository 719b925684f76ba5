//! One connection to a broker: opening, agreeing on versions, and the requests that wait on it for their answers.

use std::collections::VecDeque;

use crate::time::Instant;
use crate::wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::wire::{ApiKey, Request};

use super::net::{Ask, AskId, Owner, Peer};
use super::versions::Versions;

/// Which of the connections to one broker: what may wait long at the broker must not hold up the rest (answers come in order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// Short requests, and produce.
    Main,
    /// Fetches, which wait for records.
    Fetch,
    /// What a group's coordinator is asked, which waits for other members.
    Group,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) line: Line,
    pub(crate) addr: super::Address,
    pub(crate) state: State,
    /// Asked for before versions are agreed upon, each until when it may wait to be sent.
    pub(crate) waiting: VecDeque<(AskId, Ask, Instant)>,
    /// Sent and not answered, in order.
    pub(crate) in_flight: VecDeque<Sent>,
    pub(crate) next_correlation: i32,
    pub(crate) used: Instant,
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum State {
    /// Being opened, until then.
    Connecting(Instant),
    /// Open; ApiVersions has been asked.
    Negotiating,
    /// Ready for requests.
    Ready(Versions),
}

/// A request whose answer is awaited.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) ask: AskId,
    pub(crate) owner: Owner,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) deadline: Instant,
}

impl Link {
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// The earliest moment at which this connection has waited too long for something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let opening = match self.state {
            State::Connecting(until) => Some(until),
            _ => None,
        };
        self.in_flight.iter().map(|s| s.deadline).chain(opening).min()
    }

    /// Takes out what has waited too long to be sent.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<(AskId, Ask)> {
        let waiting = std::mem::take(&mut self.waiting);
        let (over, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, _, until)| *until <= now);
        self.waiting = rest.into();
        over.into_iter().map(|(id, ask, _)| (id, ask)).collect()
    }

    /// The number of the next request on this connection.
    pub(crate) fn take_correlation(&mut self) -> i32 {
        let taken = self.next_correlation;
        self.next_correlation = taken.checked_add(1).unwrap_or(0);
        taken
    }
}

/// What a frame on a connection turns out to be.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The answer to the oldest request.
    Answer(Sent),
    /// An answer that was given before: dropped.
    Stale,
    /// Nothing that was asked: the connection is not in step any more.
    Astray(String),
}

impl Link {
    /// Matches a frame with the oldest request in flight by its correlation id.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> Heard {
        let Some(head) = frame.first_chunk::<4>() else {
            return Heard::Astray("the broker sent a frame too short for an answer".into());
        };
        let correlation = i32::from_be_bytes(*head);
        match self.in_flight.front() {
            Some(sent) if sent.correlation == correlation => match self.in_flight.pop_front() {
                Some(sent) => Heard::Answer(sent),
                None => Heard::Stale,
            },
            // Numbers only grow, but for the wrap after 2^31 requests.
            _ if correlation >= 0 && correlation < self.next_correlation && !self.awaits(correlation) => {
                Heard::Stale
            }
            _ => Heard::Astray(format!("the broker answered request {correlation} out of turn")),
        }
    }

    fn awaits(&self, correlation: i32) -> bool {
        self.in_flight.iter().any(|s| s.correlation == correlation)
    }
}

/// The first request on every connection.
pub(crate) fn negotiation() -> Request {
    let request = ApiVersionsRequest {
        client_software_name: "quipu".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    Request::ApiVersions(request)
}

/// The versions that an answer to it names.
pub(crate) fn negotiated(response: &ApiVersionsResponse) -> Versions {
    Versions::new(response.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)))
}
