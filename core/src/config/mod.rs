//! Kafka's configs as readable tables, and what they come to for this broker and for each topic.
//!
//! Every name that Kafka 4.3 knows is in a table: those that Quipu acts on, and those that are accepted and ignored
//! because they have no meaning here. A name that is in no table is an error with the nearest match.

pub mod alter;
pub mod broker;
pub mod broker_table;
pub mod cluster;
pub mod def;
pub mod describe;
pub mod known_table;
pub mod nearest;
mod peers;
pub mod settings;
pub mod throttle;
pub mod topic;
pub mod topic_table;
pub mod value;

pub use alter::{AlterOp, alter_broker, alter_topic};
pub use broker::{BrokerConfig, Durability, GroupConfig, Limits, Validation};
pub use cluster::ClusterConfig;
pub use def::{ConfigDef, Effect, Kind};
pub use describe::{ConfigEntry, Source, describe_broker, describe_topic};
pub use settings::Settings;
pub use throttle::ThrottledReplicas;
pub use topic::{TopicConfig, TopicOverrides, validate_overrides, validate_topic};
