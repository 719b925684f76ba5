//! P5: a life whose disk has failed acknowledges nothing any more, but for what was committed before it failed; or was on that disk, where
//! nothing more was asked for (acks=1), and only the answer has waited for other partitions.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::ids::LogId;
use quipu_core::storage::ops::StoreOp;
use quipu_core::wire::Response;
use quipu_core::wire::messages::produce::PartitionProduceResponse;

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct NothingAfterAFailure {
    lives: Vec<Life>,
}

/// What is known of a broker's process.
#[derive(Clone, Default)]
struct Life {
    /// Once its disk has failed: how far each log was committed then, and how far it was on that disk.
    failed: Option<BTreeMap<LogId, (i64, i64)>>,
    /// Who waits for this disk alone.
    local: BTreeSet<Caller>,
    /// What it kept once: an answer that has waited for other partitions may tell of these, too.
    left: BTreeSet<LogId>,
}

impl NothingAfterAFailure {
    /// For so many brokers.
    pub fn new(servers: usize) -> NothingAfterAFailure {
        NothingAfterAFailure { lives: vec![Life::default(); servers] }
    }
}

impl Claim for NothingAfterAFailure {
    fn id(&self) -> &'static str {
        "P5"
    }

    fn says(&self) -> &'static str {
        "after a failed write nothing is acknowledged"
    }

    fn asking(&mut self, server: usize, broker: &Broker, input: &Input) {
        let life = &mut self.lives[server];
        match input {
            Input::Stored { result: Err(_), .. } => {
                let marks = broker.logs().map(|(log, ..)| (log.id(), (log.high().0, log.flushed().0)));
                life.failed = Some(marks.collect());
            }
            Input::Request { to, request: Request::Produce(produce), .. } if produce.acks == 1 => {
                life.local.insert(*to);
            }
            _ => {}
        }
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        let life = &mut self.lives[scene.server];
        if let Effect::Store { op: StoreOp::Remove { log }, .. } = effect {
            life.left.insert(*log);
        }
        let Effect::Reply { to, response } = effect else { return Ok(()) };
        let local = life.local.remove(to);
        let Some(marks) = &life.failed else { return Ok(()) };
        let below = |topic: &str, partition: i32| {
            let named = scene.broker.image().topic(topic);
            let log = named.map(|t| LogId { topic: t.id, partition });
            match log.and_then(|log| marks.get(&log)) {
                Some((high, flushed)) => {
                    if local {
                        *high.max(flushed)
                    } else {
                        *high
                    }
                }
                None if log.is_some_and(|log| life.left.contains(&log)) => i64::MAX,
                None => 0,
            }
        };
        if acknowledges(response, below) {
            return Err(format!("its disk has failed, and it answers {response:?}"));
        }
        Ok(())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.lives[server] = Life::default();
    }
}

/// Whether an answer says that something was written which was not committed yet: what lies `below` in each partition was.
fn acknowledges(response: &Response, below: impl Fn(&str, i32) -> i64) -> bool {
    match response {
        Response::Produce(r) => r.responses.iter().any(|t| {
            let fresh = |p: &PartitionProduceResponse| p.base_offset >= below(&t.name, p.index);
            t.partition_responses.iter().any(|p| p.error_code.is_none() && fresh(p))
        }),
        Response::OffsetCommit(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).any(|p| p.error_code.is_none())
        }
        Response::CreateTopics(r) => r.topics.iter().any(|t| t.error_code.is_none()),
        Response::DeleteTopics(r) => r.responses.iter().any(|t| t.error_code.is_none()),
        Response::DeleteRecords(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).any(|p| p.error_code.is_none())
        }
        Response::InitProducerId(r) => r.error_code.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use quipu_core::wire::ErrorCode;
    use quipu_core::wire::messages::delete_topics::{DeletableTopicResult, DeleteTopicsResponse};
    use quipu_core::wire::messages::produce::{ProduceResponse, TopicProduceResponse};

    use super::*;

    fn deleted(error_code: ErrorCode) -> Response {
        let one = DeletableTopicResult { error_code, ..Default::default() };
        DeleteTopicsResponse { responses: vec![one], ..Default::default() }.into()
    }

    #[test]
    fn success_is_seen_and_an_error_is_fine() {
        assert!(acknowledges(&deleted(ErrorCode::NONE), |_, _| 0));
        assert!(!acknowledges(&deleted(ErrorCode::KAFKA_STORAGE_ERROR), |_, _| 0));
        let heartbeat = quipu_core::wire::messages::heartbeat::HeartbeatResponse::default();
        assert!(!acknowledges(&heartbeat.into(), |_, _| 0), "nothing is written for it");
    }

    #[test]
    fn a_record_that_was_not_committed_is_seen_and_one_that_was_is_fine() {
        let one = PartitionProduceResponse { base_offset: 7, ..Default::default() };
        let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![one] };
        let produced = Response::from(ProduceResponse { responses: vec![topic], ..Default::default() });
        assert!(acknowledges(&produced, |_, _| 7));
        assert!(!acknowledges(&produced, |_, _| 8));
    }
}
