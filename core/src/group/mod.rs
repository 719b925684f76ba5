//! Consumer groups, classic protocol: membership, assignments and committed offsets, as a pure machine over facts.
//!
//! A request handler decides: facts for `__consumer_offsets` and answers that wait until those facts are committed. Hard
//! state (the stored generation of each group, committed offsets) changes only when a fact is applied; what is soft (who
//! waits, sessions, ids given out, a rebalance in progress) is lost with the coordinator and rebuilt as Kafka does: after
//! a load every group stands where it was last stored, and all its members get a fresh session.
//!
//! Deadlines are on the monotonic clock, so that no jump of the wall clock ends a session; only the retention of offsets,
//! which outlives every process, counts on the wall clock.

mod alarms;
mod answers;
mod commit;
mod config;
mod describe;
mod expiry;
mod facts;
mod fetch;
mod groups;
mod ids;
mod join;
mod leave;
mod rebalance;
mod refuse;
mod requests;
mod roster;
mod shard;
mod state;
mod statics;
mod subscription;
mod sync;
mod turn;
mod view;

#[cfg(test)]
mod tests;

pub use commit::TopicView;
pub use config::GroupConfig;
pub use groups::Groups;
pub use refuse::not_coordinator;
pub use view::{GroupView, MemberView};
