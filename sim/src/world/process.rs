//! What a broker's process holds: the machine, its storage, its connections, and what is under way between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Client, Effect};
use quipu_core::config::{BrokerConfig, Settings};
use quipu_core::exchange::replies::Replies;
use quipu_core::ids::{BrokerId, ConnId, Mark};
use quipu_core::record::check::Rules;
use quipu_core::storage::Store;
use quipu_core::storage::ops::{Recovered, StoreOp};
use quipu_core::storage::reader::Reader;
use quipu_core::wire;

use super::agenda::Moment;
use super::network::LinkId;
use super::server::{PORT, peer_address};
use super::streams::Streams;
use crate::disk::SimDisk;

/// A broker's process.
pub(super) struct Process {
    pub(super) broker: Broker,
    pub(super) store: Store<SimDisk>,
    pub(super) reader: Reader<SimDisk>,
    pub(super) rules: Arc<Rules>,
    pub(super) sessions: BTreeMap<ConnId, Session>,
    /// Its own streams to other brokers, and theirs to it.
    pub(super) streams: Streams,
    /// Where it was told that the others are.
    pub(super) addresses: BTreeMap<BrokerId, String>,
    pub(super) accepted: u64,
    pub(super) queue: Vec<(Mark, StoreOp)>,
    /// The round that the disk is at.
    pub(super) round: Option<Vec<(Mark, StoreOp)>>,
    pub(super) wakes_at: Option<Moment>,
    pub(super) effects: Vec<Effect>,
    pub(super) out: wire::Out,
    pub(super) stopped: bool,
}

/// A connection of it.
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) from: Arc<Client>,
    pub(super) replies: Replies,
    /// The records of the next answer are being read.
    pub(super) reading: bool,
}

/// Configs as a broker is started with.
pub(super) fn settings(configs: &[(String, String)]) -> Settings {
    let mut settings = Settings::new();
    for (name, value) in configs {
        settings.set(name, value).expect("a config that a plan sets");
    }
    settings
}

impl Process {
    pub(super) fn new(config: BrokerConfig, seed: u64, store: Store<SimDisk>, found: Recovered) -> Process {
        Process {
            addresses: config.voters.clone(),
            broker: Broker::new(config, seed, found),
            reader: store.reader(),
            store,
            rules: Arc::default(),
            sessions: BTreeMap::new(),
            streams: Streams::default(),
            accepted: 0,
            queue: Vec::new(),
            round: None,
            wakes_at: None,
            effects: Vec::new(),
            out: wire::Out::new(),
            stopped: false,
        }
    }

    /// Whether it can say something to another broker: it was told where that is, or is spoken to by it.
    pub(super) fn reaches(&self, to: usize) -> bool {
        let id = to + 1;
        let known = self.addresses.get(&BrokerId(id as i32));
        known == Some(&peer_address(id)) || self.streams.is_heard(to)
    }

    /// Whether a connection is there, under that name.
    pub(super) fn has(&self, conn: ConnId, link: LinkId) -> bool {
        self.sessions.get(&conn).is_some_and(|session| session.link == link)
    }

    /// A name for a connection.
    pub(super) fn next_conn(&mut self) -> ConnId {
        self.accepted += 1;
        ConnId(self.accepted)
    }

    /// Takes a connection in: its name.
    pub(super) fn accept(&mut self, server: usize, link: LinkId) -> ConnId {
        let conn = self.next_conn();
        let from = Client {
            client_id: String::new(),
            host: format!("/10.0.1.{link}"),
            advertised: (format!("broker-{}", server + 1), PORT),
        };
        let session = Session { link, from: Arc::new(from), replies: Replies::default(), reading: false };
        self.sessions.insert(conn, session);
        conn
    }
}
