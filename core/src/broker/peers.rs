//! What brokers say to one another, besides the quorum: who is told, and which room hears it.

use crate::broker::Broker;
use crate::broker::door::Effect;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::ids::BrokerId;
use crate::peer::message::{FromController, PeerMessage, ToController};
use crate::quorum::Quorum;

impl Broker {
    /// Another broker says something. Who stops or has lost its disk is deaf: nothing is appended behind the last checkpoint.
    pub(super) fn hears(&mut self, turn: &mut Turn, from: BrokerId, message: PeerMessage) {
        if !matches!(self.phase, Phase::Stopping | Phase::Dead(_)) {
            self.member.absent.remove(&from);
            self.peer(turn, from, message);
            let leads = self.quorum.as_ref().is_some_and(|quorum| quorum.leader() == Some(from));
            if leads || self.member.led_by.is_some_and(|(last, _)| last == from) {
                self.member.led_by = Some((from, turn.now.mono));
            }
        }
    }

    /// Nobody listens where another broker is reached: nobody waits for its silence to become too long.
    pub(super) fn absent(&mut self, turn: &mut Turn, broker: BrokerId) {
        let is_known = self.config.voters.contains_key(&broker)
            || self.controller.draft().brokers().contains_key(&broker);
        if is_known && !matches!(self.phase, Phase::Stopping | Phase::Dead(_)) {
            self.member.absent.insert(broker);
            self.steer(turn, |quorum, now, _, _| quorum.lost(now, broker));
            self.lost_sight(broker);
        }
    }

    /// Another broker says something, or this one to itself.
    fn peer(&mut self, turn: &mut Turn, from: BrokerId, message: PeerMessage) {
        match message {
            PeerMessage::Quorum(message) => {
                self.steer(turn, |quorum, now, log, out| quorum.receive(now, from, message, log, out));
            }
            PeerMessage::ToController(message) => self.asked_as_controller(turn, from, message),
            PeerMessage::FromController(message) => self.told_by_controller(turn, message),
            PeerMessage::ReplicaFetch(fetch) => self.follower_asks(turn, from, &fetch),
            PeerMessage::ReplicaAnswer(answer) => self.leader_answers(turn, from, answer),
            PeerMessage::ReplicaFlushed(flushed) => self.follower_flushed(turn, from, &flushed),
            PeerMessage::Forward { correlation, frame } => {
                self.serve_forwarded(turn, (from, correlation), frame);
            }
            PeerMessage::Forwarded { correlation, outcome } => self.forwarded(turn, correlation, outcome),
        }
    }

    /// Says something to a broker.
    pub(super) fn tell(&mut self, turn: &mut Turn, to: BrokerId, message: PeerMessage) {
        if to == self.me {
            self.peer(turn, to, message);
        } else {
            turn.out.push(Effect::Send { to, message });
        }
    }

    /// Says something to the active controller. Without one it is not said; whoever needs an answer asks again.
    pub(super) fn tell_controller(&mut self, turn: &mut Turn, message: ToController) {
        if let Some(to) = self.known_controller() {
            self.tell(turn, to, PeerMessage::ToController(message));
        }
    }

    /// Says something as the active controller.
    pub(super) fn tell_as_controller(&mut self, turn: &mut Turn, to: BrokerId, message: FromController) {
        self.tell(turn, to, PeerMessage::FromController(message));
    }

    /// The active controller, as far as this broker knows: who leads the metadata log.
    pub(super) fn known_controller(&self) -> Option<BrokerId> {
        self.quorum.as_ref().and_then(Quorum::leader)
    }
}
