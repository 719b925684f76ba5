//! One partition that is being read: where, and what stands in the way.

use crate::ids::{BrokerId, Offset};
use crate::time::{Instant, Timestamp};

use crate::client::door::{Failure, Reset, Start};
use crate::client::net::AskId;

/// ListOffsets' timestamp for the end.
pub(crate) const LATEST: i64 = -1;
/// ListOffsets' timestamp for the beginning.
pub(crate) const EARLIEST: i64 = -2;

/// A partition that is being read.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    /// The request in flight that concerns it.
    pub(crate) busy: Option<(AskId, BrokerId)>,
    pub(crate) retry_at: Instant,
    pub(crate) attempts: u32,
    /// What the user was last told: position and end.
    pub(crate) told: Option<(Offset, Offset)>,
    /// The follower that it is read from, and until when: then the leader is asked again whether there is a better one.
    pub(crate) nearer: Option<(BrokerId, Instant)>,
}

/// Where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To be looked up.
    Sought {
        /// What to look for.
        start: Start,
        /// The position that did not exist, if that is why.
        instead_of: Option<Offset>,
        /// Whether a lookup by time found nothing, so that the end is looked for.
        nothing_later: bool,
    },
    /// Here.
    At(Offset),
    /// Nowhere: it cannot be read.
    Lost,
}

impl Spot {
    /// A partition to be read from `start` on.
    pub(crate) fn new(start: Start) -> Spot {
        let place = match start {
            Start::Offset(offset) => Place::At(offset),
            other => Place::Sought { start: other, instead_of: None, nothing_later: false },
        };
        Spot { place, busy: None, retry_at: Instant::default(), attempts: 0, told: None, nearer: None }
    }

    /// Whom to read from: the follower that the leader has named, or else the leader.
    pub(crate) fn read_from(&self, leader: BrokerId, now: Instant) -> BrokerId {
        self.nearer.filter(|(_, until)| now < *until).map_or(leader, |(broker, _)| broker)
    }

    /// The timestamp to ask ListOffsets for, if the position is to be looked up.
    pub(crate) fn question(&self) -> Option<i64> {
        match self.place {
            Place::Sought { nothing_later: true, .. } => Some(LATEST),
            Place::Sought { start, .. } => match start {
                Start::Beginning => Some(EARLIEST),
                Start::End => Some(LATEST),
                Start::Time(Timestamp(at)) => Some(at.max(0)),
                Start::Offset(_) => None,
            },
            Place::At(_) | Place::Lost => None,
        }
    }

    /// The position does not exist: goes where the policy says. `Err`: it says nowhere.
    pub(crate) fn reset(&mut self, policy: Reset, offset: Offset) -> Result<(), Failure> {
        let start = match policy {
            Reset::Earliest => Start::Beginning,
            Reset::Latest => Start::End,
            Reset::Fail => {
                self.place = Place::Lost;
                return Err(Failure {
                    code: crate::wire::ErrorCode::OFFSET_OUT_OF_RANGE,
                    text: format!("offset {offset} does not exist (any more), and auto.offset.reset is none"),
                });
            }
        };
        self.place = Place::Sought { start, instead_of: Some(offset), nothing_later: false };
        Ok(())
    }
}
