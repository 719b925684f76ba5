//! The claims: what must be true of brokers after every step, and of what clients saw in the end. One file each.

pub mod history;
pub mod state;

use std::collections::BTreeSet;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input};
use quipu_core::ids::LogId;
use quipu_core::storage::ops::Recovered;
use quipu_core::wire::Response;

use crate::canon::Canon;
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::ledger::Ledger;
use crate::watch::Scene;

/// Whether a claim holds; if not, the story of the records, offsets and members involved.
pub type Verdict = Result<(), String>;

/// What is remembered of all brokers, when there are several.
pub struct Cluster<'a> {
    /// What each has ordered.
    pub ghosts: &'a [Ghost],
    /// Their committed metadata.
    pub canon: &'a Canon,
    /// What is committed of their partitions.
    pub ledger: &'a Ledger,
    /// Their disks.
    pub disks: &'a [SimDisk],
}

/// Something that must be true of every broker at every moment. It remembers for itself what it needs of the past.
pub trait Claim {
    /// Its name in the list of claims.
    fn id(&self) -> &'static str;
    /// What it claims, in a sentence.
    fn says(&self) -> &'static str;
    /// A process is about to open its log directory.
    fn starting(&mut self, _server: usize, _disk: &SimDisk) -> Verdict {
        Ok(())
    }
    /// What a broker's disk holds was damaged.
    fn damaged(&mut self, _server: usize) {}
    /// A broker's disk has forgotten, or may have, what it was told to keep, and is not empty: the broker does not know.
    fn forgets(&mut self, _server: usize) {}
    /// An operator has a leader of a partition elected whoever it be: what is committed of it may go.
    fn let_go(&mut self, _log: LogId) {}
    /// A process has opened its log directory. `before` is what was remembered until then; `damaged`: the plan has damaged
    /// this disk, so that the broker may refuse what it held.
    fn started(
        &mut self,
        _server: usize,
        _before: &Ghost,
        _disk: &SimDisk,
        _found: &Recovered,
        _damaged: bool,
    ) -> Verdict {
        Ok(())
    }
    /// An input is about to be given to a machine.
    fn asking(&mut self, _server: usize, _broker: &Broker, _input: &Input) {}
    /// A machine ordered or said something. `before` does not know of it yet.
    fn told(&mut self, _scene: &Scene<'_>, _before: &Ghost, _effect: &Effect) -> Verdict {
        Ok(())
    }
    /// A machine has taken an input.
    fn stepped(&mut self, _scene: &Scene<'_>, _ghost: &Ghost) -> Verdict {
        Ok(())
    }
    /// The same as `told`, among several brokers.
    fn told_among(&mut self, _scene: &Scene<'_>, _cluster: &Cluster<'_>, _effect: &Effect) -> Verdict {
        Ok(())
    }
    /// The same as `stepped`, among several brokers.
    fn stepped_among(&mut self, _scene: &Scene<'_>, _cluster: &Cluster<'_>) -> Verdict {
        Ok(())
    }
    /// An answer leaves, with all its records.
    fn sending(&mut self, _scene: &Scene<'_>, _ghost: &Ghost, _answer: &Response) -> Verdict {
        Ok(())
    }
    /// A process is gone.
    fn ended(&mut self, _server: usize, _in_order: bool) {}
}

/// Claims that no file here has: what H1 is called once power was lost, that everything comes to its end, that the
/// brokers come to be at one, their replicas in sync and nothing else left, that nothing panics, and that one seed is one story.
const ELSEWHERE: [&str; 7] = ["H12", "L", "L3", "L4", "L5", "P1", "P10"];

/// The name of every claim there is.
pub fn names() -> BTreeSet<&'static str> {
    let state = state_claims(3, 0);
    state.iter().map(|c| c.id()).chain(history::ALL.iter().map(|c| c.id)).chain(ELSEWHERE).collect()
}

/// All state claims, for so many brokers, which may forget producers that are silent for so many milliseconds.
pub fn state_claims(servers: usize, silent_ms: i64) -> Vec<Box<dyn Claim>> {
    let mut all: Vec<Box<dyn Claim>> = vec![
        Box::new(state::s01::CommittedStays::new(servers)),
        Box::new(state::s02::MarksAdvance::new(servers)),
        Box::new(state::s08::MarksInOrder::new(servers)),
        Box::new(state::s09::OnlyCommittedIsRead),
        Box::new(state::s10::AcknowledgedIsDurable),
        Box::new(state::s11::OffsetsAreDense),
        Box::new(state::s14::SequencesFollow::new(silent_ms)),
        Box::new(state::s15::ProducersAreAFold::new(servers, silent_ms)),
        Box::new(state::s19::OneOwner::new(servers)),
        Box::new(state::s21::OnlyMembersCommit::new(servers)),
        Box::new(state::s23::RemovedForAReason::new(servers)),
        Box::new(state::p03::RecoveryIsIdempotent::default()),
        Box::new(state::p05::NothingAfterAFailure::new(servers)),
        Box::new(state::p07::WaitsEndInTime::new(servers)),
        Box::new(state::p08::AnsweredOnce::new(servers)),
        Box::new(state::m06::MetadataIsAFold::new(servers)),
    ];
    if servers > 1 {
        all.push(Box::new(state::s03::ReplicasMatch::default()));
        all.push(Box::new(state::s04::LeadersHaveAll::new(servers)));
        all.push(Box::new(state::s05::InSyncHaveAll));
        all.push(Box::new(state::s06::InSyncTakePart));
        all.push(Box::new(state::s07::EnoughInSync));
        all.push(Box::new(state::s24::EndsAreCommitted::default()));
        all.push(Box::new(state::m01::LogsMatch));
        all.push(Box::new(state::m02::OneLeaderAnEpoch::new(servers)));
        all.push(Box::new(state::m03::OneVoteAnEpoch::new(servers)));
        all.push(Box::new(state::m04::CommittedByMajority::new(servers)));
        all.push(Box::new(state::m05::EpochsRise::new(servers)));
        all.push(Box::new(state::m08::LeadersAreHeard::new(servers)));
    }
    all
}
