//! What brokers say to one another, through frames and over simulated streams.

use bytes::Bytes;
use quipu_core::broker::door::Input;
use quipu_core::ids::BrokerId;
use quipu_core::peer::frame;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Message};

use super::{Around, Server};
use crate::world::event::{Event, ServerEvent};
use crate::world::network::{LinkId, Packet};
use crate::world::streams::Road;

/// An echo comes so many microseconds late at most: after elections, and often after a restart.
const ECHO: u64 = 8_000_000;

impl Server {
    /// Says something to another broker.
    pub(super) fn say(&mut self, around: &mut Around<'_>, to: BrokerId, message: &PeerMessage) {
        let Some(process) = &mut self.process else { return };
        let to = usize::try_from(to.0 - 1).expect("a broker that there is");
        if !process.reaches(to) {
            return;
        }
        let pieces = frame::encode(message).expect("what a broker says has a frame");
        let frame = Bytes::from(pieces.concat()).slice(frame::PREFIX_BYTES..);
        let name = process.next_conn();
        let mut road = Road { agenda: around.agenda, network: around.network, from: self.id, to };
        process.streams.say(&mut road, frame, name);
    }

    /// The pause before another broker is dialled again is over.
    pub(super) fn dial(&mut self, around: &mut Around<'_>, to: usize) {
        let Some(process) = &mut self.process else { return };
        let name = process.next_conn();
        let mut road = Road { agenda: around.agenda, network: around.network, from: self.id, to };
        process.streams.dial(&mut road, name);
    }

    /// A packet of another broker.
    pub fn hear(&mut self, around: &mut Around<'_>, (link, from): (LinkId, usize), packet: Packet) {
        let Some(process) = &mut self.process else {
            return around.network.reset(around.agenda, link, (true, false));
        };
        match packet {
            Packet::Open => {
                let conn = process.next_conn();
                process.streams.accept(link, from);
                around.network.accept(around.agenda, link, conn);
            }
            Packet::Opened => {
                let (agenda, network) = (&mut *around.agenda, &mut *around.network);
                process.streams.opened(&mut Road { agenda, network, from: self.id, to: from }, link);
            }
            Packet::Frame(frame) if process.streams.speaker(link) == Some(from) => {
                if self.echo_rng.below(1000) < self.echoes_per_mille {
                    let wait = self.echo_rng.below(ECHO);
                    let echo = Event::Echo { server: self.id, from, frame: frame.clone() };
                    around.agenda.plan_in(wait, echo);
                }
                self.told_by(around, from, frame);
            }
            Packet::Frame(_) => {}
            Packet::Closed(_) => self.stream_lost(around, link),
        }
    }

    /// Another broker says something.
    pub fn told_by(&mut self, around: &mut Around<'_>, from: usize, frame: Bytes) {
        let message = frame::decode(frame).expect("what was encoded is decoded");
        let (now, me) = (around.agenda.now(), self.id + 1);
        around.watch.trace.say(now, || format!("broker {me} hears from {}: {}", from + 1, words(&message)));
        self.step(around, [Input::Peer { from: BrokerId(from as i32 + 1), message }]);
    }

    /// A stream is gone: one that it has dialled is dialled again after a pause.
    pub(super) fn stream_lost(&mut self, around: &mut Around<'_>, link: LinkId) {
        let Some(process) = &mut self.process else { return };
        let Some(fall) = process.streams.lost(link, self.id as u64) else { return };
        self.plan(around.agenda, fall.pause, ServerEvent::Dial(fall.to));
        if !fall.refused {
            self.step(around, [Input::Unlinked { broker: BrokerId(fall.to as i32 + 1) }]);
        }
        // A host without power refuses nobody: of a half of those that are down nothing is found out so.
        if fall.refused && self.rng.below(2) == 0 {
            let (now, me) = (around.agenda.now(), self.id + 1);
            around.watch.trace.say(now, || format!("broker {me} finds nobody where {} listens", fall.to + 1));
            self.step(around, [Input::Absent { broker: BrokerId(fall.to as i32 + 1) }]);
        }
    }
}

/// Of messages that are shown as they are, so much is shown.
const LONGEST_WORDS: usize = 300;

/// A message, in words for readers.
fn words(message: &PeerMessage) -> String {
    let PeerMessage::Quorum(Message { correlation, epoch, body }) = message else {
        let mut words = format!("{message:?}");
        words.truncate(words.floor_char_boundary(LONGEST_WORDS));
        return words;
    };
    match body {
        Body::Question(question) => format!("question {correlation} in epoch {epoch}: {question:?}"),
        Body::Answer(Answer::Records { batches, high }) => {
            let places = batches.iter().map(|b| (b.header().base_offset.0, b.header().leader_epoch.0));
            let places: Vec<(i64, i32)> = places.collect();
            format!("answer {correlation} in epoch {epoch}: records {places:?}, high watermark {high}")
        }
        Body::Answer(answer) => format!("answer {correlation} in epoch {epoch}: {answer:?}"),
        Body::Flushed(to) => format!("flushed to {to} in epoch {epoch}"),
    }
}
