//! From request to room: one line an API. Requests that come too early wait, those that come too late are refused.

use crate::broker::door::{Caller, Client, Request};
use crate::broker::once::once;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::broker::{Broker, HeldRequest};
use crate::wire::Request as Api;
use crate::wire::dialect::Dialect;

impl Broker {
    /// A client asks.
    pub(super) fn request(&mut self, turn: &mut Turn, held: HeldRequest) {
        if let Some(held) = self.wait_in_doubt(turn, held) {
            self.serve(turn, held);
        }
    }

    /// What a client asks is answered now, unless this broker is only starting, or not serving any more.
    pub(super) fn serve(&mut self, turn: &mut Turn, held: HeldRequest) {
        match &self.phase {
            Phase::Ready => self.route(turn, held),
            Phase::Found { .. } | Phase::Replaying { .. } | Phase::Starting { .. } => {
                self.held.push_back(held)
            }
            Phase::Stopping => turn.close(held.to.conn, "the broker is stopping"),
            Phase::Dead(why) => turn.close(held.to.conn, format!("the broker cannot serve: {why}")),
        }
    }

    /// Requests that waited for a start that failed.
    pub(super) fn refuse_held(&mut self, turn: &mut Turn) {
        for held in std::mem::take(&mut self.held) {
            turn.close(held.to.conn, "the broker could not start");
        }
    }

    pub(super) fn route(&mut self, turn: &mut Turn, held: HeldRequest) {
        let HeldRequest { to, from, dialect, request } = held;
        if !self.is_alone() && matches!(request, Request::Produce(_) | Request::Api(Api::Fetch(_))) {
            self.hints.asked(to.conn, &from);
        }
        match request {
            Request::Produce(produce) => self.produce(turn, to, &from, produce),
            Request::Api(mut api) => {
                once(&mut api);
                if self.is_for_controller(&api) {
                    return self.forward(turn, (to, &from), &api);
                }
                self.route_api(turn, (to, &from, dialect), api);
            }
        }
    }

    fn route_api(&mut self, turn: &mut Turn, (to, from, dialect): (Caller, &Client, Dialect), api: Api) {
        match api {
            Api::Fetch(r) => self.fetch(turn, to, dialect, r),
            Api::ListOffsets(r) => self.list_offsets(turn, to, dialect, r),
            Api::OffsetForLeaderEpoch(r) => self.offset_for_leader_epoch(turn, to, r),
            Api::Metadata(r) => self.metadata(turn, to, (from, dialect), r),
            Api::DescribeCluster(r) => self.describe_cluster(turn, to, from, r),
            Api::DescribeQuorum(r) => self.describe_quorum(turn, to, &r),
            Api::DescribeTopicPartitions(r) => self.describe_topic_partitions(turn, to, r),
            Api::FindCoordinator(r) => self.find_coordinator(turn, to, from, r),
            Api::CreateTopics(r) => self.create_topics(turn, to, r),
            Api::DeleteTopics(r) => self.delete_topics(turn, to, r),
            Api::CreatePartitions(r) => self.create_partitions(turn, to, r),
            Api::ElectLeaders(r) => self.elect_leaders(turn, to, r),
            Api::AlterPartitionReassignments(r) => self.alter_partition_reassignments(turn, to, r),
            Api::ListPartitionReassignments(r) => self.list_partition_reassignments(turn, to, &r),
            Api::UnregisterBroker(r) => self.unregister_broker(turn, to, &r),
            Api::DeleteRecords(r) => self.delete_records(turn, to, r),
            Api::DescribeConfigs(r) => self.describe_configs(turn, to, r),
            Api::AlterConfigs(r) => self.alter_configs(turn, to, r),
            Api::IncrementalAlterConfigs(r) => self.incremental_alter_configs(turn, to, r),
            Api::DescribeLogDirs(r) => self.describe_log_dirs(turn, to, r),
            Api::InitProducerId(r) => self.init_producer_id(turn, to, r),
            Api::DescribeProducers(r) => self.describe_producers(turn, to, r),
            group @ (Api::JoinGroup(_)
            | Api::SyncGroup(_)
            | Api::Heartbeat(_)
            | Api::LeaveGroup(_)
            | Api::DescribeGroups(_)
            | Api::ListGroups(_)
            | Api::DeleteGroups(_)
            | Api::OffsetCommit(_)
            | Api::OffsetFetch(_)
            | Api::OffsetDelete(_)) => self.group_request(turn, to, (from, dialect), group),
            Api::ApiVersions(_) | Api::Produce(_) => {
                turn.close(to.conn, "this request is answered by the connection, not by the machine");
            }
        }
    }
}
