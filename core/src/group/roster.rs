//! Who is in a group: its members, what each can speak, who leads, and which ids wait to be used.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::facts::Id;
use super::turn::Parked;
use crate::wire::ErrorCode;

/// One member as the coordinator sees it now. Soft state: what is stored of it is in the group's last fact.
#[derive(Debug)]
pub(crate) struct Member {
    /// `group.instance.id` of a static member (KIP-345).
    pub instance: Option<Id>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// Name and metadata of each protocol it speaks, the one it likes best first.
    pub protocols: Vec<(String, Bytes)>,
    /// It has not finished a join yet, so it may not know its id: such a member expires even while it waits.
    pub is_new: bool,
    /// It has joined the coming generation.
    pub joining: Option<Parked>,
    /// It waits for its assignment.
    pub syncing: Option<Parked>,
    /// It has not asked for its assignment of this generation yet.
    pub owes_sync: bool,
}

impl Member {
    /// Its metadata for a protocol, if it speaks it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol).map(|(_, metadata)| metadata)
    }

    /// Whether it waits for the coordinator, so that its silence proves nothing (`hasSatisfiedHeartbeat`).
    pub(crate) fn waits(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }
}

/// The membership of one group (the sets and maps of Kafka's `ClassicGroup`).
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// By member id.
    pub members: BTreeMap<Id, Member>,
    /// Member ids that were given out and not used yet.
    pub pending: BTreeSet<Id>,
    /// What the members are: `consumer`, `connect`, ... Kept when the last one leaves.
    pub protocol_type: Option<String>,
    pub leader: Option<Id>,
    statics: BTreeMap<Id, Id>,
}

impl Roster {
    /// Takes a member in. The first one of all leads.
    pub(crate) fn add(&mut self, id: Id, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        assert_eq!(self.protocol_type.as_deref(), Some(protocol_type), "checked before a member is let in");
        if let Some(instance) = &member.instance {
            let before = self.statics.insert(instance.clone(), id.clone());
            assert!(before.is_none(), "a static member is replaced, not added twice");
        }
        self.pending.remove(&id);
        self.leader.get_or_insert_with(|| id.clone());
        let before = self.members.insert(id, member);
        assert!(before.is_none(), "member ids are given out once");
    }

    /// Takes a member out. If it led, another leads.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Gives a static member a new id, and with it its place.
    pub(crate) fn rename(&mut self, old: &str, new: &Id) {
        let member = self.members.remove(old).expect("a static member's id names a member");
        let instance = member.instance.clone().expect("only static members are renamed");
        self.statics.insert(instance, new.clone());
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        self.members.insert(new.clone(), member);
    }

    /// The member id of a static member.
    pub(crate) fn of_instance(&self, instance: &str) -> Option<&Id> {
        self.statics.get(instance)
    }

    pub(crate) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Whether that member is who it says it is (`ClassicGroup.validateMember`).
    pub(crate) fn check(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.of_instance(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(known) if **known != *id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// Whether someone who speaks these protocols shares one with all members.
    pub(crate) fn shares(&self, protocols: &[(String, Bytes)]) -> bool {
        protocols.iter().any(|(name, _)| self.members.values().all(|m| m.speaks(name)))
    }

    /// The protocol for the next generation: among those that all members speak the one that most like best. Of equals
    /// the first by name, so that every run chooses alike (Kafka leaves it to its hash map).
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let names = first.protocols.iter().map(|(name, _)| name.as_str());
        let shared: BTreeSet<&str> =
            names.filter(|name| self.members.values().all(|m| m.speaks(name))).collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let best = member.protocols.iter().map(|(name, _)| name.as_str()).find(|n| shared.contains(n));
            if let Some(best) = best {
                *votes.entry(best).or_default() += 1;
            }
        }
        let most = votes.values().max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).to_owned())
    }

    /// Whether nobody is left to wait for.
    pub(crate) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some())
    }

    /// How many have joined the coming generation.
    pub(crate) fn joined(&self) -> usize {
        self.members.values().filter(|m| m.joining.is_some()).count()
    }

    /// How long a rebalance waits: as long as the slowest member asks for.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Bytes that the members will need in the group's fact, before any assignment. Never too few.
    pub(crate) fn fact_bytes(&self) -> usize {
        self.members.iter().map(|(id, m)| member_bytes(id, m)).sum()
    }
}

/// Bytes that a member needs in the group's fact, with the largest of its metadata.
pub(crate) fn member_bytes(id: &str, member: &Member) -> usize {
    let names = id.len() + member.instance.as_ref().map_or(0, |i| i.len());
    let client = member.client_id.len() + member.client_host.len();
    let metadata = member.protocols.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    // Four length prefixes of strings, two of bytes, two timeouts.
    names + client + metadata + 4 * 2 + 2 * 4 + 2 * 4
}
