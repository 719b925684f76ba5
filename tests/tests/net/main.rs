//! The shell against real sockets, in one process: order of answers, bad input, bounds; and brokers among
//! themselves.

mod ahead;
mod bad_input;
mod bounds;
mod client;
mod cluster;
mod order;
mod peer;
mod peers;
mod server;
