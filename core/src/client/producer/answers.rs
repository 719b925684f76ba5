//! What the producer makes of answers: which batches are in the log, which go again, and which are given up.

use std::collections::BTreeMap;

use crate::wire::messages::produce::{PartitionProduceResponse, ProduceResponse};
use crate::wire::{ErrorCode, Response};

use super::Producer;
use super::verdict::Verdict;
use crate::client::cluster::Cluster;
use crate::client::door::{Address, Failure, TopicPartition};
use crate::client::net::{AskId, Done, Lost, Net};
use crate::client::settings::Acks;

impl Producer {
    pub(crate) fn answered(&mut self, net: &mut Net, cluster: &mut Cluster, done: Done) {
        if self.identity.answered(net, &done) {
            return;
        }
        let Some(carried) = self.asked.remove(&done.ask) else { return };
        match done.result {
            Ok(Response::Produce(r)) if self.settings.acks == Acks::None => {
                drop(r);
                for (of, batch) in carried {
                    self.handed_over(net, &of, batch, done.ask);
                }
            }
            Ok(Response::Produce(r)) => self.produced(net, cluster, done.ask, carried, r),
            Ok(_) => self.all_lost(
                net,
                cluster,
                done.ask,
                carried,
                &Lost::Unknown("another answer than asked for".into()),
            ),
            Err(lost) => self.all_lost(net, cluster, done.ask, carried, &lost),
        }
    }

    fn handed_over(&mut self, net: &mut Net, of: &TopicPartition, batch: u64, ask: AskId) {
        let lane = self.lanes.get_mut(of);
        let written = lane.and_then(|lane| lane.find(batch, ask).and_then(|at| lane.written(at)));
        if let Some(batch) = written {
            self.finish_written(net, of, batch, None);
        }
    }

    fn produced(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        ask: AskId,
        carried: Vec<(TopicPartition, u64)>,
        mut r: ProduceResponse,
    ) {
        let endpoints = std::mem::take(&mut r.node_endpoints);
        let mut answers: BTreeMap<(String, i32), PartitionProduceResponse> = BTreeMap::new();
        for topic in r.responses {
            for part in topic.partition_responses {
                answers.insert((topic.name.clone(), part.index), part);
            }
        }
        for (of, batch) in carried {
            let Some(answer) = answers.remove(&(of.topic.to_string(), of.partition)) else {
                let lost = Lost::Unknown(format!("{of}: the answer does not name the partition"));
                self.one_lost(net, (&of, batch, ask), &lost);
                continue;
            };
            let leader = (answer.current_leader.leader_id, answer.current_leader.leader_epoch);
            let addr = endpoints.iter().find(|n| n.node_id == leader.0);
            let addr = addr.and_then(|n| Address::of(&n.host, n.port));
            cluster.hint(net, &of, leader, addr);
            self.judge(net, cluster, (&of, batch, ask), &answer);
        }
    }

    /// Acts on the answer for one batch.
    fn judge(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        (of, batch, ask): (&TopicPartition, u64, AskId),
        answer: &PartitionProduceResponse,
    ) {
        let Some(lane) = self.lanes.get_mut(of) else { return };
        let Some(at) = lane.find(batch, ask) else { return };
        let failure = Failure { code: answer.error_code, text: words(of, answer) };
        match Verdict::of(answer.error_code, self.settings.acks, answer.base_offset >= 0) {
            Verdict::Written => {
                let written = lane.written(at);
                self.done(net, of, written, Some((answer.base_offset, answer.log_append_time_ms)));
            }
            Verdict::WrittenBefore => {
                let written = lane.written(at);
                self.done(net, of, written, None);
            }
            Verdict::Again { unknown, elsewhere } => {
                if elsewhere && let Some(broker) = lane.sent_to() {
                    cluster.depose(of, broker);
                }
                self.again(net, of, at, unknown, failure);
            }
            Verdict::OutOfOrder => {
                if lane.out_of_order(at, failure.clone()) {
                    self.drop_batch(net, of, at, false, failure);
                }
            }
            Verdict::TooLarge if lane.queue[at].records.len() > 1 && !lane.queue[at].may_exist => {
                lane.split(at)
            }
            Verdict::TooLarge | Verdict::Refused => self.drop_batch(net, of, at, false, failure),
            Verdict::Lost => self.drop_batch(net, of, at, true, failure),
        }
    }

    fn done(
        &mut self,
        net: &mut Net,
        of: &TopicPartition,
        batch: Option<super::lane::Sealed>,
        base: Option<(i64, i64)>,
    ) {
        if let Some(batch) = batch {
            self.finish_written(net, of, batch, base);
        }
    }

    fn drop_batch(&mut self, net: &mut Net, of: &TopicPartition, at: usize, unknown: bool, failure: Failure) {
        if let Some(batch) = self.lanes.get_mut(of).and_then(|lane| lane.given_up(at, unknown)) {
            self.finish_failed(net, batch, failure);
        }
    }

    /// Sends a batch again later, unless it might then be in the log twice.
    fn again(&mut self, net: &mut Net, of: &TopicPartition, at: usize, unknown: bool, failure: Failure) {
        let harmless = !unknown || self.idempotent() || self.settings.repeat_unknown;
        if !harmless {
            return self.drop_batch(net, of, at, true, failure);
        }
        if let Some(lane) = self.lanes.get_mut(of) {
            lane.retry_at = net.retry_at(lane.attempts);
            lane.attempts = lane.attempts.saturating_add(1);
            lane.again(at, unknown, failure);
        }
    }

    fn all_lost(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        ask: AskId,
        carried: Vec<(TopicPartition, u64)>,
        lost: &Lost,
    ) {
        cluster.doubt();
        for (of, batch) in carried {
            if let Some(broker) = self.lanes.get(&of).and_then(|lane| lane.sent_to()) {
                cluster.depose(&of, broker);
            }
            self.one_lost(net, (&of, batch, ask), lost);
        }
    }

    fn one_lost(&mut self, net: &mut Net, (of, batch, ask): (&TopicPartition, u64, AskId), lost: &Lost) {
        let Some(at) = self.lanes.get(of).and_then(|lane| lane.find(batch, ask)) else { return };
        let failure = Failure::local(format!("{of}: {}", lost.text()));
        match lost {
            Lost::NotSent(_) => self.again(net, of, at, false, failure),
            Lost::Unsupported(_) => self.drop_batch(net, of, at, false, failure),
            Lost::Unknown(_) => self.again(net, of, at, true, failure),
        }
    }
}

/// The broker's own words if it sent any, with those for single records.
fn words(of: &TopicPartition, answer: &PartitionProduceResponse) -> String {
    let code = answer.error_code;
    let message = answer.error_message.as_deref().filter(|m| !m.is_empty()).unwrap_or(code.message());
    let record = answer.record_errors.first().and_then(|r| {
        let text = r.batch_index_error_message.as_deref()?;
        Some(format!(" (record {} of the batch: {text})", r.batch_index))
    });
    let record = if code == ErrorCode::NONE { None } else { record };
    format!("{of}: {code}: {message}{}", record.unwrap_or_default())
}
