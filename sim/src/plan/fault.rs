//! What can go wrong, and for how long.

use serde::{Deserialize, Serialize};

use crate::world::network::Weather;

/// Something that goes wrong at some time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultPlan {
    /// When, in milliseconds of true time.
    pub at_ms: u64,
    /// What.
    pub what: Fault,
}

/// What goes wrong. Brokers and clients go by their numbers; times are in milliseconds of true time.
#[allow(missing_docs, reason = "the fields say what they are, and each fault what they do")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// A broker's process is killed: what it wrote is there.
    Kill { server: usize, down_ms: u64 },
    /// A broker's machine loses power: what was not synced may be gone.
    PowerLoss { server: usize, down_ms: u64 },
    /// A broker's machine stops in the middle of a disk operation, so many later.
    CrashWriting { server: usize, operations: u64, power: bool, down_ms: u64 },
    /// A broker's machine loses power, and again so many disk operations into its recovery.
    CrashRecovering { server: usize, operations: u64, power: bool, down_ms: u64 },
    /// A broker's machine stops so many disk operations into its next checkpoint, or in the middle of so manieth sync of it.
    CrashCheckpointing {
        server: usize,
        operations: u64,
        #[serde(default)]
        syncs: bool,
        power: bool,
        down_ms: u64,
    },
    /// A broker is stopped in order, and started again.
    Stop { server: usize, down_ms: u64 },
    /// A broker's process stands still.
    Pause { server: usize, ms: u64 },
    /// The next sync of a broker's disk fails.
    FailSync { server: usize, down_ms: u64 },
    /// A disk operation fails, so many later.
    FailWrite { server: usize, operations: u64, down_ms: u64 },
    /// A disk has room for so many bytes more and no others.
    Full { server: usize, room: u64, ms: u64 },
    /// A disk takes so many times as long.
    SlowDisk { server: usize, times: u64, ms: u64 },
    /// A disk does nothing for so long, and then everything. Nothing may be lost or answered twice; only time is.
    Stall { server: usize, ms: u64 },
    /// One in so many reads fails. What is on the disk is right, so everything is there in the end; until then a broker may
    /// answer with an error, take a log offline or refuse to start, and is started again once reads succeed.
    FailReads { server: usize, one_in: u64, ms: u64 },
    /// A bit of what a disk holds is another one.
    Flip { server: usize, draw: u64 },
    /// A write, so many operations later, is called done and is nowhere, or in the place of something else. One disk cannot
    /// survive that: records at and beyond it may be lost where the recovery point does not vouch for them, everything else
    /// may be refused; but nothing wrong is ever served, and what is refused is refused for good or named.
    BetrayWrite { server: usize, operations: u64, elsewhere: bool },
    /// A broker's machine comes back, after `ms`, with what its disk held when the fault struck: a restored backup. What was
    /// committed since may be lost, and producer ids be given out again; what was committed before is there.
    RollBack { server: usize, ms: u64, down_ms: u64 },
    /// A broker's machine comes back with an empty disk: everything may be lost, and everything new must be right.
    Wipe { server: usize, down_ms: u64 },
    /// Nothing passes between a client and a broker, one way or both.
    Cut { user: usize, server: usize, up: bool, down: bool, ms: u64 },
    /// The connections between a client and a broker are reset, and who is told.
    Reset { user: usize, server: usize, tells: (bool, bool) },
    /// The whole network is bad.
    Storm { weather: Weather, ms: u64 },
    /// A broker's wall clock jumps.
    Jump { server: usize, by_ms: i64 },
    /// A client's process is killed and started again.
    KillUser { user: usize, down_ms: u64 },
    /// Nothing passes between brokers in these directions; with `flaps_ms` it stands and falls again and again, each for about so
    /// long.
    Part { shape: Shape, ways: Vec<(usize, usize)>, flaps_ms: u64, ms: u64 },
    /// The streams between two brokers are reset, and who is told.
    ResetPeers { one: usize, other: usize, tells: (bool, bool) },
    /// What one broker says to another takes so much longer.
    SlowPath { from: usize, to: usize, by_us: u64, ms: u64 },
    /// All brokers are down at once, each for about so long.
    AllDown { power: bool, down_ms: u64 },
    /// Whoever leads the metadata quorum by then is struck.
    StrikeLeader { blow: Blow, ms: u64 },
}

/// Which brokers a partition keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Two groups.
    Halves,
    /// One from all others, one way or both.
    Isolated,
    /// Two groups, but for one broker that is in both.
    Bridge,
    /// Each hears its neighbours alone.
    Ring,
    /// Single directions.
    OneWay,
}

/// What whoever leads is struck with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blow {
    /// Its process is killed.
    Kill,
    /// Its machine loses power.
    PowerLoss,
    /// Its process stands still.
    Pause,
    /// It is cut off.
    Isolate,
    /// Nothing that it says arrives.
    Mute,
    /// It hears nothing.
    Deafen,
}

impl Fault {
    /// Its name in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill",
            Fault::PowerLoss { .. } => "power loss",
            Fault::CrashWriting { .. } => "crash while writing",
            Fault::CrashRecovering { .. } => "crash while recovering",
            Fault::CrashCheckpointing { .. } => "crash while checkpointing",
            Fault::Stop { .. } => "orderly stop",
            Fault::Pause { .. } => "pause",
            Fault::FailSync { .. } => "failed sync",
            Fault::FailWrite { .. } => "failed write",
            Fault::Full { .. } => "full disk",
            Fault::SlowDisk { .. } => "slow disk",
            Fault::Stall { .. } => "stalled disk",
            Fault::FailReads { .. } => "failing reads",
            Fault::Flip { .. } => "bit flip",
            Fault::BetrayWrite { elsewhere: false, .. } => "lost write",
            Fault::BetrayWrite { elsewhere: true, .. } => "misdirected write",
            Fault::RollBack { .. } => "older disk",
            Fault::Wipe { .. } => "wiped disk",
            Fault::Cut { .. } => "cut",
            Fault::Reset { .. } => "reset",
            Fault::Storm { .. } => "storm",
            Fault::Jump { .. } => "clock jump",
            Fault::KillUser { .. } => "client killed",
            Fault::Part { flaps_ms: 1.., .. } => "partition that flaps",
            Fault::Part { shape: Shape::Halves, .. } => "partition in halves",
            Fault::Part { shape: Shape::Isolated, .. } => "broker isolated",
            Fault::Part { shape: Shape::Bridge, .. } => "partition with a bridge",
            Fault::Part { shape: Shape::Ring, .. } => "partition as a ring",
            Fault::Part { shape: Shape::OneWay, .. } => "one-way cut",
            Fault::ResetPeers { .. } => "peer reset",
            Fault::SlowPath { .. } => "slow path",
            Fault::AllDown { .. } => "all down",
            Fault::StrikeLeader { .. } => "leader struck",
        }
    }

    /// Lets it strike another broker, if it strikes one.
    pub fn aim(&mut self, at: usize) {
        match self {
            Fault::Kill { server, .. }
            | Fault::PowerLoss { server, .. }
            | Fault::CrashWriting { server, .. }
            | Fault::CrashRecovering { server, .. }
            | Fault::CrashCheckpointing { server, .. }
            | Fault::Stop { server, .. }
            | Fault::Pause { server, .. }
            | Fault::FailSync { server, .. }
            | Fault::FailWrite { server, .. }
            | Fault::Full { server, .. }
            | Fault::SlowDisk { server, .. }
            | Fault::Stall { server, .. }
            | Fault::FailReads { server, .. }
            | Fault::Flip { server, .. }
            | Fault::BetrayWrite { server, .. }
            | Fault::RollBack { server, .. }
            | Fault::Wipe { server, .. }
            | Fault::Cut { server, .. }
            | Fault::Reset { server, .. }
            | Fault::Jump { server, .. } => *server = at,
            Fault::Storm { .. }
            | Fault::KillUser { .. }
            | Fault::Part { .. }
            | Fault::ResetPeers { .. }
            | Fault::SlowPath { .. }
            | Fault::AllDown { .. }
            | Fault::StrikeLeader { .. } => {}
        }
    }

    /// Whether it damages what a disk holds.
    pub fn damages(&self) -> bool {
        matches!(
            self,
            Fault::Flip { .. } | Fault::BetrayWrite { .. } | Fault::RollBack { .. } | Fault::Wipe { .. }
        )
    }

    /// All names, in order.
    pub const NAMES: [&'static str; 33] = [
        "kill",
        "power loss",
        "crash while writing",
        "crash while recovering",
        "crash while checkpointing",
        "orderly stop",
        "pause",
        "failed sync",
        "failed write",
        "full disk",
        "slow disk",
        "stalled disk",
        "failing reads",
        "bit flip",
        "lost write",
        "misdirected write",
        "older disk",
        "wiped disk",
        "cut",
        "reset",
        "storm",
        "clock jump",
        "client killed",
        "partition that flaps",
        "partition in halves",
        "broker isolated",
        "partition with a bridge",
        "partition as a ring",
        "one-way cut",
        "peer reset",
        "slow path",
        "all down",
        "leader struck",
    ];
}
