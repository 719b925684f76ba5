//! Cutting the byte stream of a client into request frames, without ever reserving what it merely claims.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use quipu_core::peer::front::FRONT;

use crate::limits::Limits;

/// Bytes of the length that goes before every frame.
pub(crate) const PREFIX: usize = 4;
/// The shortest request: api key, version, correlation id.
const SHORTEST: usize = 8;
/// The api key of Produce.
const PRODUCE: i16 = 0;
/// A frame larger than this is read into memory of its own.
const OWN_MEMORY_FROM: usize = 16 * 1024;
/// What a connection's buffer begins with.
const SMALL_WINDOW: usize = 8 * 1024;
/// What the buffer of a connection that sends many small requests at once grows to.
const LARGE_WINDOW: usize = 64 * 1024;
/// A frame as small as this that came alone is copied out of the buffer: cheaper than memory for the buffer anew, and what
/// keeps its records in memory keeps no more than the frame.
const COPIED_UP_TO: usize = 1024;
/// How far ahead of the bytes that have arrived memory is reserved; later as much again as has arrived.
const RESERVE_AHEAD: usize = 2 * 1024 * 1024;

/// Why a stream cannot be cut into requests: the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    Negative(i32),
    TooShort(usize),
    TooLong { bytes: usize, limit: usize },
    OtherTooLong { api_key: i16, bytes: usize, limit: usize },
    Http,
    Tls,
    Peer,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FrameError::Negative(n) => write!(f, "a request claims the length {n}"),
            FrameError::TooShort(n) => {
                write!(f, "a request claims a length of {n} bytes, too few for its header")
            }
            FrameError::TooLong { bytes, limit } => {
                write!(f, "a request claims {bytes} bytes, over socket.request.max.bytes={limit}")
            }
            FrameError::OtherTooLong { api_key, bytes, limit } => {
                write!(f, "a request with api key {api_key} claims {bytes} bytes, over the limit of {limit}")
            }
            FrameError::Http => f.write_str("this looks like HTTP, but here Kafka's protocol is spoken"),
            FrameError::Tls => f.write_str("this looks like TLS, but this listener is plaintext"),
            FrameError::Peer => f.write_str(
                "this is another broker of Quipu, but here clients connect: brokers talk at quipu.peer.listen; look at \
                 its quipu.voters",
            ),
        }
    }
}

/// The frame that is arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    /// Its size with the prefix.
    total: usize,
    /// Whether its api key is known to allow that size.
    admitted: bool,
}

/// The read buffer of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: BytesMut,
    window: usize,
    begun: Option<Begun>,
    understood: bool,
    request_bytes: usize,
    other_request_bytes: usize,
    first_request_bytes: usize,
}

impl Frames {
    pub(crate) fn new(limits: &Limits) -> Frames {
        Frames {
            buffer: BytesMut::new(),
            window: SMALL_WINDOW,
            begun: None,
            understood: false,
            request_bytes: limits.request_bytes,
            other_request_bytes: limits.other_request_bytes,
            first_request_bytes: limits.first_request_bytes,
        }
    }

    /// A request was understood: this is a client.
    pub(crate) fn understood(&mut self) {
        self.understood = true;
    }

    /// The buffer to read into, with room for what is expected next.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let have = self.buffer.len();
        let want = match self.begun {
            Some(Begun { total, .. }) if total > OWN_MEMORY_FROM => {
                (total - have).min(have.max(RESERVE_AHEAD))
            }
            _ => self.window.saturating_sub(have).max(PREFIX),
        };
        // A large frame gets exactly its memory; for small ones whatever spare capacity there is will do.
        if self.buffer.capacity() - have < want.min(SMALL_WINDOW) || want > self.window {
            self.buffer.reserve(want);
        }
        &mut self.buffer
    }

    /// The next whole frame without its prefix, or `None` when more must be read.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.begun.is_none() && self.buffer.len() >= PREFIX {
            self.begun = Some(self.begin()?);
        }
        let Some(mut begun) = self.begun else { return Ok(None) };
        if !begun.admitted && self.buffer.len() >= PREFIX + 2 {
            self.admit(begun.total - PREFIX)?;
            begun.admitted = true;
            self.begun = Some(begun);
        }
        if self.buffer.len() < begun.total {
            return Ok(None);
        }
        self.begun = None;
        if begun.total == self.buffer.len() && begun.total <= COPIED_UP_TO {
            let frame = Bytes::copy_from_slice(&self.buffer[PREFIX..]);
            self.buffer.clear();
            return Ok(Some(frame));
        }
        let mut frame = self.buffer.split_to(begun.total).freeze();
        frame.advance(PREFIX);
        Ok(Some(frame))
    }

    /// The whole size of the frame that has begun to arrive; 0 while not even its length is known.
    pub(crate) fn begun(&self) -> Option<usize> {
        match self.begun {
            Some(begun) => Some(begun.total),
            None if self.buffer.is_empty() => None,
            None => Some(0),
        }
    }

    /// Adapts the window: `frames` whole ones came with the last read, which brought `bytes`.
    pub(crate) fn learn(&mut self, frames: usize, bytes: usize) {
        if frames > 1 && bytes >= self.window {
            self.window = (self.window * 2).min(LARGE_WINDOW);
        }
        if self.buffer.is_empty() && self.begun.is_none() && self.buffer.capacity() > LARGE_WINDOW {
            self.buffer = BytesMut::new();
        }
    }

    fn begin(&self) -> Result<Begun, FrameError> {
        let start = [self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]];
        let claimed = i32::from_be_bytes(start);
        let Ok(bytes) = usize::try_from(claimed) else { return Err(FrameError::Negative(claimed)) };
        if bytes < SHORTEST {
            return Err(FrameError::TooShort(bytes));
        }
        if bytes > self.request_bytes {
            return Err(foreign(start).unwrap_or(FrameError::TooLong { bytes, limit: self.request_bytes }));
        }
        Ok(Begun { total: PREFIX + bytes, admitted: false })
    }

    fn admit(&self, bytes: usize) -> Result<(), FrameError> {
        let api_key = i16::from_be_bytes([self.buffer[PREFIX], self.buffer[PREFIX + 1]]);
        let limit = if self.understood { self.other_request_bytes } else { self.first_request_bytes };
        if api_key != PRODUCE && bytes > limit {
            return Err(FrameError::OtherTooLong { api_key, bytes, limit });
        }
        Ok(())
    }
}

/// The other protocols that are often pointed at a broker by mistake, by their first bytes.
fn foreign(start: [u8; 4]) -> Option<FrameError> {
    match &start {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"CONN" | b"PRI " => {
            Some(FrameError::Http)
        }
        [0x16, 3, 0..=4, _] => Some(FrameError::Tls),
        _ if FRONT.starts_with(&start) => Some(FrameError::Peer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames {
        Frames::new(&Limits::default())
    }

    fn feed(frames: &mut Frames, bytes: &[u8]) {
        frames.room().extend_from_slice(bytes);
    }

    fn frame(api_key: i16, size: usize) -> Vec<u8> {
        let mut bytes = (size as i32).to_be_bytes().to_vec();
        bytes.extend(api_key.to_be_bytes());
        bytes.resize(PREFIX + size, 7);
        bytes
    }

    #[test]
    fn a_small_frame_that_came_alone_leaves_the_buffer_its_memory_and_pins_none_of_it() {
        let mut frames = frames();
        feed(&mut frames, &frame(3, 100));
        let memory = frames.buffer.as_ptr();
        let kept = frames.next().unwrap().expect("whole");
        assert_eq!(kept, frame(3, 100)[PREFIX..]);
        feed(&mut frames, &frame(3, 50));
        assert_eq!(
            frames.buffer.as_ptr(),
            memory,
            "the same memory is read into, though the frame is still held"
        );
        assert_eq!(frames.next().unwrap().expect("whole"), frame(3, 50)[PREFIX..]);
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_was_cut() {
        let stream: Vec<u8> = [8, 20, 70_000, 9].iter().flat_map(|size| frame(3, *size)).collect();
        for cut in [1, 3, 7, 1000, 20_000, stream.len()] {
            let mut frames = frames();
            let mut sizes = Vec::new();
            for piece in stream.chunks(cut) {
                feed(&mut frames, piece);
                while let Some(frame) = frames.next().unwrap() {
                    sizes.push(frame.len());
                }
            }
            assert_eq!(sizes, [8, 20, 70_000, 9], "cut into pieces of {cut}");
            assert_eq!(frames.begun(), None);
        }
    }

    #[test]
    fn impossible_lengths_are_refused_at_the_prefix() {
        for (prefix, error) in [
            (&[0xff, 0xff, 0xff, 0xff], FrameError::Negative(-1)),
            (&[0, 0, 0, 0], FrameError::TooShort(0)),
            (&[0, 0, 0, 7], FrameError::TooShort(7)),
            (&[0x7f, 0xff, 0xff, 0xff], FrameError::TooLong { bytes: 0x7fff_ffff, limit: 100 << 20 }),
            (b"GET ", FrameError::Http),
            (&[0x16, 3, 1, 2], FrameError::Tls),
            (b"QPEE", FrameError::Peer),
        ] {
            let mut frames = frames();
            feed(&mut frames, prefix);
            assert_eq!(frames.next(), Err(error));
        }
    }

    #[test]
    fn only_a_produce_request_may_be_large() {
        let mut frames = frames();
        feed(&mut frames, &frame(3, 600 * 1024)[..6]);
        assert!(matches!(frames.next(), Err(FrameError::OtherTooLong { api_key: 3, .. })));
        let mut frames = Frames::new(&Limits::default());
        frames.understood();
        feed(&mut frames, &frame(3, 600 * 1024)[..6]);
        assert_eq!(frames.next(), Ok(None));
        let mut frames = Frames::new(&Limits::default());
        feed(&mut frames, &frame(0, 90 << 20)[..6]);
        assert_eq!(frames.next(), Ok(None), "a produce request may be the first one");
    }

    #[test]
    fn a_claimed_length_reserves_no_more_than_a_bounded_stretch() {
        let mut frames = frames();
        feed(&mut frames, &frame(0, 90 << 20)[..6]);
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.room().capacity() <= RESERVE_AHEAD + SMALL_WINDOW * 2);
    }

    #[test]
    fn a_frame_of_a_megabyte_is_read_into_memory_of_exactly_its_size() {
        let mut frames = frames();
        let bytes = frame(0, 1 << 20);
        feed(&mut frames, &bytes[..5000]);
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.room().capacity() >= bytes.len());
        feed(&mut frames, &bytes[5000..]);
        assert_eq!(frames.next().unwrap().map(|f| f.len()), Some(1 << 20));
    }
}
