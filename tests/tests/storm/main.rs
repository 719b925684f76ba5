//! A flood of bad requests, alone in its process, since it looks at the memory of the process.

#[allow(dead_code, reason = "shared with the tests beside it, which use all of it")]
#[path = "../net/client.rs"]
mod client;
mod frames;
#[allow(dead_code, reason = "shared with the tests beside it, which use all of it")]
#[path = "../net/server.rs"]
mod server;
