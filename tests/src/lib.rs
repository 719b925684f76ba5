//! What the tests of the whole house share: processes of their own, librdkafka in a few words, and a story that proves itself.

pub mod chance;
pub mod chaos;
pub mod cluster;
pub mod failover;
pub mod figures;
pub mod foreign;
pub mod kafka;
pub mod ledger;
pub mod line;
pub mod load;
pub mod process;
pub mod pulse;
pub mod reader;
pub mod scene;
pub mod server;
pub mod story;
pub mod trial;
pub mod view;
pub mod witness;
