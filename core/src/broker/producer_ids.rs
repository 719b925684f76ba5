//! InitProducerId and DescribeProducers: producer ids in blocks from the metadata log, never the same one twice.

use std::collections::VecDeque;

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::cluster::producer_ids::BLOCK;
use crate::ids::ConnId;
use crate::peer::message::ToController;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use crate::wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// The block at hand, and who waits for the next one.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    next: i64,
    end: i64,
    asked: bool,
    waiting: VecDeque<Caller>,
}

impl ProducerIds {
    fn take(&mut self) -> Option<i64> {
        let id = (self.next < self.end).then_some(self.next)?;
        self.next += 1;
        Some(id)
    }

    /// Whether a block was asked for that has not come.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// Forgets who waited on a connection that is gone.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.waiting.retain(|to| to.conn != conn);
    }

    /// The block asked for will not come.
    pub(super) fn give_up(&mut self, turn: &mut Turn) {
        self.asked = false;
        for to in self.waiting.drain(..) {
            turn.reply(to, failed(ErrorCode::COORDINATOR_NOT_AVAILABLE).into());
        }
    }
}

impl Broker {
    /// Handles InitProducerId.
    pub(super) fn init_producer_id(&mut self, turn: &mut Turn, to: Caller, request: InitProducerIdRequest) {
        if let Some(id) = &request.transactional_id {
            let code = if id.is_empty() {
                ErrorCode::INVALID_REQUEST
            } else {
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            };
            if !id.is_empty() {
                turn.warn(format!(
                    "InitProducerId for transactional id '{}' refused: this version has no transactions",
                    id.escape_default()
                ));
            }
            return turn.reply(to, failed(code).into());
        }
        match self.producer_ids.take() {
            Some(id) => turn.reply(to, granted(id).into()),
            None => {
                self.producer_ids.waiting.push_back(to);
                self.ask_for_producer_ids(turn);
            }
        }
    }

    fn ask_for_producer_ids(&mut self, turn: &mut Turn) {
        if !std::mem::replace(&mut self.producer_ids.asked, true) {
            if !self.is_alone() {
                return self.tell_controller(turn, ToController::ProducerIds(self.member.run));
            }
            let next = self.controller.draft().next_producer_id() + BLOCK;
            self.decide(turn, vec![Fact::ProducerIdsAllocated { next }]);
        }
    }

    /// A block is committed: it is this broker's, which asked for it.
    pub(super) fn producer_ids_granted(&mut self, turn: &mut Turn, first: i64, end: i64) {
        self.producer_ids.asked = false;
        (self.producer_ids.next, self.producer_ids.end) = (first, end);
        while let Some(to) = self.producer_ids.waiting.pop_front() {
            match self.producer_ids.take() {
                Some(id) => turn.reply(to, granted(id).into()),
                None => {
                    self.producer_ids.waiting.push_front(to);
                    return self.ask_for_producer_ids(turn);
                }
            }
        }
    }

    /// Handles DescribeProducers.
    pub(super) fn describe_producers(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: DescribeProducersRequest,
    ) {
        let mut response = DescribeProducersResponse::default();
        for topic in request.topics {
            let partitions =
                topic.partition_indexes.iter().map(|index| self.producers_of(&topic.name, *index)).collect();
            response.topics.push(TopicResponse { name: topic.name, partitions });
        }
        turn.reply(to, response.into());
    }

    fn producers_of(&self, topic: &str, partition_index: i32) -> PartitionResponse {
        let usable = self.log_of(topic, partition_index).map_err(|code| (code, code.message().to_string()));
        let found = usable.and_then(|log| self.usable(log));
        let (error_code, error_message, active_producers) = match found {
            Err((code, why)) => (code, Some(why), Vec::new()),
            Ok(partition) => {
                let producers = partition.log.producers().iter().map(|(id, batch, _)| ProducerState {
                    producer_id: id.0,
                    producer_epoch: i32::from(batch.epoch),
                    last_sequence: batch.last_sequence,
                    last_timestamp: batch.timestamp.0,
                    coordinator_epoch: -1,
                    current_txn_start_offset: -1,
                });
                (ErrorCode::NONE, None, producers.collect())
            }
        };
        PartitionResponse { partition_index, error_code, error_message, active_producers }
    }
}

fn granted(producer_id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id, ..Default::default() }
}

fn failed(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_epoch: -1, ..Default::default() }
}
