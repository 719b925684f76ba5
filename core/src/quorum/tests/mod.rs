//! The quorum alone: a small world of its own with a network and disks that fail, faults at random, and stories.

mod checks;
mod nemesis;
mod node;
mod pieces;
mod rules;
mod scenarios;
mod snapshots;
mod world;
