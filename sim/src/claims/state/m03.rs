//! M3: a voter votes once in an epoch at most, also after a restart, and its disk has the vote before anybody hears of it.
//!
//! A voter is a node and its directory: one that comes back with an empty disk is another. Who is no voter never asks for votes.

use std::collections::BTreeMap;

use bytes::Bytes;
use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input};
use quipu_core::ids::BrokerId;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::Election;
use quipu_core::quorum::messages::{Answer, Body, Question};
use quipu_core::storage::ops::StoreOp;

use crate::canon::Canon;
use crate::claims::{Claim, Cluster, Verdict};
use crate::disk::SimDisk;
use crate::watch::Scene;

/// The file that a broker keeps its votes in, and its length.
const FILE: (&str, usize) = ("quorum-state", 8192);

/// The claim.
pub struct OneVoteAnEpoch {
    /// For whom each voter has voted, by epoch.
    votes: Votes,
    brokers: Vec<Voting>,
}

type Votes = BTreeMap<(usize, [u8; 16], i32), i32>;

/// What is under way at one broker.
#[derive(Default)]
struct Voting {
    /// Who has asked it for its vote, by the number of the question.
    asked: BTreeMap<(BrokerId, u64), i32>,
    /// What it has ordered its disk to keep.
    kept: Vec<(Bytes, Election)>,
    /// Its disk has forgotten something.
    mute: bool,
}

impl OneVoteAnEpoch {
    /// For so many brokers.
    pub fn new(servers: usize) -> OneVoteAnEpoch {
        OneVoteAnEpoch { votes: Votes::new(), brokers: (0..servers).map(|_| Voting::default()).collect() }
    }

    fn vote(&mut self, scene: &Scene<'_>, directory: [u8; 16], epoch: i32, candidate: i32) -> Verdict {
        once(&mut self.votes, (scene.server, directory, epoch), candidate)?;
        let kept = &self.brokers[scene.server].kept;
        let durable = durable(scene.disk);
        let knows = |(bytes, election): &(Bytes, Election)| {
            is_of(election, epoch, candidate) && durable.windows(bytes.len()).any(|there| there == bytes)
        };
        if kept.iter().any(knows) {
            return Ok(());
        }
        Err(format!(
            "it votes for {candidate} in epoch {epoch}, and a power loss now could make it forget that"
        ))
    }
}

impl Claim for OneVoteAnEpoch {
    fn id(&self) -> &'static str {
        "M3"
    }

    fn says(&self) -> &'static str {
        "a voter votes once in an epoch, and cannot forget it"
    }

    fn forgets(&mut self, server: usize) {
        self.brokers[server].mute = true;
    }

    fn asking(&mut self, server: usize, _: &Broker, input: &Input) {
        if let Input::Peer { from, message: PeerMessage::Quorum(message) } = input
            && let Body::Question(Question::Vote(vote)) = &message.body
            && !vote.pre
        {
            self.brokers[server].asked.insert((*from, message.correlation), vote.candidate.id.0);
        }
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        stands(cluster.canon, scene.server, effect)?;
        let own = &mut self.brokers[scene.server];
        let (to, message) = match effect {
            Effect::Store { op: StoreOp::Election { state }, .. } => {
                own.kept.push((state.clone(), Election::decode(state)?));
                return Ok(());
            }
            Effect::Send { to, message: PeerMessage::Quorum(message) } if !own.mute => (to, message),
            _ => return Ok(()),
        };
        let candidate = match &message.body {
            Body::Answer(Answer::Vote { granted: true, .. }) => own.asked.remove(&(*to, message.correlation)),
            Body::Question(Question::Vote(vote)) if !vote.pre => Some(vote.candidate.id.0),
            _ => None,
        };
        let directory = cluster.canon.directory(scene.server);
        candidate.map_or(Ok(()), |candidate| self.vote(scene, directory, message.epoch.0, candidate))
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.brokers[server].asked.clear();
    }
}

/// Who asks for votes has one.
fn stands(canon: &Canon, server: usize, effect: &Effect) -> Verdict {
    match effect {
        Effect::Send { message: PeerMessage::Quorum(message), .. }
            if matches!(message.body, Body::Question(Question::Vote(_))) && !canon.may_vote(server) =>
        {
            Err(format!(
                "broker {} asks for votes in epoch {}, and has none itself",
                server + 1,
                message.epoch
            ))
        }
        _ => Ok(()),
    }
}

fn once(votes: &mut Votes, voter: (usize, [u8; 16], i32), candidate: i32) -> Verdict {
    let first = *votes.entry(voter).or_insert(candidate);
    if first == candidate {
        return Ok(());
    }
    Err(format!(
        "broker {} votes for {candidate} in epoch {}, and has voted for {first}",
        voter.0 + 1,
        voter.2
    ))
}

/// Whether who has kept this cannot vote for anybody else in the epoch.
fn is_of(election: &Election, epoch: i32, candidate: i32) -> bool {
    let voted = election.voted.map(|voter| voter.id.0);
    election.epoch.0 > epoch || election.epoch.0 == epoch && voted == Some(candidate)
}

fn durable(disk: &SimDisk) -> Vec<u8> {
    disk.durable_bytes(FILE.0, 0, FILE.1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use quipu_core::ids::{LeaderEpoch, Offset};
    use quipu_core::quorum::Voter;
    use quipu_core::quorum::messages::{Message, Tip, Vote};

    use super::*;

    #[test]
    fn a_second_vote_in_an_epoch_is_seen() {
        let mut votes = Votes::new();
        assert!(once(&mut votes, (0, [1; 16], 3), 2).is_ok());
        assert!(once(&mut votes, (0, [1; 16], 3), 3).is_err());
    }

    #[test]
    fn who_has_no_vote_and_asks_for_some_is_seen_and_a_voter_that_does_is_fine() {
        let tip = Tip { epoch: LeaderEpoch(1), end: Offset(1) };
        let vote = Vote { pre: true, candidate: Voter { id: BrokerId(4), directory: [0; 16] }, tip };
        let body = Body::Question(Question::Vote(vote));
        let message = PeerMessage::Quorum(Message { correlation: 1, epoch: LeaderEpoch(1), body });
        let effect = Effect::Send { to: BrokerId(1), message };
        assert!(stands(&Canon::formed_among(4, 3), 3, &effect).is_err());
        assert!(stands(&Canon::formed_among(4, 3), 2, &effect).is_ok());
        assert!(stands(&Canon::new(4), 3, &effect).is_ok(), "nobody knows yet who votes");
    }

    #[test]
    fn the_same_vote_again_the_next_epoch_and_a_new_directory_are_fine() {
        let mut votes = Votes::new();
        assert!(once(&mut votes, (0, [1; 16], 3), 2).is_ok() && once(&mut votes, (0, [1; 16], 3), 2).is_ok());
        assert!(once(&mut votes, (0, [1; 16], 4), 3).is_ok());
        assert!(once(&mut votes, (0, [9; 16], 3), 3).is_ok(), "it is another voter");
    }

    #[test]
    fn an_older_state_and_one_without_the_vote_do_not_bind() {
        let voted = |id| Some(Voter { id: BrokerId(id), directory: [0; 16] });
        let state = |epoch, voted| Election { epoch: LeaderEpoch(epoch), voted, leader: None };
        assert!(!is_of(&state(2, voted(1)), 3, 1));
        assert!(!is_of(&state(3, None), 3, 1));
        assert!(!is_of(&state(3, voted(2)), 3, 1));
        assert!(is_of(&state(3, voted(1)), 3, 1));
        assert!(is_of(&state(4, None), 3, 1), "it never goes back to epoch 3");
    }
}
