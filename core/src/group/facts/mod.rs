//! The facts of consumer groups as they lie in `__consumer_offsets`, in Kafka's own key and value formats.
//!
//! Keys begin with an int16 that names their kind: 0 and 1 a committed offset, 2 a classic group. Values begin with the
//! int16 of their schema version. Read are all versions that Kafka ever wrote; written are those that Kafka 4 writes.

mod codec;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::Fact;
use crate::time::Timestamp;
use codec::{Cut, Reader, Writer};

/// A name that many places hold: a group id, a member id.
pub(crate) type Id = Arc<str>;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const OFFSET_VALUE: i16 = 3;
/// The only version that carries an expiry of its own (OffsetCommit v2 to v4 with a retention time).
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE: i16 = 3;
const NEWEST_VALUE: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The committed offset of a group in a partition (`OffsetCommitKey`).
    Offset { group: String, topic: String, partition: i32 },
    /// A classic group (`GroupMetadataKey`).
    Group { group: String },
}

/// A committed offset (`OffsetCommitValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: String,
    /// When it was committed.
    pub committed: Timestamp,
    /// When it expires, if the client asked for a retention of its own.
    pub expires: Option<Timestamp>,
}

/// A classic group as the log knows it (`GroupMetadataValue`): the generation that was last synced, or emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredGroup {
    /// `consumer`, `connect`, ...; `None` for a group that never had a member.
    pub protocol_type: Option<String>,
    /// How often it was rebalanced.
    pub generation: i32,
    /// The protocol that the members agreed on.
    pub protocol: Option<String>,
    /// Member id of the leader.
    pub leader: Option<Id>,
    /// Since when it is in this state; `None` in values older than Kafka 2.1.
    pub since: Option<Timestamp>,
    /// By member id.
    pub members: BTreeMap<Id, StoredMember>,
}

/// One member of a stored group (`MemberMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMember {
    /// `group.instance.id` of a static member.
    pub instance: Option<Id>,
    /// `client.id` of its join request.
    pub client_id: String,
    /// Where it joined from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the group's protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

/// Why a fact cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Of a kind or version that this broker does not know: written by a newer one, or for another group type.
    Unknown(i16),
    /// Not what its version says it is.
    Malformed,
}

impl From<Cut> for Unreadable {
    fn from(_: Cut) -> Unreadable {
        Unreadable::Malformed
    }
}

/// The fact that a group has committed an offset.
pub(crate) fn offset_committed(group: &str, topic: &str, partition: i32, value: &Committed) -> Fact {
    let version = if value.expires.is_some() { OFFSET_VALUE_WITH_EXPIRY } else { OFFSET_VALUE };
    let mut w = Writer::new(version);
    w.i64(value.offset);
    if version >= 3 {
        w.i32(value.leader_epoch);
    }
    w.string(&value.metadata);
    w.i64(value.committed.0);
    if let Some(expires) = value.expires {
        w.i64(expires.0);
    }
    Fact { key: offset_key(group, topic, partition), value: Some(w.done()) }
}

/// The fact that a group has no committed offset in a partition any more.
pub(crate) fn offset_removed(group: &str, topic: &str, partition: i32) -> Fact {
    Fact { key: offset_key(group, topic, partition), value: None }
}

/// The fact that a group has this generation now.
pub(crate) fn group_stored(group: &str, value: &StoredGroup) -> Fact {
    let mut w = Writer::new(GROUP_VALUE);
    w.string(value.protocol_type.as_deref().unwrap_or(""));
    w.i32(value.generation);
    w.nullable_string(value.protocol.as_deref());
    w.nullable_string(value.leader.as_deref());
    w.i64(value.since.map_or(-1, |t| t.0));
    w.i32(value.members.len() as i32);
    for (id, member) in &value.members {
        w.string(id);
        w.nullable_string(member.instance.as_deref());
        w.string(&member.client_id);
        w.string(&member.client_host);
        w.i32(member.rebalance_timeout_ms);
        w.i32(member.session_timeout_ms);
        w.bytes(&member.subscription);
        w.bytes(&member.assignment);
    }
    Fact { key: group_key(group), value: Some(w.done()) }
}

/// The fact that a group is gone.
pub(crate) fn group_removed(group: &str) -> Fact {
    Fact { key: group_key(group), value: None }
}

/// What the key of a fact says.
pub(crate) fn read_key(bytes: &Bytes) -> Result<Key, Unreadable> {
    let mut r = Reader::new(bytes);
    match r.version()? {
        0 | OFFSET_KEY => Ok(Key::Offset { group: r.string()?, topic: r.string()?, partition: r.i32()? }),
        GROUP_KEY => Ok(Key::Group { group: r.string()? }),
        other => Err(Unreadable::Unknown(other)),
    }
}

/// What the value of an offset fact says.
pub(crate) fn read_committed(bytes: &Bytes) -> Result<Committed, Unreadable> {
    let (mut r, version) = open(bytes)?;
    let offset = r.i64()?;
    let leader_epoch = if version >= 3 { r.i32()? } else { -1 };
    let metadata = r.string()?;
    let committed = Timestamp(r.i64()?);
    let expires = if version == OFFSET_VALUE_WITH_EXPIRY { r.timestamp()? } else { None };
    Ok(Committed { offset, leader_epoch, metadata, committed, expires })
}

/// What the value of a group fact says.
pub(crate) fn read_group(bytes: &Bytes) -> Result<StoredGroup, Unreadable> {
    let (mut r, version) = open(bytes)?;
    let protocol_type = Some(r.string()?).filter(|t| !t.is_empty());
    let generation = r.i32()?;
    let protocol = r.nullable_string()?;
    let leader = r.nullable_string()?.map(Id::from);
    let since = if version >= 2 { r.timestamp()? } else { None };
    let mut members = BTreeMap::new();
    for _ in 0..r.count()? {
        let (id, member) = read_member(&mut r, version)?;
        members.insert(id, member);
    }
    Ok(StoredGroup { protocol_type, generation, protocol, leader, since, members })
}

fn read_member(r: &mut Reader, version: i16) -> Result<(Id, StoredMember), Unreadable> {
    let id = Id::from(r.string()?);
    let instance = if version >= 3 { r.nullable_string()?.map(Id::from) } else { None };
    let client_id = r.string()?;
    let client_host = r.string()?;
    let rebalance = if version >= 1 { r.i32()? } else { -1 };
    let session_timeout_ms = r.i32()?;
    let member = StoredMember {
        instance,
        client_id,
        client_host,
        rebalance_timeout_ms: if rebalance == -1 { session_timeout_ms } else { rebalance },
        session_timeout_ms,
        subscription: r.bytes()?,
        assignment: r.bytes()?,
    };
    r.end_of_struct()?;
    Ok((id, member))
}

fn open(bytes: &Bytes) -> Result<(Reader<'_>, i16), Unreadable> {
    let mut r = Reader::new(bytes);
    let version = r.version()?;
    if !(0..=NEWEST_VALUE).contains(&version) {
        return Err(Unreadable::Unknown(version));
    }
    r.set_flexible(version >= FIRST_FLEXIBLE);
    Ok((r, version))
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    let mut w = Writer::new(OFFSET_KEY);
    w.string(group);
    w.string(topic);
    w.i32(partition);
    w.done()
}

fn group_key(group: &str) -> Bytes {
    let mut w = Writer::new(GROUP_KEY);
    w.string(group);
    w.done()
}

#[cfg(test)]
mod tests;
