//! Simulated worlds for the machine: disks, networks and clocks drawn from one seed.

pub mod disk;
pub mod rng;
