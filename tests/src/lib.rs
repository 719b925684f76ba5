//! What the tests of the whole house share: a server process of their own, and librdkafka in a few words.

pub mod kafka;
pub mod server;
