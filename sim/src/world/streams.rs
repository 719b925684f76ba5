//! A broker's streams to the others: whoever has dialled speaks, the other side only listens; what cannot be sent waits a little.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quipu_core::ids::{BrokerId, ConnId};
use quipu_core::peer::backoff::Backoff;

use super::agenda::{Agenda, Moment};
use super::event::Event;
use super::network::{LinkId, Network, Packet, Place, Way};

/// How long a message waits for its stream, as in the shell (`PeerLimits::queue_wait`).
const WAIT: Moment = 2_000_000;
/// Messages that wait for one stream; of more, the oldest go.
const WAITING: usize = 1024;

/// All streams of a process.
#[derive(Default)]
pub(super) struct Streams {
    /// Its own, by where they go.
    own: BTreeMap<usize, Stream>,
    /// Those of others, and whose.
    heard: BTreeMap<LinkId, usize>,
}

/// A stream of its own.
#[derive(Default)]
struct Stream {
    link: Option<(LinkId, ConnId)>,
    open: bool,
    waiting: VecDeque<(Moment, Bytes)>,
    failed: u32,
    /// It is not dialled before.
    pauses: bool,
}

/// A stream of its own that is gone.
pub(super) struct Fall {
    /// Where it went.
    pub(super) to: usize,
    /// It was never open.
    pub(super) refused: bool,
    /// How long to wait before that broker is dialled again.
    pub(super) pause: u64,
}

/// Where a stream goes, and what it acts upon.
pub(super) struct Road<'a> {
    pub(super) agenda: &'a mut Agenda<Event>,
    pub(super) network: &'a mut Network,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Streams {
    /// Says something to another broker, now or once there is a stream; dials if it has to, under this name.
    pub(super) fn say(&mut self, road: &mut Road<'_>, frame: Bytes, name: ConnId) {
        let stream = self.own.entry(road.to).or_default();
        stream.waiting.push_back((road.agenda.now(), frame));
        if stream.waiting.len() > WAITING {
            stream.waiting.pop_front();
        }
        if let Some((link, conn)) = stream.link
            && !road.network.has(link)
        {
            // The other side is gone without a word: writing is how it finds out.
            let (at, why) = (Place::Server(road.from), "the connection was reset");
            return road.agenda.plan_in(100, Event::Lost { at, link, conn, why });
        }
        stream.go_on(road, name);
    }

    /// The pause is over.
    pub(super) fn dial(&mut self, road: &mut Road<'_>, name: ConnId) {
        if let Some(stream) = self.own.get_mut(&road.to) {
            stream.pauses = false;
            stream.go_on(road, name);
        }
    }

    /// A stream of its own is open.
    pub(super) fn opened(&mut self, road: &mut Road<'_>, link: LinkId) {
        let ours = |s: &&mut Stream| s.link.is_some_and(|(own, _)| own == link);
        if let Some(stream) = self.own.get_mut(&road.to).filter(ours) {
            (stream.open, stream.failed) = (true, 0);
            stream.flush(road);
        }
    }

    /// Another broker has dialled.
    pub(super) fn accept(&mut self, link: LinkId, from: usize) {
        self.heard.insert(link, from);
    }

    /// Who speaks on a stream that has been accepted.
    pub(super) fn speaker(&self, link: LinkId) -> Option<usize> {
        self.heard.get(&link).copied()
    }

    /// Whether another broker speaks to this one.
    pub(super) fn is_heard(&self, from: usize) -> bool {
        self.heard.values().any(|speaker| *speaker == from)
    }

    /// A stream is gone. Where it went, if it was one of its own.
    pub(super) fn lost(&mut self, link: LinkId, seed: u64) -> Option<Fall> {
        self.heard.remove(&link);
        let ours = |(_, s): &(&usize, &mut Stream)| s.link.is_some_and(|(own, _)| own == link);
        let (to, stream) = self.own.iter_mut().find(ours)?;
        let refused = !stream.open;
        (stream.link, stream.open, stream.pauses) = (None, false, true);
        stream.failed += 1;
        let pause = Backoff::default().pause(seed, BrokerId(*to as i32 + 1), stream.failed);
        Some(Fall { to: *to, refused, pause: pause.as_micros() as u64 })
    }
}

impl Stream {
    fn go_on(&mut self, road: &mut Road<'_>, name: ConnId) {
        if self.open {
            self.flush(road);
        } else if self.link.is_none() && !self.pauses && !self.waiting.is_empty() {
            let (from, to) = (Place::Server(road.from), Place::Server(road.to));
            self.link = Some((road.network.connect(road.agenda, from, to, name), name));
        }
    }

    fn flush(&mut self, road: &mut Road<'_>) {
        let Some((link, _)) = self.link else { return };
        let now = road.agenda.now();
        for (since, frame) in self.waiting.drain(..) {
            if now <= since + WAIT {
                road.network.send(road.agenda, link, Way::Up, Packet::Frame(frame));
            }
        }
    }
}
