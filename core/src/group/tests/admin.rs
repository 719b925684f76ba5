//! What administrators see of groups, and how they delete one.

use super::*;
use crate::wire::messages::delete_groups::DeleteGroupsRequest;
use crate::wire::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use crate::wire::messages::list_groups::ListGroupsRequest;

fn describe(w: &mut World, version: i16, group: &str, operations: bool) -> DescribedGroup {
    let number = w.ask_in(
        version,
        DescribeGroupsRequest { groups: vec![group.into()], include_authorized_operations: operations },
    );
    match w.answer(number) {
        Response::DescribeGroups(r) => r.groups[0].clone(),
        other => panic!("{other:?}"),
    }
}

fn delete(w: &mut World, groups: &[&str]) -> Vec<ErrorCode> {
    let groups_names = groups.iter().map(|g| (*g).to_owned()).collect();
    let number = w.ask(DeleteGroupsRequest { groups_names });
    match w.answer(number) {
        Response::DeleteGroups(r) => r.results.iter().map(|g| g.error_code).collect(),
        other => panic!("{other:?}"),
    }
}

fn list(w: &mut World, states: &[&str], types: &[&str]) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|s| (*s).to_owned()).collect();
    let number = w.ask(ListGroupsRequest { states_filter: own(states), types_filter: own(types) });
    match w.answer(number) {
        Response::ListGroups(r) => {
            assert!(r.groups.iter().all(|g| g.group_type == "Classic"));
            r.groups.iter().map(|g| format!("{} {} {}", g.group_id, g.protocol_type, g.group_state)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stable_group_is_described_with_metadata_and_assignments_and_another_without() {
    let mut w = World::quick();
    let (id, _) = w.stable("g");
    let stable = describe(&mut w, 6, "g", true);
    assert_eq!((stable.group_state.as_str(), stable.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!((stable.protocol_type.as_str(), stable.authorized_operations), ("consumer", 328));
    let member = &stable.members[0];
    assert_eq!((&member.member_id, member.client_id.as_str(), member.client_host.as_str()), (&id, "c", "/h"));
    assert_eq!(
        (&member.member_metadata, &member.member_assignment[..]),
        (&subscription(&["t"]), &b"all"[..])
    );
    w.enter("g");
    let joining = describe(&mut w, 6, "g", false);
    assert_eq!((joining.group_state.as_str(), joining.protocol_data.as_str()), ("PreparingRebalance", ""));
    assert_eq!((joining.members.len(), joining.authorized_operations), (2, i32::MIN));
    assert!(joining.members.iter().all(|m| m.member_metadata.is_empty() && m.member_assignment.is_empty()));
}

#[test]
fn a_group_that_is_not_there_is_dead_and_since_v6_also_an_error() {
    let mut w = World::quick();
    let old = describe(&mut w, 5, "none", false);
    assert_eq!((old.group_state.as_str(), old.error_code), ("Dead", ErrorCode::NONE));
    let new = describe(&mut w, 6, "none", false);
    assert_eq!((new.group_state.as_str(), new.error_code), ("Dead", ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(new.error_message.as_deref(), Some("Group none not found."));
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case() {
    let mut w =
        World::with_shards(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() }, 5);
    w.stable("busy");
    w.commit("simple", "", -1);
    let mut all = list(&mut w, &[], &[]);
    all.sort();
    assert_eq!(all, ["busy consumer Stable", "simple  Empty"]);
    assert_eq!(list(&mut w, &["sTaBlE", "Dead"], &["CLASSIC"]), ["busy consumer Stable"]);
    assert_eq!(list(&mut w, &["Empty"], &[]), ["simple  Empty"]);
    assert!(list(&mut w, &[], &["Consumer"]).is_empty());
}

#[test]
fn only_a_group_without_members_can_be_deleted_and_its_offsets_go_with_it() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    w.commit("g", &id, generation);
    let told = delete(&mut w, &["g", "none"]);
    assert_eq!(told, [ErrorCode::NON_EMPTY_GROUP, ErrorCode::GROUP_ID_NOT_FOUND]);
    w.leave("g", &id, None);
    assert_eq!(delete(&mut w, &["g"]), [ErrorCode::NONE]);
    assert_eq!((w.state("g").as_str(), w.fetched("g")), ("Dead", -1));
    assert_eq!(delete(&mut w, &["g"]), [ErrorCode::GROUP_ID_NOT_FOUND]);
    assert!(w.groups.shards[0].groups.is_empty());
}

#[test]
fn an_id_given_out_dies_with_its_group() {
    let mut w = World::quick();
    let pending = w.ask(join("g", ""));
    let pending = w.joined(pending).member_id;
    assert_eq!(delete(&mut w, &["g"]), [ErrorCode::NONE]);
    let late = w.ask(join("g", &pending));
    assert_eq!(w.joined(late).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let alarm = super::super::alarms::Alarm::Session { group: "g".into(), member: pending.as_str().into() };
    assert!(!w.groups.shards[0].alarms.is_set(&alarm));
}

#[test]
fn the_partition_of_a_group_is_kafkas() {
    let groups = Groups::new(GroupConfig::default(), 50);
    // Java: Math.abs("...".hashCode()) % 50, and 0 for the hash that has no positive twin.
    assert_eq!(
        ["", "a", "console-consumer-1", "polygenelubricants"].map(|g| groups.shard_of(g)),
        [0, 47, 24, 0]
    );
}
