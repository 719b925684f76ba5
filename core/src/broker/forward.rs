//! Admin requests that the active controller decides or knows the answer to: any broker takes them, and forwards them to it (KIP-590).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::broker::door::{Caller, Client, Effect, Request};
use crate::broker::turn::Turn;
use crate::broker::{Broker, HeldRequest};
use crate::ids::{BrokerId, ConnId};
use crate::peer::message::{Outcome, PeerMessage};
use crate::quorum::Quorum;
use crate::time::Instant;
use crate::wire::Request as Api;
use crate::wire::dialect::Dialect;
use crate::wire::frame::{RequestHeader, decode_request, decode_response, encode_request, encode_response};
use crate::wire::{ApiKey, Out};

/// How long a client waits for the decision before its connection is closed, so that it finds out by asking again.
const PATIENCE_MS: i64 = 30_000;
/// Requests that wait for a decision at one broker.
const MOST_WAITING: usize = 1000;
/// The largest frame that is forwarded.
const LARGEST_FRAME: usize = 2 << 20;
/// The connection that requests of other brokers seem to come on: no client has it.
const FROM_BROKERS: ConnId = ConnId(u64::MAX);
/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// A client's request that waits for the active controller's decision.
#[derive(Debug)]
struct Waiting {
    to: Caller,
    key: ApiKey,
    frame: Vec<u8>,
    deadline: Instant,
    /// Who was asked.
    asked: Option<BrokerId>,
}

/// Another broker's request that is decided here.
#[derive(Debug)]
struct Served {
    to: BrokerId,
    correlation: u64,
}

/// Requests that were forwarded, at either end.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    served: BTreeMap<u64, Served>,
}

impl Forwards {
    /// When the first of those that wait has waited for too long.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.deadline).min()
    }

    /// Forgets the requests of a connection that is gone.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.waiting.retain(|_, waiting| waiting.to.conn != conn);
    }
}

impl Broker {
    /// Whether a request is for the active controller, and this broker is not that.
    pub(super) fn is_for_controller(&self, api: &Api) -> bool {
        // That nobody leads the quorum, as far as is known here, is an answer too, when it is asked for.
        let has_leader = self.quorum.as_ref().is_some_and(Quorum::has_leader);
        let answered_here = matches!(api, Api::DescribeQuorum(_)) && !has_leader;
        !self.is_alone() && self.active.is_none() && is_controllers(api) && !answered_here
    }

    /// Forwards a client's request.
    pub(super) fn forward(&mut self, turn: &mut Turn, (to, from): (Caller, &Client), api: &Api) {
        let key = api.key();
        if self.forwards.waiting.len() >= MOST_WAITING {
            return turn.close(to.conn, "too many requests wait for the active controller; try again later");
        }
        let header = RequestHeader {
            api_key: key,
            version: newest(key),
            correlation_id: 0,
            client_id: Some(from.client_id.clone()),
        };
        let mut out = Out::new();
        let frame = encode_request(&mut out, &header, api).map(|()| joined(out));
        match frame {
            Ok(frame) if frame.len() <= LARGEST_FRAME => {
                self.forwards.next += 1;
                let deadline = turn.now.mono.after_ms(PATIENCE_MS);
                let waiting = Waiting { to, key, frame, deadline, asked: None };
                self.forwards.waiting.insert(self.forwards.next, waiting);
                self.send_forwards(turn);
            }
            Ok(frame) => turn.close(
                to.conn,
                format!(
                    "a {} request of {} bytes is too large to be forwarded to the active controller",
                    key.name(),
                    frame.len()
                ),
            ),
            Err(why) => turn.close(to.conn, format!("a {} request cannot be forwarded: {why}", key.name())),
        }
    }

    /// Sends what waits and was not sent to the active controller of now.
    pub(super) fn send_forwards(&mut self, turn: &mut Turn) {
        let Some(controller) = self.known_controller() else { return };
        let unsent = self.forwards.waiting.iter_mut().filter(|(_, w)| w.asked != Some(controller));
        let unsent: Vec<(u64, Vec<u8>)> = unsent
            .map(|(correlation, waiting)| {
                waiting.asked = Some(controller);
                (*correlation, waiting.frame.clone())
            })
            .collect();
        for (correlation, frame) in unsent {
            self.tell(turn, controller, PeerMessage::Forward { correlation, frame });
        }
    }

    /// Closes the connections whose requests have waited for too long.
    pub(super) fn wake_forwards(&mut self, turn: &mut Turn) {
        let now = turn.now.mono;
        while let Some((_, waiting)) = self.forwards.waiting.extract_if(.., |_, w| w.deadline <= now).next() {
            let why = "the active controller has not answered: look whether a majority of the voters is up";
            turn.close(waiting.to.conn, format!("{}: {why}", waiting.key.name()));
        }
    }

    /// Another broker forwards a request of its client.
    pub(super) fn serve_forwarded(
        &mut self,
        turn: &mut Turn,
        (to, correlation): (BrokerId, u64),
        frame: Vec<u8>,
    ) {
        let refused = |outcome| PeerMessage::Forwarded { correlation, outcome };
        if self.active.is_none() {
            return self.tell(turn, to, refused(Outcome::NotController));
        }
        let (header, api) = match read_forwarded(frame) {
            Ok(read) => read,
            Err(why) => return self.tell(turn, to, refused(Outcome::Unanswerable(why))),
        };
        self.forwards.next += 1;
        let seq = self.forwards.next;
        let key = api.key();
        self.forwards.served.insert(seq, Served { to, correlation });
        let client_id = header.client_id.unwrap_or_default();
        let from = Client { client_id, host: String::new(), advertised: (String::new(), 0) };
        let dialect = Dialect::of(key, header.version);
        let to = Caller { conn: FROM_BROKERS, seq };
        self.route(turn, HeldRequest { to, from: from.into(), dialect, request: Request::Api(api) });
    }

    /// The active controller has answered a request that was forwarded to it.
    pub(super) fn forwarded(&mut self, turn: &mut Turn, correlation: u64, outcome: Outcome) {
        if outcome == Outcome::NotController {
            // It goes to whoever is the active controller when this broker hears of it next.
            if let Some(waiting) = self.forwards.waiting.get_mut(&correlation) {
                waiting.asked = None;
            }
            return;
        }
        let Some(Waiting { to, key, .. }) = self.forwards.waiting.remove(&correlation) else { return };
        let read = match outcome {
            Outcome::Answer(frame) => decode_response(key, newest(key), &Bytes::from(frame))
                .map(|(_, response)| response)
                .map_err(|why| format!("its answer cannot be read: {why}")),
            Outcome::NotController => return,
            Outcome::Unanswerable(why) => Err(why),
        };
        match read {
            Ok(response) => turn.reply(to, response),
            Err(why) => turn.close(
                to.conn,
                format!(
                    "{}: the active controller cannot answer, {why}; do all brokers run the same version?",
                    key.name()
                ),
            ),
        }
    }

    /// What this step has answered to other brokers' requests goes to those brokers. `first` is the step's first effect.
    pub(super) fn return_forwarded(&mut self, turn: &mut Turn, first: usize) {
        if self.forwards.served.is_empty() {
            return;
        }
        for effect in &mut turn.out[first..] {
            let (seq, outcome) = match effect {
                Effect::Reply { to, response } if is_forwarded(*to) => {
                    let mut out = Out::new();
                    let written = encode_response(&mut out, 0, newest(response.key()), response);
                    let unwritten = |why| Outcome::Unanswerable(format!("its answer has no frame: {why}"));
                    (to.seq, written.map_or_else(unwritten, |()| Outcome::Answer(joined(out))))
                }
                _ => continue,
            };
            let Some(Served { to, correlation }) = self.forwards.served.remove(&seq) else { continue };
            *effect = Effect::Send { to, message: PeerMessage::Forwarded { correlation, outcome } };
        }
    }

    /// Another broker is the active controller now: what is not decided yet, that one is asked for.
    pub(super) fn give_up_forwarded(&mut self, turn: &mut Turn) {
        for Served { to, correlation } in std::mem::take(&mut self.forwards.served).into_values() {
            let outcome = Outcome::NotController;
            self.tell(turn, to, PeerMessage::Forwarded { correlation, outcome });
        }
    }
}

/// What another broker forwards: a request that is the active controller's to answer.
fn read_forwarded(frame: Vec<u8>) -> Result<(RequestHeader, Api), String> {
    match decode_request(&Bytes::from(frame)) {
        Ok((header, api)) if is_controllers(&api) => Ok((header, api)),
        Ok((_, api)) => Err(format!("{} is not its to answer", api.key().name())),
        Err(why) => Err(format!("the request cannot be read: {why}")),
    }
}

/// Whether a request came from another broker.
pub(super) fn is_forwarded(to: Caller) -> bool {
    to.conn == FROM_BROKERS
}

fn newest(key: ApiKey) -> i16 {
    *key.accepted().end()
}

/// What only the active controller decides, or knows.
fn is_controllers(api: &Api) -> bool {
    matches!(
        api,
        Api::CreateTopics(_)
            | Api::DeleteTopics(_)
            | Api::CreatePartitions(_)
            | Api::AlterConfigs(_)
            | Api::IncrementalAlterConfigs(_)
            | Api::DescribeQuorum(_)
            | Api::ElectLeaders(_)
            | Api::AlterPartitionReassignments(_)
            | Api::ListPartitionReassignments(_)
            | Api::UnregisterBroker(_)
    )
}

/// A frame in one piece, without its length.
fn joined(mut out: Out) -> Vec<u8> {
    let mut chunks = Vec::new();
    out.take(&mut chunks);
    chunks.concat().split_off(LENGTH_BYTES)
}
