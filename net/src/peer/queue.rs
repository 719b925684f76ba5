//! The messages that wait for one link: bounded in number and bytes, the oldest go when there are too many.

use std::collections::VecDeque;

use bytes::Bytes;

/// Messages are put together up to about this many bytes before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// Encoded messages, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    most_frames: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Frame {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(most_frames: usize, most_bytes: usize) -> Queue {
        Queue { frames: VecDeque::new(), bytes: 0, most_frames, most_bytes }
    }

    /// Puts a message behind the others: how many of the oldest had to go. The newest always stays.
    pub(super) fn push(&mut self, pieces: Vec<Bytes>) -> usize {
        let bytes = pieces.iter().map(Bytes::len).sum();
        self.frames.push_back(Frame { pieces, bytes });
        self.bytes += bytes;
        let mut dropped = 0;
        while self.frames.len() > 1 && (self.frames.len() > self.most_frames || self.bytes > self.most_bytes)
        {
            self.bytes -= self.frames.pop_front().map_or(0, |oldest| oldest.bytes);
            dropped += 1;
        }
        dropped
    }

    /// Moves the oldest messages to where they are written from: some, if there are any, but no more than fit one write well. How
    /// many there were.
    pub(super) fn take(&mut self, into: &mut VecDeque<Bytes>) -> usize {
        let (mut taken, mut bytes) = (0, 0);
        while bytes < GATHER_BYTES {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.bytes;
            bytes += frame.bytes;
            into.extend(frame.pieces);
            taken += 1;
        }
        taken
    }

    /// Messages and bytes that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.frames.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize, fill: u8) -> Vec<Bytes> {
        vec![Bytes::from(vec![fill; bytes / 2]), Bytes::from(vec![fill; bytes - bytes / 2])]
    }

    fn fills(queue: &mut Queue) -> Vec<u8> {
        let mut pieces = VecDeque::new();
        while queue.take(&mut pieces) > 0 {}
        pieces.iter().step_by(2).map(|piece| piece[0]).collect()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut queue = Queue::new(3, 1000);
        let dropped: Vec<usize> = (1..=5).map(|fill| queue.push(frame(10, fill))).collect();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(queue.waiting(), (3, 30));
        assert_eq!(fills(&mut queue), [3, 4, 5]);
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large_and_a_single_one_may_be() {
        let mut queue = Queue::new(100, 1000);
        assert_eq!((1..=4).map(|fill| queue.push(frame(400, fill))).sum::<usize>(), 2);
        assert_eq!(queue.waiting(), (2, 800));
        assert_eq!(queue.push(frame(5000, 9)), 2, "it stays alone");
        assert_eq!(queue.waiting(), (1, 5000));
        assert_eq!(queue.push(frame(10, 10)), 1);
        assert_eq!(fills(&mut queue), [10]);
    }

    #[test]
    fn what_is_taken_at_once_fits_one_write() {
        let mut queue = Queue::new(100, 1 << 30);
        for fill in 1..=6 {
            queue.push(frame(100 * 1024, fill));
        }
        let mut pieces = VecDeque::new();
        assert_eq!(queue.take(&mut pieces), 3);
        assert_eq!(queue.waiting(), (3, 300 * 1024));
    }
}
