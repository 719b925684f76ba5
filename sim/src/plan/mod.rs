//! A plan: everything that a run will do, as data. Drawn from a seed, printed when a claim breaks, shrunk, run again.

pub mod brokers;
pub mod draw;
pub mod fault;
pub mod tide;

use quipu_core::storage::StoreOptions;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::actor::auditor::{Auditor, AuditorPlan};
use crate::actor::group_member::{GroupMember, MemberPlan};
use crate::actor::hostile::{Hostile, HostilePlan};
use crate::actor::operator::{Operator, OperatorPlan};
use crate::actor::producer::{Producer, ProducerPlan};
use crate::actor::reader::{Reader, ReaderPlan};
use crate::actor::veteran::{Veteran, VeteranPlan};
use crate::actor::zombie::{Zombie, ZombiePlan};
use crate::world::network::Weather;
use fault::FaultPlan;
use tide::Tide;

/// Everything that a run will do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What everything that is not planned is drawn from.
    pub seed: u64,
    /// How long clients do things, in milliseconds of true time.
    pub load_ms: u64,
    /// How dense the load is, from when on; a burst all along if nothing is said.
    #[serde(default)]
    pub tides: Vec<Tide>,
    /// How long clients go by what they were told of topics, in milliseconds.
    #[serde(default = "ten_seconds")]
    pub metadata_max_age_ms: i64,
    /// The brokers.
    pub servers: Vec<ServerPlan>,
    /// The clients.
    pub users: Vec<UserPlan>,
    /// How packets fare when nothing is wrong.
    pub weather: Weather,
    /// What goes wrong, in order of time.
    pub faults: Vec<FaultPlan>,
    /// Whether all brokers lose power once the load is over, before everything is read.
    pub power_loss_at_end: bool,
    /// Of a thousand messages between brokers so many come once more, seconds later: what the door of the machine allows, and no
    /// single connection does.
    #[serde(default, skip_serializing_if = "is_none")]
    pub echoes_per_mille: u64,
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

/// What a plan of old does not say.
fn ten_seconds() -> i64 {
    10_000
}

/// What a plan of old does not say: as a broker of users writes.
pub(crate) fn as_many_as_ever() -> usize {
    StoreOptions::default().batches_at_once
}

/// A broker and its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerPlan {
    /// How many of a million microseconds its clocks gain.
    pub drift_ppm: i64,
    /// How far off its wall clock is.
    pub off_ms: i64,
    /// Its configs.
    pub configs: Vec<(String, String)>,
    /// Batches that its store writes at once at most: with few, a round may stop in the middle of what it writes to a log.
    #[serde(default = "as_many_as_ever")]
    pub batches_at_once: usize,
}

/// A client and its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserPlan {
    /// How many of a million microseconds its clocks gain.
    pub drift_ppm: i64,
    /// How far off its wall clock is.
    pub off_ms: i64,
    /// What it does.
    pub does: Deeds,
}

/// What a client does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Deeds {
    /// Makes topics and changes things.
    Operate(OperatorPlan),
    /// Writes.
    Produce(ProducerPlan),
    /// Writes with sequence numbers that begin again.
    Wrap(VeteranPlan),
    /// Writes, also in the name of what it was before.
    Haunt(ZombiePlan),
    /// Reads partitions of its choice.
    Read(ReaderPlan),
    /// Reads as a member of a group.
    Join(MemberPlan),
    /// Asks for offsets.
    Audit(AuditorPlan),
    /// Gets in the way.
    Trouble(HostilePlan),
}

impl Deeds {
    /// The one who does it.
    pub fn actor(&self) -> Box<dyn Actor> {
        match self.clone() {
            Deeds::Operate(plan) => Box::new(Operator::new(plan)),
            Deeds::Produce(plan) => Box::new(Producer::new(plan)),
            Deeds::Wrap(plan) => Box::new(Veteran::new(plan)),
            Deeds::Haunt(plan) => Box::new(Zombie::new(plan)),
            Deeds::Read(plan) => Box::new(Reader::new(plan)),
            Deeds::Join(plan) => Box::new(GroupMember::new(plan)),
            Deeds::Audit(plan) => Box::new(Auditor::new(plan)),
            Deeds::Trouble(plan) => Box::new(Hostile::new(plan)),
        }
    }
}

impl Plan {
    /// The partitions of the load.
    pub fn partitions(&self) -> Vec<(String, i32)> {
        let topics = self.users.iter().filter_map(|user| match &user.does {
            Deeds::Operate(plan) => Some(&plan.topics),
            _ => None,
        });
        topics.flatten().flat_map(|t| (0..t.partitions).map(|p| (t.name.clone(), p))).collect()
    }

    /// A number that brokers are configured with.
    pub fn config(&self, name: &str, default: i64) -> i64 {
        let mut all = self.servers.iter().flat_map(|server| &server.configs);
        all.find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    }

    /// Whether it damages what a disk holds: then the broker may refuse some of it.
    pub fn damages(&self) -> bool {
        self.faults.iter().any(|f| f.what.damages())
    }
}
