//! A node in this process, on a port of its own, over a simulated disk.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quipu_core::config::BrokerConfig;
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::Timestamp;
use quipu_net::{Counts, Limits, ListenerOptions, Node, NodeOptions, Phase};
use quipu_sim::disk::SimDisk;

/// How long to wait for what must come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node. Stopped in order when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    node: Option<Node>,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    /// Starts a node whose bounds are changed by `change`.
    pub(crate) fn start(change: impl FnOnce(&mut Limits)) -> Server {
        Server::start_with(BrokerConfig::default(), change)
    }

    /// The same with other configs.
    pub(crate) fn start_with(config: BrokerConfig, change: impl FnOnce(&mut Limits)) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let identity = FreshIdentity {
            cluster_id: None,
            new_cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            node_id: 1,
            directory_id: [7; 16],
        };
        let (store, found) =
            Store::open(SimDisk::new(1), StoreOptions::default(), &identity, Timestamp(1_700_000_000_000))
                .unwrap();
        let mut limits = Limits::of(&config);
        change(&mut limits);
        let listeners = vec![ListenerOptions {
            name: "PLAINTEXT".into(),
            bind: "127.0.0.1:0".parse().unwrap(),
            advertised: None,
        }];
        let options = NodeOptions { config, seed: 1, listeners, limits, peer_listen: None };
        let node = runtime.block_on(Node::start(options, store, found)).unwrap();
        Server { address: node.local_addr().unwrap(), node: Some(node), runtime }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs until it is dropped")
    }

    pub(crate) fn counts(&self) -> Counts {
        self.node().stats().counts()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.node().queued_bytes()
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Counts) -> bool) {
        let start = Instant::now();
        while !is_so(&self.counts()) {
            assert!(start.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}; {:?}", self.counts());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let node = self.node.take().expect("it runs until it is dropped");
        let phase = self.runtime.block_on(node.stop());
        if !std::thread::panicking() {
            assert_eq!(phase, Phase::Stopped);
        }
    }
}
