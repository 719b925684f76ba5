//! The answers of one connection: completed in any order, taken out in the order of their requests.

use std::collections::VecDeque;

use crate::wire::Response;

/// What must be known of a request to write its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The version to answer in.
    pub version: i16,
    /// The correlation id.
    pub correlation: i32,
    /// Bytes of the request, taken from the shell's budget.
    pub bytes: usize,
    /// Whether it is a fetch: their answers pin memory.
    pub fetch: bool,
    /// Whether it gets no answer: a produce with acks=0.
    pub silent: bool,
}

#[derive(Debug)]
struct Slot {
    ask: Ask,
    answer: Option<Response>,
}

/// The requests of a connection that are in progress.
#[derive(Debug, Default)]
pub struct Replies {
    slots: VecDeque<Slot>,
    /// The sequence number of the first slot.
    first: u64,
    bytes: usize,
    fetches: usize,
    /// Bytes of requests whose answers were taken out, not yet given back to the budget.
    settled: usize,
    /// Nothing is sent any more.
    closed: bool,
}

impl Replies {
    /// Opens a slot for a request: its number on this connection.
    pub fn open(&mut self, ask: Ask) -> u64 {
        if self.closed {
            // It will not be answered: what it took is given back at once.
            self.settled += ask.bytes;
            return self.first;
        }
        self.bytes += ask.bytes;
        self.fetches += usize::from(ask.fetch);
        self.slots.push_back(Slot { ask, answer: None });
        self.first + self.slots.len() as u64 - 1
    }

    /// Puts the answer into its slot. Whether it is the next one to be sent.
    ///
    /// # Panics
    /// The request is not in progress, was answered before, or wants no answer.
    pub fn complete(&mut self, seq: u64, answer: Response) -> bool {
        if self.closed {
            return false;
        }
        let place = seq.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        let slot = place.and_then(|place| self.slots.get_mut(place));
        let slot = slot.expect("only requests in progress are answered");
        assert!(slot.answer.is_none(), "request {seq} was answered twice");
        assert!(!slot.ask.silent, "request {seq} wants no answer");
        slot.answer = Some(answer);
        // What stands before it may want no answer.
        self.slots.iter().take((seq - self.first) as usize).all(|slot| slot.ask.silent)
    }

    /// Requests in progress, of them fetches, and the bytes of all.
    pub fn in_progress(&self) -> (usize, usize, usize) {
        (self.slots.len(), self.fetches, self.bytes)
    }

    /// The answer that is to be sent next, if it is there.
    pub fn front(&mut self) -> Option<&Response> {
        while self.slots.front().is_some_and(|slot| slot.ask.silent) {
            self.shift();
        }
        self.slots.front().and_then(|slot| slot.answer.as_ref())
    }

    /// Takes the answer out that is to be sent next, if it is there.
    pub fn pop(&mut self) -> Option<(Ask, Response)> {
        self.front()?;
        let answer = self.slots.front_mut()?.answer.take()?;
        Some((self.shift(), answer))
    }

    /// Bytes of answered requests since the last call, to be given back to the budget.
    pub fn settle(&mut self) -> usize {
        std::mem::take(&mut self.settled)
    }

    /// The end of the connection: nothing is sent any more. The bytes that all its requests took from the budget.
    pub fn close(&mut self) -> usize {
        self.closed = true;
        self.slots.clear();
        self.fetches = 0;
        std::mem::take(&mut self.bytes) + self.settle()
    }

    /// Whether nothing is sent any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn shift(&mut self) -> Ask {
        let Slot { ask, .. } = self.slots.pop_front().expect("there is a first slot");
        self.first += 1;
        self.bytes -= ask.bytes;
        self.fetches -= usize::from(ask.fetch);
        self.settled += ask.bytes;
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::heartbeat::HeartbeatResponse;

    fn ask(correlation: i32, silent: bool) -> Ask {
        Ask { version: 0, correlation, bytes: 10, fetch: false, silent }
    }

    fn answer() -> Response {
        HeartbeatResponse::default().into()
    }

    fn sent(replies: &mut Replies) -> Vec<i32> {
        std::iter::from_fn(|| replies.pop().map(|(ask, _)| ask.correlation)).collect()
    }

    #[test]
    fn answers_leave_in_the_order_of_their_requests_whatever_the_order_they_came_in() {
        let mut replies = Replies::default();
        let seqs: Vec<u64> = (0..4).map(|i| replies.open(ask(i, i == 1))).collect();
        assert!(!replies.complete(seqs[2], answer()));
        assert!(sent(&mut replies).is_empty());
        assert!(replies.complete(seqs[0], answer()));
        assert_eq!(sent(&mut replies), [0, 2], "what wants no answer holds nobody up");
        assert!(replies.complete(seqs[3], answer()));
        assert_eq!(sent(&mut replies), [3]);
        assert_eq!((replies.in_progress(), replies.settle()), ((0, 0, 0), 40));
    }

    #[test]
    fn a_closed_connection_gives_back_what_its_requests_took() {
        let mut replies = Replies::default();
        let first = replies.open(ask(0, false));
        replies.open(ask(1, false));
        assert_eq!(replies.close(), 20);
        assert!(!replies.complete(first, answer()));
        replies.open(ask(2, false));
        assert_eq!(replies.settle(), 10);
    }
}
