//! Quipu's machine: a replicated, partitioned commit log as a deterministic state machine.
//!
//! There is no clock in here, no socket, no file, no thread, no async and no ambient randomness. Time, bytes and the
//! results of disk operations come in as inputs; replies and disk operations go out as effects.

#![forbid(unsafe_code)]

pub mod broker;
pub mod caller;
pub mod client;
pub mod cluster;
pub mod config;
pub mod coordinator;
pub mod disk;
pub mod exchange;
pub mod group;
pub mod ids;
pub mod log;
mod mix;
pub mod peer;
pub mod producer;
pub mod quorum;
pub mod record;
pub mod replica;
pub mod storage;
pub mod time;
pub mod wire;
