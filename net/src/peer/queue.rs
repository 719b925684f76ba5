//! The messages that wait for one link: bounded in number, bytes and time, the oldest go when there are too many.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use quipu_core::time::Instant;

/// Messages are put together up to about this many bytes before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// How much may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) frames: usize,
    /// A single frame may have more.
    pub(super) bytes: usize,
    pub(super) wait: Duration,
}

/// Encoded messages, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    frames: VecDeque<Frame>,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    pieces: Vec<Bytes>,
    bytes: usize,
    queued_at: Instant,
}

/// What [`Queue::take`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Messages to be written.
    pub(super) messages: usize,
    /// Messages that had waited for too long.
    pub(super) dropped: usize,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Queue {
        Queue { bounds, frames: VecDeque::new(), bytes: 0 }
    }

    /// What waits, with nothing left here.
    pub(super) fn take_over(&mut self) -> Queue {
        std::mem::replace(self, Queue::new(self.bounds))
    }

    /// Puts a message behind the others: how many of the oldest had to go. The newest always stays.
    pub(super) fn push(&mut self, pieces: Vec<Bytes>, now: Instant) -> usize {
        let bytes = pieces.iter().map(Bytes::len).sum();
        self.frames.push_back(Frame { pieces, bytes, queued_at: now });
        self.bytes += bytes;
        let mut dropped = 0;
        while self.frames.len() > 1
            && (self.frames.len() > self.bounds.frames || self.bytes > self.bounds.bytes)
        {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    /// Moves the oldest messages to where they are written from: some, if there are any, but no more than fit one write well. Those
    /// that have waited for too long go: who sent them has long tried again or given up, and whatever they ask for, behind an outage
    /// it would be answered many times over.
    pub(super) fn take(&mut self, into: &mut VecDeque<Bytes>, now: Instant) -> Taken {
        let (mut taken, mut bytes) = (Taken::default(), 0);
        while bytes < GATHER_BYTES {
            let Some(frame) = self.pop() else { break };
            if now.since(frame.queued_at) > self.bounds.wait {
                taken.dropped += 1;
                continue;
            }
            bytes += frame.bytes;
            into.extend(frame.pieces);
            taken.messages += 1;
        }
        taken
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes;
        Some(frame)
    }

    /// Messages and bytes that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.frames.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000_000);

    fn queue(frames: usize, bytes: usize) -> Queue {
        Queue::new(Bounds { frames, bytes, wait: Duration::from_secs(2) })
    }

    fn frame(bytes: usize, fill: u8) -> Vec<Bytes> {
        vec![Bytes::from(vec![fill; bytes / 2]), Bytes::from(vec![fill; bytes - bytes / 2])]
    }

    fn fills(queue: &mut Queue) -> Vec<u8> {
        let mut pieces = VecDeque::new();
        while queue.take(&mut pieces, NOW).messages > 0 {}
        pieces.iter().step_by(2).map(|piece| piece[0]).collect()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut queue = queue(3, 1000);
        let dropped: Vec<usize> = (1..=5).map(|fill| queue.push(frame(10, fill), NOW)).collect();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(queue.waiting(), (3, 30));
        assert_eq!(fills(&mut queue), [3, 4, 5]);
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large_and_a_single_one_may_be() {
        let mut queue = queue(100, 1000);
        assert_eq!((1..=4).map(|fill| queue.push(frame(400, fill), NOW)).sum::<usize>(), 2);
        assert_eq!(queue.waiting(), (2, 800));
        assert_eq!(queue.push(frame(5000, 9), NOW), 2, "it stays alone");
        assert_eq!(queue.waiting(), (1, 5000));
        assert_eq!(queue.push(frame(10, 10), NOW), 1);
        assert_eq!(fills(&mut queue), [10]);
    }

    #[test]
    fn what_has_waited_too_long_is_not_written_any_more() {
        let mut queue = queue(100, 1000);
        queue.push(frame(10, 1), NOW);
        queue.push(frame(10, 2), NOW.after_ms(1000));
        queue.push(frame(10, 3), NOW.after_ms(1001));
        let mut pieces = VecDeque::new();
        assert_eq!(queue.take(&mut pieces, NOW.after_ms(3000)), Taken { messages: 2, dropped: 1 });
        assert_eq!(pieces[0][0], 2);
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn what_is_taken_at_once_fits_one_write() {
        let mut queue = queue(100, 1 << 30);
        for fill in 1..=6 {
            queue.push(frame(100 * 1024, fill), NOW);
        }
        let mut pieces = VecDeque::new();
        assert_eq!(queue.take(&mut pieces, NOW).messages, 3);
        assert_eq!(queue.waiting(), (3, 300 * 1024));
    }
}
