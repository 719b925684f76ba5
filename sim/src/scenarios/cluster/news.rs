//! What is worth telling of what happens to several brokers: elections, votes, what the metadata says, what is cut.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Note};
use quipu_core::broker::view::QuorumView;
use quipu_core::cluster::partition::PartitionState;
use quipu_core::ids::{BrokerId, LogId, Offset};
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Message, Question, Vote};
use quipu_core::storage::ops::StoreOp;

use super::network::Letter;
use crate::scenarios::shown;

/// Notes that say what is told from the metadata, or from the quorum.
const TOLD_ELSEWHERE: [&str; 4] =
    ["metadata quorum is in epoch", "registers", "from now on", "belongs to the cluster"];

/// What was told so far.
pub(super) struct News {
    views: Vec<Option<QuorumView>>,
    /// Who was asked for a vote, by whom and under which number.
    asked: BTreeMap<(usize, BrokerId, u64), Vote>,
    known: Known,
}

/// The newest of the committed metadata that any broker has.
#[derive(Default)]
struct Known {
    position: Offset,
    /// The run of each, and its standing.
    brokers: BTreeMap<BrokerId, (u64, &'static str)>,
    partitions: BTreeMap<LogId, (String, PartitionState)>,
}

impl News {
    /// Nothing was told of so many brokers.
    pub(super) fn new(brokers: usize) -> News {
        News { views: vec![None; brokers], asked: BTreeMap::new(), known: Known::default() }
    }

    /// A process is gone.
    pub(super) fn ended(&mut self, at: usize) {
        self.views[at] = None;
    }

    /// What the newest of the committed metadata says of each partition.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (&LogId, &PartitionState)> {
        self.known.partitions.iter().map(|(log, (_, state))| (log, state))
    }

    /// A broker is about to hear something.
    pub(super) fn hears(&mut self, letter: &Letter) {
        if let PeerMessage::Quorum(Message {
            correlation, body: Body::Question(Question::Vote(vote)), ..
        }) = &letter.message
        {
            self.asked.insert((letter.to, BrokerId(letter.from as i32 + 1), *correlation), *vote);
        }
    }

    /// A broker has taken a step: what is to be told of it.
    pub(super) fn stepped(&mut self, at: usize, broker: &Broker, effects: &[Effect]) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        for effect in effects {
            let line = self.effect(at, broker, effect);
            told.extend(line.filter(|line| !told.contains(line)));
        }
        told.extend(self.view(at, broker));
        let mut told: Vec<String> = told.into_iter().map(|line| format!("{} | {line}", at + 1)).collect();
        if broker.metadata_position() > self.known.position {
            self.known.position = broker.metadata_position();
            told.extend(self.known.look(broker));
        }
        told
    }

    fn view(&mut self, at: usize, broker: &Broker) -> Option<String> {
        let now = broker.quorum();
        let before = std::mem::replace(&mut self.views[at], now);
        let now = now.filter(|_| before != now)?;
        let epoch = now.epoch;
        match now.leader {
            Some(_) if now.leads => Some(format!("leads the quorum in epoch {epoch}")),
            Some(leader) => Some(format!("follows {leader} in epoch {epoch}")),
            // Without a leader it was before.
            None if before.is_some_and(|before| before.leader.is_none()) || epoch.0 == 0 => None,
            None => Some(format!("has no leader in epoch {epoch}")),
        }
    }

    fn effect(&self, at: usize, broker: &Broker, effect: &Effect) -> Option<String> {
        match effect {
            Effect::Send { to, message: PeerMessage::Quorum(message) } => self.said(at, *to, message),
            Effect::Store { op, .. } => {
                // A cut has a note that says more.
                let told = match op {
                    StoreOp::Create { log, .. } => *log != LogId::METADATA,
                    StoreOp::Remove { .. } | StoreOp::Restart { .. } | StoreOp::Snapshot { .. } => true,
                    _ => false,
                };
                told.then(|| shown::ordered(broker, op))
            }
            Effect::Note(Note::Committed { log, .. }) if *log == LogId::METADATA || !broker.leads(*log) => {
                None
            }
            Effect::Note(Note::Info(text)) if TOLD_ELSEWHERE.iter().any(|words| text.contains(words)) => None,
            Effect::Note(note) => shown::note(broker, note),
            _ => None,
        }
    }

    fn said(&self, at: usize, to: BrokerId, message: &Message) -> Option<String> {
        let epoch = message.epoch;
        match &message.body {
            Body::Question(Question::Vote(vote)) if vote.pre => {
                Some(format!("asks whether it would be elected after epoch {epoch}"))
            }
            Body::Question(Question::Vote(_)) => Some(format!("stands for election in epoch {epoch}")),
            Body::Question(Question::End { .. }) => Some(format!("gives up the quorum in epoch {epoch}")),
            Body::Answer(Answer::Vote { granted, .. }) => {
                let vote = self.asked.get(&(at, to, message.correlation))?;
                let (not, would) = (if *granted { "" } else { " not" }, vote.pre);
                Some(match would {
                    true => format!("would{not} vote for {to}"),
                    false if *granted => format!("votes for {to} in epoch {epoch}"),
                    false => format!("does not vote for {to} in epoch {epoch}"),
                })
            }
            _ => None,
        }
    }
}

impl Known {
    /// What is new in a broker's committed metadata.
    fn look(&mut self, broker: &Broker) -> Vec<String> {
        let image = broker.image();
        let mut told = Vec::new();
        for (id, registration) in image.brokers() {
            let standing = match (registration.fenced, registration.stopping) {
                (true, _) => "is fenced",
                (false, true) => "is stopping",
                (false, false) => "takes part",
            };
            let run = registration.incarnation;
            match self.brokers.insert(*id, (run, standing)) {
                Some(before) if before == (run, standing) => {}
                Some((before, _)) if before == run => {
                    told.push(format!("  committed: broker {id} {standing}"))
                }
                _ => told.push(format!("  committed: broker {id} registers")),
            }
        }
        let gone = |log: &LogId| image.partition(*log).is_none();
        for (_, (name, _)) in self.partitions.extract_if(.., |log, _| gone(log)) {
            told.push(format!("  committed: {name} is gone"));
        }
        for (topic, partition, state) in image.partitions() {
            let name = format!("{}-{partition}", topic.name);
            let log = LogId { topic: topic.id, partition };
            let now = (name, state.clone());
            if self.partitions.get(&log) != Some(&now) {
                told.push(format!("  committed: {}: {}", now.0, partition_state(&now.1)));
                self.partitions.insert(log, now);
            }
        }
        told
    }
}

/// What the metadata says of a partition.
pub(super) fn partition_state(state: &PartitionState) -> String {
    let list = |ids: &[BrokerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let leader = state.leader.map_or("no leader".to_string(), |leader| format!("leader {leader}"));
    let mut told = format!("{leader} in epoch {}, isr {}", state.leader_epoch, list(&state.isr));
    for (name, ids) in [
        ("elr", &state.elr),
        ("last leader", &state.last_known_elr),
        ("adding", &state.adding),
        ("removing", &state.removing),
    ] {
        if !ids.is_empty() {
            told.push_str(&format!(", {name} {}", list(ids)));
        }
    }
    format!("{told}, replicas {}, partition epoch {}", list(&state.replicas), state.partition_epoch)
}
