//! Logs on disk: segment files with their indexes, recovery and retention, over any [`Disk`](crate::disk::Disk).

pub mod ops;
