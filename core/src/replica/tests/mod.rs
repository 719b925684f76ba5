//! The replicas of partitions alone: rules told to one of them, and a small world with a network and disks that fail.

mod broker;
mod checks;
mod controller;
mod deletions;
mod following;
mod links;
mod nemesis;
mod node;
mod quota;
mod rules;
mod stories;
mod throttle;
mod world;
