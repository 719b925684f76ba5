//! A member of a consumer group: reads what the group gives it, commits what it has processed, and comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::client::{ClientSettings, ConsumerSettings, MemberSettings};
use quipu_core::client::{Command, Event, Fetched, Outcome, Reset, TopicPartition};
use quipu_core::ids::Offset;
use serde::{Deserialize, Serialize};

use super::{Actor, Env, be_patient, reader};
use crate::history::{Commit, Fate, Sighting};

/// What a member does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberPlan {
    /// Its group.
    pub group: String,
    /// What the group reads.
    pub topics: Vec<String>,
    /// Its name, if it is a static member.
    pub instance: Option<String>,
    /// Milliseconds it may be silent.
    pub session_ms: i32,
    /// How long the broker may wait for records.
    #[serde(default = "half_a_second")]
    pub wait_ms: i32,
    /// In which rack it stands; nowhere if it is empty.
    #[serde(default)]
    pub rack: String,
    /// Milliseconds between commits, about.
    pub commit_ms: u64,
    /// How many commits in a hundred it leaves the group after, to come back later.
    pub leaves_percent: u64,
}

/// What a plan of old does not say.
fn half_a_second() -> i32 {
    500
}

/// A member.
pub struct GroupMember {
    plan: MemberPlan,
    /// Its partitions, with what it has processed and the end it was told.
    has: BTreeMap<TopicPartition, (Option<i64>, i64)>,
    assigned_at: u64,
    /// The partitions of which it has seen where this generation begins.
    placed: BTreeSet<TopicPartition>,
    joined: bool,
    run: u64,
    commits: u64,
    /// The places in the history of the commit under way.
    pending: BTreeMap<u64, Vec<usize>>,
    unsaved: bool,
}

impl GroupMember {
    /// A member that does what the plan says.
    pub fn new(plan: MemberPlan) -> GroupMember {
        GroupMember {
            plan,
            has: BTreeMap::new(),
            assigned_at: 0,
            placed: BTreeSet::new(),
            joined: false,
            run: 0,
            commits: 0,
            pending: BTreeMap::new(),
            unsaved: false,
        }
    }

    fn join(&mut self, env: &mut Env<'_>) {
        self.joined = true;
        self.has.clear();
        env.commands.push(Command::Join(MemberSettings {
            instance: self.plan.instance.clone(),
            session_timeout_ms: self.plan.session_ms,
            heartbeat_ms: i64::from(self.plan.session_ms / 5),
            rebalance_timeout_ms: self.plan.session_ms * 2,
            auto_commit_ms: None,
            ..MemberSettings::new(&self.plan.group, self.plan.topics.clone())
        }));
    }

    /// Notes that everything processed is going to be committed: what the client may do on its own accord too.
    fn offer(&mut self, env: &mut Env<'_>) -> Vec<usize> {
        let processed = self.has.iter().filter_map(|(of, (done, _))| done.map(|offset| (of.clone(), offset)));
        let mut places = Vec::new();
        for (partition, offset) in processed {
            places.push(env.history.commits.len());
            env.history.commits.push(Commit {
                group: self.plan.group.clone(),
                by: (env.user, env.life),
                partition,
                offset,
                at: env.now,
                done_at: u64::MAX,
                fate: Fate::Open,
            });
        }
        places
    }

    fn commit(&mut self, env: &mut Env<'_>) {
        self.commits += 1;
        let places = self.offer(env);
        self.unsaved = false;
        if !places.is_empty() {
            let (tag, group, has) = (self.commits, &self.plan.group, &self.has);
            env.say(|| format!("commit {tag} in {group}: {has:?}"));
            self.pending.insert(self.commits, places);
            env.commands.push(Command::Commit { tag: self.commits });
        }
    }

    fn committed(&mut self, env: &mut Env<'_>, tag: u64, outcome: &Outcome<Vec<(TopicPartition, Offset)>>) {
        let places = self.pending.remove(&tag).unwrap_or_default();
        let mut done = if let Outcome::Done(list) = outcome { list.clone() } else { Vec::new() };
        for place in &places {
            let commit = &mut env.history.commits[*place];
            commit.done_at = env.now;
            let mine = |(p, o): &(TopicPartition, Offset)| (p, o.0) == (&commit.partition, commit.offset);
            commit.fate = match outcome {
                Outcome::Done(_) if done.extract_if(.., |d| mine(d)).next().is_some() => Fate::Done(None),
                Outcome::Done(_) | Outcome::Unknown(_) => Fate::Unknown,
                Outcome::Failed(_) => Fate::Failed,
            };
        }
        // What was processed before the client got to send the commit went with it.
        let at = places.first().map_or(env.now, |place| env.history.commits[*place].at);
        for (partition, offset) in done {
            let (group, by) = (self.plan.group.clone(), (env.user, env.life));
            let (offset, done_at, fate) = (offset.0, env.now, Fate::Done(None));
            env.history.commits.push(Commit { group, by, partition, offset, at, done_at, fate });
        }
        match outcome {
            Outcome::Done(list) => env.say(|| format!("commit {tag} is done, {} partitions", list.len())),
            Outcome::Failed(why) | Outcome::Unknown(why) => {
                self.unsaved = true;
                env.say(|| format!("commit {tag} in {}: {why}", self.plan.group));
            }
        }
    }

    /// Where a partition begins in this generation tells which offset was committed; -1: none.
    fn sight(&mut self, env: &mut Env<'_>, partition: &TopicPartition, offset: i64) {
        if self.placed.insert(partition.clone()) {
            let (group, asked_at, at) = (self.plan.group.clone(), self.assigned_at, env.now);
            let partition = partition.clone();
            env.history.sightings.push(Sighting { group, partition, offset, asked_at, at });
        }
    }

    fn positioned(&mut self, env: &mut Env<'_>, partition: &TopicPartition, instead_of: Option<i64>) {
        if let Some(has) = self.has.get_mut(partition) {
            *has = (None, i64::MAX);
            self.run += 1;
            self.sight(env, partition, instead_of.unwrap_or(-1));
        }
    }

    fn read(
        &mut self,
        env: &mut Env<'_>,
        partition: TopicPartition,
        records: &[Fetched],
        (next, end): (Offset, Offset),
    ) {
        if !self.has.contains_key(&partition) {
            return;
        }
        let begins = records.first().map_or(next.0, |r| r.record.offset.0);
        self.sight(env, &partition, begins);
        self.has.insert(partition.clone(), (Some(next.0), end.0));
        self.unsaved |= !records.is_empty();
        let of = (Some(self.plan.group.clone()), self.run);
        reader::note(env, of, partition.clone(), records, (next, end));
        env.commands.push(Command::Processed { partition, next });
        if !records.is_empty() {
            env.commands.push(Command::Poll);
        }
    }

    fn assigned(&mut self, env: &mut Env<'_>, generation: i32, partitions: Vec<TopicPartition>) {
        env.say(|| {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("generation {generation} of {} gives it {}", self.plan.group, names.join(" "))
        });
        self.assigned_at = env.now;
        self.run += 1;
        self.placed.clear();
        let before = std::mem::take(&mut self.has);
        // What it keeps it goes on with; the client is asked anew for the rest.
        self.has = partitions
            .into_iter()
            .map(|of| {
                let kept = before.get(&of).copied().unwrap_or((None, i64::MAX));
                (of, kept)
            })
            .collect();
    }
}

impl Actor for GroupMember {
    fn kind(&self) -> &'static str {
        "group member"
    }

    fn settings(&mut self, settings: &mut ClientSettings) {
        settings.unknown_topic_timeout_ms = 60_000;
        be_patient(settings, self.plan.wait_ms);
    }

    fn started(&mut self, env: &mut Env<'_>) {
        env.commands.push(Command::Consumer(ConsumerSettings {
            reset: Reset::Earliest,
            max_wait_ms: self.plan.wait_ms,
            rack: self.plan.rack.clone(),
            ..ConsumerSettings::default()
        }));
        self.join(env);
        env.tick_about_ms(self.plan.commit_ms);
    }

    fn tick(&mut self, env: &mut Env<'_>) {
        if !self.joined {
            self.join(env);
        } else if self.pending.is_empty() {
            self.commit(env);
            if env.loading && env.rng.percent(self.plan.leaves_percent) {
                // The client commits what is processed by then before it goes.
                self.offer(env);
                env.commands.push(Command::Leave);
            }
        }
        env.commands.push(Command::Poll);
        env.tick_about_ms(self.plan.commit_ms);
    }

    fn told(&mut self, env: &mut Env<'_>, event: Event) {
        match event {
            Event::Assigned(a) => {
                env.history.joined(&self.plan.group, a.member, a.generation);
                self.assigned(env, a.generation, a.partitions);
            }
            Event::Positioned { partition, instead_of, .. } => {
                let instead_of = instead_of.map(|o| o.0);
                self.positioned(env, &partition, instead_of);
            }
            Event::Records { partition, records, next, end } => {
                self.read(env, partition, &records, (next, end));
            }
            Event::Revoked { partitions, .. } => {
                // What the client commits before it gives them back.
                self.offer(env);
                self.has.retain(|of, _| !partitions.contains(of));
            }
            Event::Committed { tag: Some(tag), outcome } => self.committed(env, tag, &outcome),
            Event::Left => {
                self.offer(env);
                self.has.clear();
                self.joined = false;
            }
            // A broker that was away for too long: what its client has given up, a member that joins anew is given again.
            Event::Unreadable { partition, failure } => {
                env.say(|| format!("{partition} cannot be read: {failure}; it leaves and joins again"));
                self.offer(env);
                env.commands.push(Command::Leave);
            }
            Event::Expelled(why) => {
                env.say(|| format!("expelled from {}: {why}", self.plan.group));
                self.has.clear();
                self.joined = false;
            }
            _ => {}
        }
    }

    fn ended(&mut self) {
        self.has.clear();
        self.pending.clear();
        (self.joined, self.unsaved) = (false, false);
    }

    fn is_at_rest(&self) -> bool {
        let caught_up = self.has.values().all(|(done, end)| done.is_some_and(|done| done >= *end));
        self.joined && self.run > 0 && caught_up && !self.unsaved && self.pending.is_empty()
    }

    fn waits_for(&self) -> String {
        format!(
            "its group {}: joined {}, partitions (processed, end) {:?}, {} commits under way",
            self.plan.group,
            self.joined,
            self.has,
            self.pending.len()
        )
    }
}
