//! Reading ahead: while a client digests a stretch of a log that was read from disk, the one behind it is read.
//!
//! Only for a client that reads on and on, at most one stretch a connection, and for a moment. What is asked for is decided
//! anew for each fetch, by the machine; what was read ahead is served only where it is what reading would bring now.

use std::sync::Arc;
use std::time::Duration;

use quipu_core::ids::Offset;
use quipu_core::storage::ops::LogRange;
use quipu_core::storage::reader::Stretch;
use quipu_core::time::Instant;

use crate::budget::{Budget, Taken};
use crate::conn::{Conn, End};
use crate::rt::{self, Either};
use crate::stats::add;

/// What is read ahead for one connection.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    state: State,
    /// How many reads were begun: one that a later one has overtaken is not what is waited for.
    begun: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is known of what the client reads.
    #[default]
    Idle,
    /// What the client asks for next if it reads on, since when, and whether it has been reading on.
    Expected { range: LogRange, since: Instant, reads_on: bool },
    /// It is being read.
    Reading(LogRange),
    /// It has been read, so long ago.
    Held { stretch: Stretch, taken: Taken, since: Instant },
}

/// What there is for a stretch that a client has asked for.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It was read ahead.
    Held(Stretch, Taken),
    /// It is being read.
    Wait,
    /// Nothing. Whether it is what the client was expected to ask for.
    Nothing { reads_on: bool },
}

impl Ahead {
    /// The client asks for a stretch, having had so long since its last answer if it reads on. What was read ahead and is
    /// something else is dropped.
    pub(crate) fn claim(&mut self, asked: &LogRange, now: Instant, within: Duration) -> Claim {
        match std::mem::take(&mut self.state) {
            State::Held { stretch, taken, .. } if serves(&stretch.range, asked) => {
                Claim::Held(stretch, taken)
            }
            State::Reading(range) if serves(&range, asked) => {
                self.state = State::Reading(range);
                Claim::Wait
            }
            State::Expected { range, since, .. } => {
                Claim::Nothing { reads_on: serves(&range, asked) && now.since(since) <= within }
            }
            State::Idle | State::Reading(_) | State::Held { .. } => Claim::Nothing { reads_on: false },
        }
    }

    /// The client gets what it asked for, up to `next`: what it asks for then, if it reads on, can be read ahead.
    pub(crate) fn expect(&mut self, asked: LogRange, next: Offset, reads_on: bool, now: Instant) {
        if next > asked.from && next < asked.below {
            let range = LogRange { from: next, ..asked };
            self.state = State::Expected { range, since: now, reads_on };
        }
    }

    /// The client has its answer. What is to be read ahead now, if anything is and there is room for it, to be handed in
    /// by [`Ahead::arrived`].
    pub(crate) fn begin(&mut self, room: &Arc<Budget>) -> Option<Order> {
        let State::Expected { range, reads_on: true, .. } = self.state else { return None };
        let taken = Taken::try_from(room, range.max_bytes)?;
        self.state = State::Reading(range);
        self.begun += 1;
        Some(Order { number: self.begun, range, taken })
    }

    /// What was ordered has been read, or cannot be. Whatever is of no use, or came too late, is dropped.
    pub(crate) fn arrived(&mut self, order: Order, read: Option<(Stretch, Instant)>) {
        if !matches!(self.state, State::Reading(_)) || order.number != self.begun {
            return;
        }
        self.state = match read {
            Some((stretch, since)) if !stretch.chunks.is_empty() => {
                State::Held { stretch, taken: order.taken, since }
            }
            _ => State::Idle,
        };
    }

    /// Drops what the client has not come for within that time.
    pub(crate) fn drop_stale(&mut self, now: Instant, within: Duration) {
        if matches!(self.state, State::Held { since, .. } if now.since(since) > within) {
            self.clear();
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.state = State::Idle;
    }
}

/// Whether what was read, or is being, answers what is asked for. The end of what may be read only ever moves on: up to an
/// earlier one is a part of it.
fn serves(read: &LogRange, asked: &LogRange) -> bool {
    read.below <= asked.below && *read == LogRange { below: read.below, ..*asked }
}

/// A stretch to be read ahead.
#[derive(Debug)]
pub(crate) struct Order {
    number: u64,
    range: LogRange,
    taken: Taken,
}

impl Order {
    /// Reads it on a thread that may block, and leaves it with the connection.
    pub(crate) fn read(self, conn: Arc<Conn>) {
        let spawner = conn.shell.spawner.clone();
        let mut reading = Reading { conn, order: Some(self), read: None };
        spawner.spawn_blocking(move || reading.read());
    }
}

/// A read ahead under way. However it ends, nobody waits for it in vain.
struct Reading {
    conn: Arc<Conn>,
    order: Option<Order>,
    read: Option<(Stretch, Instant)>,
}

impl Reading {
    fn read(&mut self) {
        let Some(order) = self.order.as_ref().filter(|_| !self.conn.has_ended()) else { return };
        let shell = &self.conn.shell;
        // Why it cannot be read is told to whoever asks for it.
        self.read = shell.reads.stretch(order.range).ok().map(|stretch| (stretch, shell.clock.mono()));
        add(&shell.stats.disk_reads, 1);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(order) = self.order.take() {
            self.conn.outbox().ahead.arrived(order, self.read.take());
            self.conn.read_ahead.notify_one();
        }
    }
}

/// What was read ahead of a stretch that the client asks for, if anything was and it is what the log still has there; and
/// whether the client reads on.
pub(crate) async fn claim(conn: &Conn, asked: &LogRange) -> Result<(Option<(Stretch, Taken)>, bool), End> {
    loop {
        let (now, within) = (conn.shell.clock.mono(), conn.shell.limits.read_ahead);
        let claim = conn.outbox().ahead.claim(asked, now, within);
        match claim {
            Claim::Held(stretch, taken) => {
                let stands = conn.shell.reads.stands(&stretch);
                add(&conn.shell.stats.reads_ahead, usize::from(stands));
                return Ok((stands.then_some((stretch, taken)), true));
            }
            Claim::Nothing { reads_on } => return Ok((None, reads_on)),
            Claim::Wait => match rt::first(conn.end_for_writer(), conn.read_ahead.notified()).await {
                Either::First(()) => return Err(End::Lost),
                Either::Second(()) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::ids::LogId;
    use quipu_core::storage::reader::Sources;

    use super::*;

    const ROOM: usize = 250;
    const WITHIN: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Instant {
        Instant(ms * 1000)
    }

    /// Up to 100 bytes from an offset on, of a log that may be read up to 1000.
    fn from(offset: i64) -> LogRange {
        let (log, below) = (LogId::METADATA, Offset(1000));
        LogRange { log, from: Offset(offset), below, max_bytes: 100, at_least_one: true }
    }

    fn read(range: LogRange) -> Option<(Stretch, Instant)> {
        let (next, sources) = (range.from + 10, Sources::default());
        let stretch = Stretch { range, chunks: vec![Bytes::from_static(b"records")], next, sources };
        Some((stretch, at(0)))
    }

    /// A client that has read on up to 20, with what is to be read ahead for it.
    fn reads_on(room: &Arc<Budget>) -> (Ahead, Order) {
        let mut ahead = Ahead::default();
        assert!(matches!(ahead.claim(&from(0), at(0), WITHIN), Claim::Nothing { reads_on: false }));
        ahead.expect(from(0), Offset(10), false, at(0));
        assert!(ahead.begin(room).is_none(), "one fetch alone may be the last");
        assert!(matches!(ahead.claim(&from(10), at(1), WITHIN), Claim::Nothing { reads_on: true }));
        ahead.expect(from(10), Offset(20), true, at(1));
        let order = ahead.begin(room).expect("it has read on");
        assert_eq!((order.range, room.taken()), (from(20), 100));
        (ahead, order)
    }

    fn holding(room: &Arc<Budget>) -> Ahead {
        let (mut ahead, order) = reads_on(room);
        ahead.arrived(order, read(from(20)));
        assert_eq!(room.taken(), 100);
        ahead
    }

    #[test]
    fn what_was_read_ahead_is_given_out_once_to_who_asks_for_just_that() {
        let room = Arc::new(Budget::new(ROOM));
        let mut ahead = holding(&room);
        // The log may be read further now than when this was read.
        let asked = LogRange { below: Offset(2000), ..from(20) };
        let Claim::Held(stretch, taken) = ahead.claim(&asked, at(2), WITHIN) else { panic!("{ahead:?}") };
        assert_eq!((stretch.range, stretch.next, room.taken()), (from(20), Offset(30), 100));
        drop(taken);
        assert_eq!(room.taken(), 0);
        assert!(matches!(ahead.claim(&asked, at(2), WITHIN), Claim::Nothing { reads_on: false }));
    }

    #[test]
    fn whoever_asks_while_it_is_being_read_waits_for_it() {
        let room = Arc::new(Budget::new(ROOM));
        let (mut ahead, order) = reads_on(&room);
        assert!(matches!(ahead.claim(&from(20), at(2), WITHIN), Claim::Wait));
        ahead.arrived(order, read(from(20)));
        assert!(matches!(ahead.claim(&from(20), at(2), WITHIN), Claim::Held(..)));
    }

    #[test]
    fn whoever_asks_for_something_else_gets_nothing_of_it_and_its_room_is_free() {
        let other_log = LogId { partition: 7, ..LogId::METADATA };
        for asked in [
            from(21),
            LogRange { log: other_log, ..from(20) },
            LogRange { below: Offset(999), ..from(20) },
            LogRange { max_bytes: 99, ..from(20) },
            LogRange { at_least_one: false, ..from(20) },
        ] {
            let room = Arc::new(Budget::new(ROOM));
            let mut ahead = holding(&room);
            assert!(
                matches!(ahead.claim(&asked, at(2), WITHIN), Claim::Nothing { reads_on: false }),
                "{asked:?}"
            );
            assert_eq!(room.taken(), 0);
            let (mut ahead, order) = reads_on(&room);
            assert!(
                matches!(ahead.claim(&asked, at(2), WITHIN), Claim::Nothing { reads_on: false }),
                "{asked:?}"
            );
            ahead.arrived(order, read(from(20)));
            assert_eq!(room.taken(), 0, "it came too late");
        }
    }

    #[test]
    fn what_nobody_comes_for_is_dropped_and_so_is_everything_at_the_end() {
        let room = Arc::new(Budget::new(ROOM));
        let mut ahead = holding(&room);
        ahead.drop_stale(at(1000), WITHIN);
        assert_eq!(room.taken(), 100, "it may still be asked for");
        ahead.drop_stale(at(1001), WITHIN);
        assert_eq!(room.taken(), 0);
        let mut ahead = holding(&room);
        ahead.clear();
        assert_eq!(room.taken(), 0);
        let (mut ahead, order) = reads_on(&room);
        ahead.clear();
        ahead.arrived(order, read(from(20)));
        assert_eq!(room.taken(), 0, "it arrives after the end");
    }

    #[test]
    fn nothing_is_read_ahead_without_room_or_for_a_slow_client_or_at_the_end_of_the_log() {
        let room = Arc::new(Budget::new(ROOM));
        let mut ahead = Ahead::default();
        ahead.expect(from(990), Offset(1000), true, at(0));
        assert!(ahead.begin(&room).is_none(), "there is no more");
        ahead.expect(from(10), Offset(20), false, at(0));
        assert!(
            matches!(ahead.claim(&from(20), at(1001), WITHIN), Claim::Nothing { reads_on: false }),
            "slow"
        );
        ahead.expect(from(10), Offset(20), true, at(0));
        let others = [room.try_take(100), room.try_take(100)];
        assert!(ahead.begin(&room).is_none(), "no room");
        others.into_iter().flatten().for_each(|bytes| room.give(bytes));
        assert!(ahead.begin(&room).is_some());
        assert_eq!(room.taken(), 0, "an order that is dropped gives back");
    }

    #[test]
    fn what_cannot_be_read_ahead_is_left_to_who_asks() {
        for nothing in [None, read(from(20)).map(|(read, at)| (Stretch { chunks: Vec::new(), ..read }, at))] {
            let room = Arc::new(Budget::new(ROOM));
            let (mut ahead, order) = reads_on(&room);
            ahead.arrived(order, nothing);
            assert_eq!(room.taken(), 0);
            assert!(matches!(ahead.claim(&from(20), at(2), WITHIN), Claim::Nothing { .. }));
        }
    }
}
