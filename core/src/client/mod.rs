//! A Kafka client as one deterministic machine: no socket, no clock, no randomness of its own.
//!
//! It speaks to any Kafka broker. The command line drives it over sockets, the simulators drive it directly. One
//! [`Client`] holds connections and the cluster's metadata, and upon them up to four roles: calls, a producer, a
//! consumer, a member of a group.

mod aborted;
mod call;
mod chance;
mod cluster;
mod consumer;
mod coordinators;
mod door;
mod frame;
mod link;
mod machine;
mod member;
mod net;
mod partitioner;
mod producer;
mod routing;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod versions;

pub use cluster::metadata_of;
pub use door::{
    Address, Assigned, CallError, ClientEffect, ClientInput, Command, Event, Failure, Fetched, NewRecord,
    Outcome, Placed, Reset, Start, Target, TopicPartition,
};
pub use machine::Client;
pub use member::assign::Strategy;
pub use partitioner::murmur2;
pub use settings::{
    Acks, ClientSettings, ConsumerSettings, Isolation, MemberSettings, Partitioner, ProducerSettings,
};
