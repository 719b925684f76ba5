//! The deadlines of one shard, in order: set anew with every heartbeat, so moving one later costs no reordering.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Id;
use crate::time::Instant;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// When a member, or an id given out but not used yet, has been silent for its session timeout.
    Session { group: Id, member: Id },
    /// When a rebalance has waited long enough for joins.
    Join { group: Id },
    /// When a new generation has waited long enough for syncs.
    Sync { group: Id },
    /// When offsets and groups are to be looked through for expired ones.
    Expiry,
}

/// All alarms of a shard. Each is set at most once.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// By the moment to look at them, which may be earlier than the moment they are due.
    order: BTreeSet<(Instant, Alarm)>,
    set: BTreeMap<Alarm, Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    listed: Instant,
    due: Instant,
}

impl Alarms {
    /// Sets an alarm, or moves the one that is set.
    pub(crate) fn set(&mut self, alarm: Alarm, due: Instant) {
        if let Some(times) = self.set.get_mut(&alarm) {
            times.due = due;
            if times.listed <= due {
                return;
            }
            let listed = std::mem::replace(&mut times.listed, due);
            let moved = self.order.take(&(listed, alarm));
            let (_, alarm) = moved.expect("every alarm that is set is listed");
            self.order.insert((due, alarm));
        } else {
            self.set.insert(alarm.clone(), Times { listed: due, due });
            self.order.insert((due, alarm));
        }
    }

    /// Takes an alarm back. That it is not set is no error.
    pub(crate) fn cancel(&mut self, alarm: &Alarm) {
        if let Some(times) = self.set.remove(alarm) {
            let gone = self.order.remove(&(times.listed, alarm.clone()));
            assert!(gone, "every alarm that is set is listed");
        }
    }

    /// Whether an alarm is set.
    #[cfg(test)]
    pub(crate) fn is_set(&self, alarm: &Alarm) -> bool {
        self.set.contains_key(alarm)
    }

    /// When to look for due alarms next. Never later than the first one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next alarm that is due. Looks at no more than `budget` entries, and leaves what remains of it there.
    pub(crate) fn pop(&mut self, now: Instant, budget: &mut usize) -> Option<Alarm> {
        while *budget > 0 && self.next().is_some_and(|at| at <= now) {
            *budget -= 1;
            let (_, alarm) = self.order.pop_first().expect("it was there a line above");
            let times = self.set.get_mut(&alarm).expect("every alarm that is listed is set");
            if times.due <= now {
                self.set.remove(&alarm);
                return Some(alarm);
            }
            times.listed = times.due;
            self.order.insert((times.due, alarm));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group: &str) -> Alarm {
        Alarm::Join { group: group.into() }
    }

    fn popped(alarms: &mut Alarms, now: u64) -> Vec<Alarm> {
        let mut budget = 100;
        std::iter::from_fn(|| alarms.pop(Instant(now), &mut budget)).collect()
    }

    #[test]
    fn an_alarm_goes_off_once_when_it_is_due_and_in_order() {
        let mut alarms = Alarms::default();
        alarms.set(join("b"), Instant(20));
        alarms.set(join("a"), Instant(10));
        assert_eq!(alarms.next(), Some(Instant(10)));
        assert_eq!(popped(&mut alarms, 9), []);
        assert_eq!(popped(&mut alarms, 25), [join("a"), join("b")]);
        assert_eq!((popped(&mut alarms, 99), alarms.next()), (vec![], None));
    }

    #[test]
    fn an_alarm_moved_later_or_earlier_goes_off_at_its_last_moment_only() {
        let mut alarms = Alarms::default();
        alarms.set(join("a"), Instant(10));
        alarms.set(join("a"), Instant(30));
        assert_eq!(popped(&mut alarms, 20), []);
        assert_eq!(alarms.next(), Some(Instant(30)));
        alarms.set(join("a"), Instant(25));
        assert_eq!(popped(&mut alarms, 25), [join("a")]);
        assert_eq!(popped(&mut alarms, 99), []);
    }

    #[test]
    fn a_cancelled_alarm_is_silent() {
        let mut alarms = Alarms::default();
        alarms.set(join("a"), Instant(10));
        alarms.set(join("a"), Instant(20));
        alarms.cancel(&join("a"));
        alarms.cancel(&join("never set"));
        assert_eq!((popped(&mut alarms, 99), alarms.next()), (vec![], None));
    }

    #[test]
    fn a_spent_budget_leaves_the_rest_for_the_next_look() {
        let mut alarms = Alarms::default();
        for group in ["a", "b", "c"] {
            alarms.set(join(group), Instant(1));
        }
        let mut budget = 2;
        let first: Vec<_> = std::iter::from_fn(|| alarms.pop(Instant(5), &mut budget)).collect();
        assert_eq!((first.len(), alarms.next()), (2, Some(Instant(1))));
        assert_eq!(popped(&mut alarms, 5), [join("c")]);
    }
}
