//! Kafka's error codes: numbers, names, and what to tell a person.

use std::fmt;

/// An error code as it stands in responses. Codes that this table does not know survive unchanged.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

macro_rules! codes {
    ($($code:literal $name:ident $($retriable:ident)?: $message:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = $message]
                pub const $name: ErrorCode = ErrorCode($code);
            )*

            /// The name in Kafka's `Errors`, or `None` when the code is unknown.
            pub fn known_name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the code means, in words for a person: the text of an `error_message` that nobody worded better.
            pub fn message(self) -> &'static str {
                match self.0 {
                    $($code => $message,)*
                    _ => "An error of a kind that this version does not know.",
                }
            }

            /// Whether the same request may succeed later (a `RetriableException` in Kafka).
            pub fn retriable(self) -> bool {
                match self.0 {
                    $($code => false $(|| stringify!($retriable) == "retriable")?,)*
                    _ => false,
                }
            }
        }
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR: "The server failed in a way it did not expect.";
    0 NONE: "No error.";
    1 OFFSET_OUT_OF_RANGE: "The offset lies outside the partition's log.";
    2 CORRUPT_MESSAGE retriable: "The record batch is damaged, too large, or has a null key in a compacted topic.";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable: "This server has no such topic or partition.";
    4 INVALID_FETCH_SIZE: "The fetch size is invalid.";
    5 LEADER_NOT_AVAILABLE retriable: "The partition has no leader at the moment.";
    6 NOT_LEADER_OR_FOLLOWER retriable: "This broker is not the partition's leader, or does not hold a replica of it.";
    7 REQUEST_TIMED_OUT retriable: "The request was not done within its timeout.";
    8 BROKER_NOT_AVAILABLE: "The broker is not available.";
    9 REPLICA_NOT_AVAILABLE retriable: "The replica is not available.";
    10 MESSAGE_TOO_LARGE: "The record batch is larger than max.message.bytes allows.";
    11 STALE_CONTROLLER_EPOCH: "The controller has moved to another broker.";
    12 OFFSET_METADATA_TOO_LARGE: "The metadata of the committed offset is too long.";
    13 NETWORK_EXCEPTION retriable: "The connection ended before the answer came.";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable: "The coordinator is still loading.";
    15 COORDINATOR_NOT_AVAILABLE retriable: "The coordinator is not available.";
    16 NOT_COORDINATOR retriable: "This broker is not the coordinator.";
    17 INVALID_TOPIC_EXCEPTION: "The topic name is invalid, or the operation is not allowed on this topic.";
    18 RECORD_LIST_TOO_LARGE: "The record batch is larger than a segment may be.";
    19 NOT_ENOUGH_REPLICAS retriable: "Refused: fewer replicas are in sync than min.insync.replicas asks for.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable: "Written, but fewer replicas were in sync than min.insync.replicas asks for.";
    21 INVALID_REQUIRED_ACKS: "acks must be 0, 1 or -1 (all).";
    22 ILLEGAL_GENERATION: "The group has moved on to another generation.";
    23 INCONSISTENT_GROUP_PROTOCOL: "The member shares no protocol with the group, or named none.";
    24 INVALID_GROUP_ID: "The group id is invalid.";
    25 UNKNOWN_MEMBER_ID: "The coordinator does not know this member.";
    26 INVALID_SESSION_TIMEOUT: "The session timeout is outside the range that the broker allows.";
    27 REBALANCE_IN_PROGRESS: "The group is rebalancing; join again.";
    28 INVALID_COMMIT_OFFSET_SIZE: "The committed offset is too large to be kept.";
    29 TOPIC_AUTHORIZATION_FAILED: "Not authorised for the topic.";
    30 GROUP_AUTHORIZATION_FAILED: "Not authorised for the group.";
    31 CLUSTER_AUTHORIZATION_FAILED: "Not authorised for the cluster.";
    32 INVALID_TIMESTAMP: "A record's timestamp is out of the accepted range.";
    33 UNSUPPORTED_SASL_MECHANISM: "The broker does not support this SASL mechanism.";
    34 ILLEGAL_SASL_STATE: "The request does not fit the state of the SASL exchange.";
    35 UNSUPPORTED_VERSION: "This version of the request is not supported.";
    36 TOPIC_ALREADY_EXISTS: "A topic of this name exists already.";
    37 INVALID_PARTITIONS: "The number of partitions is invalid.";
    38 INVALID_REPLICATION_FACTOR: "The replication factor is below 1 or above the number of live brokers.";
    39 INVALID_REPLICA_ASSIGNMENT: "The replica assignment is invalid.";
    40 INVALID_CONFIG: "The configuration is invalid.";
    41 NOT_CONTROLLER retriable: "This broker is not the controller.";
    42 INVALID_REQUEST: "The request contradicts itself or the protocol.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT: "The message format does not support this request.";
    44 POLICY_VIOLATION: "The request violates a policy of the cluster.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER: "The producer's sequence number does not follow the one before.";
    46 DUPLICATE_SEQUENCE_NUMBER: "The producer's sequence number has been seen before.";
    47 INVALID_PRODUCER_EPOCH: "The producer's epoch is older than the current one.";
    48 INVALID_TXN_STATE: "The transaction is not in a state that allows this.";
    49 INVALID_PRODUCER_ID_MAPPING: "The producer id does not belong to this transactional id.";
    50 INVALID_TRANSACTION_TIMEOUT: "The transaction timeout is larger than transaction.max.timeout.ms.";
    51 CONCURRENT_TRANSACTIONS retriable: "Another operation on this transaction is still under way.";
    52 TRANSACTION_COORDINATOR_FENCED: "The sender is not this producer's transaction coordinator any more.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Not authorised for the transactional id.";
    54 SECURITY_DISABLED: "Security is not enabled.";
    55 OPERATION_NOT_ATTEMPTED: "Not attempted, since another operation of the same request failed.";
    56 KAFKA_STORAGE_ERROR retriable: "The disk failed under this log.";
    57 LOG_DIR_NOT_FOUND: "There is no such log directory.";
    58 SASL_AUTHENTICATION_FAILED: "Authentication failed.";
    59 UNKNOWN_PRODUCER_ID: "The partition does not know this producer id.";
    60 REASSIGNMENT_IN_PROGRESS: "A reassignment of the partition is under way.";
    61 DELEGATION_TOKEN_AUTH_DISABLED: "Delegation tokens are not enabled.";
    62 DELEGATION_TOKEN_NOT_FOUND: "There is no such delegation token.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH: "The delegation token belongs to somebody else.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: "Delegation tokens cannot be asked for on this connection.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED: "Not authorised for the delegation token.";
    66 DELEGATION_TOKEN_EXPIRED: "The delegation token has expired.";
    67 INVALID_PRINCIPAL_TYPE: "This type of principal is not supported.";
    68 NON_EMPTY_GROUP: "The group has members.";
    69 GROUP_ID_NOT_FOUND: "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND retriable: "There is no such fetch session.";
    71 INVALID_FETCH_SESSION_EPOCH retriable: "The fetch session is at another epoch.";
    72 LISTENER_NOT_FOUND retriable: "The leader has no listener of the kind on which the request came.";
    73 TOPIC_DELETION_DISABLED: "Deleting topics is not enabled.";
    74 FENCED_LEADER_EPOCH retriable: "The leader epoch in the request is older than the partition's.";
    75 UNKNOWN_LEADER_EPOCH retriable: "The leader epoch in the request is newer than the partition's.";
    76 UNSUPPORTED_COMPRESSION_TYPE: "This version of the request does not allow the batch's compression.";
    77 STALE_BROKER_EPOCH: "The broker has registered again since.";
    78 OFFSET_NOT_AVAILABLE retriable: "The new leader does not know its high watermark yet.";
    79 MEMBER_ID_REQUIRED: "Join again with the member id in this answer.";
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable: "The preferred leader is not available.";
    81 GROUP_MAX_SIZE_REACHED: "The group is full.";
    82 FENCED_INSTANCE_ID: "Another member has taken over this group.instance.id.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable: "No replica that may become leader is available.";
    84 ELECTION_NOT_NEEDED retriable: "The partition needs no election.";
    85 NO_REASSIGNMENT_IN_PROGRESS: "No reassignment of the partition is under way.";
    86 GROUP_SUBSCRIBED_TO_TOPIC: "The group is subscribed to the topic.";
    87 INVALID_RECORD: "A record does not meet the rules for records.";
    88 UNSTABLE_OFFSET_COMMIT retriable: "A transaction that commits offsets here is still open.";
    89 THROTTLING_QUOTA_EXCEEDED retriable: "The quota for this operation is used up.";
    90 PRODUCER_FENCED: "A newer producer uses the same transactional id.";
    91 RESOURCE_NOT_FOUND: "There is no such resource.";
    92 DUPLICATE_RESOURCE: "The request names the same resource twice.";
    93 UNACCEPTABLE_CREDENTIAL: "The credential does not meet the requirements.";
    94 INCONSISTENT_VOTER_SET: "Sender or receiver is not one of the expected voters.";
    95 INVALID_UPDATE_VERSION: "The update version is invalid.";
    96 FEATURE_UPDATE_FAILED: "The features could not be updated.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE: "The forwarded principal could not be read.";
    98 SNAPSHOT_NOT_FOUND: "There is no such snapshot.";
    99 POSITION_OUT_OF_RANGE: "The position lies outside the snapshot.";
    100 UNKNOWN_TOPIC_ID retriable: "This server has no topic with this id.";
    101 DUPLICATE_BROKER_REGISTRATION: "This broker id is in use.";
    102 BROKER_ID_NOT_REGISTERED: "This broker id is not registered.";
    103 INCONSISTENT_TOPIC_ID retriable: "The topic id in the request is not that of the log.";
    104 INCONSISTENT_CLUSTER_ID: "The cluster id in the request is not that of this cluster.";
    105 TRANSACTIONAL_ID_NOT_FOUND: "There is no such transactional id.";
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable: "The fetch session mixes topic names and topic ids.";
    107 INELIGIBLE_REPLICA: "A replica of the new in-sync set may not be in it.";
    108 NEW_LEADER_ELECTED: "The partition was changed, and its leader with it.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE: "The offset has been moved to tiered storage.";
    110 FENCED_MEMBER_EPOCH: "The coordinator has fenced the member; give up all partitions and join again.";
    111 UNRELEASED_INSTANCE_ID: "Another member of the group still uses this instance id.";
    112 UNSUPPORTED_ASSIGNOR: "The group does not support this assignor.";
    113 STALE_MEMBER_EPOCH: "The member epoch is out of date; retry with the one of the last heartbeat.";
    114 MISMATCHED_ENDPOINT_TYPE: "The request came to an endpoint of the wrong type.";
    115 UNSUPPORTED_ENDPOINT_TYPE: "This endpoint type is not supported.";
    116 UNKNOWN_CONTROLLER_ID: "There is no controller with this id.";
    117 UNKNOWN_SUBSCRIPTION_ID: "The telemetry subscription is unknown or out of date.";
    118 TELEMETRY_TOO_LARGE: "The telemetry is larger than the broker accepts.";
    119 INVALID_REGISTRATION: "The controller refused the broker's registration.";
    120 TRANSACTION_ABORTABLE: "The transaction failed; abort it to go on with this transactional id.";
    121 INVALID_RECORD_STATE: "The record is not in a state that allows this acknowledgement.";
    122 SHARE_SESSION_NOT_FOUND retriable: "There is no such share session.";
    123 INVALID_SHARE_SESSION_EPOCH retriable: "The share session is at another epoch.";
    124 FENCED_STATE_EPOCH: "The share group's state is at another epoch.";
    125 INVALID_VOTER_KEY: "The voter key is not that of the receiver.";
    126 DUPLICATE_VOTER: "The voter is in the set of voters already.";
    127 VOTER_NOT_FOUND: "The voter is not in the set of voters.";
    128 INVALID_REGULAR_EXPRESSION: "The regular expression is invalid.";
    129 REBOOTSTRAP_REQUIRED: "The client must start again from its bootstrap servers.";
    130 STREAMS_INVALID_TOPOLOGY: "The topology is invalid.";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH: "The topology epoch is invalid.";
    132 STREAMS_TOPOLOGY_FENCED: "The topology epoch is out of date.";
    133 SHARE_SESSION_LIMIT_REACHED retriable: "The broker has no room for another share session.";
}

impl ErrorCode {
    /// Whether this is [`ErrorCode::NONE`].
    pub fn is_none(self) -> bool {
        self == ErrorCode::NONE
    }

    /// Whether this is anything but [`ErrorCode::NONE`].
    pub fn is_err(self) -> bool {
        self != ErrorCode::NONE
    }

    /// The name in Kafka's `Errors` (`NOT_LEADER_OR_FOLLOWER`); `UNKNOWN` when the table has no such code.
    pub fn name(self) -> &'static str {
        self.known_name().unwrap_or("UNKNOWN")
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "UNKNOWN({})", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
