//! The shell of Quipu: tasks that carry bytes to the machine and back. It decides nothing that a client can see.
//!
//! It runs on tokio, and unchanged on madsim's simulated tokio: everything either offers comes in through `rt.rs`.

mod admission;
mod ahead;
mod answers;
mod budget;
pub mod client;
mod complaints;
mod conn;
mod connection;
mod dispatch;
mod driver;
mod frames;
mod lane;
pub mod limits;
mod listener;
pub mod node;
mod outbox;
mod pace;
pub mod peer;
pub mod phase;
mod reads;
mod requests;
mod rt;
mod shell;
pub mod stats;
mod writer;

pub use limits::Limits;
pub use node::{CannotListen, ListenerOptions, Node, NodeOptions};
pub use phase::Phase;
pub use stats::{Counts, Stats};
