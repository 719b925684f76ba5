//! What another broker sends, cut into greetings and frames, without ever reserving what it merely claims.

use bytes::{Buf, Bytes, BytesMut};
use quipu_core::peer::frame::{self, PREFIX_BYTES};
use quipu_core::peer::front::{self, FRONT};
use quipu_core::peer::hello::LONGEST_GREETING;

use crate::rt::ReadSide;

/// Room for small frames, of which many come at once.
const WINDOW: usize = 32 * 1024;
/// Less room than this is not worth a read between frames.
const SMALLEST_READ: usize = 4 * 1024;
/// How far ahead of the bytes that have arrived memory is reserved: as much as an answer with records has as a rule, so that its bytes are
/// not moved to larger memory while they arrive. Only a broker of this cluster may say that it sends so much; a greeting is short.
const RESERVE_AHEAD: usize = 8 << 20;

/// The reading side of a connection, with what has arrived and was not taken yet.
pub(super) struct Stream {
    socket: ReadSide,
    buffer: BytesMut,
}

impl Stream {
    pub(super) fn new(socket: ReadSide) -> Stream {
        Stream { socket, buffer: BytesMut::new() }
    }

    /// Reads what is there, at least something: how many bytes.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn more(&mut self) -> Result<usize, String> {
        let spare = self.buffer.capacity() - self.buffer.len();
        // Between frames there is nothing to move to larger memory; amid one just what it needs has been reserved.
        if spare == 0 || (self.buffer.len() < PREFIX_BYTES && spare < SMALLEST_READ) {
            self.buffer.reserve(WINDOW);
        }
        match self.socket.read(&mut self.buffer).await {
            Ok(0) => Err("it closed the connection".to_owned()),
            Ok(n) => Ok(n),
            Err(error) => Err(format!("the connection broke: {error}")),
        }
    }

    /// The next whole frame without its length; one of no bytes is a keep-alive. `None` when more must be read first.
    ///
    /// # Errors
    /// It claims more than `limit`.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<Bytes>, String> {
        next(&mut self.buffer, limit)
    }

    /// Reads the front and the greeting behind it.
    ///
    /// # Errors
    /// The other side is no broker, or the connection has ended. Whether anything had come by then.
    pub(super) async fn greeting(&mut self) -> Result<Bytes, (String, bool)> {
        while self.buffer.len() < FRONT.len() {
            self.more().await.map_err(|why| (why, !self.buffer.is_empty()))?;
        }
        let mut first = [0; FRONT.len()];
        self.buffer.copy_to_slice(&mut first);
        front::check(first).map_err(|why| (why, true))?;
        loop {
            match self.next(LONGEST_GREETING).map_err(|why| (why, true))? {
                Some(greeting) => return Ok(greeting),
                None => self.more().await.map_err(|why| (why, true))?,
            };
        }
    }
}

fn next(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, String> {
    let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let total = PREFIX_BYTES + frame::length(*prefix, limit)?;
    if buffer.len() < total {
        let (missing, spare) = (total - buffer.len(), buffer.capacity() - buffer.len());
        if spare < missing.min(RESERVE_AHEAD) && (spare == 0 || missing <= RESERVE_AHEAD) {
            buffer.reserve(missing.min(RESERVE_AHEAD));
        }
        return Ok(None);
    }
    let mut frame = buffer.split_to(total).freeze();
    frame.advance(PREFIX_BYTES);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_stream_was_cut() {
        let sizes = [0, 1, 5000, 0, 70_000, 3];
        let stream: Vec<u8> = sizes
            .iter()
            .flat_map(|size| [&(*size as u32).to_be_bytes()[..], &vec![7; *size]].concat())
            .collect();
        for cut in [1, 3, 4, 5, 1000, stream.len()] {
            let mut buffer = BytesMut::new();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = next(&mut buffer, 70_000).unwrap() {
                    assert!(frame.iter().all(|byte| *byte == 7));
                    seen.push(frame.len());
                }
            }
            assert_eq!(seen, sizes, "cut into pieces of {cut}");
        }
    }

    #[test]
    fn the_bytes_of_a_frame_stay_where_they_arrived() {
        let size = RESERVE_AHEAD - PREFIX_BYTES;
        let mut buffer = BytesMut::from(&(size as u32).to_be_bytes()[..]);
        assert_eq!(next(&mut buffer, size), Ok(None));
        let first = buffer.as_ptr();
        for _ in 0..size / 64_000 {
            buffer.extend_from_slice(&[7; 64_000]);
            assert_eq!(next(&mut buffer, size), Ok(None));
            assert_eq!(buffer.as_ptr(), first);
        }
        buffer.extend_from_slice(&vec![7; size % 64_000]);
        assert_eq!(next(&mut buffer, size).unwrap().map(|frame| frame.len()), Some(size));
    }

    #[test]
    fn a_claimed_length_reserves_no_more_than_a_bounded_stretch() {
        let mut buffer = BytesMut::from(&(100u32 << 20).to_be_bytes()[..]);
        assert_eq!(next(&mut buffer, 128 << 20), Ok(None));
        assert!(buffer.capacity() <= 2 * RESERVE_AHEAD, "{}", buffer.capacity());
        assert!(next(&mut buffer, 99 << 20).is_err());
    }
}
