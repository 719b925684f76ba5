//! The one table of requests: keys, the versions accepted, the versions advertised, and where the flexible ones begin.

use std::fmt;
use std::ops::RangeInclusive;

use crate::wire::fault::WireError;
use crate::wire::field::{At, Field};
use crate::wire::messages as m;
use crate::wire::out::Out;
use crate::wire::reader::Reader;
use crate::wire::schema::Rows;

/// Derives from the table: [`ApiKey`], [`Request`], [`Response`], and the way from a key to its messages.
macro_rules! apis {
    ($(
        $name:ident = $key:literal: $request:ty, $response:ty,
        accepts $accepted:expr, advertises $advertised:expr, flexible $flexible:expr;
    )*) => {
        /// A kind of request that this broker knows, by Kafka's name for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("`", stringify!($name), "`, key ", $key, ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every key, in ascending order.
            pub const ALL: &[ApiKey] = &[$(ApiKey::$name),*];

            /// The key with that number, if it is known.
            pub fn from_number(number: i16) -> Option<ApiKey> {
                match number {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name (`Produce`).
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The versions that are decoded.
            pub fn accepted(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $accepted,)*
                }
            }

            /// The versions that ApiVersions answers with: the accepted ones, but for Produce, whose versions 0-2 old
            /// librdkafka must see in order to compress at all (KAFKA-18659).
            pub fn advertised(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $advertised,)*
                }
            }

            fn flexible_from(self) -> Option<i16> {
                match self {
                    $(ApiKey::$name => $flexible,)*
                }
            }
        }

        /// A request of any kind and version.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                $name($request),
            )*
        }

        impl Request {
            /// Its key.
            pub fn key(&self) -> ApiKey {
                match self {
                    $(Request::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn read(key: ApiKey, version: i16, input: &mut Reader<'_>) -> Result<Request, WireError> {
                let at = key.at(version);
                match key {
                    $(ApiKey::$name => Field::read(input, at).map(Request::$name),)*
                }
            }

            pub(crate) fn write(&self, version: i16, out: &mut Out) -> Result<(), WireError> {
                let at = self.key().at(version);
                match self {
                    $(Request::$name(body) => body.write(out, at),)*
                }
            }
        }

        /// A response of any kind and version.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                $name($response),
            )*
        }

        impl Response {
            /// Its key.
            pub fn key(&self) -> ApiKey {
                match self {
                    $(Response::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn read(key: ApiKey, version: i16, input: &mut Reader<'_>) -> Result<Response, WireError> {
                let at = key.at(version);
                match key {
                    $(ApiKey::$name => Field::read(input, at).map(Response::$name),)*
                }
            }

            pub(crate) fn write(&self, version: i16, out: &mut Out) -> Result<(), WireError> {
                let at = self.key().at(version);
                match self {
                    $(Response::$name(body) => body.write(out, at),)*
                }
            }
        }

        $(
            impl From<$request> for Request {
                fn from(body: $request) -> Request {
                    Request::$name(body)
                }
            }

            impl From<$response> for Response {
                fn from(body: $response) -> Response {
                    Response::$name(body)
                }
            }
        )*

        /// The schema of a request and a response as [`Rows`].
        pub(crate) fn rows(key: ApiKey, version: i16) -> (Rows, Rows) {
            let (at, mut request, mut response) = (key.at(version), Rows::default(), Rows::default());
            match key {
                $(ApiKey::$name => {
                    <$request>::rows(&mut request, at);
                    <$response>::rows(&mut response, at);
                })*
            }
            (request, response)
        }
    };
}

apis! {
    Produce = 0: m::produce::ProduceRequest, m::produce::ProduceResponse,
        accepts 3..=11, advertises 0..=11, flexible Some(9);
    Fetch = 1: m::fetch::FetchRequest, m::fetch::FetchResponse,
        accepts 4..=16, advertises 4..=16, flexible Some(12);
    ListOffsets = 2: m::list_offsets::ListOffsetsRequest, m::list_offsets::ListOffsetsResponse,
        accepts 1..=9, advertises 1..=9, flexible Some(6);
    Metadata = 3: m::metadata::MetadataRequest, m::metadata::MetadataResponse,
        accepts 0..=13, advertises 0..=13, flexible Some(9);
    OffsetCommit = 8: m::offset_commit::OffsetCommitRequest, m::offset_commit::OffsetCommitResponse,
        accepts 2..=9, advertises 2..=9, flexible Some(8);
    OffsetFetch = 9: m::offset_fetch::OffsetFetchRequest, m::offset_fetch::OffsetFetchResponse,
        accepts 1..=9, advertises 1..=9, flexible Some(6);
    FindCoordinator = 10: m::find_coordinator::FindCoordinatorRequest, m::find_coordinator::FindCoordinatorResponse,
        accepts 0..=6, advertises 0..=6, flexible Some(3);
    JoinGroup = 11: m::join_group::JoinGroupRequest, m::join_group::JoinGroupResponse,
        accepts 0..=9, advertises 0..=9, flexible Some(6);
    Heartbeat = 12: m::heartbeat::HeartbeatRequest, m::heartbeat::HeartbeatResponse,
        accepts 0..=4, advertises 0..=4, flexible Some(4);
    LeaveGroup = 13: m::leave_group::LeaveGroupRequest, m::leave_group::LeaveGroupResponse,
        accepts 0..=5, advertises 0..=5, flexible Some(4);
    SyncGroup = 14: m::sync_group::SyncGroupRequest, m::sync_group::SyncGroupResponse,
        accepts 0..=5, advertises 0..=5, flexible Some(4);
    DescribeGroups = 15: m::describe_groups::DescribeGroupsRequest, m::describe_groups::DescribeGroupsResponse,
        accepts 0..=6, advertises 0..=6, flexible Some(5);
    ListGroups = 16: m::list_groups::ListGroupsRequest, m::list_groups::ListGroupsResponse,
        accepts 0..=5, advertises 0..=5, flexible Some(3);
    ApiVersions = 18: m::api_versions::ApiVersionsRequest, m::api_versions::ApiVersionsResponse,
        accepts 0..=4, advertises 0..=4, flexible Some(3);
    CreateTopics = 19: m::create_topics::CreateTopicsRequest, m::create_topics::CreateTopicsResponse,
        accepts 2..=7, advertises 2..=7, flexible Some(5);
    DeleteTopics = 20: m::delete_topics::DeleteTopicsRequest, m::delete_topics::DeleteTopicsResponse,
        accepts 1..=6, advertises 1..=6, flexible Some(4);
    DeleteRecords = 21: m::delete_records::DeleteRecordsRequest, m::delete_records::DeleteRecordsResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(2);
    InitProducerId = 22: m::init_producer_id::InitProducerIdRequest, m::init_producer_id::InitProducerIdResponse,
        accepts 0..=5, advertises 0..=5, flexible Some(2);
    OffsetForLeaderEpoch = 23: m::offset_for_leader_epoch::OffsetForLeaderEpochRequest, m::offset_for_leader_epoch::OffsetForLeaderEpochResponse,
        accepts 2..=4, advertises 2..=4, flexible Some(4);
    DescribeConfigs = 32: m::describe_configs::DescribeConfigsRequest, m::describe_configs::DescribeConfigsResponse,
        accepts 1..=4, advertises 1..=4, flexible Some(4);
    AlterConfigs = 33: m::alter_configs::AlterConfigsRequest, m::alter_configs::AlterConfigsResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(2);
    DescribeLogDirs = 35: m::describe_log_dirs::DescribeLogDirsRequest, m::describe_log_dirs::DescribeLogDirsResponse,
        accepts 1..=4, advertises 1..=4, flexible Some(2);
    CreatePartitions = 37: m::create_partitions::CreatePartitionsRequest, m::create_partitions::CreatePartitionsResponse,
        accepts 0..=3, advertises 0..=3, flexible Some(2);
    DeleteGroups = 42: m::delete_groups::DeleteGroupsRequest, m::delete_groups::DeleteGroupsResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(2);
    ElectLeaders = 43: m::elect_leaders::ElectLeadersRequest, m::elect_leaders::ElectLeadersResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(2);
    IncrementalAlterConfigs = 44: m::incremental_alter_configs::IncrementalAlterConfigsRequest, m::incremental_alter_configs::IncrementalAlterConfigsResponse,
        accepts 0..=1, advertises 0..=1, flexible Some(1);
    AlterPartitionReassignments = 45: m::alter_partition_reassignments::AlterPartitionReassignmentsRequest, m::alter_partition_reassignments::AlterPartitionReassignmentsResponse,
        accepts 0..=1, advertises 0..=1, flexible Some(0);
    ListPartitionReassignments = 46: m::list_partition_reassignments::ListPartitionReassignmentsRequest, m::list_partition_reassignments::ListPartitionReassignmentsResponse,
        accepts 0..=0, advertises 0..=0, flexible Some(0);
    OffsetDelete = 47: m::offset_delete::OffsetDeleteRequest, m::offset_delete::OffsetDeleteResponse,
        accepts 0..=0, advertises 0..=0, flexible None;
    DescribeQuorum = 55: m::describe_quorum::DescribeQuorumRequest, m::describe_quorum::DescribeQuorumResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(0);
    DescribeCluster = 60: m::describe_cluster::DescribeClusterRequest, m::describe_cluster::DescribeClusterResponse,
        accepts 0..=2, advertises 0..=2, flexible Some(0);
    DescribeProducers = 61: m::describe_producers::DescribeProducersRequest, m::describe_producers::DescribeProducersResponse,
        accepts 0..=0, advertises 0..=0, flexible Some(0);
    UnregisterBroker = 64: m::unregister_broker::UnregisterBrokerRequest, m::unregister_broker::UnregisterBrokerResponse,
        accepts 0..=0, advertises 0..=0, flexible Some(0);
    DescribeTopicPartitions = 75: m::describe_topic_partitions::DescribeTopicPartitionsRequest, m::describe_topic_partitions::DescribeTopicPartitionsResponse,
        accepts 0..=0, advertises 0..=0, flexible Some(0);
}

impl ApiKey {
    /// The number on the wire.
    pub fn number(self) -> i16 {
        self as i16
    }

    /// Whether that version is flexible: compact lengths and tagged fields (KIP-482).
    pub fn flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    /// Version of the request header: 2 for flexible requests, else 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.flexible(version) { 2 } else { 1 }
    }

    /// Version of the response header: 1 for flexible responses, else 0; always 0 for ApiVersions, whose answer must be
    /// readable to a client that does not know which version it will get (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != ApiKey::ApiVersions && self.flexible(version))
    }

    fn at(self, version: i16) -> At {
        At::new(version, self.flexible(version))
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
