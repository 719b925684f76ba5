//! Those who watch: the state claims, called after every step of every broker, and the story.

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input, Note};
use quipu_core::client::TopicPartition;
use quipu_core::ids::LogId;
use quipu_core::log::Log;
use quipu_core::storage::ops::{Recovered, StoreOp};
use quipu_core::time::Now;
use quipu_core::wire::Response;

use crate::canon::Canon;
use crate::claims::{self, Claim, Cluster, Verdict};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::ledger::Ledger;
use crate::observer::Observer;
use crate::offices::Offices;
use crate::politics::Politics;
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

/// A claim, what it says, and whether it holds.
type Judged = (&'static str, &'static str, Verdict);

/// Everyone who watches.
pub struct Watch {
    /// The story.
    pub trace: Trace,
    /// What each broker ordered.
    pub ghosts: Vec<Ghost>,
    /// What several brokers have committed of their metadata.
    pub canon: Canon,
    ledger: Ledger,
    disks: Vec<SimDisk>,
    politics: Politics,
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
    offices: Offices,
    /// Whether a coordinator that was deposed has told committed offsets, since somebody last asked.
    pub deposed_told: bool,
    /// Whether a leader that was deposed has told offsets, since somebody last asked.
    pub deposed_listed: bool,
}

impl Watch {
    /// Watches the brokers with these disks, which may forget producers that are silent for so many milliseconds.
    pub fn new(trace: Trace, disks: Vec<SimDisk>, silent_ms: i64) -> Watch {
        let servers = disks.len();
        Watch {
            canon: Canon::new(servers),
            ledger: Ledger::new(servers),
            politics: Politics::new(servers),
            disks,
            trace,
            ghosts: (0..servers).map(|_| Ghost::default()).collect(),
            claims: claims::state_claims(servers, silent_ms),
            observer: Observer::new(servers),
            damaged: vec![false; servers],
            broken: None,
            steps: 0,
            removed: Vec::new(),
            offices: Offices::new(servers),
            deposed_told: false,
            deposed_listed: false,
        }
    }

    /// Elections won in the metadata quorum of several brokers.
    pub fn elections(&self) -> u64 {
        self.politics.won
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
        self.canon.damaged(server, false);
        self.ledger.forgot = true;
        for claim in &mut self.claims {
            claim.damaged(server);
            claim.forgets(server);
        }
    }

    /// An operator asks for an election of whoever is there: what is committed of that partition may go.
    pub fn let_go(&mut self, log: LogId) {
        self.ledger.let_go(log);
        self.claims.iter_mut().for_each(|claim| claim.let_go(log));
        for ghost in self.ghosts.iter_mut().filter_map(|ghost| ghost.logs.get_mut(&log)) {
            ghost.committed = ghost.start;
        }
    }

    /// Whether what is committed of a partition may be gone.
    pub fn is_let_go(&self, log: LogId) -> bool {
        self.ledger.is_lost(log)
    }

    /// A broker's disk is empty: among several it comes back as another one.
    pub fn wiped(&mut self, server: usize) {
        self.damaged[server] = true;
        self.canon.damaged(server, true);
        self.ledger.emptied(server);
        self.claims.iter_mut().for_each(|c| c.damaged(server));
    }

    /// A broker's process is about to open its log directory.
    pub fn starting(&mut self, server: usize, disk: &SimDisk) {
        let verdicts = self.claims.iter_mut().map(|c| (c.id(), c.says(), c.starting(server, disk))).collect();
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
        let alone = self.ghosts.len() == 1;
        self.ghosts[server].started(disk, found, damaged, alone);
        if !alone {
            self.canon.started(server, found.identity.directory_id);
            self.canon.look(server, &self.ghosts[server], disk);
        }
        self.judge(verdicts);
    }

    /// A broker's process is gone.
    pub fn ended(&mut self, server: usize, in_order: bool) {
        self.observer.ended(server, in_order);
        self.politics.ended(server);
        self.ledger.ended(server);
        self.claims.iter_mut().for_each(|c| c.ended(server, in_order));
    }

    /// An input is about to be given to a broker.
    pub fn asking(&mut self, server: usize, broker: &Broker, input: &Input) {
        if let Input::Stored { result: Ok(stored), .. } = input {
            self.ghosts[server].stored(stored.done, stored.kept);
            if self.ghosts.len() > 1 {
                self.canon.look(server, &self.ghosts[server], &self.disks[server]);
            }
        }
        self.observer.asking(server, input);
        self.claims.iter_mut().for_each(|c| c.asking(server, broker, input));
    }

    /// A broker has taken an input.
    pub fn stepped(&mut self, scene: &Scene<'_>, effects: &[Effect]) {
        self.steps += 1;
        self.trace.mark(&[scene.server as u64, effects.len() as u64]);
        self.observer.stepped(scene, &self.ghosts[scene.server], effects);
        let several = self.ghosts.len() > 1;
        let mut verdicts = Vec::new();
        effects.iter().for_each(|effect| self.told(scene, effect, &mut verdicts));
        let cluster =
            Cluster { ghosts: &self.ghosts, canon: &self.canon, ledger: &self.ledger, disks: &self.disks };
        for c in &mut self.claims {
            let among = if several { c.stepped_among(scene, &cluster) } else { Ok(()) };
            let verdict = c.stepped(scene, &self.ghosts[scene.server]).and(among);
            if verdict.is_err() {
                verdicts.push((c.id(), c.says(), verdict));
            }
        }
        if several {
            self.politics.stepped(scene, &cluster);
            if self.ledger.has_news(scene) {
                self.ledger.stepped(scene);
            }
            self.offices.stepped(scene.server, scene.broker);
        }
        self.judge(verdicts);
    }

    /// Something that a broker said or ordered: the claims look at it, then it is remembered.
    fn told(&mut self, scene: &Scene<'_>, effect: &Effect, verdicts: &mut Vec<Judged>) {
        let several = self.ghosts.len() > 1;
        for c in &mut self.claims {
            let verdict = c.told(scene, &self.ghosts[scene.server], effect);
            if verdict.is_err() {
                verdicts.push((c.id(), c.says(), verdict));
            }
        }
        if several {
            self.told_among(scene, effect, verdicts);
        }
        let flushed = |log| scene.broker.log(log).filter(|_| several).map(|log| log.flushed().0);
        self.ghosts[scene.server].effect(effect, flushed);
        if let Effect::Store { op: StoreOp::Trim { log, start }, .. } = effect
            && let Some(topic) = scene.broker.image().topic_by_id(log.topic)
        {
            self.removed.push((TopicPartition::new(topic.name.as_str(), log.partition), start.0));
        }
    }

    /// The same of one of several brokers.
    fn told_among(&mut self, scene: &Scene<'_>, effect: &Effect, verdicts: &mut Vec<Judged>) {
        let cluster =
            Cluster { ghosts: &self.ghosts, canon: &self.canon, ledger: &self.ledger, disks: &self.disks };
        for c in &mut self.claims {
            let verdict = c.told_among(scene, &cluster, effect);
            if verdict.is_err() {
                verdicts.push((c.id(), c.says(), verdict));
            }
        }
        // Now, and not when it leaves: it may have to wait for another answer on its connection.
        match effect {
            Effect::Reply { response: Response::OffsetFetch(_), .. } => {
                self.deposed_told |= self.offices.is_deposed(scene.broker);
            }
            Effect::Reply { response: Response::ListOffsets(told), .. } => {
                self.deposed_listed |= self.offices.tells_what_was(scene.broker, told);
            }
            _ => {}
        }
        self.politics.told(scene, &cluster, effect);
        self.ledger.told(scene, &self.ghosts[scene.server], effect);
        let log = self.ghosts[scene.server].logs.get(&LogId::METADATA);
        match (effect, log) {
            (Effect::Store { op: StoreOp::Append { log: LogId::METADATA, batches, .. }, .. }, _) => {
                let wrote = batches.iter().try_for_each(|batch| self.canon.write(batch));
                verdicts.push(("M6", "the metadata is the fold of all facts", wrote));
            }
            (Effect::Store { op: StoreOp::Truncate { log: LogId::METADATA, to }, .. }, Some(log)) => {
                self.canon.cut(scene.server, log, to.0);
            }
            (Effect::Store { op: StoreOp::Restart { log: LogId::METADATA, at, .. }, .. }, _) => {
                self.canon.restart(scene.server, at.0);
            }
            (Effect::Note(Note::Committed { log: LogId::METADATA, high }), Some(log)) if !scene.damaged => {
                let epoch = scene.broker.quorum().map_or(0, |quorum| quorum.epoch.0);
                self.canon.commit(log, high.0, epoch);
            }
            _ => {}
        }
    }

    /// A broker sends an answer, whole.
    pub fn sending(&mut self, scene: &Scene<'_>, answer: &Response) {
        let ghost = &self.ghosts[scene.server];
        let verdicts =
            self.claims.iter_mut().map(|c| (c.id(), c.says(), c.sending(scene, ghost, answer))).collect();
        self.judge(verdicts);
    }

    fn judge(&mut self, verdicts: Vec<Judged>) {
        for (claim, says, verdict) in verdicts {
            if let Err(story) = verdict {
                self.breaks(claim, says, story);
            }
        }
    }
}
