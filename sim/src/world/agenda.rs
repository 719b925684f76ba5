//! What is going to happen, in order of time; what falls on one moment happens in the order it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Microseconds of true time since the world began.
pub type Moment = u64;

/// Things that will happen.
#[derive(Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Reverse<Planned<E>>>,
    planned: u64,
    now: Moment,
}

#[derive(Debug)]
struct Planned<E> {
    at: Moment,
    nth: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Planned<E>) -> bool {
        (self.at, self.nth) == (other.at, other.nth)
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Planned<E>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Planned<E>) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Agenda<E> {
        Agenda { heap: BinaryHeap::new(), planned: 0, now: 0 }
    }
}

impl<E> Agenda<E> {
    /// The moment that the last event fell on.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Plans an event; one that would lie in the past happens next.
    pub fn plan(&mut self, at: Moment, event: E) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at: at.max(self.now), nth: self.planned, event }));
    }

    /// Plans an event so many microseconds from now.
    pub fn plan_in(&mut self, wait: u64, event: E) {
        self.plan(self.now.saturating_add(wait), event);
    }

    /// The next event; time moves on to it.
    pub fn pop(&mut self) -> Option<E> {
        let Reverse(planned) = self.heap.pop()?;
        self.now = planned.at;
        Some(planned.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_as_planned() {
        let mut agenda = Agenda::default();
        [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')].into_iter().for_each(|(at, what)| agenda.plan(at, what));
        let order: String = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!((order.as_str(), agenda.now()), ("abcd", 5));
        agenda.plan(1, 'e');
        assert_eq!((agenda.pop(), agenda.now()), (Some('e'), 5), "time never goes back");
    }
}
