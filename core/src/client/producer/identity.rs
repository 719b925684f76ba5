//! The producer id, asked for before the first record of an idempotent producer is sent.

use crate::ids::ProducerId;
use crate::time::Instant;
use crate::wire::Response;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;

use super::lane::Identity;
use crate::client::door::Failure;
use crate::client::net::{AskId, Done, Lost, Net, Owner};

/// The id, or the way to it.
#[derive(Debug, Default)]
pub(crate) struct ProducerIdentity {
    known: Option<Identity>,
    asking: Option<AskId>,
    not_before: Instant,
    attempts: u32,
    /// Why there is none so far.
    pub(crate) trouble: Option<Failure>,
    /// Whether there will be none.
    pub(crate) hopeless: bool,
}

impl ProducerIdentity {
    /// The id; asked for when it is not known.
    pub(crate) fn get(&mut self, net: &mut Net) -> Option<Identity> {
        if self.known.is_none() && self.asking.is_none() && !self.hopeless && net.due(self.not_before) {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                ..Default::default()
            };
            let peer = net.any();
            self.asking = Some(net.ask_main(peer, Owner::Producer, request.into()));
        }
        self.known
    }

    /// That id is used up: another one is needed.
    pub(crate) fn discard(&mut self, id: ProducerId) {
        self.known = self.known.filter(|(known, _)| *known != id);
    }

    /// Whether that was the answer to the question for the id.
    pub(crate) fn answered(&mut self, net: &Net, done: &Done) -> bool {
        if self.asking != Some(done.ask) {
            return false;
        }
        self.asking = None;
        let failure = match &done.result {
            Ok(Response::InitProducerId(r)) if r.error_code.is_none() && r.producer_id >= 0 => {
                *self = ProducerIdentity::default();
                self.known = Some((ProducerId(r.producer_id), r.producer_epoch));
                return true;
            }
            Ok(Response::InitProducerId(r)) => {
                self.hopeless = !r.error_code.retriable();
                Failure::broker(r.error_code, "no producer id")
            }
            Ok(_) => Failure::local("a broker answered InitProducerId with something else"),
            Err(Lost::Unsupported(text)) => {
                self.hopeless = true;
                Failure::local(format!("no idempotent producer here: {text}"))
            }
            Err(lost) => Failure::local(lost.text()),
        };
        self.trouble = Some(failure);
        self.not_before = net.retry_at(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        true
    }
}
