//! How a broker's answers leave: in order, with their records, those on disk once they are read.

use bytes::Bytes;
use quipu_core::exchange::records;
use quipu_core::exchange::replies::Ask;
use quipu_core::ids::ConnId;
use quipu_core::storage::reader::Reader;
use quipu_core::wire;

use super::{Around, Server};
use crate::disk::SimDisk;
use crate::probe::sometimes;
use crate::watch::Scene;
use crate::world::event::Read;
use crate::world::network::{Packet, Way};

impl Server {
    /// Sends the answers that are next, as far as they are there.
    pub(super) fn flush(&mut self, around: &mut Around<'_>, conn: ConnId) {
        loop {
            let Some(session) = self.process.as_mut().and_then(|p| p.sessions.get_mut(&conn)) else { return };
            if session.reading {
                return;
            }
            match session.replies.front() {
                None => return,
                Some(answer) if records::is_on_disk(answer) => {
                    session.reading = true;
                    return self.plan_read(around.agenda, Read::Answer(conn));
                }
                Some(_) => {
                    let (ask, answer) = session.replies.pop().expect("an answer that is there");
                    self.send(around, conn, ask, &answer);
                }
            }
        }
    }

    fn send(&mut self, around: &mut Around<'_>, conn: ConnId, ask: Ask, answer: &wire::Response) {
        let Some(process) = &mut self.process else { return };
        let Some(link) = process.sessions.get(&conn).map(|s| s.link) else { return };
        let scene = Scene {
            server: self.id,
            broker: &process.broker,
            disk: &self.disk,
            now: self.clock.at(around.agenda.now()),
            turn: self.turn,
            damaged: around.watch.damaged[self.id],
        };
        around.watch.sending(&scene, answer);
        wire::encode_response(&mut process.out, ask.correlation, ask.version, answer)
            .expect("what the machine answers can be written");
        let mut pieces = Vec::new();
        process.out.take(&mut pieces);
        // The length goes before; a packet is a whole frame.
        let frame = Bytes::from(pieces.concat()).slice(4..);
        around.network.send(around.agenda, link, Way::Down, Packet::Frame(frame));
    }

    /// Fills an answer with the records that were read for it.
    pub(super) fn answer_read(&mut self, around: &mut Around<'_>, conn: ConnId, reader: &Reader<SimDisk>) {
        if self.is_writing() {
            sometimes("answer: read from disk during a round");
        }
        let Some(session) = self.process.as_mut().and_then(|p| p.sessions.get_mut(&conn)) else { return };
        session.reading = false;
        let (ask, mut answer) = session.replies.pop().expect("an answer that was being read");
        records::fill(&mut answer, |range| reader.read(range));
        self.send(around, conn, ask, &answer);
        self.flush(around, conn);
    }
}
