//! What a checker sees of a group. Nothing here changes anything, and no request is answered from it.

use bytes::Bytes;

use super::Groups;
use crate::ids::Offset;

/// A group as its coordinator sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its name.
    pub id: String,
    /// Where it stands, as Kafka spells it.
    pub state: &'static str,
    /// The generation.
    pub generation: i32,
    /// Its members, by member id.
    pub members: Vec<MemberView>,
    /// Its committed offsets.
    pub offsets: Vec<(String, i32, Offset)>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance: Option<String>,
    /// What the group's leader gave it in this generation: empty unless the group is stable.
    pub assignment: Bytes,
}

impl Groups {
    /// Every group of every shard that is led here, by shard and name.
    pub fn view(&self) -> Vec<GroupView> {
        let led = (0..self.shards.len() as i32).filter(|shard| self.leads(*shard));
        led.flat_map(|shard| self.shard(shard).groups.values()).map(group).collect()
    }
}

fn group(group: &super::state::Group) -> GroupView {
    let stored = group.stored.as_ref().filter(|s| s.generation == group.generation);
    let assignment = |id: &str| {
        let member = stored.and_then(|s| s.members.get(id));
        member.map(|m| m.assignment.clone()).unwrap_or_default()
    };
    let offsets = group.offsets.iter().flat_map(|(topic, of)| {
        of.iter().map(|(partition, committed)| (topic.clone(), *partition, Offset(committed.offset)))
    });
    GroupView {
        id: group.id.to_string(),
        state: group.state.name(),
        generation: group.generation,
        members: group
            .roster
            .members
            .iter()
            .map(|(id, member)| MemberView {
                id: id.to_string(),
                instance: member.instance.as_ref().map(ToString::to_string),
                assignment: assignment(id),
            })
            .collect(),
        offsets: offsets.collect(),
    }
}
