//! What people build on a log, from end to end: orders, blocks of a chain, independent readers, retention.

mod blocks;
mod orders;
mod readers;
mod retention;
