//! S21: an offset commit is taken only of a member in its current generation, or with no generation while nobody is there.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::group::GroupView;
use quipu_core::wire::messages::offset_commit::OffsetCommitRequest;
use quipu_core::wire::{self, ErrorCode, Response};

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct OnlyMembersCommit {
    /// By broker: commits under way that must be refused, and why.
    refused: Vec<BTreeMap<Caller, String>>,
}

impl OnlyMembersCommit {
    /// For so many brokers.
    pub fn new(servers: usize) -> OnlyMembersCommit {
        OnlyMembersCommit { refused: vec![BTreeMap::new(); servers] }
    }
}

impl Claim for OnlyMembersCommit {
    fn id(&self) -> &'static str {
        "S21"
    }

    fn says(&self) -> &'static str {
        "only a current member commits"
    }

    fn asking(&mut self, server: usize, broker: &Broker, input: &Input) {
        let Input::Request { to, request: Request::Api(wire::Request::OffsetCommit(commit)), .. } = input
        else {
            return;
        };
        // What comes before the broker is ready it judges later.
        if broker.is_ready()
            && let Err(why) = may_commit(&broker.groups(), commit)
        {
            self.refused[server].insert(*to, why);
        }
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        let Effect::Reply { to, response } = effect else { return Ok(()) };
        let Some(why) = self.refused[scene.server].remove(to) else { return Ok(()) };
        let Response::OffsetCommit(commit) = response else { return Ok(()) };
        let taken = commit.topics.iter().flat_map(|t| &t.partitions).any(|p| p.error_code == ErrorCode::NONE);
        if taken { Err(format!("a commit was taken, but {why}")) } else { Ok(()) }
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.refused[server].clear();
    }
}

fn may_commit(groups: &[GroupView], commit: &OffsetCommitRequest) -> Verdict {
    let generation = commit.generation_id_or_member_epoch;
    let who = format!("{} in generation {generation} of {}", commit.member_id, commit.group_id);
    let Some(group) = groups.iter().find(|g| g.id == commit.group_id) else {
        return if generation < 0 { Ok(()) } else { Err(format!("{who}: there is no such group")) };
    };
    if generation < 0 && group.state == "Empty" {
        return Ok(());
    }
    let member = group.members.iter().find(|m| m.id == commit.member_id);
    match member {
        Some(_) if generation == group.generation => Ok(()),
        Some(_) => Err(format!("{who}: it is generation {}", group.generation)),
        None => Err(format!("{who}: it is not among {:?}", group.members)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::group::MemberView;

    use super::*;

    fn group(state: &'static str, members: &[&str]) -> Vec<GroupView> {
        let member = |id: &&str| MemberView { id: id.to_string(), instance: None, assignment: Bytes::new() };
        let members = members.iter().map(member).collect();
        vec![GroupView { id: "g".into(), state, generation: 3, members, offsets: Vec::new() }]
    }

    fn commit(group: &str, member: &str, generation: i32) -> OffsetCommitRequest {
        OffsetCommitRequest {
            group_id: group.into(),
            member_id: member.into(),
            generation_id_or_member_epoch: generation,
            ..Default::default()
        }
    }

    #[test]
    fn an_old_generation_a_stranger_and_one_without_generation_among_members_are_seen() {
        assert!(may_commit(&group("Stable", &["a"]), &commit("g", "a", 2)).is_err());
        assert!(may_commit(&group("Stable", &["a"]), &commit("g", "b", 3)).is_err());
        assert!(may_commit(&group("Stable", &["a"]), &commit("g", "", -1)).is_err());
        assert!(may_commit(&[], &commit("g", "a", 3)).is_err());
    }

    #[test]
    fn a_member_and_an_administrator_of_an_empty_group_are_fine() {
        assert!(may_commit(&group("Stable", &["a"]), &commit("g", "a", 3)).is_ok());
        assert!(may_commit(&group("Empty", &[]), &commit("g", "", -1)).is_ok());
        assert!(may_commit(&[], &commit("g", "", -1)).is_ok());
    }
}
