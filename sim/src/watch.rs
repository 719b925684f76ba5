//! Those who watch: the state claims, called after every step of every broker, and the story.

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input};
use quipu_core::client::TopicPartition;
use quipu_core::log::Log;
use quipu_core::storage::ops::{Recovered, StoreOp};
use quipu_core::time::Now;
use quipu_core::wire::Response;

use crate::claims::{self, Claim, Verdict};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::observer::Observer;
use crate::trace::Trace;

/// So many logs are looked at after each step.
const LOOKED_AT: usize = 64;

/// A broker as it is after a step.
pub struct Scene<'a> {
    /// Which one.
    pub server: usize,
    /// The machine.
    pub broker: &'a Broker,
    /// Its disk.
    pub disk: &'a SimDisk,
    /// What its clocks show.
    pub now: Now,
    /// How many steps it has taken.
    pub turn: u64,
    /// Whether what the disk holds was damaged: then it may hold, and the broker may refuse, anything that is excused.
    pub damaged: bool,
}

impl Scene<'_> {
    /// Its logs, each with its topic's name and whether it is offline. Thousands (who floods a broker may create so many) are
    /// there after some steps only: else looking would take longer than all that there is to see.
    pub fn logs(&self) -> impl Iterator<Item = (&Log, &str, bool)> {
        let all = self.broker.logs();
        let count = all.size_hint().0;
        let every = (count / LOOKED_AT).max(1) as u64;
        all.take(if self.turn.is_multiple_of(every) { count } else { 0 })
    }
}

/// A claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its id.
    pub claim: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What happened.
    pub story: String,
}

/// Everyone who watches.
pub struct Watch {
    /// The story.
    pub trace: Trace,
    /// What each broker ordered.
    pub ghosts: Vec<Ghost>,
    claims: Vec<Box<dyn Claim>>,
    observer: Observer,
    /// Which brokers' disks were damaged: what was stored there may be refused, but never be wrong.
    pub damaged: Vec<bool>,
    /// The first claim that broke.
    pub broken: Option<Broken>,
    /// Steps watched.
    pub steps: u64,
    /// What was removed from the front of logs since somebody last asked: up to which offset.
    pub removed: Vec<(TopicPartition, i64)>,
}

impl Watch {
    /// Watches so many brokers, which may forget producers that are silent for so many milliseconds.
    pub fn new(trace: Trace, servers: usize, silent_ms: i64) -> Watch {
        Watch {
            trace,
            ghosts: (0..servers).map(|_| Ghost::default()).collect(),
            claims: claims::state_claims(servers, silent_ms),
            observer: Observer::new(servers),
            damaged: vec![false; servers],
            broken: None,
            steps: 0,
            removed: Vec::new(),
        }
    }

    /// Somebody saw that a claim does not hold.
    pub fn breaks(&mut self, claim: &'static str, says: &'static str, story: String) {
        self.broken.get_or_insert(Broken { claim, says, story });
    }

    /// A fault strikes.
    pub fn struck(&mut self, fault: &'static str) {
        self.observer.struck(fault);
    }

    /// What a broker's disk holds was damaged.
    pub fn damage(&mut self, server: usize) {
        self.damaged[server] = true;
        self.claims.iter_mut().for_each(|c| c.damaged(server));
    }

    /// A broker's process is about to open its log directory.
    pub fn starting(&mut self, disk: &SimDisk) {
        let verdicts = self.claims.iter_mut().map(|c| (c.id(), c.says(), c.starting(disk))).collect();
        self.judge(verdicts);
    }

    /// A broker's process has opened its log directory.
    pub fn started(&mut self, server: usize, disk: &SimDisk, found: &Recovered) {
        let damaged = self.damaged[server];
        let before = &self.ghosts[server];
        let verdicts: Vec<_> = self
            .claims
            .iter_mut()
            .map(|c| (c.id(), c.says(), c.started(server, before, disk, found, damaged)))
            .collect();
        self.observer.started(server, &self.ghosts[server], found);
        self.ghosts[server].started(disk, found, damaged);
        self.judge(verdicts);
    }

    /// A broker's process is gone.
    pub fn ended(&mut self, server: usize, in_order: bool) {
        self.observer.ended(server, in_order);
        self.claims.iter_mut().for_each(|c| c.ended(server, in_order));
    }

    /// An input is about to be given to a broker.
    pub fn asking(&mut self, server: usize, broker: &Broker, input: &Input) {
        if let Input::Stored { result: Ok(stored), .. } = input {
            self.ghosts[server].stored(stored.done, stored.kept);
        }
        self.observer.asking(server, input);
        self.claims.iter_mut().for_each(|c| c.asking(server, broker, input));
    }

    /// A broker has taken an input.
    pub fn stepped(&mut self, scene: &Scene<'_>, effects: &[Effect]) {
        self.steps += 1;
        self.trace.mark(&[scene.server as u64, effects.len() as u64]);
        self.observer.stepped(scene, &self.ghosts[scene.server], effects);
        let mut verdicts = Vec::new();
        for effect in effects {
            for c in &mut self.claims {
                let verdict = c.told(scene, &self.ghosts[scene.server], effect);
                if verdict.is_err() {
                    verdicts.push((c.id(), c.says(), verdict));
                }
            }
            self.ghosts[scene.server].effect(effect);
            if let Effect::Store { op: StoreOp::Trim { log, start }, .. } = effect
                && let Some(topic) = scene.broker.image().topic_by_id(log.topic)
            {
                self.removed.push((TopicPartition::new(topic.name.as_str(), log.partition), start.0));
            }
        }
        for c in &mut self.claims {
            let verdict = c.stepped(scene, &self.ghosts[scene.server]);
            if verdict.is_err() {
                verdicts.push((c.id(), c.says(), verdict));
            }
        }
        self.judge(verdicts);
    }

    /// A broker sends an answer, whole.
    pub fn sending(&mut self, scene: &Scene<'_>, answer: &Response) {
        let ghost = &self.ghosts[scene.server];
        let verdicts =
            self.claims.iter_mut().map(|c| (c.id(), c.says(), c.sending(scene, ghost, answer))).collect();
        self.judge(verdicts);
    }

    fn judge(&mut self, verdicts: Vec<(&'static str, &'static str, Verdict)>) {
        for (claim, says, verdict) in verdicts {
            if let Err(story) = verdict {
                self.breaks(claim, says, story);
            }
        }
    }
}
