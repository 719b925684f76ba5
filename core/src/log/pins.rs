//! The frames that batches in the tails point into: each is counted whole, once, for as long as one of its batches is kept.
//!
//! A batch is a slice of the frame it arrived in and keeps all of that frame in memory, also what was refused. Counting
//! the batch alone would let a client fill the memory with frames of which only a corner is good.

use std::collections::BTreeMap;

/// Names a frame in the tails.
pub(super) type FrameId = u64;

/// The frames that are pinned.
#[derive(Debug, Default)]
pub(super) struct Pins {
    frames: BTreeMap<FrameId, Frame>,
    next: FrameId,
    /// The size of the frame that batches come from at present, if they come from one.
    arriving: Option<usize>,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    bytes: usize,
    /// Bytes of the slices so far: more than the frame's where the broker compressed batches anew.
    slices: usize,
    batches: usize,
}

impl Pins {
    /// The batches that follow are slices of a frame of that size; with `None`, each has its own memory.
    pub(super) fn arrive(&mut self, frame_bytes: Option<usize>) {
        self.next += 1;
        self.arriving = frame_bytes;
    }

    /// A slice of that size is kept.
    pub(super) fn pin(&mut self, slice: usize) -> FrameId {
        let id = self.next;
        if self.arriving.is_none() {
            self.next += 1;
        }
        let size = self.arriving.unwrap_or(0);
        let frame = self.frames.entry(id).or_insert(Frame { bytes: 0, slices: 0, batches: 0 });
        frame.batches += 1;
        frame.slices += slice;
        let bytes = size.max(frame.slices);
        self.bytes += bytes - frame.bytes;
        frame.bytes = bytes;
        id
    }

    /// A slice of that frame is gone.
    pub(super) fn unpin(&mut self, id: FrameId) {
        let frame = self.frames.get_mut(&id).expect("a frame that a batch is kept of");
        frame.batches -= 1;
        if frame.batches == 0 {
            self.bytes -= frame.bytes;
            self.frames.remove(&id);
        }
    }

    /// Bytes of all frames that are pinned.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_whole_and_once_until_its_last_batch_is_gone() {
        let mut pins = Pins::default();
        pins.arrive(Some(1_000));
        let (a, b) = (pins.pin(100), pins.pin(200));
        assert_eq!((a, pins.bytes()), (b, 1_000));
        pins.arrive(Some(50));
        let c = pins.pin(70);
        pins.unpin(a);
        assert_eq!(pins.bytes(), 1_070, "what was compressed anew can be larger than its frame");
        pins.unpin(b);
        pins.unpin(c);
        assert_eq!(pins.bytes(), 0);
    }

    #[test]
    fn batches_with_memory_of_their_own_count_each() {
        let mut pins = Pins::default();
        pins.arrive(None);
        let (a, b) = (pins.pin(100), pins.pin(200));
        assert_eq!(pins.bytes(), 300);
        pins.unpin(a);
        assert_eq!(pins.bytes(), 200);
        pins.unpin(b);
        assert_eq!(pins.bytes(), 0);
    }
}
