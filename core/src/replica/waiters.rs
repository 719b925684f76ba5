//! Who waits for an offset: acks, coordinator answers and metadata commits all wait here, in offset order.

use std::collections::VecDeque;

use crate::ids::Offset;

/// A queue of waiters; offsets never fall along it.
#[derive(Debug)]
pub struct Waiters<W> {
    queue: VecDeque<(Offset, W)>,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Waiters { queue: VecDeque::new() }
    }
}

impl<W> Waiters<W> {
    /// Waits until everything below `offset` is committed.
    pub fn push(&mut self, offset: Offset, waiter: W) {
        let last = self.queue.back().map_or(offset, |(o, _)| *o);
        assert!(last <= offset, "a waiter at {offset} behind one at {last}");
        self.queue.push_back((offset, waiter));
    }

    /// Takes the next waiter whose offset is reached by `high`.
    pub fn pop(&mut self, high: Offset) -> Option<W> {
        self.queue.pop_front_if(|(offset, _)| *offset <= high).map(|(_, waiter)| waiter)
    }

    /// Takes everybody: what they wait for will not come.
    pub fn drain(&mut self) -> impl Iterator<Item = W> + '_ {
        self.queue.drain(..).map(|(_, waiter)| waiter)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_go_in_order_once_their_offset_is_reached() {
        let mut w = Waiters::default();
        [(3, 'a'), (3, 'b'), (5, 'c')].into_iter().for_each(|(at, who)| w.push(Offset(at), who));
        assert_eq!(w.pop(Offset(2)), None);
        assert_eq!((w.pop(Offset(4)), w.pop(Offset(4)), w.pop(Offset(4))), (Some('a'), Some('b'), None));
        assert_eq!(w.drain().collect::<Vec<_>>(), ['c']);
    }
}
