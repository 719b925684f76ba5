//! Fetches that wait for more bytes (long polls), and when each of them gives up.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::door::Caller;
use crate::ids::{ConnId, LogId};
use crate::time::Instant;
use crate::wire::dialect::Dialect;
use crate::wire::messages::fetch::FetchRequest;

/// Names a parked fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FetchId(u64);

/// A fetch that found too little.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Whom it answers.
    pub(crate) to: Caller,
    /// What was asked.
    pub(crate) request: FetchRequest,
    /// What its version means.
    pub(crate) dialect: Dialect,
    /// The logs at which it is parked.
    pub(crate) logs: Vec<LogId>,
    deadline: Instant,
}

/// All parked fetches.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    next: u64,
    parked: BTreeMap<FetchId, Parked>,
    deadlines: BTreeSet<(Instant, FetchId)>,
}

impl Fetches {
    /// Parks a fetch.
    pub(crate) fn park(
        &mut self,
        to: Caller,
        (request, dialect): (FetchRequest, Dialect),
        logs: Vec<LogId>,
        deadline: Instant,
    ) -> FetchId {
        self.next += 1;
        let id = FetchId(self.next);
        self.deadlines.insert((deadline, id));
        self.parked.insert(id, Parked { to, request, dialect, logs, deadline });
        id
    }

    /// What was asked.
    pub(crate) fn get(&self, id: FetchId) -> Option<&Parked> {
        self.parked.get(&id)
    }

    /// Takes a fetch out. It must leave the partitions too.
    pub(crate) fn take(&mut self, id: FetchId) -> Option<Parked> {
        let parked = self.parked.remove(&id)?;
        self.deadlines.remove(&(parked.deadline, id));
        Some(parked)
    }

    /// A fetch that has waited long enough.
    pub(crate) fn expired(&self, now: Instant) -> Option<FetchId> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// When the next one has.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The fetches of a connection that is gone.
    pub(crate) fn gone(&self, conn: ConnId) -> Vec<FetchId> {
        self.parked.iter().filter(|(_, p)| p.to.conn == conn).map(|(id, _)| *id).collect()
    }
}
