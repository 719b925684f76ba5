//! A group as people want to see it: its members, what each reads, how far it is and how far behind.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::client::{Target, TopicPartition};
use quipu_core::wire::ErrorCode;
use quipu_core::wire::consumer_protocol::decode_assignment;
use quipu_core::wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use quipu_core::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use serde_json::{Value, json};

use super::offsets::{END, Offsets, offsets, questions};
use super::remote::{Cluster, Failed, told};
use super::table::table;

/// A group.
#[derive(Debug)]
pub(crate) struct GroupView {
    pub(crate) group: DescribedGroup,
    /// Committed offsets.
    pub(crate) committed: BTreeMap<TopicPartition, i64>,
    /// Ends of the partitions that are committed or assigned.
    ends: Offsets,
    /// Who reads what: index into the members.
    readers: BTreeMap<TopicPartition, usize>,
}

/// What ListOffsets and DescribeGroups call a group that does not exist.
const DEAD: &str = "Dead";

impl GroupView {
    /// Looks at a group that exists: with members, or with offsets.
    pub(crate) async fn look(cluster: &Cluster, group: &str) -> Result<GroupView, Failed> {
        let described = describe(cluster, group).await?;
        let committed = committed(cluster, group).await?;
        if described.group_state == DEAD && committed.is_empty() {
            return Err(Failed::one(format!(
                "there is no group {group}; `quipu group list` shows those there are"
            )));
        }
        let readers = readers(&described);
        let topics: BTreeSet<String> =
            committed.keys().chain(readers.keys()).map(|of| of.topic.to_string()).collect();
        let ends = ends(cluster, &topics.into_iter().collect::<Vec<_>>()).await?;
        Ok(GroupView { group: described, committed, ends, readers })
    }

    /// Whether nobody is in it, so that its offsets may be moved.
    pub(crate) fn is_empty(&self) -> bool {
        self.group.members.is_empty()
    }

    fn partitions(&self) -> BTreeSet<&TopicPartition> {
        self.committed.keys().chain(self.readers.keys()).collect()
    }

    fn end(&self, of: &TopicPartition) -> Option<i64> {
        self.ends.get(of).and_then(|found| found.ok())
    }

    fn lag(&self, of: &TopicPartition) -> Option<i64> {
        Some((self.end(of)? - self.committed.get(of)?).max(0))
    }

    fn reader(&self, of: &TopicPartition) -> Option<&DescribedGroupMember> {
        self.readers.get(of).and_then(|i| self.group.members.get(*i))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let group = &self.group;
        let protocol = if group.protocol_data.is_empty() { "-" } else { &group.protocol_data };
        let mut out = format!(
            "group {}  state {}  members {}  assignor {protocol}\n",
            group.group_id,
            group.group_state,
            group.members.len()
        );
        let number = |n: Option<i64>| n.map_or("-".to_string(), |n| n.to_string());
        let row = |of: &TopicPartition| {
            let reader = self.reader(of);
            let said =
                |text: fn(&DescribedGroupMember) -> &String| reader.map_or("-".into(), |m| text(m).clone());
            vec![
                of.topic.to_string(),
                of.partition.to_string(),
                number(self.committed.get(of).copied()),
                number(self.end(of)),
                number(self.lag(of)),
                said(|m| &m.member_id),
                said(|m| &m.client_host),
            ]
        };
        let rows: Vec<Vec<String>> = self.partitions().into_iter().map(row).collect();
        out += &table(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "HOST"], &rows);
        for (i, member) in group.members.iter().enumerate() {
            if !self.readers.values().any(|reader| *reader == i) {
                out.push_str(&format!(
                    "member {} at {} reads nothing\n",
                    member.member_id, member.client_host
                ));
            }
        }
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let partition = |of: &TopicPartition| {
            json!({"topic": &*of.topic, "partition": of.partition, "committed": self.committed.get(of),
                "end": self.end(of), "lag": self.lag(of), "member": self.reader(of).map(|m| &m.member_id)})
        };
        let member = |m: &DescribedGroupMember| {
            json!({"member": m.member_id, "client_id": m.client_id, "host": m.client_host,
                "instance": m.group_instance_id})
        };
        json!({"group": self.group.group_id, "state": self.group.group_state, "assignor": self.group.protocol_data,
            "members": self.group.members.iter().map(member).collect::<Vec<_>>(),
            "partitions": self.partitions().into_iter().map(partition).collect::<Vec<_>>()})
    }
}

async fn describe(cluster: &Cluster, group: &str) -> Result<DescribedGroup, Failed> {
    let request = DescribeGroupsRequest { groups: vec![group.to_string()], ..Default::default() };
    let r: DescribeGroupsResponse = cluster.ask(Target::Group(group.to_string()), request).await?;
    let found = r.groups.into_iter().find(|g| g.group_id == group);
    match found {
        // From version 6 on a group that is not there is an error, before that it is a dead group.
        Some(g) if g.error_code == ErrorCode::GROUP_ID_NOT_FOUND => {
            Ok(DescribedGroup { error_code: ErrorCode::NONE, group_state: DEAD.into(), ..g })
        }
        Some(g) if g.error_code.is_err() => {
            Err(Failed::one(format!("group {group}: {}", told(g.error_code, g.error_message.as_deref()))))
        }
        Some(g) => Ok(g),
        None => Err(Failed::one(format!("the broker says nothing about group {group}"))),
    }
}

/// The committed offsets of a group.
async fn committed(cluster: &Cluster, group: &str) -> Result<BTreeMap<TopicPartition, i64>, Failed> {
    let asked = OffsetFetchRequestGroup { group_id: group.to_string(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
    let r: OffsetFetchResponse = cluster.ask(Target::Group(group.to_string()), request).await?;
    let mut committed = BTreeMap::new();
    for found in r.groups {
        if found.error_code.is_err() && found.error_code != ErrorCode::GROUP_ID_NOT_FOUND {
            return Err(Failed::one(format!("offsets of group {group}: {}", told(found.error_code, None))));
        }
        for topic in found.topics {
            for part in topic.partitions.iter().filter(|p| p.committed_offset >= 0) {
                committed.insert(
                    TopicPartition::new(topic.name.as_str(), part.partition_index),
                    part.committed_offset,
                );
            }
        }
    }
    Ok(committed)
}

/// Who reads what, as far as members speak the protocol of consumers.
fn readers(group: &DescribedGroup) -> BTreeMap<TopicPartition, usize> {
    let mut readers = BTreeMap::new();
    if group.protocol_type != "consumer" {
        return readers;
    }
    for (i, member) in group.members.iter().enumerate() {
        let Ok((_, assignment)) = decode_assignment(&member.member_assignment) else { continue };
        for topic in assignment.assigned_partitions {
            let of = |p: i32| TopicPartition::new(topic.topic.as_str(), p);
            readers.extend(topic.partitions.iter().map(|p| (of(*p), i)));
        }
    }
    readers
}

async fn ends(cluster: &Cluster, topics: &[String]) -> Result<Offsets, Failed> {
    if topics.is_empty() {
        return Ok(Offsets::new());
    }
    let r = cluster.metadata(Some(topics)).await?;
    let asked: Vec<_> = r.topics.iter().flat_map(|t| questions(t, END).0).collect();
    offsets(cluster, &asked).await
}
