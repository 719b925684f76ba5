//! What is wrong with a cluster: its partitions, its brokers, the voters of its metadata quorum.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use quipu_core::wire::messages::describe_quorum::ReplicaState;
use quipu_core::wire::messages::metadata::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};

use super::cluster_view::{BrokerView, ClusterView, QuorumView, first};
use super::remote::{Answer, Cluster, Failed, told, words};
use super::table::list;

/// A voter that has fetched nothing for so long, or was never level with the leader for so long, is not well. Followers of Quipu and
/// of Kafka fetch at least every half second to a second.
const PATIENCE_MS: i64 = 10_000;
/// Topics whose configs are asked for at once.
const TOPICS_AT_ONCE: usize = 500;
/// The resource type of topics.
const TOPIC: i8 = 2;
/// How many replicas must be in sync for a write with acks=all.
const MIN_INSYNC: &str = "min.insync.replicas";

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it makes the cluster unhealthy; else it is a note.
    pub(crate) bad: bool,
    /// For programs: what it is.
    pub(crate) kind: &'static str,
    /// The partitions that it is about.
    pub(crate) partitions: Vec<(String, i32)>,
    /// The brokers or voters that it is about.
    pub(crate) nodes: Vec<i32>,
    /// For people.
    pub(crate) text: String,
}

/// What was found, the quorum's first, then the brokers', then the partitions'.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) findings: Vec<Finding>,
    /// All in one line.
    pub(crate) verdict: String,
}

/// `min.insync.replicas` by topic; a topic that is missing here does not tell it.
pub(crate) type Required = BTreeMap<String, i32>;

fn bad(kind: &'static str, nodes: Vec<i32>, text: impl Into<String>) -> Finding {
    Finding { bad: true, kind, partitions: Vec::new(), nodes, text: text.into() }
}

fn note(kind: &'static str, nodes: Vec<i32>, text: impl Into<String>) -> Finding {
    Finding { bad: false, ..bad(kind, nodes, text) }
}

/// Asks how many replicas of each topic must be in sync.
pub(crate) async fn configs(cluster: &Cluster, metadata: &MetadataResponse) -> Result<Required, Failed> {
    let names: Vec<&String> = metadata.topics.iter().filter_map(|t| t.name.as_ref()).collect();
    let resource = |name: &&String| DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: name.to_string(),
        configuration_keys: Some(vec![MIN_INSYNC.into()]),
    };
    let mut required = Required::new();
    for some in names.chunks(TOPICS_AT_ONCE) {
        let resources = some.iter().map(resource).collect();
        let request = DescribeConfigsRequest { resources, ..Default::default() };
        let answer = first(cluster, metadata, request).await.map_err(|e| Failed::one(words(&e)))?;
        let r: Option<DescribeConfigsResponse> = answer.into_answer();
        let r = r.ok_or_else(|| Failed::one("the broker answered something else than was asked"))?;
        for topic in r.results.into_iter().filter(|topic| topic.error_code.is_none()) {
            let value = topic.configs.iter().find(|c| c.name == MIN_INSYNC).and_then(|c| c.value.clone());
            required.extend(value.and_then(|v| v.parse().ok()).map(|n: i32| (topic.resource_name, n)));
        }
    }
    Ok(required)
}

impl Health {
    /// Judges what the cluster tells of itself.
    pub(crate) fn of(view: &ClusterView, metadata: &MetadataResponse, required: &Required) -> Health {
        let mut findings = match &view.quorum {
            Ok(quorum) => of_quorum(quorum),
            Err(none) if none.unsupported => {
                vec![note("quorum_unknown", Vec::new(), format!("the metadata quorum: {}", none.why))]
            }
            Err(none) => {
                vec![bad("quorum_unknown", Vec::new(), format!("the metadata quorum: {}", none.why))]
            }
        };
        findings.extend(of_brokers(view, metadata));
        findings.extend(metadata.topics.iter().flat_map(|t| of_topic(t, required)));
        findings.extend(unled(metadata));
        let problems = findings.iter().filter(|f| f.bad).count();
        let partitions: usize = metadata.topics.iter().map(|t| t.partitions.len()).sum();
        let there = view.brokers.iter().filter(|broker| !broker.fenced).count();
        let seen = format!("{there} brokers, {partitions} partitions");
        let verdict = match problems {
            0 => format!("healthy: {seen}"),
            1 => format!("unhealthy: 1 problem; {seen}"),
            _ => format!("unhealthy: {problems} problems; {seen}"),
        };
        Health { findings, verdict }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_well(&self) -> bool {
        self.findings.iter().all(|f| !f.bad)
    }
}

fn of_quorum(quorum: &QuorumView) -> Vec<Finding> {
    let (leader, epoch) = (quorum.state.leader_id, quorum.state.leader_epoch);
    let voters = &quorum.state.current_voters;
    let others = voters.iter().filter(|v| v.replica_id != leader);
    let mut findings: Vec<Finding> = others.filter_map(|v| of_voter(quorum, v)).collect();
    let well = voters.len() - findings.len();
    if well < voters.len() {
        let needed = voters.len() / 2 + 1;
        let text = format!(
            "metadata quorum led by {leader} in epoch {epoch}: {well} of {} voters keep up, {needed} are needed",
            voters.len()
        );
        findings.push(note("quorum_margin", Vec::new(), text));
    }
    findings
}

/// What is wrong with a voter that does not lead.
fn of_voter(quorum: &QuorumView, voter: &ReplicaState) -> Option<Finding> {
    let (id, leader) = (voter.replica_id, quorum.state.leader_id);
    let Some(lag) = quorum.lag(voter) else {
        let text = format!(
            "voter {id} has fetched nothing since {leader} leads the metadata quorum: it is down, cannot reach {leader}, or \
             lost its data directory"
        );
        return Some(bad("voter_silent", vec![id], text));
    };
    let long_ago = |at: i64| quorum.age_ms(at).filter(|ms| *ms > PATIENCE_MS);
    if let Some(ms) = long_ago(voter.last_fetch_timestamp) {
        let text = format!(
            "voter {id} has not fetched from {leader} for {} s: it is down or cut off; it lacks {lag} records of metadata",
            ms / 1000
        );
        return Some(bad("voter_silent", vec![id], text));
    }
    // The oldest protocol tells no times.
    let tells_times = quorum.age_ms(voter.last_fetch_timestamp).is_some();
    let never = tells_times && voter.last_caught_up_timestamp < 0;
    let since = long_ago(voter.last_caught_up_timestamp).map(|ms| format!(" for {} s", ms / 1000));
    if lag == 0 || (since.is_none() && !never) {
        return None;
    }
    let since = since.unwrap_or_else(|| " since it is back".into());
    let text =
        format!("voter {id} has not caught up with {leader}{since}: it lacks {lag} records of metadata");
    Some(bad("voter_lags", vec![id], text))
}

/// Brokers that take no part, although partitions should be on them.
fn of_brokers(view: &ClusterView, metadata: &MetadataResponse) -> Vec<Finding> {
    let mut kept: BTreeMap<i32, Vec<(String, i32)>> = BTreeMap::new();
    for (topic, partition) in partitions(metadata) {
        let of = (topic.to_string(), partition.partition_index);
        partition.replica_nodes.iter().for_each(|id| kept.entry(*id).or_default().push(of.clone()));
    }
    let known: BTreeMap<i32, &BrokerView> = view.brokers.iter().map(|b| (b.id, b)).collect();
    let gone = |id: &i32| known.get(id).is_none_or(|b| b.fenced);
    let fenced = view.brokers.iter().map(|b| b.id);
    let gone: BTreeSet<i32> = kept.keys().copied().chain(fenced).filter(gone).collect();
    let finding = |id: i32| {
        let partitions = kept.get(&id).cloned().unwrap_or_default();
        let who = match known.get(&id) {
            Some(b) => {
                format!("broker {id} ({}) takes no part: it is down, starting, or cut off", b.address())
            }
            None => format!("broker {id} is missing: it is down or cut off, or not in the cluster any more"),
        };
        match partitions.len() {
            0 => note("broker_missing", vec![id], format!("{who}; nothing is kept there")),
            n => Finding {
                partitions,
                ..bad("broker_missing", vec![id], format!("{who}; replicas of {n} partitions are there"))
            },
        }
    };
    gone.into_iter().map(finding).collect()
}

fn partitions(metadata: &MetadataResponse) -> impl Iterator<Item = (&str, &MetadataResponsePartition)> {
    let of = |t: &MetadataResponseTopic| t.name.is_some();
    let topics = metadata.topics.iter().filter(move |t| of(t));
    topics.flat_map(|t| t.partitions.iter().map(|p| (t.name.as_deref().unwrap_or_default(), p)))
}

fn of_topic(topic: &MetadataResponseTopic, required: &Required) -> Vec<Finding> {
    let name = topic.name.as_deref().unwrap_or_default();
    if topic.error_code.is_err() {
        let text = format!("topic {name}: {}", told(topic.error_code, None));
        return vec![bad("topic_error", Vec::new(), text)];
    }
    let mut partitions: Vec<_> = topic.partitions.iter().collect();
    partitions.sort_by_key(|p| p.partition_index);
    let needed = required.get(name).copied();
    partitions.into_iter().filter_map(|p| of_partition(name, p, needed)).collect()
}

/// The worst that is wrong with a partition.
fn of_partition(topic: &str, p: &MetadataResponsePartition, needed: Option<i32>) -> Option<Finding> {
    let missing: Vec<i32> = p.replica_nodes.iter().copied().filter(|id| !p.isr_nodes.contains(id)).collect();
    let in_sync = p.isr_nodes.len() as i32;
    let of = format!("{topic}-{}", p.partition_index);
    let (all, isr) = (list(&p.replica_nodes), list(&p.isr_nodes));
    let lacks = format!("not in sync: {}; in sync: {isr}; replicas: {all}", list(&missing));
    let finding = |kind, text: String| {
        let partitions = vec![(topic.to_string(), p.partition_index)];
        Some(Finding { partitions, ..bad(kind, missing.clone(), format!("{of}: {text}")) })
    };
    if p.leader_id < 0 {
        let text = match in_sync {
            0 => format!("no leader, and none of its replicas {all} is in sync"),
            _ => format!("no leader; the first of {isr} that is back leads it; replicas: {all}"),
        };
        return finding("no_leader", format!("{text}: it cannot be read or written"));
    }
    if let Some(needed) = needed.filter(|needed| in_sync < *needed) {
        let few = "writes with acks=all are refused";
        let text = match missing.is_empty() {
            true => format!("it has {in_sync} replicas, and {MIN_INSYNC} is {needed}: {few}"),
            false => format!("under {MIN_INSYNC}, {in_sync} of {needed}: {few}; {lacks}"),
        };
        return finding("under_min_isr", text);
    }
    if !missing.is_empty() {
        return finding("under_replicated", format!("under-replicated; {lacks}"));
    }
    None
}

/// Partitions whose preferred leader is in sync and does not lead: a note for each such broker, of the load that it does not carry.
fn unled(metadata: &MetadataResponse) -> Vec<Finding> {
    let mut waiting: BTreeMap<i32, Vec<(String, i32)>> = BTreeMap::new();
    for (topic, p) in partitions(metadata).filter(|(_, p)| p.leader_id >= 0) {
        let preferred = p.replica_nodes.first().filter(|id| p.isr_nodes.contains(id));
        if let Some(id) = preferred.filter(|id| **id != p.leader_id) {
            waiting.entry(*id).or_default().push((topic.to_string(), p.partition_index));
        }
    }
    let finding = |(id, mut partitions): (i32, Vec<(String, i32)>)| {
        partitions.sort();
        let names: Vec<String> = partitions.iter().map(|(topic, p)| format!("{topic}-{p}")).collect();
        let names = names.join(", ");
        let text = format!("broker {id} is in sync and preferred as their leader, and others lead: {names}");
        Finding { partitions, ..note("not_preferred_leader", vec![id], text) }
    };
    waiting.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests;
