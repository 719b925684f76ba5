//! A broker as the metadata has it: this run of its process, where it is reached, and whether it takes part.

use serde::{Deserialize, Serialize};

use crate::ids::Offset;

/// The identity of a data directory: drawn when it is made, so that a wiped disk has another one (KIP-858, KIP-853).
pub type DirectoryId = [u8; 16];

/// Where clients reach a broker on one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The listener's name, as PLAINTEXT.
    pub listener: String,
    /// The host that clients are told.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Where the other brokers reach a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddress {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A registered broker (Kafka: `BrokerRegistration`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// This run of its process; never the same twice. It has the part of Kafka's broker epoch: whatever a broker says under
    /// another incarnation is stale.
    pub incarnation: u64,
    /// Where in the metadata log the registration is: the broker takes part only once it has read past it.
    pub at: Offset,
    /// Its data directory; `None` for a node that has only ever been alone.
    pub directory: Option<DirectoryId>,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Where brokers reach it; `None` for a node that has only ever been alone.
    pub peer: Option<PeerAddress>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether it is kept out: it leads nothing and is in no ISR.
    pub fenced: bool,
    /// Whether it is in a controlled shutdown.
    pub stopping: bool,
}

impl Registration {
    /// A node alone: it takes part as soon as it has started.
    pub fn alone(incarnation: u64) -> Registration {
        Registration {
            incarnation,
            at: Offset(0),
            directory: None,
            endpoints: Vec::new(),
            peer: None,
            rack: None,
            fenced: false,
            stopping: false,
        }
    }

    /// Whether it may lead and be in sync (Kafka: `ClusterControlManager.isActive`).
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.stopping
    }
}
