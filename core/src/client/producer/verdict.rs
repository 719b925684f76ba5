//! What a broker's error means for a batch that was sent to it.

use crate::wire::ErrorCode;

use crate::client::settings::Acks;

/// What to do with a batch after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Written,
    /// It was in the log before, so long ago that the broker does not say where.
    WrittenBefore,
    /// Try again.
    Again {
        /// Whether it may be in the log already.
        unknown: bool,
        /// Whether the leader may have changed.
        elsewhere: bool,
    },
    /// Its sequence number is not the next one.
    OutOfOrder,
    /// It is too large, but may be cut in two.
    TooLarge,
    /// It is refused, and not in the log.
    Refused,
    /// Nobody can tell, and trying again is of no use.
    Lost,
}

impl Verdict {
    /// By the code of a produce answer (Kafka: `Sender.completeBatch`, and `ReplicaManager` for what each code leaves behind), and
    /// whether it names an offset.
    pub(crate) fn of(code: ErrorCode, acks: Acks, placed: bool) -> Verdict {
        match code {
            ErrorCode::NONE => Verdict::Written,
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::WrittenBefore,
            // A leader also says so when it was deposed after it had appended.
            ErrorCode::NOT_LEADER_OR_FOLLOWER => {
                Verdict::Again { unknown: acks == Acks::All || placed, elsewhere: true }
            }
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_ID => Verdict::Again { unknown: false, elsewhere: true },
            ErrorCode::KAFKA_STORAGE_ERROR => Verdict::Again { unknown: true, elsewhere: true },
            ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
            | ErrorCode::CORRUPT_MESSAGE => Verdict::Again { unknown: false, elsewhere: false },
            ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::NETWORK_EXCEPTION => Verdict::Again { unknown: true, elsewhere: true },
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH => Verdict::OutOfOrder,
            ErrorCode::MESSAGE_TOO_LARGE => Verdict::TooLarge,
            ErrorCode::UNKNOWN_SERVER_ERROR => Verdict::Lost,
            other if other.retriable() => Verdict::Again { unknown: true, elsewhere: true },
            _ => Verdict::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_deposed_after_the_append_leaves_the_outcome_unknown() {
        let again = |unknown| Verdict::Again { unknown, elsewhere: true };
        assert_eq!(Verdict::of(ErrorCode::NOT_LEADER_OR_FOLLOWER, Acks::All, false), again(true));
        assert_eq!(Verdict::of(ErrorCode::NOT_LEADER_OR_FOLLOWER, Acks::Leader, true), again(true));
        assert_eq!(Verdict::of(ErrorCode::NOT_LEADER_OR_FOLLOWER, Acks::Leader, false), again(false));
    }

    #[test]
    fn too_few_replicas_before_the_append_is_certain_and_after_it_is_not() {
        let before = Verdict::of(ErrorCode::NOT_ENOUGH_REPLICAS, Acks::All, false);
        let after = Verdict::of(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, Acks::All, true);
        assert!(matches!(before, Verdict::Again { unknown: false, .. }));
        assert!(matches!(after, Verdict::Again { unknown: true, .. }));
    }
}
