//! S19: in a generation of a group a partition has one owner, for all who are told, and no two members share an instance.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::cluster::names::GROUP_OFFSETS;
use quipu_core::group::GroupView;
use quipu_core::record::Records;
use quipu_core::storage::ops::{Recovered, StoreOp};
use quipu_core::wire::{self, Response};

use crate::claims::{Claim, Verdict};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::watch::Scene;

/// One in so many steps is looked at, and each that writes.
const EVERY: u64 = 32;

/// Partitions, and who owns each.
type Owners = BTreeMap<(String, i32), String>;

/// The claim.
pub struct OneOwner {
    brokers: Vec<Told>,
    wrote: bool,
    steps: u64,
}

/// What members of one broker's groups were told.
#[derive(Clone, Default)]
struct Told {
    /// SyncGroup requests under way: the group, the generation, and who asks.
    asking: BTreeMap<Caller, (String, i32, String)>,
    /// Who was told to own what, by group and generation; also by earlier lives of the process: what is told is durable.
    owners: BTreeMap<(String, i32), Owners>,
}

impl OneOwner {
    /// For so many brokers.
    pub fn new(servers: usize) -> OneOwner {
        OneOwner { brokers: vec![Told::default(); servers], wrote: false, steps: 0 }
    }
}

impl Claim for OneOwner {
    fn id(&self) -> &'static str {
        "S19"
    }

    fn says(&self) -> &'static str {
        "a partition has one owner in a generation"
    }

    fn asking(&mut self, server: usize, _: &Broker, input: &Input) {
        let Input::Request { to, request: Request::Api(wire::Request::SyncGroup(sync)), .. } = input else {
            return;
        };
        // A static member keeps what it has under a new member id.
        let name = sync.group_instance_id.as_ref().unwrap_or(&sync.member_id).clone();
        self.brokers[server].asking.insert(*to, (sync.group_id.clone(), sync.generation_id, name));
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        if let Effect::Store { op: StoreOp::Append { log, batches, .. }, .. } = effect {
            self.wrote = true;
            let of = scene.broker.image().topic_by_id(log.topic);
            if of.is_some_and(|topic| topic.name == GROUP_OFFSETS) {
                let records = batches.iter().filter_map(|b| Records::read_all(b, 1 << 20).ok()).flatten();
                let forgotten = records.filter(|r| r.value.is_none()).filter_map(|r| group_of(&r.key?));
                forgotten.for_each(|group| self.brokers[scene.server].forget(&group));
            }
        }
        let Effect::Reply { to, response: Response::SyncGroup(sync) } = effect else { return Ok(()) };
        let told = &mut self.brokers[scene.server];
        match told.asking.remove(to) {
            Some(of) if sync.error_code.is_none() => told.tell(of, &partitions(&sync.assignment)),
            _ => Ok(()),
        }
    }

    fn stepped(&mut self, scene: &Scene<'_>, _: &Ghost) -> Verdict {
        self.steps += 1;
        if !std::mem::take(&mut self.wrote) && !self.steps.is_multiple_of(EVERY) {
            return Ok(());
        }
        scene.broker.groups().iter().try_for_each(apart)
    }

    fn started(&mut self, server: usize, _: &Ghost, _: &SimDisk, _: &Recovered, damaged: bool) -> Verdict {
        // What this life finds may be less than what the ones before were told was durable.
        if damaged {
            self.brokers[server] = Told::default();
        }
        Ok(())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.brokers[server].asking.clear();
    }
}

impl Told {
    /// A group of which nothing is left begins anew, with the first generation. Answers to its members that still wait for
    /// the disk are of its life before.
    fn forget(&mut self, group: &str) {
        self.owners.retain(|(other, _), _| other != group);
        self.asking.retain(|_, (other, ..)| other != group);
    }

    fn tell(&mut self, (group, generation, name): (String, i32, String), has: &[(String, i32)]) -> Verdict {
        let owners = self.owners.entry((group.clone(), generation)).or_default();
        for partition in has {
            let before = owners.insert(partition.clone(), name.clone());
            if let Some(other) = before.filter(|other| *other != name) {
                return Err(format!(
                    "{group} generation {generation}: {partition:?} was given to {other} and is given to {name}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether the members of a group have no partition and no instance in common.
fn apart(group: &GroupView) -> Verdict {
    let mut owners = Owners::new();
    let mut instances = BTreeSet::new();
    for member in &group.members {
        if let Some(instance) = member.instance.as_ref().filter(|i| !instances.insert(*i)) {
            return Err(format!("{}: two members are {instance}: {:?}", group.id, group.members));
        }
        for partition in partitions(&member.assignment) {
            if let Some(other) = owners.insert(partition.clone(), member.id.clone()) {
                return Err(format!(
                    "{} generation {}: {partition:?} belongs to {other} and to {}",
                    group.id, group.generation, member.id
                ));
            }
        }
    }
    Ok(())
}

/// The group that a key names, by Kafka's `GroupMetadataKey`: version 2, then the name.
fn group_of(key: &[u8]) -> Option<String> {
    let name = key.strip_prefix(&[0, 2])?.get(2..)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The partitions of an assignment, by Kafka's documentation: a version, then topics with their partitions.
fn partitions(bytes: &[u8]) -> Vec<(String, i32)> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    let mut take = |len: usize| {
        let (head, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(head)
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, b| sum << 8 | i64::from(*b));
    let mut all = Vec::new();
    let topics = take(4).map_or(0, number);
    for _ in 0..topics {
        let Some(topic) = take(2).map(number).and_then(|len| take(len as usize)) else { break };
        let topic = String::from_utf8_lossy(topic).into_owned();
        let count = take(4).map_or(0, number);
        all.extend((0..count).map_while(|_| take(4)).map(|p| (topic.clone(), number(p) as i32)));
    }
    all
}

#[cfg(test)]
mod tests {
    use quipu_core::group::MemberView;
    use quipu_core::ids::ConnId;

    use super::*;

    /// A member with some partitions of topic `t`.
    fn member(id: &str, instance: Option<&str>, has: &[i32]) -> MemberView {
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 1, b't'];
        bytes.extend((has.len() as i32).to_be_bytes());
        has.iter().for_each(|p| bytes.extend(p.to_be_bytes()));
        bytes.extend([0xff; 4]);
        let instance = instance.map(str::to_string);
        MemberView { id: id.into(), instance, assignment: bytes.into() }
    }

    fn group(members: Vec<MemberView>) -> GroupView {
        GroupView { id: "g".into(), state: "Stable", generation: 3, members, offsets: Vec::new() }
    }

    fn tell(told: &mut Told, generation: i32, name: &str, has: &[i32]) -> Verdict {
        let has: Vec<_> = has.iter().map(|p| ("t".to_string(), *p)).collect();
        told.tell(("g".into(), generation, name.into()), &has)
    }

    #[test]
    fn two_owners_of_a_partition_and_two_of_one_instance_are_seen() {
        assert!(apart(&group(vec![member("a", None, &[0, 1]), member("b", None, &[1])])).is_err());
        assert!(apart(&group(vec![member("a", Some("i"), &[0]), member("b", Some("i"), &[1])])).is_err());
        let mut told = Told::default();
        assert!(tell(&mut told, 3, "a", &[0]).is_ok());
        assert!(tell(&mut told, 3, "b", &[1, 0]).is_err(), "in one generation");
    }

    #[test]
    fn each_its_own_the_same_told_again_and_another_generation_are_fine() {
        assert!(apart(&group(vec![member("a", None, &[0, 2]), member("b", None, &[1])])).is_ok());
        let mut told = Told::default();
        assert!(tell(&mut told, 3, "a", &[0, 1]).is_ok());
        assert!(tell(&mut told, 3, "a", &[0, 1]).is_ok());
        assert!(tell(&mut told, 4, "b", &[0]).is_ok());
        let to = |seq| Caller { conn: ConnId(1), seq };
        told.asking.insert(to(1), ("g".into(), 3, "a".into()));
        told.asking.insert(to(2), ("h".into(), 3, "a".into()));
        told.forget(&group_of(b"\0\x02\0\x01g").unwrap());
        assert_eq!(
            told.asking.keys().copied().collect::<Vec<_>>(),
            [to(2)],
            "what waits is of its life before"
        );
        assert!(tell(&mut told, 3, "b", &[0]).is_ok(), "a group that was forgotten begins anew");
        assert!(group_of(b"\0\x01\0\x01g\0\x01t\0\0\0\0").is_none(), "an offset, not a group");
        assert!(partitions(&[]).is_empty());
    }
}
