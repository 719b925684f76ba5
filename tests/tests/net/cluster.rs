//! Nodes of one cluster in one process, at real ports: who leads the metadata quorum, whose cluster it is, who is a stranger.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use quipu_core::config::{BrokerConfig, Settings};
use quipu_core::ids::{BrokerId, LeaderEpoch};
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::Timestamp;
use quipu_net::{CannotListen, Limits, ListenerOptions, Node, NodeOptions, Phase};
use quipu_sim::disk::SimDisk;

use crate::peer::{self, PATIENCE, me};

const ALL: [i32; 3] = [1, 2, 3];

/// Four machines, three of which are to vote, on an address of this test's own: Linux gives a process all of 127.0.0.0/8, so no other one has taken the ports.
struct Site {
    ip: Ipv4Addr,
    disks: [SimDisk; 4],
    lives: u64,
}

/// A node that runs. Stopped in order when dropped.
struct Member {
    id: i32,
    node: Option<Node>,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn new() -> Site {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let [.., a, b] = (std::process::id() % (250 * 250)).to_be_bytes();
        let ip = Ipv4Addr::new(127, a.max(1), b, NEXT.fetch_add(1, Ordering::Relaxed));
        Site { ip, disks: [1, 2, 3, 4].map(SimDisk::new), lives: 0 }
    }

    fn peer_address(&self, id: i32) -> SocketAddr {
        SocketAddr::from((self.ip, 9192 + id as u16))
    }

    fn config(&self, id: i32) -> BrokerConfig {
        self.config_among(id, &ALL)
    }

    fn config_among(&self, id: i32, voters: &[i32]) -> BrokerConfig {
        let mut settings = Settings::new();
        let named: Vec<String> = voters.iter().map(|id| format!("{id}@{}", self.peer_address(*id))).collect();
        settings.set("node.id", &id.to_string()).unwrap();
        settings.set("quipu.voters", &named.join(",")).unwrap();
        settings.set("quipu.peer.listen", &self.peer_address(id).to_string()).unwrap();
        BrokerConfig::new(settings)
    }

    fn try_start(&mut self, config: BrokerConfig) -> std::io::Result<Member> {
        self.lives += 1;
        let id = config.node_id.0;
        let identity = FreshIdentity {
            cluster_id: None,
            new_cluster_id: format!("made-up-by-{id}"),
            node_id: id,
            directory_id: [id as u8; 16],
        };
        let disk = self.disks[id as usize - 1].clone();
        let (store, found) =
            Store::open(disk, StoreOptions::default(), &identity, Timestamp(1_700_000_000_000)).unwrap();
        let options = NodeOptions {
            limits: Limits::of(&config),
            config,
            seed: self.lives * 10 + id as u64,
            listeners: vec![ListenerOptions {
                name: "PLAINTEXT".into(),
                bind: SocketAddr::from((self.ip, 0)),
                advertised: None,
            }],
            peer_listen: Some(self.peer_address(id)),
        };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        let node = runtime.block_on(Node::start(options, store, found))?;
        Ok(Member { id, node: Some(node), runtime })
    }

    fn start(&mut self, id: i32) -> Member {
        self.try_start(self.config(id)).unwrap()
    }

    fn start_all(&mut self) -> Vec<Member> {
        ALL.map(|id| self.start(id)).into()
    }
}

impl Member {
    fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs until it is dropped")
    }

    /// The quorum's epoch and leader as it knows them.
    fn leader(&self) -> Option<(LeaderEpoch, BrokerId)> {
        let (epoch, leader) = self.node().status().quorum?;
        Some((epoch, leader?))
    }

    fn cluster(&self) -> Option<String> {
        self.node().status().cluster_id
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let node = self.node.take().expect("it runs until it is dropped");
        let phase = self.runtime.block_on(node.stop());
        if !std::thread::panicking() {
            assert_eq!(phase, Phase::Stopped);
        }
    }
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until these all know the same leader in the same epoch, later than `after`, and the same cluster.
fn agreed(members: &[Member], after: Option<LeaderEpoch>) -> (LeaderEpoch, BrokerId, String) {
    let mut all = None;
    wait_until("they agree", || {
        let known: BTreeSet<_> = members.iter().map(|m| m.leader().zip(m.cluster())).collect();
        all = known
            .first()
            .cloned()
            .flatten()
            .filter(|((epoch, _), _)| known.len() == 1 && Some(*epoch) > after);
        all.is_some()
    });
    let ((epoch, leader), cluster) = all.expect("they agree");
    (epoch, leader, cluster)
}

#[test]
fn nodes_of_a_new_cluster_elect_one_leader_and_another_when_it_stops_and_again_when_all_come_back() {
    let mut site = Site::new();
    let mut members = site.start_all();
    let (first, leader, cluster) = agreed(&members, None);
    assert!(
        ALL.map(|id| format!("made-up-by-{id}")).contains(&cluster),
        "one of them has named it: {cluster}"
    );
    assert!(members.iter().all(|m| m.node().peer_addr() == Some(site.peer_address(m.id))));

    members.retain(|m| m.id != leader.0);
    let (second, other, same) = agreed(&members, Some(first));
    assert_ne!(other, leader);
    assert_eq!(same, cluster);

    members.push(site.start(leader.0));
    agreed(&members, None);
    members.clear();
    members.push(site.start(1));
    wait_until("its log says it, before any other is there", || {
        members[0].cluster() == Some(cluster.clone())
    });
    assert_eq!(members[0].node().phase(), Phase::Starting);
    members.extend([2, 3].map(|id| site.start(id)));
    let (third, _, same) = agreed(&members, Some(second));
    assert!(third > second);
    assert_eq!(same, cluster);
}

#[test]
fn a_stranger_in_the_place_of_a_voter_is_refused_and_refuses() {
    let mut site = Site::new();
    let mut members = site.start_all();
    agreed(&members, None);
    members.retain(|m| m.id != 2);
    let stranger = peer::Broker::start_at(site.peer_address(2), me(2, "another"), |_| {});
    stranger.know(&[(BrokerId(1), site.peer_address(1)), (BrokerId(3), site.peer_address(3))]);
    let is_other = |why: Option<String>| why.is_some_and(|why| why.contains("to cluster \"another\""));
    stranger.wait_until("both turn it away", |stranger| {
        is_other(stranger.link(BrokerId(1)).trouble) && is_other(stranger.link(BrokerId(3)).trouble)
    });
    stranger.wait_until("it turns both away", |_| {
        members.iter().all(|m| is_other(m.node().links().remove(&BrokerId(2)).unwrap().trouble))
    });
    assert!(stranger.has_heard_nothing());
    assert_eq!((stranger.counts().accepted, stranger.counts().sent), (0, 0));
    agreed(&members, None);
}

#[test]
fn a_node_whose_voters_are_away_lets_clients_wait_and_can_be_stopped() {
    let mut site = Site::new();
    let member = site.start(1);
    let mut client = TcpStream::connect(member.node().local_addr().unwrap()).unwrap();
    assert_eq!((member.node().phase(), member.leader(), member.cluster()), (Phase::Starting, None, None));
    drop(member);
    // Closed or reset: it was never accepted.
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_peer_port_that_is_taken_is_named() {
    let mut site = Site::new();
    let _taken = std::net::TcpListener::bind(site.peer_address(1)).unwrap();
    let error = site.try_start(site.config(1)).err().expect("nobody listens twice");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let why = error.get_ref().and_then(|why| why.downcast_ref::<CannotListen>()).expect("it says where");
    assert_eq!((why.address, why.is_for_peers), (site.peer_address(1), true));
}

#[test]
fn a_node_alone_opens_no_port_for_others() {
    let mut site = Site::new();
    let alone = site.try_start(BrokerConfig::default()).unwrap();
    assert_eq!((alone.node().phase(), alone.node().peer_addr()), (Phase::Ready, None));
    std::net::TcpListener::bind(site.peer_address(1)).expect("nobody listens there");
    assert_eq!(alone.leader().map(|(_, leader)| leader), Some(BrokerId(1)));
}

/// Waits until these answer clients.
fn ready(members: &[Member]) {
    wait_until("all are ready", || members.iter().all(|m| m.node().phase() == Phase::Ready));
}

/// Waits until these, and nobody else, are linked to one another.
fn linked(members: &[Member]) {
    let ids: BTreeSet<i32> = members.iter().map(|m| m.id).collect();
    wait_until("all are linked", || {
        members.iter().all(|m| {
            let up: BTreeSet<i32> =
                m.node().links().iter().filter(|(_, link)| link.is_up).map(|(id, _)| id.0).collect();
            up.union(&[m.id].into()).copied().collect::<BTreeSet<i32>>() == ids
        })
    });
}

#[test]
fn a_node_without_a_vote_joins_goes_and_comes_back_and_all_are_linked_to_it() {
    let mut site = Site::new();
    let mut members = site.start_all();
    let (epoch, leader, cluster) = agreed(&members, None);
    members.push(site.start(4));
    assert_eq!(agreed(&members, None), (epoch, leader, cluster.clone()), "it has learnt all that");
    ready(&members);
    linked(&members);
    members.pop();
    members.push(site.start(4));
    assert_eq!(agreed(&members, None).2, cluster);
    ready(&members);
    linked(&members);
}

#[test]
fn one_voter_is_enough_for_a_cluster_that_others_join() {
    let mut site = Site::new();
    let mut members: Vec<Member> = [2, 1, 4]
        .into_iter()
        .map(|id| {
            let config = site.config_among(id, &[1]);
            site.try_start(config).unwrap()
        })
        .collect();
    let (_, leader, cluster) = agreed(&members, None);
    assert_eq!((leader, cluster.as_str()), (BrokerId(1), "made-up-by-1"));
    ready(&members);
    linked(&members);
    members.retain(|m| m.id != 1);
    let config = site.config_among(1, &[1]);
    members.push(site.try_start(config).unwrap());
    assert_eq!(agreed(&members, None).2, cluster);
    linked(&members);
}

#[test]
fn a_node_that_was_a_cluster_by_itself_is_refused_with_what_to_do() {
    let mut site = Site::new();
    let mut settings = Settings::new();
    settings.set("node.id", "4").unwrap();
    drop(site.try_start(BrokerConfig::new(settings)).unwrap());
    let members = site.start_all();
    agreed(&members, None);
    let other = site.start(4);
    wait_until("all have turned it away", || {
        let links = other.node().links();
        let told = |why: &str| why.contains("made-up-by-4") && why.contains("empty data directory");
        links.len() == 3 && links.values().all(|link| link.trouble.as_deref().is_some_and(told))
    });
    assert_eq!(other.node().phase(), Phase::Starting);
    assert!(members.iter().all(|m| !m.node().links().contains_key(&BrokerId(4))));
}
