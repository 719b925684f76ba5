//! Everything that can happen in a world.

use bytes::Bytes;
use quipu_core::ids::{ConnId, LoadId, LogId, LookupId, Offset};
use quipu_core::storage::ops::{LogRange, Lookup};

use super::agenda::Moment;
use super::network::{LinkId, Place, Way};

/// Something that happens. What belongs to one life of a process means nothing to the next one.
#[derive(Debug)]
pub enum Event {
    /// A packet is due.
    Packet {
        /// The connection.
        link: LinkId,
        /// Which way.
        way: Way,
    },
    /// A connection is gone without a word from the other side.
    Lost {
        /// Who learns of it.
        at: Place,
        /// Which one.
        link: LinkId,
        /// Its name there.
        conn: ConnId,
        /// Why.
        why: &'static str,
    },
    /// A broker's process starts.
    ServerStarts {
        /// Which broker.
        server: usize,
        /// The life that was over when it was planned.
        after: u64,
    },
    /// Something for one life of a broker's process.
    Server {
        /// Which broker.
        server: usize,
        /// Which life.
        life: u64,
        /// What.
        what: ServerEvent,
    },
    /// Something for one life of a client's process.
    User {
        /// Which client.
        user: usize,
        /// Which life.
        life: u64,
        /// What.
        what: UserEvent,
    },
    /// A message between brokers arrives once more, long after it has.
    Echo {
        /// At which broker, whatever life it is in by then.
        server: usize,
        /// From which broker.
        from: usize,
        /// The frame.
        frame: Bytes,
    },
    /// A partition that flaps changes: it stands now, or it does not, so many times yet.
    Flap {
        /// Which fault it is.
        fault: usize,
        /// Whether it stands now.
        stands: bool,
        /// When it is over for good.
        until: Moment,
    },
    /// The next fault of the plan begins.
    Fault(usize),
    /// A fault that lasts has lasted.
    FaultEnds(usize),
    /// The load gets denser or quieter: so many changes of the plan have come.
    Tide(usize),
    /// The load ends: everything is healed.
    Heal,
    /// A look at whether everything has come to rest.
    Look,
}

/// What happens to a broker.
#[derive(Debug)]
pub enum ServerEvent {
    /// The machine asked to be woken.
    Wake,
    /// The disk has done a round.
    RoundDone,
    /// The disk has read.
    Read(Read),
    /// The pause before it dials another broker again is over.
    Dial(usize),
}

/// Something to be read from disk.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// Batches for the machine itself.
    Load(LoadId, LogRange),
    /// An answer of an index.
    Look(LookupId, LogId, Lookup, Offset),
    /// The records of the answer that is next on a connection.
    Answer(ConnId),
}

/// What happens to a client.
#[derive(Clone, Copy, Debug)]
pub enum UserEvent {
    /// The client asked to be woken.
    Wake,
    /// Its user asked to be woken.
    Tick,
}
