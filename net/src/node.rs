//! A running broker: the machine, its log directory, its listeners, from start to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use quipu_core::broker::door::Input;
use quipu_core::broker::{Broker, Status};
use quipu_core::config::BrokerConfig;
use quipu_core::disk::Disk;
use quipu_core::storage::ops::Recovered;
use quipu_core::storage::store::Store;

use crate::admission::Admission;
use crate::conn::End;
use crate::driver::Driver;
use crate::lane;
use crate::limits::Limits;
use crate::listener::Entrance;
use crate::phase::Phase;
use crate::rt::{self, Either, Listener};
use crate::shell::Shell;
use crate::stats::Stats;

/// How long answers under way may take at a stop, once everything is on disk.
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
}

/// One address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// The address and port of this machine; port 0 means any free one.
    pub bind: SocketAddr,
    /// Host and port that clients are told to connect to (`advertised.listeners`). `None` is the address listened at;
    /// port 0 stands for the port listened at.
    pub advertised: Option<(String, u16)>,
}

/// A broker that runs. Dropping it without [`Node::stop`] is a crash: what was acknowledged is on disk, nothing else is sure.
pub struct Node {
    driver: Arc<Driver>,
    local: Vec<SocketAddr>,
}

impl Node {
    /// Starts a broker over a log directory that has just been opened, in the runtime that this is called in, and waits
    /// until it answers clients.
    ///
    /// # Errors
    /// An address cannot be listened at, or the log directory died meanwhile.
    pub async fn start<D: Disk>(options: NodeOptions, store: Store<D>, found: Recovered) -> io::Result<Node> {
        if options.config.voters.keys().any(|id| *id != options.config.node_id) {
            let why = "quipu.voters names other brokers: this version runs a node alone";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let reads = Arc::new(store.reader());
        let shell = Arc::new(Shell::new(options.limits, reads));
        let broker = Broker::new(options.config, options.seed, found);
        let driver = Arc::new(Driver::new(shell, broker));
        let mut node = Node { driver: Arc::clone(&driver), local: Vec::new() };
        let mut entrances = Vec::new();
        let admission = Arc::new(Admission::new(&driver.shell.limits));
        let ids = Arc::new(AtomicU64::new(1));
        for at in options.listeners {
            let listener = Listener::bind(at.bind).await?;
            let local = listener.local_addr()?;
            let (host, port) = at.advertised.unwrap_or_else(|| (local.ip().to_string(), local.port()));
            let advertised = (host, if port == 0 { local.port() } else { port });
            node.local.push(local);
            let (driver, admission, ids) = (Arc::clone(&driver), Arc::clone(&admission), Arc::clone(&ids));
            entrances.push(Entrance { driver, admission, ids, listener, advertised });
        }
        lane::start(&driver, store)?;
        node.start_tasks(entrances).await?;
        Ok(node)
    }

    async fn start_tasks(&self, entrances: Vec<Entrance>) -> io::Result<()> {
        let driver = &self.driver;
        driver.drive([Input::Wake]);
        let (timed, watched) = (Arc::clone(driver), Arc::clone(driver));
        driver.shell.spawner.spawn(async move {
            rt::first(watched.phases.at_least(Phase::Stopped), timed.keep_time()).await;
        });
        driver.shell.spawner.spawn(patrol(Arc::clone(driver)));
        match driver.phases.at_least(Phase::Ready).await {
            Phase::Starting | Phase::Ready => {}
            Phase::Stopping | Phase::Dead | Phase::Stopped | Phase::Abandoned | Phase::Broken => {
                return Err(io::Error::other("the broker could not start: see the log"));
            }
        }
        for entrance in entrances {
            driver.shell.spawner.spawn(entrance.serve());
        }
        Ok(())
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
        phase
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.phases.reach(Phase::Abandoned);
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
