//! P5: a life whose disk has failed acknowledges nothing any more, but for what was committed before it failed.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input};
use quipu_core::ids::LogId;
use quipu_core::wire::Response;
use quipu_core::wire::messages::produce::PartitionProduceResponse;

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct NothingAfterAFailure {
    /// By broker, once its disk has failed: the high watermark of each log then.
    failed: Vec<Option<BTreeMap<LogId, i64>>>,
}

impl NothingAfterAFailure {
    /// For so many brokers.
    pub fn new(servers: usize) -> NothingAfterAFailure {
        NothingAfterAFailure { failed: vec![None; servers] }
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
        if matches!(input, Input::Stored { result: Err(_), .. }) {
            self.failed[server] = Some(broker.logs().map(|(log, ..)| (log.id(), log.high().0)).collect());
        }
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        let (Effect::Reply { response, .. }, Some(high)) = (effect, &self.failed[scene.server]) else {
            return Ok(());
        };
        let below = |topic: &str, partition: i32| {
            let named = scene.broker.image().topic(topic);
            named.and_then(|t| high.get(&LogId { topic: t.id, partition })).copied().unwrap_or(0)
        };
        if acknowledges(response, below) {
            return Err(format!("its disk has failed, and it answers {response:?}"));
        }
        Ok(())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.failed[server] = None;
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
