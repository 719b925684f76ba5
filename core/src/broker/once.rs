//! Requests that name the same thing again and again: everything is answered once, so that an answer is never larger than
//! what there is to tell. A frame of 8 MiB could otherwise ask for one large topic two million times.

use std::collections::BTreeSet;

use crate::wire::Request;

/// Keeps the first of everything that a request names.
pub(super) fn once(request: &mut Request) {
    match request {
        Request::Metadata(r) => {
            if let Some(topics) = &mut r.topics {
                keep_first(topics, |t| (t.topic_id, t.name.clone()));
            }
        }
        Request::DescribeConfigs(r) => {
            keep_first(&mut r.resources, |c| (c.resource_type, c.resource_name.clone()))
        }
        Request::DescribeGroups(r) => keep_first(&mut r.groups, String::clone),
        Request::DescribeProducers(r) => {
            keep_first(&mut r.topics, |t| t.name.clone());
            r.topics.iter_mut().for_each(|t| keep_first(&mut t.partition_indexes, |p| *p));
        }
        Request::DescribeQuorum(r) => {
            keep_first(&mut r.topics, |t| t.topic_name.clone());
            r.topics.iter_mut().for_each(|t| keep_first(&mut t.partitions, |p| p.partition_index));
        }
        Request::OffsetFetch(r) => {
            keep_first(&mut r.groups, |g| g.group_id.clone());
            for topics in r.groups.iter_mut().filter_map(|g| g.topics.as_mut()) {
                keep_first(topics, |t| t.name.clone());
                topics.iter_mut().for_each(|t| keep_first(&mut t.partition_indexes, |p| *p));
            }
        }
        _ => {}
    }
}

/// Keeps the first of what has the same key.
pub(super) fn keep_first<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    list.retain(|item| seen.insert(key(item)));
}

/// The keys that come more than once.
pub(super) fn repeated<K: Ord + Clone>(keys: impl Iterator<Item = K>) -> BTreeSet<K> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| !seen.insert(key.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::describe_groups::DescribeGroupsRequest;
    use crate::wire::messages::offset_fetch::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
    };

    #[test]
    fn what_is_named_again_is_answered_once_and_in_order() {
        let groups = ["b", "a", "b", "a"].map(String::from).to_vec();
        let mut request = Request::from(DescribeGroupsRequest { groups, ..Default::default() });
        once(&mut request);
        let Request::DescribeGroups(r) = request else { panic!() };
        assert_eq!(r.groups, ["b", "a"]);
    }

    #[test]
    fn offsets_are_told_once_a_partition() {
        let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![1, 0, 1, 1] };
        let group =
            OffsetFetchRequestGroup { topics: Some(vec![topic.clone(), topic]), ..Default::default() };
        let mut request =
            Request::from(OffsetFetchRequest { groups: vec![group.clone(), group], ..Default::default() });
        once(&mut request);
        let Request::OffsetFetch(r) = request else { panic!() };
        let topics = r.groups[0].topics.as_ref().unwrap();
        assert_eq!((r.groups.len(), topics.len(), &topics[0].partition_indexes), (1, 1, &vec![1, 0]));
    }
}
