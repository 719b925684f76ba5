//! The settings of the group coordinator, with Kafka's defaults.

/// What an operator can set, and the bounds that keep a client from growing the coordinator without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members. 0: not at all.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one group.
    pub max_size: usize,
    /// How long a member that does not know its id yet may wait in a join (Kafka's `NEW_MEMBER_JOIN_TIMEOUT_MS`).
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`: length of the note beside a committed offset, counted as Kafka does, in UTF-16 units.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// Bytes of one fact: what `max.message.bytes` of `__consumer_offsets` leaves for a record. A group whose members,
    /// metadata and assignments do not fit takes no further member.
    pub max_fact_bytes: usize,
    /// Member ids of one group that were given out and not used yet. More are refused, retriably.
    pub max_pending_members: usize,
    /// Groups of one coordinator partition. More are refused, retriably.
    pub max_groups_per_shard: usize,
    /// Drawn anew each time the broker starts: keeps member ids of two incarnations apart.
    pub id_seed: u64,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            new_member_join_timeout_ms: 300_000,
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            max_fact_bytes: 1_000_000,
            max_pending_members: 10_000,
            max_groups_per_shard: 20_000,
            id_seed: 0,
        }
    }
}
