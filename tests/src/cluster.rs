//! Three brokers that are one cluster, each a process of its own that can be killed, paused, stopped and emptied.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::server::directory;
use crate::view::View;

/// The ids of the brokers.
pub const BROKERS: [i32; 3] = [1, 2, 3];

/// Ports are sought in this range: below those that systems give to whoever connects, so that nobody is given the
/// port of a broker that is away, and a client that looks for it cannot meet itself there.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// How long a cluster may take until every broker is back and in sync.
const WHOLE: Duration = Duration::from_secs(180);

/// A cluster. Dropped, it is killed and its directory removed, unless the test fails: then all is kept, and named.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    brokers: Vec<Process>,
}

impl Cluster {
    /// Starts three brokers with these `name=value` configs beside the defaults, and waits until they are one cluster.
    pub fn start(configs: &[&str]) -> Cluster {
        let directory = directory("quipu-cluster");
        fs::create_dir_all(&directory).expect("the temporary directory takes a new one");
        let addresses = free_addresses(2 * BROKERS.len());
        let (clients, peers) = addresses.split_at(BROKERS.len());
        let voters: Vec<String> =
            BROKERS.iter().zip(peers).map(|(id, address)| format!("{id}@{address}")).collect();
        let broker = |(place, id): (usize, &i32)| {
            let (id, client, peer) = (id.to_string(), clients[place].to_string(), peers[place].to_string());
            let home = directory.join(&id).to_string_lossy().into_owned();
            let flags = [
                ["--node-id", &id],
                ["--listen", &client],
                ["--peer-listen", &peer],
                ["--voters", &voters.join(",")],
                ["--data-dir", &home],
                ["--log-format", "text"],
            ];
            let sets = configs.iter().map(|config| ["--set", config]);
            let words = std::iter::once("serve").chain(flags.into_iter().chain(sets).flatten());
            let log = directory.join(format!("broker-{id}.log"));
            Process::new(clients[place], words.map(str::to_string).collect(), log)
        };
        let brokers = BROKERS.iter().enumerate().map(broker).collect();
        let mut cluster = Cluster { directory, brokers };
        BROKERS.iter().for_each(|id| cluster.broker(*id).spawn());
        cluster.whole();
        cluster
    }

    /// `HOST:PORT` of each broker, for clients.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.brokers.iter().map(|broker| broker.address().to_string()).collect();
        all.join(",")
    }

    /// One of the brokers.
    pub fn broker(&mut self, id: i32) -> &mut Process {
        let place = BROKERS.iter().position(|known| *known == id);
        &mut self.brokers[place.unwrap_or_else(|| panic!("there is no broker {id}"))]
    }

    /// Takes everything that a broker, which does not run, has on its disk.
    pub fn empty(&mut self, id: i32) {
        fs::remove_dir_all(self.directory.join(id.to_string())).expect("a data directory can be removed");
    }

    /// Waits until all brokers agree on who is the active controller and who leads what, and all are in sync
    /// everywhere; answers what they agree on. Panics when that takes too long, or a broker has ended by itself.
    pub fn whole(&mut self) -> View {
        let started = Instant::now();
        loop {
            for (id, broker) in BROKERS.iter().zip(&mut self.brokers) {
                if let Some(status) = broker.ended() {
                    panic!("broker {id} has ended by itself: {status}:\n{}", broker.last_lines(20));
                }
            }
            let views: Vec<Option<View>> =
                self.brokers.iter().map(|broker| View::ask(broker.address())).collect();
            let is_whole = |view: &View| view.is_whole(&BROKERS) && BROKERS.contains(&view.controller);
            match &views[..] {
                [Some(first), others @ ..]
                    if is_whole(first)
                        && others.iter().all(|other| other.as_ref() == Some(first))
                        && self.all_vote(first) =>
                {
                    return first.clone();
                }
                _ => {}
            }
            assert!(started.elapsed() < WHOLE, "not whole after {WHOLE:?}: {views:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Cluster {
    /// Whether every broker has its vote, also one whose disk was emptied.
    fn all_vote(&self, view: &View) -> bool {
        let leader = BROKERS.iter().position(|id| *id == view.controller);
        let asked = leader.and_then(|at| View::voters(self.brokers[at].address()));
        asked.is_some_and(|voters| voters == BROKERS)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.brokers.iter_mut().for_each(Process::end);
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
            return;
        }
        for (id, broker) in BROKERS.iter().zip(&self.brokers) {
            eprintln!(
                "\nbroker {id}, the last lines of {}:\n{}",
                broker.log().display(),
                broker.last_lines(10)
            );
        }
        eprintln!("\nThe logs and the data of all brokers are kept in {}", self.directory.display());
    }
}

/// So many addresses of the loopback that nobody listens at, found by listening there.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    // Tests that run beside this one begin elsewhere.
    let start = u64::from(std::process::id()) * 97 % u64::from(PORTS.end - PORTS.start);
    let ports = (start as u16..PORTS.end - PORTS.start).chain(0..start as u16).map(|step| PORTS.start + step);
    let bound = ports.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    // Held until all are found, so that none is found twice.
    let held: Vec<TcpListener> = bound.take(count).collect();
    assert_eq!(held.len(), count, "the loopback has no free ports in {PORTS:?}");
    held.iter().map(|listener| listener.local_addr().expect("a bound socket has an address")).collect()
}

#[test]
fn addresses_are_free_and_none_comes_twice() {
    let mut found = free_addresses(6);
    found.iter().for_each(|address| drop(TcpListener::bind(address).expect("it is free")));
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 6);
}
