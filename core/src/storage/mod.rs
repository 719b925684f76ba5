//! Logs on disk: segment files with their indexes, recovery and retention, over any [`Disk`](crate::disk::Disk).
//!
//! A log directory has one writer, the [`Store`] of its lane, and any number of [`Reader`]s.
//! Invariants: what a round answered is durable; nothing below the recovery point is ever cut without a new recovery
//! point first; what is wrong below it is reported and left alone; no batch is served that was not checked.

mod append;
mod cache;
mod checkpoint_files;
mod durable;
mod election;
pub mod error;
mod frame;
pub mod identity;
mod index;
mod look;
mod names;
pub mod ops;
mod point;
mod reach;
pub mod reader;
mod recover;
mod recover_log;
mod recover_producers;
mod restart;
mod scan;
mod state;
pub mod store;
mod truncate;
mod walk;

pub use error::{ReadError, StorageError};
pub use identity::FreshIdentity;
pub use reader::Reader;
pub use store::{Store, StoreOptions};
