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
    pub const NAMES: [&'static str; 23] = [
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
    ];
}
