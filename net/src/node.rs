//! A running broker: the machine, its log directory, its listeners, from start to stop.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use quipu_core::broker::door::Input;
use quipu_core::broker::{Broker, Status};
use quipu_core::cluster::brokers::Endpoint;
use quipu_core::config::BrokerConfig;
use quipu_core::disk::Disk;
use quipu_core::ids::BrokerId;
use quipu_core::storage::ops::Recovered;
use quipu_core::storage::store::Store;

use crate::admission::Admission;
use crate::conn::End;
use crate::driver::Driver;
use crate::lane;
use crate::limits::Limits;
use crate::listener::Entrance;
use crate::peer::{Heard, LinkStatus, PeerCounts, PeerLimits, PeerOptions, Peers};
use crate::phase::Phase;
use crate::rt::{self, Either, Listener};
use crate::shell::Shell;
use crate::stats::Stats;

/// How long answers under way may take at a stop, once everything is on disk, and then what is said to other brokers.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a node is to run.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The broker's configs.
    pub config: BrokerConfig,
    /// Fresh entropy: every id that this run draws comes from it.
    pub seed: u64,
    /// Where clients connect.
    pub listeners: Vec<ListenerOptions>,
    /// What clients may take. [`Limits::of`] has what the configs say.
    pub limits: Limits,
    /// Where other brokers connect (`quipu.peer.listen`). Needed when `quipu.voters` names any; a node alone opens no such port.
    pub peer_listen: Option<SocketAddr>,
}

/// One address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// The listener's name, as PLAINTEXT: clients that came in by one are told of the other brokers' listeners of that name.
    pub name: String,
    /// The address and port of this machine; port 0 means any free one.
    pub bind: SocketAddr,
    /// Host and port that clients are told to connect to (`advertised.listeners`). `None` is the address listened at;
    /// port 0 stands for the port listened at.
    pub advertised: Option<(String, u16)>,
}

/// An address that cannot be listened at: the inner error of what [`Node::start`] answers then.
#[derive(Debug)]
pub struct CannotListen {
    /// The address.
    pub address: SocketAddr,
    /// Whether it is for other brokers, not for clients.
    pub is_for_peers: bool,
    why: String,
}

impl CannotListen {
    fn error(address: SocketAddr, is_for_peers: bool, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), CannotListen { address, is_for_peers, why: error.to_string() })
    }
}

impl fmt::Display for CannotListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen at {}: {}", self.address, self.why)
    }
}

impl std::error::Error for CannotListen {}

/// An address that is listened at, and where clients are told that it is.
struct Door {
    listener: Listener,
    endpoint: Endpoint,
}

async fn bind(listeners: Vec<ListenerOptions>) -> io::Result<Vec<Door>> {
    let mut doors = Vec::new();
    for at in listeners {
        let listener = Listener::bind(at.bind).await;
        let listener = listener.map_err(|error| CannotListen::error(at.bind, false, &error))?;
        let local = listener.local_addr()?;
        let (host, port) = at.advertised.unwrap_or_else(|| (local.ip().to_string(), local.port()));
        let port = if port == 0 { local.port() } else { port };
        doors.push(Door { listener, endpoint: Endpoint { listener: at.name, host, port } });
    }
    Ok(doors)
}

/// A broker that runs. Dropping it without [`Node::stop`] is a crash: what was acknowledged is on disk, nothing else is sure.
pub struct Node {
    driver: Arc<Driver>,
    local: Vec<SocketAddr>,
}

impl Node {
    /// Starts a broker over a log directory that has just been opened, in the runtime that this is called in. A node alone
    /// answers clients by then; with several voters it takes a majority of them, and is not waited for: see [`Node::ready`].
    ///
    /// # Errors
    /// An address cannot be listened at ([`CannotListen`] is in it then), or the log directory died meanwhile.
    pub async fn start<D: Disk>(options: NodeOptions, store: Store<D>, found: Recovered) -> io::Result<Node> {
        let voters = options.config.voters.clone();
        let is_alone = options.config.is_alone();
        let reads = Arc::new(store.reader());
        let shell = Arc::new(Shell::new(options.limits, reads));
        let doors = bind(options.listeners).await?;
        let endpoints = doors.iter().map(|door| door.endpoint.clone()).collect();
        let broker = Broker::new(options.config, options.seed, found).reached_at(endpoints);
        let me = broker.me();
        let driver = Arc::new(Driver::new(shell, broker));
        let mut node = Node { driver: Arc::clone(&driver), local: Vec::new() };
        let entrances = node.entrances(doors)?;
        if !is_alone {
            let why = "quipu.voters names the voters of a cluster, but there is no address to listen to other brokers at";
            let listen =
                options.peer_listen.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, why))?;
            let seed = me.incarnation;
            node.link(PeerOptions { me, listen, addresses: voters, seed, limits: PeerLimits::default() })
                .await?;
        }
        lane::start(&driver, store)?;
        node.start_tasks(entrances);
        if is_alone && node.ready().await > Phase::Ready {
            return Err(io::Error::other("the broker could not start: see the log"));
        }
        Ok(node)
    }

    fn entrances(&mut self, doors: Vec<Door>) -> io::Result<Vec<Entrance>> {
        let admission = Arc::new(Admission::new(&self.driver.shell.limits));
        let ids = Arc::new(AtomicU64::new(1));
        let mut entrances = Vec::new();
        for Door { listener, endpoint } in doors {
            self.local.push(listener.local_addr()?);
            let (driver, admission, ids) =
                (Arc::clone(&self.driver), Arc::clone(&admission), Arc::clone(&ids));
            let advertised = (endpoint.host, endpoint.port);
            entrances.push(Entrance { driver, admission, ids, listener, advertised });
        }
        Ok(entrances)
    }

    /// Listens to other brokers and begins to connect to them. What they say goes to the machine at once, in order.
    async fn link(&self, options: PeerOptions) -> io::Result<()> {
        let (driver, listen) = (Arc::clone(&self.driver), options.listen);
        let deliver = move |from, heard| match heard {
            Heard::Said(messages) => {
                driver.drive(messages.into_iter().map(|message| Input::Peer { from, message }));
            }
            Heard::Absent => driver.drive([Input::Absent { broker: from }]),
            Heard::Unlinked => driver.drive([Input::Unlinked { broker: from }]),
        };
        let peers = Peers::start(options, deliver).await;
        let peers = peers.map_err(|error| CannotListen::error(listen, true, &error))?;
        assert!(self.driver.peers.set(peers).is_ok(), "a node is linked once");
        Ok(())
    }

    fn start_tasks(&self, entrances: Vec<Entrance>) {
        let driver = &self.driver;
        driver.drive([Input::Wake]);
        let (timed, watched) = (Arc::clone(driver), Arc::clone(driver));
        driver.shell.spawner.spawn(async move {
            rt::first(watched.phases.at_least(Phase::Stopped), timed.keep_time()).await;
        });
        driver.shell.spawner.spawn(patrol(Arc::clone(driver)));
        for entrance in entrances {
            // Clients that come before that wait to be accepted.
            let driver = Arc::clone(driver);
            self.driver.shell.spawner.spawn(async move {
                driver.phases.at_least(Phase::Ready).await;
                entrance.serve().await;
            });
        }
    }

    /// Waits until it answers clients: [`Phase::Ready`], or what happened instead.
    pub async fn ready(&self) -> Phase {
        self.driver.phases.at_least(Phase::Ready).await
    }

    /// Where other brokers connect; `None` for a node alone.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.driver.peers.get().map(Peers::local_addr)
    }

    /// How the link to each other broker is.
    pub fn links(&self) -> BTreeMap<BrokerId, LinkStatus> {
        self.driver.peers.get().map(Peers::links).unwrap_or_default()
    }

    /// What the links to other brokers have counted.
    pub fn peer_counts(&self) -> PeerCounts {
        self.driver.peers.get().map(Peers::counts).unwrap_or_default()
    }

    /// The first address that it listens at.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local.first().copied()
    }

    /// All addresses that it listens at, in the order of the options.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local
    }

    /// What it has counted.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.driver.shell.stats)
    }

    /// What the machine is doing. Takes its lock for a moment.
    pub fn status(&self) -> Status {
        self.driver.status()
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.driver.phases.now()
    }

    /// Bytes of requests read and not yet answered.
    pub fn queued_bytes(&self) -> usize {
        self.driver.shell.queued.taken()
    }

    /// Waits until it can serve no more, and says why: [`Phase::Dead`] or later.
    pub async fn ended(&self) -> Phase {
        self.driver.phases.at_least(Phase::Dead).await
    }

    /// Stops in order: no new connections, everything on disk, the clean mark. Returns [`Phase::Stopped`], or what
    /// happened instead.
    pub async fn stop(self) -> Phase {
        self.driver.phases.reach(Phase::Stopping);
        self.driver.drive([Input::Stop]);
        let phase = self.driver.phases.at_least(Phase::Dead).await;
        let written = async {
            while self.driver.conns().iter().any(|conn| conn.is_writing()) {
                rt::sleep(Duration::from_millis(10)).await;
            }
        };
        rt::timeout(FAREWELL, written).await;
        if let Some(peers) = self.driver.peers.get() {
            peers.drained(FAREWELL).await;
        }
        phase
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.phases.reach(Phase::Abandoned);
        if let Some(peers) = self.driver.peers.get() {
            peers.stop();
        }
        self.driver.lane().close();
        for conn in self.driver.conns() {
            conn.end(&End::Stopping);
        }
    }
}

/// Looks over the connections for missed deadlines, and for records that nobody comes for: one timer for all of them.
async fn patrol(driver: Arc<Driver>) {
    let pause = driver.shell.limits.patrol();
    loop {
        match rt::first(driver.phases.at_least(Phase::Stopped), rt::sleep(pause)).await {
            Either::First(_) => return,
            Either::Second(()) => {
                let now = driver.shell.clock.mono();
                for conn in driver.conns() {
                    conn.outbox().ahead.drop_stale(now, driver.shell.limits.read_ahead);
                    if let Some(end) = conn.overdue(now) {
                        conn.end(&end);
                    }
                }
            }
        }
    }
}
