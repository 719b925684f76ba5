//! ConsumerProtocol: what Kafka's consumers put into the opaque fields of a rebalance.

use bytes::Bytes;

use crate::wire::table::messages;

messages! {
    /// What a member of a consumer group wants: the metadata of its JoinGroup.
    struct ConsumerProtocolSubscription {
        topics: Vec<String>, 0..;
        user_data: Option<Bytes>, 0.., null 0..;
        owned_partitions: Vec<SubscriptionTopicPartition>, 1.. => ignorable;
        generation_id: i32, 2.., default -1 => ignorable;
        rack_id: Option<String>, 3.., null 3.. => ignorable;
    }

    /// Part of [`ConsumerProtocolSubscription`].
    struct SubscriptionTopicPartition {
        topic: String, 1..;
        partitions: Vec<i32>, 1..;
    }

    /// What a member of a consumer group gets: the assignment of its SyncGroup.
    struct ConsumerProtocolAssignment {
        assigned_partitions: Vec<AssignmentTopicPartition>, 0..;
        user_data: Option<Bytes>, 0.., null 0..;
    }

    /// Part of [`ConsumerProtocolAssignment`].
    struct AssignmentTopicPartition {
        topic: String, 0..;
        partitions: Vec<i32>, 0..;
    }
}
