//! Any order of requests, time and failures: answers once, one owner a generation, and state that is a fold of the log.

use proptest::prelude::*;

use super::super::facts::{self, Id, StoredGroup};
use super::super::shard::{Shard, Standing};
use super::super::state::State;
use super::*;
use crate::coordinator::Replicated;
use crate::wire::messages::delete_groups::DeleteGroupsRequest;

/// One thing that happens. Members are named by their place in the list of ids seen so far.
#[derive(Clone, Debug)]
enum Step {
    Join { group: usize, version: i16, member: usize, topics: u8 },
    JoinStatic { group: usize, instance: u8, known: bool, member: usize },
    Sync { group: usize, member: usize, lag: i32 },
    Beat { group: usize, member: usize },
    Leave { group: usize, member: usize },
    Commit { group: usize, member: usize, lag: i32 },
    Simple { group: usize },
    Delete { group: usize },
    Gone { request: usize },
    Pass { ms: u64 },
    FailOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (group, member) = (0..2usize, 0..12usize);
    let step = prop_oneof![
        6 => (group.clone(), prop_oneof![Just(3i16), Just(9)], member.clone(), 0..3u8)
            .prop_map(|(group, version, member, topics)| Step::Join { group, version, member, topics }),
        2 => (group.clone(), 0..2u8, any::<bool>(), member.clone())
            .prop_map(|(group, instance, known, member)| Step::JoinStatic { group, instance, known, member }),
        6 => (group.clone(), member.clone(), 0..8i32)
            .prop_map(|(group, member, lag)| Step::Sync { group, member, lag: lag / 7 }),
        2 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Beat { group, member }),
        1 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Leave { group, member }),
        3 => (group.clone(), member, 0..3i32)
            .prop_map(|(group, member, lag)| Step::Commit { group, member, lag: lag / 2 }),
        1 => group.clone().prop_map(|group| Step::Simple { group }),
        1 => group.prop_map(|group| Step::Delete { group }),
        1 => (0..200usize).prop_map(|request| Step::Gone { request }),
        4 => prop_oneof![0..4_000u64, 4_000..40_000u64].prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::FailOver),
    ];
    prop::collection::vec(step, 1..80)
}

struct Run {
    w: World,
    ids: Vec<String>,
    /// Which member owns the whole topic in which generation of which group, as the clients were told.
    owners: BTreeMap<(usize, i32), String>,
}

const GROUPS: [&str; 2] = ["g", "h"];

impl Run {
    fn id(&self, member: usize) -> String {
        self.ids.get(self.ids.len().saturating_sub(member + 1)).cloned().unwrap_or_default()
    }

    fn generation(&self, group: usize) -> i32 {
        self.w.groups.shards[0].groups.get(GROUPS[group]).map_or(0, |g| g.generation)
    }

    fn take(&mut self, step: Step) {
        let w = &mut self.w;
        match step {
            Step::Join { group, version, member, topics } => {
                let id = if member < 4 { String::new() } else { self.id(member) };
                let topics = [&["t"][..], &["u"], &["t", "u"]][topics as usize];
                let protocols = vec![protocol("range", subscription(topics))];
                let request = JoinGroupRequest { protocols, ..join(GROUPS[group], &id) };
                self.w.ask_in(version, request);
            }
            Step::JoinStatic { group, instance, known, member } => {
                let id = if known { self.id(member) } else { String::new() };
                self.w.ask(static_join(GROUPS[group], &id, &format!("i{instance}")));
            }
            Step::Sync { group, member, lag } => self.sync(group, member, lag),
            Step::Beat { group, member } => {
                let (id, generation) = (self.id(member), self.generation(group));
                self.w.beat(GROUPS[group], &id, generation);
            }
            Step::Leave { group, member } => {
                let id = self.id(member);
                self.w.leave(GROUPS[group], &id, None);
            }
            Step::Commit { group, member, lag } => self.commit(group, member, lag),
            Step::Simple { group } => {
                w.commit(GROUPS[group], "", -1);
            }
            Step::Delete { group } => {
                w.ask(DeleteGroupsRequest { groups_names: vec![GROUPS[group].into()] });
            }
            Step::Gone { request } => {
                let open = w.unanswered();
                if let Some(number) = open.get(request % open.len().max(1)) {
                    w.gone(*number);
                }
            }
            Step::Pass { ms } => w.pass(ms),
            Step::FailOver => w.fail_over(),
        }
    }

    /// A leader gives the whole topic to one member; each sync that is answered tells who owns it.
    fn sync(&mut self, group: usize, member: usize, lag: i32) {
        let (id, generation) = (self.id(member), self.generation(group) - lag);
        self.w.ask(sync(GROUPS[group], &id, generation, &[(&id, "all")]));
    }

    fn commit(&mut self, group: usize, member: usize, lag: i32) {
        let (id, generation) = (self.id(member), self.generation(group) - lag);
        let live = self.w.groups.shards[0].groups.get(GROUPS[group]);
        let in_it = live.is_some_and(|g| g.roster.members.contains_key(id.as_str()));
        let empty = live.is_none_or(|g| g.state == State::Empty);
        let told = self.w.commit(GROUPS[group], &id, generation);
        if told == ErrorCode::NONE {
            assert!((in_it && lag == 0) || (empty && generation < 0), "a zombie's commit was taken");
        }
    }

    fn learn(&mut self) {
        for answer in self.w.answers.values() {
            if let Response::JoinGroup(r) = answer
                && !r.member_id.is_empty()
                && !self.ids.contains(&r.member_id)
            {
                self.ids.push(r.member_id.clone());
            }
        }
    }

    fn check(&mut self) {
        let shard = &self.w.groups.shards[0];
        assert_eq!(shard.skipped, 0, "every fact that is written can be read");
        let mut folded = Shard::new(Standing::Loading);
        for (_, fact, written) in &self.w.log {
            folded.apply(fact, *written);
        }
        for name in GROUPS {
            let (live, fold) = (shard.groups.get(name), folded.groups.get(name));
            assert_eq!(live.and_then(|g| g.stored.as_ref()), fold.and_then(|g| g.stored.as_ref()));
            let none = BTreeMap::new();
            assert_eq!(live.map_or(&none, |g| &g.offsets), fold.map_or(&none, |g| &g.offsets));
        }
        let owners = self.w.log.iter().filter_map(|(_, fact, _)| owner(fact)).collect::<Vec<_>>();
        for (group, generation, owner) in owners {
            let known = self.owners.entry((group, generation)).or_insert_with(|| owner.clone());
            // A static member keeps what it owns under its new id; nobody else takes over within a generation.
            assert!(*known == owner || instance_of(known) == instance_of(&owner), "{known} and {owner}");
            *known = owner;
        }
        for group in self.w.groups.shards[0].groups.values() {
            check_group(&self.w, group);
        }
    }
}

/// Who owns the topic by a stored generation. Deleted groups begin anew, so their moment tells them apart.
fn owner(fact: &Fact) -> Option<(usize, i32, String)> {
    let facts::Key::Group { group } = facts::read_key(&fact.key).ok()? else { return None };
    let stored: StoredGroup = facts::read_group(fact.value.as_ref()?).ok()?;
    let mut owners =
        stored.members.iter().filter(|(_, m)| m.assignment == "all").map(|(id, _)| id.to_string());
    let owner = owners.next()?;
    assert_eq!(owners.next(), None, "one owner a generation");
    let group = GROUPS.iter().position(|g| *g == group)?;
    let epoch = (stored.since?.0 - START.0) as usize;
    Some((group + 2 * epoch, stored.generation, owner))
}

fn instance_of(id: &str) -> Option<&str> {
    id.starts_with('i').then(|| &id[..2])
}

fn check_group(w: &World, group: &super::super::state::Group) {
    let alarms = &w.groups.shards[0].alarms;
    assert_eq!(alarms.is_set(&group.join_alarm()), group.state == State::PreparingRebalance, "{group:?}");
    assert!(group.state != State::Empty || group.roster.members.is_empty());
    assert!(group.roster.leader.is_some() || group.roster.members.is_empty());
    let owing = group.roster.members.values().any(|m| m.owes_sync);
    assert!(!owing || alarms.is_set(&group.sync_alarm()), "someone is waited for without end");
    for (id, member) in &group.roster.members {
        let alarm = super::super::alarms::Alarm::Session { group: group.id.clone(), member: Id::clone(id) };
        assert!(alarms.is_set(&alarm) || member.waits(), "{id} could never expire");
        let preparing = group.state == State::PreparingRebalance;
        assert!(member.joining.is_none() || preparing, "a join waits only while members join");
        assert!(member.syncing.is_none() || group.state == State::CompletingRebalance);
    }
    if group.state == State::Stable {
        let stored = group.stored.as_ref().expect("stable is what is stored");
        assert_eq!((stored.generation, &stored.leader), (group.generation, &group.roster.leader));
        assert!(stored.members.keys().eq(group.roster.members.keys()), "{group:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_claim_holds_and_in_the_end_everyone_is_answered(steps in steps()) {
        let config = GroupConfig { max_pending_members: 5, max_size: 4, ..GroupConfig::default() };
        let mut run = Run { w: World::new(config), ids: Vec::new(), owners: BTreeMap::new() };
        for step in steps {
            run.take(step);
            run.learn();
            run.check();
        }
        run.w.pass(400_000);
        run.check();
        prop_assert_eq!(run.w.unanswered(), Vec::<u64>::new());
        prop_assert_eq!(run.w.groups.parks.len(), 0);
        prop_assert!(run.w.groups.shards[0].groups.values().all(|g| g.state == State::Empty));
    }
}
