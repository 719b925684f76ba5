//! Which replicas of a topic are throttled, as its configs list them (KIP-73).

use super::value::words;
use crate::ids::BrokerId;

/// The replicas whose replication is throttled: `leader.replication.throttled.replicas` or `follower.replication.throttled.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// `*`.
    All,
    /// Partitions, each with the broker that keeps the replica; none is nobody.
    These(Vec<(i32, BrokerId)>),
}

impl ThrottledReplicas {
    /// Nobody is throttled.
    pub const NONE: ThrottledReplicas = ThrottledReplicas::These(Vec::new());

    /// What a value says; `None` for one that says nothing (Kafka: `ThrottledReplicaListValidator`).
    pub fn parse(value: &str) -> Option<ThrottledReplicas> {
        if value.trim() == "*" {
            return Some(ThrottledReplicas::All);
        }
        words(value).map(replica).collect::<Option<_>>().map(ThrottledReplicas::These)
    }

    /// Whether the replica of that partition on that broker is among them.
    pub fn has(&self, partition: i32, broker: BrokerId) -> bool {
        match self {
            ThrottledReplicas::All => true,
            ThrottledReplicas::These(replicas) => replicas.contains(&(partition, broker)),
        }
    }
}

/// `partition:broker`, digits only.
fn replica(word: &str) -> Option<(i32, BrokerId)> {
    let number = |digits: &str| {
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok()).flatten()
    };
    let (partition, broker) = word.split_once(':')?;
    Some((number(partition)?, BrokerId(number(broker)?)))
}

#[cfg(test)]
mod tests {
    use super::ThrottledReplicas;
    use crate::ids::BrokerId;

    #[test]
    fn a_list_names_replicas_and_a_star_all_of_them() {
        let listed = ThrottledReplicas::parse("0:1, 12:3").unwrap();
        assert!(listed.has(0, BrokerId(1)) && listed.has(12, BrokerId(3)));
        assert!(!listed.has(0, BrokerId(3)) && !listed.has(1, BrokerId(1)));
        assert!(ThrottledReplicas::parse(" * ").unwrap().has(7, BrokerId(7)));
        assert_eq!(ThrottledReplicas::parse(""), Some(ThrottledReplicas::NONE));
        assert!(!ThrottledReplicas::NONE.has(0, BrokerId(0)));
    }

    #[test]
    fn what_is_no_replica_is_nothing() {
        for wrong in ["0", "0:", ":1", "0-1", "+0:1", "0:-1", "0: 1", "0:1,*", "0:1:2", "0:99999999999"] {
            assert_eq!(ThrottledReplicas::parse(wrong), None, "{wrong}");
        }
    }
}
