//! What a connection does between frames and the machine, without I/O: every shell, real or simulated, does it alike.

pub mod entry;
pub mod records;
pub mod replies;
