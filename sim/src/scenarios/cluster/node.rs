//! A machine of a scenario: its disk, its clock, and the broker's process on it.

use std::sync::Arc;

use crate::disk::SimDisk;
use crate::watch::Scene;
use quipu_core::broker::Broker;
use quipu_core::broker::door::Client;
use quipu_core::config::{BrokerConfig, Settings};
use quipu_core::ids::Mark;
use quipu_core::storage::ops::{Recovered, StoreOp};
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::{Instant, Now, Timestamp};

/// Where scenarios begin, in milliseconds since 1970.
const BEGAN_MS: i64 = 1_800_000_000_000;

/// A machine.
pub(super) struct Node {
    /// Its number, from 0.
    pub(super) at: usize,
    pub(super) disk: SimDisk,
    /// What its clock shows, in microseconds since the scenario began.
    pub(super) us: u64,
    pub(super) process: Option<Process>,
    /// Its disk does only what a line tells it to.
    pub(super) is_stalled: bool,
    /// How often its disk was emptied: each time the data directory is another one.
    pub(super) wipes: u8,
    lives: u64,
    /// Steps that its brokers have taken.
    pub(super) turn: u64,
}

/// The broker's process.
pub(super) struct Process {
    pub(super) broker: Broker,
    pub(super) store: Store<SimDisk>,
    pub(super) queue: Vec<(Mark, StoreOp)>,
    pub(super) is_stopped: bool,
}

impl Node {
    /// A machine with an empty disk.
    pub(super) fn new(at: usize) -> Node {
        Node {
            at,
            disk: SimDisk::new(at as u64 + 1),
            us: 0,
            process: None,
            is_stalled: false,
            wipes: 0,
            lives: 0,
            turn: 0,
        }
    }

    /// What its clocks show. They need not agree with those of others.
    pub(super) fn now(&self) -> Now {
        let mono = Instant(1_000_000 + self.us);
        Now { mono, wall: Timestamp(BEGAN_MS + (self.us / 1000) as i64) }
    }

    /// The broker, if its process runs.
    pub(super) fn broker(&self) -> Option<&Broker> {
        self.process.as_ref().map(|process| &process.broker)
    }

    /// In how many microseconds it wants to be woken.
    pub(super) fn due_in(&self) -> Option<u64> {
        let wake = self.broker()?.next_wake()?;
        Some(wake.0.saturating_sub(self.now().mono.0))
    }

    /// Opens the data directory. Why it cannot, in words.
    pub(super) fn open(&self) -> Result<(Store<SimDisk>, Recovered), String> {
        let mut directory_id = [self.at as u8 + 1; 16];
        directory_id[15] += self.wipes << 4;
        let fresh = FreshIdentity {
            cluster_id: None,
            new_cluster_id: "c2NlbmFyaW8tY2x1c3Rlcg".into(),
            node_id: self.at as i32 + 1,
            directory_id,
        };
        let opened = Store::open(self.disk.clone(), StoreOptions::default(), &fresh, self.now().wall);
        opened.map_err(|why| why.to_string())
    }

    /// The process begins, over what its disk has.
    pub(super) fn begin(
        &mut self,
        configs: &[(String, String)],
        (store, found): (Store<SimDisk>, Recovered),
    ) {
        let mut settings = Settings::new();
        for (name, value) in configs {
            settings.set(name, value).expect("a config");
        }
        self.lives += 1;
        // Any entropy would do; so no two of them draw the same.
        let seed = 1000 * (self.at as u64 + 1) + self.lives;
        let broker = Broker::new(BrokerConfig::new(settings), seed, found);
        self.process = Some(Process { broker, store, queue: Vec::new(), is_stopped: false });
    }

    /// What those who watch look at.
    pub(super) fn scene(&self, damaged: bool) -> Option<Scene<'_>> {
        let (server, disk, now, turn) = (self.at, &self.disk, self.now(), self.turn);
        Some(Scene { server, broker: self.broker()?, disk, now, turn, damaged })
    }
}

/// Who asks.
pub(super) fn client(at: usize) -> Arc<Client> {
    Arc::new(Client {
        client_id: "scenario".into(),
        host: "/10.0.0.9".into(),
        advertised: (format!("broker-{}", at + 1), 9092),
    })
}
