//! The one door of the machine: everything that goes in and everything that comes out, on one screen.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::caller::{Caller, Client};
use crate::ids::{BrokerId, ConnId, LaneId, LoadId, LogId, LookupId, Mark, Offset};
use crate::peer::message::PeerMessage;
use crate::record::Batch;
use crate::record::check::{Refused, Rules};
use crate::storage::ops::{Found, LogRange, Lookup, StoreOp, Stored};
use crate::wire::{self, dialect::Dialect};

/// What the world tells the machine.
#[derive(Debug)]
pub enum Input {
    /// A client asks. Answered exactly once, by [`Effect::Reply`]; but for a produce with acks=0, never.
    Request {
        /// Whom to answer.
        to: Caller,
        /// Who asks.
        from: Arc<Client>,
        /// What an older version of the request means.
        dialect: Dialect,
        /// What is asked.
        request: Request,
    },
    /// Another broker says something. It may come late, twice or never.
    Peer {
        /// Which broker.
        from: BrokerId,
        /// What it says.
        message: PeerMessage,
    },
    /// A lane has finished a round.
    Stored {
        /// Which lane.
        lane: LaneId,
        /// What became of it. An error is final: the log directory is dead.
        result: Result<Stored, String>,
    },
    /// Batches read back for the machine itself: the only record bytes that come in again.
    Loaded {
        /// Which load.
        load: LoadId,
        /// The batches, or why they cannot be read.
        result: Result<Vec<Batch>, String>,
    },
    /// The answer of an index.
    Looked {
        /// Which lookup.
        lookup: LookupId,
        /// What was found, if anything, or why the index cannot be read.
        result: Result<Option<Found>, String>,
    },
    /// A connection has ended: its waiting requests need no answer any more.
    Gone {
        /// Which connection.
        conn: ConnId,
    },
    /// Nobody listens where another broker is reached, as when its process has died. Only a hint: it may be wrong, and then that
    /// broker is heard of again.
    Absent {
        /// Which broker.
        broker: BrokerId,
    },
    /// The link to another broker broke, which it had taken. Only a hint, as `Absent` is, and a weaker one: it may come back at once.
    Unlinked {
        /// Which broker.
        broker: BrokerId,
    },
    /// The moment named by `next_wake` has come.
    Wake,
    /// Stop in order: finish what is under way, write the clean checkpoint, then [`Effect::Stopped`].
    Stop,
}

/// What the machine tells the world to do.
#[derive(Debug)]
pub enum Effect {
    /// Answer a request. Replies of one connection may come in any order here; the connection sends them in request order.
    Reply {
        /// The request.
        to: Caller,
        /// The answer. `throttle_time_ms` inside is also how long the connection is to be muted after sending it (KIP-219).
        response: wire::Response,
    },
    /// Close a connection (a produce with acks=0 that failed), with the reason for the log.
    Close {
        /// Which connection.
        conn: ConnId,
        /// Why, for people.
        reason: String,
    },
    /// Say this to another broker. Whether it arrives is nobody's promise.
    Send {
        /// Which broker.
        to: BrokerId,
        /// What is said.
        message: PeerMessage,
    },
    /// Do this on disk. In order per lane; answered by `Input::Stored` with this mark or a later one.
    Store {
        /// Which lane.
        lane: LaneId,
        /// Its name.
        mark: Mark,
        /// What to do.
        op: StoreOp,
    },
    /// Read batches back. Only durable ones are asked for.
    Load {
        /// Its name.
        load: LoadId,
        /// What to read.
        range: LogRange,
    },
    /// Ask the time index of a log, for records below `below`.
    Look {
        /// Its name.
        lookup: LookupId,
        /// The log.
        log: LogId,
        /// The question.
        what: Lookup,
        /// The first offset that must not be answered.
        below: Offset,
    },
    /// This broker belongs to that cluster, for good: those of another are strangers. Of a node alone nobody need be told.
    Cluster(String),
    /// Where the other brokers are reached, as `host:port`, from now on: the voters that the configs name, and those that have registered.
    /// A broker alone says nothing of the kind, and at the start the voters are all.
    Peers(BTreeMap<BrokerId, String>),
    /// The rules by which connections check record batches have changed.
    Rules(Arc<Rules>),
    /// What happened, for logs, metrics and checkers. Changes nothing.
    Note(Note),
    /// The answer to `Input::Stop`: everything is on disk, the process may end.
    Stopped,
}

/// A request as the machine sees it.
#[derive(Debug)]
pub enum Request {
    /// A produce request whose batches the connection has parsed and checked, outside the lock.
    Produce(Produce),
    /// Any other request (never `wire::Request::Produce`).
    Api(wire::Request),
}

/// A produce request, checked.
#[derive(Debug)]
pub struct Produce {
    /// The transactional id, if it sent one.
    pub transactional_id: Option<String>,
    /// 0, 1 or -1 (all); anything else is refused.
    pub acks: i16,
    /// How long acks=all may wait.
    pub timeout_ms: i32,
    /// Bytes of the frame that it arrived in: its batches keep all of it in memory.
    pub frame_bytes: usize,
    /// By topic, as sent.
    pub topics: Vec<ProduceTopic>,
}

/// One topic of a produce request.
#[derive(Debug)]
pub struct ProduceTopic {
    /// Its name.
    pub name: String,
    /// Each partition with its batch, or why the batch is refused.
    pub partitions: Vec<(i32, Result<Batch, Refused>)>,
}

/// What the machine says in passing.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The machine has loaded what it needs and answers clients from now on.
    Ready,
    /// Something a person who runs the broker should read.
    Warn(String),
    /// Something a person who looks into a matter may want to read.
    Info(String),
    /// Records became durable and visible.
    Committed {
        /// The log.
        log: LogId,
        /// Its high watermark.
        high: Offset,
    },
    /// The log directory is dead: nothing is acknowledged any more.
    DiskDead(String),
}
