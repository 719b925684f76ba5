//! Simulated worlds for the machine: disks, networks and clocks drawn from one seed, and claims that must hold in them.

pub mod actor;
pub mod batch;
pub mod canon;
pub mod claims;
pub mod command;
pub mod disk;
pub mod ghost;
pub mod history;
pub mod ledger;
pub mod mutants;
pub mod observer;
pub mod offices;
mod panics;
pub mod plan;
pub mod politics;
pub mod probe;
pub mod rng;
pub mod run;
pub mod scenarios;
pub mod trace;
pub mod watch;
pub mod world;
