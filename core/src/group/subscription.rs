//! The one thing that the coordinator reads out of members' metadata: the topics that a consumer subscribes to.

use std::collections::BTreeSet;

use bytes::Buf;

use super::roster::Roster;

/// The protocol type of Kafka's consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// The topics of a consumer's metadata; `None` when it cannot be read. Every version of the format begins with version 0
/// of it, and no more than that is read (`ConsumerProtocol.deserializeConsumerProtocolSubscription`).
pub(crate) fn topics(metadata: &[u8]) -> Option<BTreeSet<&str>> {
    let mut rest = metadata;
    let version = rest.try_get_i16().ok()?;
    let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    let mut topics = BTreeSet::new();
    if version < 0 || count > rest.len() {
        return None;
    }
    for _ in 0..count {
        let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?);
        rest = after;
    }
    Some(topics)
}

/// All topics that a group of consumers subscribes to; `None` when that is unknown: for other protocol types, before the
/// protocol is chosen, or when a member's metadata is unreadable (`ClassicGroup.computeSubscribedTopics`).
pub(crate) fn of_group<'a>(roster: &'a Roster, protocol: Option<&str>) -> Option<BTreeSet<&'a str>> {
    if roster.protocol_type.as_deref() != Some(CONSUMER) {
        return None;
    }
    let mut all = BTreeSet::new();
    for member in roster.members.values() {
        all.extend(topics(member.metadata(protocol)?)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_from_any_version_and_what_follows_is_ignored() {
        for version in [0u8, 1, 3] {
            let bytes = [&[0, version][..], b"\0\0\0\x02\0\x01a\0\x02bb\xff\xff\xff\xff rest"].concat();
            assert_eq!(topics(&bytes), Some(BTreeSet::from(["a", "bb"])));
        }
    }

    #[test]
    fn damaged_metadata_is_unknown_not_empty() {
        let whole = b"\0\x01\0\0\0\x02\0\x01a\0\x02bb";
        for at in 0..whole.len() {
            assert_eq!(topics(&whole[..at]), None, "cut at {at}");
        }
        assert_eq!(topics(b"\0\x01\xff\xff\xff\xff"), None);
        assert_eq!(topics(b"\0\x01\x7f\xff\xff\xff\0\x01a"), None);
        assert_eq!(topics(b"\0\x01\0\0\0\x01\0\x01\xff"), None);
    }
}
