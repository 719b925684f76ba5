//! Fuzz targets: bytes from outside against the codec and the record batches. A target returns, or it has found a bug.
//!
//! `cargo test -p quipu-fuzz` replays the committed inputs on stable Rust; `cargo xtask fuzz TARGET` looks for new ones.

pub mod batch;
pub mod frame;
pub mod peer;
pub mod response;

/// What takes any bytes at all and panics when a property does not hold.
pub type Target = fn(&[u8]);

/// Every target by the name of its binary, of its folder of seeds and of its folder of regressions.
pub const TARGETS: &[(&str, Target)] =
    &[("frame", frame::run), ("response", response::run), ("batch", batch::run), ("peer", peer::run)];
