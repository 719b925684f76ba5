//! The cluster's facts, the image they fold into, and the decisions of the controller.

pub mod additions;
pub mod alter_partition;
pub mod brokers;
pub mod change;
pub mod controller;
pub mod elections;
pub mod facts;
pub mod image;
pub mod lifecycle;
pub mod liveness;
pub mod membership;
pub mod names;
pub mod partition;
pub mod placement;
pub mod producer_ids;
pub mod reassign;
mod snapshot;
pub mod topics;
pub mod view;

#[cfg(test)]
mod tests;
