//! The answers of one connection: completed in any order, sent in the order of their requests.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use quipu_core::exchange::records;
use quipu_core::exchange::replies::{Ask, Replies};
use quipu_core::wire;

use crate::ahead::Ahead;
use crate::answers;
use crate::rt::WriteSide;

/// Answers are put together up to about this many bytes before they are written.
const GATHER_BYTES: usize = 256 * 1024;
/// Pieces that one write takes.
const PIECES: usize = 64;

/// The requests in progress, and what is ready to be written.
pub(crate) struct Outbox {
    pub(crate) replies: Replies,
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// Where to write, unless a writer task has it.
    socket: Option<WriteSide>,
    /// The encoder, with its reused buffer.
    out: wire::Out,
    /// Whether the reader waits for an answer to be sent.
    pub(crate) reader_waits: bool,
    /// What is read from disk before the client asks for it.
    pub(crate) ahead: Ahead,
}

/// What [`Outbox::gather`] found behind what it put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: the next request in order is not answered yet, or there is none.
    Nothing,
    /// More answers, to be gathered when these are written.
    More,
    /// An answer whose records must be read from disk first: [`Outbox::pop`] takes it.
    OnDisk,
}

/// What [`Outbox::try_write`] came to.
pub(crate) enum Written {
    /// Nothing is left that could be written now.
    All,
    /// The rest takes waiting: a writer task must take over.
    Rest,
    /// A writer task is at it.
    Busy,
}

impl Outbox {
    pub(crate) fn new(socket: WriteSide) -> Outbox {
        Outbox::of(Some(socket))
    }

    fn of(socket: Option<WriteSide>) -> Outbox {
        Outbox {
            replies: Replies::default(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            socket,
            out: wire::Out::new(),
            reader_waits: false,
            ahead: Ahead::default(),
        }
    }

    /// Encodes the answers that are next, until enough is put together for a write. The longest throttle time among them
    /// is left in `throttle_ms`.
    pub(crate) fn gather(&mut self, throttle_ms: &mut i32) -> Result<Next, wire::WireError> {
        while let Some(answer) = self.replies.front() {
            if self.ready_bytes >= GATHER_BYTES {
                return Ok(Next::More);
            }
            if records::is_on_disk(answer) {
                return Ok(Next::OnDisk);
            }
            let (ask, answer) = self.replies.pop().expect("there is an answer");
            *throttle_ms = answers::throttle_ms(&answer).max(*throttle_ms);
            self.encode(ask, &answer)?;
        }
        Ok(Next::Nothing)
    }

    /// Encodes an answer behind what is ready.
    pub(crate) fn encode(&mut self, ask: Ask, answer: &wire::Response) -> Result<(), wire::WireError> {
        wire::encode_response(&mut self.out, ask.correlation, ask.version, answer)?;
        let mut pieces = Vec::with_capacity(4);
        self.out.take(&mut pieces);
        self.ready_bytes += pieces.iter().map(Bytes::len).sum::<usize>();
        self.ready.extend(pieces);
        Ok(())
    }

    /// Bytes ready to be written.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// Whether a writer task has the socket.
    pub(crate) fn is_busy(&self) -> bool {
        self.socket.is_none()
    }

    /// Writes what is ready, as far as the system takes it at once. How many bytes and writes that was.
    pub(crate) fn try_write(&mut self, counted: &mut (usize, usize)) -> io::Result<Written> {
        let Some(socket) = &self.socket else { return Ok(Written::Busy) };
        while !self.ready.is_empty() {
            let mut parts = [IoSlice::new(&[]); PIECES];
            let count = slices(&self.ready, &mut parts);
            match socket.try_write(&parts[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    *counted = (counted.0 + n, counted.1 + 1);
                    self.ready_bytes -= n;
                    advance(&mut self.ready, n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Rest),
                Err(error) => return Err(error),
            }
        }
        Ok(Written::All)
    }

    /// Hands the socket, and what is ready, to a writer task.
    pub(crate) fn hand_over(&mut self) -> Option<(WriteSide, VecDeque<Bytes>)> {
        let socket = self.socket.take()?;
        Some((socket, self.take_ready()))
    }

    /// What is ready to be written.
    pub(crate) fn take_ready(&mut self) -> VecDeque<Bytes> {
        self.ready_bytes = 0;
        std::mem::take(&mut self.ready)
    }

    /// Takes the socket back from the writer task, which has nothing left to write.
    pub(crate) fn hand_back(&mut self, socket: WriteSide) {
        assert!(self.socket.is_none(), "a connection has one socket");
        self.socket = (!self.replies.is_closed()).then_some(socket);
    }

    /// The end of the connection: nothing is sent any more. The bytes that all its requests took from the budget.
    pub(crate) fn close(&mut self) -> usize {
        self.socket = None;
        self.take_ready();
        self.ahead.clear();
        self.replies.close()
    }
}

/// The first pieces as the system wants them: how many there are.
fn slices<'a>(pieces: &'a VecDeque<Bytes>, into: &mut [IoSlice<'a>; PIECES]) -> usize {
    let mut count = 0;
    for (slice, piece) in into.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    count
}

/// Writes some of the pieces, waiting until that is possible: how many bytes.
pub(crate) async fn write_some(socket: &mut WriteSide, pieces: &VecDeque<Bytes>) -> io::Result<usize> {
    let mut parts = [IoSlice::new(&[]); PIECES];
    let count = slices(pieces, &mut parts);
    match socket.write(&parts[..count]).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}

/// Drops the first `n` bytes.
pub(crate) fn advance(pieces: &mut VecDeque<Bytes>, mut n: usize) {
    while let Some(piece) = pieces.front_mut() {
        if n < piece.len() {
            piece.advance(n);
            return;
        }
        n -= piece.len();
        pieces.pop_front();
    }
    assert_eq!(n, 0, "no more was written than there was");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;
    use quipu_core::ids::{LogId, Offset};
    use quipu_core::storage::ops::LogRange;
    use quipu_core::storage::reader::{Sources, Stretch};
    use quipu_core::time::Instant;
    use quipu_core::wire::messages::heartbeat::HeartbeatResponse;

    #[test]
    fn an_answer_that_throttles_its_client_is_not_held_back_and_the_time_is_told() {
        let mut outbox = Outbox::of(None);
        let ask = Ask { version: 4, correlation: 1, bytes: 0, fetch: false, silent: false };
        for throttle_time_ms in [0, 700, 200] {
            let seq = outbox.replies.open(ask);
            let answer = HeartbeatResponse { throttle_time_ms, ..Default::default() };
            outbox.replies.complete(seq, answer.into());
        }
        let mut throttle_ms = 0;
        assert_eq!(outbox.gather(&mut throttle_ms), Ok(Next::Nothing));
        assert_eq!((outbox.replies.in_progress().0, throttle_ms), (0, 700), "the longest of them");
        assert_eq!(outbox.ready_bytes(), 3 * 16, "all three are ready to be written");
    }
    #[test]
    fn the_end_of_a_connection_gives_back_what_was_read_ahead() {
        let (log, from, below) = (LogId::METADATA, Offset(10), Offset(20));
        let asked = LogRange { log, from, below, max_bytes: 100, at_least_one: true };
        let room = Arc::new(Budget::new(100));
        let mut outbox = Outbox::of(None);
        outbox.ahead.expect(asked, Offset(15), true, Instant(0));
        let order = outbox.ahead.begin(&room).expect("there is room");
        let chunks = vec![Bytes::from_static(b"records")];
        let stretch = Stretch { range: asked, chunks, next: Offset(17), sources: Sources::default() };
        outbox.ahead.arrived(order, Some((stretch, Instant(0))));
        assert_eq!(room.taken(), 100);
        outbox.close();
        assert_eq!(room.taken(), 0);
    }
}
