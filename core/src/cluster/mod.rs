//! The cluster's facts, the image they fold into, and the decisions of the controller.

pub mod additions;
pub mod brokers;
pub mod change;
pub mod controller;
pub mod facts;
pub mod image;
pub mod names;
pub mod partition;
mod snapshot;
pub mod topics;
