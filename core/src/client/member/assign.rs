//! Who reads what: the assignors that the leader of a group may be told to use, as in Kafka's Java client.

use std::collections::{BTreeMap, BTreeSet};

/// An assignor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each topic's partitions in ranges, to members in order (Kafka: `RangeAssignor`).
    Range,
    /// All partitions of all topics in turn (Kafka: `RoundRobinAssignor`).
    RoundRobin,
}

impl Strategy {
    /// The name members know it by.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Range => "range",
            Strategy::RoundRobin => "roundrobin",
        }
    }

    /// The assignor with that name.
    pub fn named(name: &str) -> Option<Strategy> {
        [Strategy::Range, Strategy::RoundRobin].into_iter().find(|s| s.name() == name)
    }
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    /// Its id.
    pub(crate) member: String,
    /// The name of a static member: it stays where it is in the order when its id changes.
    pub(crate) instance: Option<String>,
    /// What it wants to read.
    pub(crate) topics: BTreeSet<String>,
}

/// Partitions by topic.
pub(crate) type Share = BTreeMap<String, Vec<i32>>;

/// Every member's share. Every partition goes to exactly one member that wants its topic, if there is any.
pub(crate) fn assign(
    strategy: Strategy,
    mut members: Vec<Subscriber>,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> BTreeMap<String, Share> {
    // Static members come first and in order of their names, so that a restart changes nothing (KIP-345).
    members.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut shares: BTreeMap<String, Share> =
        members.iter().map(|m| (m.member.clone(), Share::new())).collect();
    match strategy {
        Strategy::Range => range(&members, partitions, &mut shares),
        Strategy::RoundRobin => round_robin(&members, partitions, &mut shares),
    }
    shares
}

fn order(m: &Subscriber) -> (bool, &str, &str) {
    (m.instance.is_none(), m.instance.as_deref().unwrap_or(""), &m.member)
}

fn range(
    members: &[Subscriber],
    partitions: &BTreeMap<String, Vec<i32>>,
    shares: &mut BTreeMap<String, Share>,
) {
    for (topic, all) in partitions {
        let wanting: Vec<&Subscriber> = members.iter().filter(|m| m.topics.contains(topic)).collect();
        if wanting.is_empty() {
            continue;
        }
        let (each, more) = (all.len() / wanting.len(), all.len() % wanting.len());
        let mut rest = all.as_slice();
        for (i, member) in wanting.iter().enumerate() {
            let (mine, others) = rest.split_at(each + usize::from(i < more));
            rest = others;
            if !mine.is_empty()
                && let Some(share) = shares.get_mut(&member.member)
            {
                share.insert(topic.clone(), mine.to_vec());
            }
        }
    }
}

fn round_robin(
    members: &[Subscriber],
    partitions: &BTreeMap<String, Vec<i32>>,
    shares: &mut BTreeMap<String, Share>,
) {
    let mut turn = 0;
    for (topic, all) in partitions {
        for partition in all {
            let wanting = (0..members.len()).map(|i| (turn + i) % members.len());
            let Some(next) = wanting.into_iter().find(|i| members[*i].topics.contains(topic)) else {
                continue;
            };
            turn = (next + 1) % members.len();
            if let Some(share) = shares.get_mut(&members[next].member) {
                share.entry(topic.clone()).or_default().push(*partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Subscriber {
        let topics = topics.iter().map(|t| t.to_string()).collect();
        Subscriber { member: id.into(), instance: None, topics }
    }

    fn shown(shares: &BTreeMap<String, Share>) -> Vec<String> {
        let share = |s: &Share| s.iter().map(|(t, p)| format!("{t}{p:?}")).collect::<Vec<_>>().join(" ");
        shares.iter().map(|(m, s)| format!("{m}: {}", share(s))).collect()
    }

    fn two_topics() -> BTreeMap<String, Vec<i32>> {
        [("t0".to_string(), vec![0, 1, 2]), ("t1".to_string(), vec![0, 1, 2])].into_iter().collect()
    }

    #[test]
    fn range_gives_the_first_members_of_each_topic_one_more() {
        let members = vec![member("c1", &["t0", "t1"]), member("c0", &["t0", "t1"])];
        let shares = assign(Strategy::Range, members, &two_topics());
        assert_eq!(shown(&shares), ["c0: t0[0, 1] t1[0, 1]", "c1: t0[2] t1[2]"]);
    }

    #[test]
    fn round_robin_deals_all_partitions_in_turn() {
        let members = vec![member("c0", &["t0", "t1"]), member("c1", &["t0", "t1"])];
        let shares = assign(Strategy::RoundRobin, members, &two_topics());
        assert_eq!(shown(&shares), ["c0: t0[0, 2] t1[1]", "c1: t0[1] t1[0, 2]"]);
    }

    #[test]
    fn a_member_gets_only_topics_it_wants_and_each_partition_has_one_reader() {
        for strategy in [Strategy::Range, Strategy::RoundRobin] {
            let members = vec![member("a", &["t0"]), member("b", &["t0", "t1"]), member("c", &[])];
            let shares = assign(strategy, members, &two_topics());
            assert_eq!(shares["b"]["t1"], [0, 1, 2]);
            assert!(shares["c"].is_empty() && !shares["a"].contains_key("t1"));
            let mut t0: Vec<i32> = shares.values().filter_map(|s| s.get("t0")).flatten().copied().collect();
            t0.sort_unstable();
            assert_eq!(t0, [0, 1, 2]);
        }
    }

    #[test]
    fn a_static_member_keeps_its_place_under_a_new_member_id() {
        let named = |id: &str, name: &str| Subscriber { instance: Some(name.into()), ..member(id, &["t0"]) };
        let before = assign(Strategy::Range, vec![named("x-1", "a"), named("b-1", "b")], &two_topics());
        let after = assign(Strategy::Range, vec![named("a-2", "a"), named("b-1", "b")], &two_topics());
        assert_eq!(before["x-1"], after["a-2"]);
        assert_eq!(before["b-1"], after["b-1"]);
    }
}
