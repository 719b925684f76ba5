//! How fast a disk is.

/// How long a disk takes, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A round, with its sync.
    pub round_us: u64,
    /// A read.
    pub read_us: u64,
}

impl Pace {
    /// A good disk.
    pub const FAIR: Pace = Pace { round_us: 400, read_us: 100 };
}
