//! Brokers that only talk with one another, each in a runtime of its own, and a stranger that says what it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quipu_core::ids::{BrokerId, LeaderEpoch, Offset};
use quipu_core::peer::frame;
use quipu_core::peer::front::FRONT;
use quipu_core::peer::hello::{Me, Reception};
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Message};
use quipu_core::record::{Batch, BatchBuilder};
use quipu_core::time::Timestamp;
use quipu_net::peer::{Heard, LinkStatus, PeerCounts, PeerLimits, PeerOptions, Peers};

/// How long to wait for what must come, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One broker's links.
pub(crate) struct Broker {
    pub(crate) id: BrokerId,
    pub(crate) address: SocketAddr,
    peers: Option<Peers>,
    heard: Receiver<(BrokerId, PeerMessage)>,
    absent: Receiver<BrokerId>,
    unlinked: Receiver<BrokerId>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Who a broker of a cluster is.
pub(crate) fn me(id: i32, cluster: &str) -> Me {
    Me {
        cluster: Some(cluster.to_owned()),
        id: BrokerId(id),
        directory: [id as u8; 16],
        incarnation: id as u64,
        address: None,
    }
}

impl Broker {
    /// A broker that knows nobody yet, on any free port.
    pub(crate) fn start(id: i32, cluster: &str) -> Broker {
        Broker::start_at("127.0.0.1:0".parse().unwrap(), me(id, cluster), |_| {})
    }

    /// The same with other bounds.
    pub(crate) fn start_with(id: i32, change: impl FnOnce(&mut PeerLimits)) -> Broker {
        Broker::start_at("127.0.0.1:0".parse().unwrap(), me(id, "A"), change)
    }

    pub(crate) fn start_at(listen: SocketAddr, me: Me, change: impl FnOnce(&mut PeerLimits)) -> Broker {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        // On a busy machine nothing is to be too late.
        let mut limits = PeerLimits { queue_wait: PATIENCE, ..PeerLimits::default() };
        change(&mut limits);
        let (id, addresses) = (me.id, BTreeMap::new());
        let options = PeerOptions { me, listen, addresses, seed: 1, limits };
        let (tell, heard) = channel();
        let ((tell_absent, absent), (tell_unlinked, unlinked)) = (channel(), channel());
        // A broker that is being dropped listens no more.
        let deliver = move |from, heard| match heard {
            Heard::Said(messages) => {
                messages.into_iter().for_each(|message| drop(tell.send((from, message))))
            }
            Heard::Absent => drop(tell_absent.send(from)),
            Heard::Unlinked => drop(tell_unlinked.send(from)),
        };
        let peers = runtime.block_on(Peers::start(options, deliver)).unwrap();
        let (address, peers, runtime) = (peers.local_addr(), Some(peers), Some(runtime));
        Broker { id, address, peers, heard, absent, unlinked, runtime }
    }

    pub(crate) fn peers(&self) -> &Peers {
        self.peers.as_ref().expect("it runs until it is dropped")
    }

    /// Tells it where others are.
    pub(crate) fn know(&self, others: &[(BrokerId, SocketAddr)]) {
        self.peers().set_addresses(others.iter().map(|(id, at)| (*id, at.to_string())).collect());
    }

    /// Tells it its cluster.
    pub(crate) fn learn(&self, cluster: &str) {
        self.peers().set_cluster(cluster);
    }

    pub(crate) fn send(&self, to: BrokerId, message: PeerMessage) {
        self.peers().send(to, message);
    }

    /// Waits until everything has been written.
    pub(crate) fn drain(&self) {
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        runtime.block_on(self.peers().drained(PATIENCE));
    }

    pub(crate) fn counts(&self) -> PeerCounts {
        self.peers().counts()
    }

    pub(crate) fn link(&self, to: BrokerId) -> LinkStatus {
        self.peers().links().remove(&to).expect("there is such a link")
    }

    /// The next message, and whose it is.
    pub(crate) fn hear(&self) -> (BrokerId, PeerMessage) {
        self.heard.recv_timeout(PATIENCE).expect("a message in time")
    }

    /// The next broker that nobody listens for where it is reached.
    pub(crate) fn misses(&self) -> BrokerId {
        self.absent.recv_timeout(PATIENCE).expect("it is missed in time")
    }

    /// The next broker to which the link broke.
    pub(crate) fn parts_from(&self) -> BrokerId {
        self.unlinked.recv_timeout(PATIENCE).expect("the link is missed in time")
    }

    /// Whether nothing has been heard so far that was not taken.
    pub(crate) fn has_heard_nothing(&self) -> bool {
        self.heard.try_recv().is_err()
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Broker) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "not so: {what}; {:?} {:?}",
                self.counts(),
                self.peers().links()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.peers().stop();
        self.peers = None;
        // The port is free when all tasks have gone.
        drop(self.runtime.take());
    }
}

/// Makes two brokers known to one another.
pub(crate) fn introduce(a: &Broker, b: &Broker) {
    a.know(&[(b.id, b.address)]);
    b.know(&[(a.id, a.address)]);
}

/// A message that is known again by its number.
pub(crate) fn numbered(correlation: u64) -> PeerMessage {
    say(correlation, Body::Flushed(Offset(7)))
}

/// A message that carries record batches.
pub(crate) fn records(correlation: u64, batches: Vec<Batch>) -> PeerMessage {
    say(correlation, Body::Answer(Answer::Records { batches, high: Offset(7) }))
}

fn say(correlation: u64, body: Body) -> PeerMessage {
    PeerMessage::Quorum(Message { correlation, epoch: LeaderEpoch(5), body })
}

pub(crate) fn number(message: &PeerMessage) -> u64 {
    let PeerMessage::Quorum(message) = message else { panic!("not of the quorum: {message:?}") };
    message.correlation
}

pub(crate) fn batch(offset: i64, value: &[u8]) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push(Timestamp(1_700_000_000_000), None, Some(value));
    let mut batch = builder.build();
    batch.stamp(Offset(offset), LeaderEpoch(4));
    batch
}

/// The bytes of a message.
pub(crate) fn bytes(message: &PeerMessage) -> Bytes {
    frame::encode(message).unwrap().concat().into()
}

/// A connection that says what it is told, byte for byte.
pub(crate) struct Stranger(pub(crate) TcpStream);

impl Stranger {
    pub(crate) fn connect(to: SocketAddr) -> Stranger {
        Stranger::over(TcpStream::connect(to).unwrap())
    }

    pub(crate) fn over(socket: TcpStream) -> Stranger {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Stranger(socket)
    }

    /// Connects and greets as a broker of cluster A: the answer.
    pub(crate) fn greet(as_id: i32, to: &Broker) -> (Stranger, Reception) {
        let mut stranger = Stranger::connect(to.address);
        stranger.say(&me(as_id, "A").hello(to.id).to_bytes());
        let reception = stranger.reception();
        (stranger, reception)
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads the front and what follows it.
    pub(crate) fn greeting(&mut self) -> Vec<u8> {
        let mut front = [0; FRONT.len()];
        self.0.read_exact(&mut front).unwrap();
        assert_eq!(front, FRONT);
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body).unwrap();
        body
    }

    pub(crate) fn reception(&mut self) -> Reception {
        Reception::read(&self.greeting()).unwrap()
    }

    /// Whether the other side closes the connection; keep-alives may come before that.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest.iter().all(|byte| *byte == 0),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
