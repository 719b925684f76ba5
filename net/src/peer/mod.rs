//! The links to other brokers: one that this broker speaks on to each of them, and those that it is spoken to on.
//!
//! What is sent may be lost: when a link is down or slower than what is sent, the oldest messages go first, and are counted. What
//! arrives has been read whole and checked. The order of one link's messages is kept; across a reconnect it is not promised.

mod counts;
mod dialer;
mod ear;
mod entrance;
mod link;
mod outage;
mod queue;
mod shared;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quipu_core::ids::BrokerId;
use quipu_core::peer::backoff::Backoff;
use quipu_core::peer::frame;
use quipu_core::peer::hello::Me;
use quipu_core::peer::message::PeerMessage;

pub use counts::PeerCounts;
pub use link::LinkStatus;

use crate::peer::entrance::Entrance;
use crate::peer::queue::Bounds;
use crate::peer::shared::Shared;
use crate::phase::Phase;
use crate::rt::{self, Listener};
use crate::stats::add;

/// How often it is looked whether everything has been written at a stop.
const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// How a broker is linked to others.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Who it is.
    pub me: Me,
    /// Where others connect (`quipu.peer.listen`); port 0 means any free one.
    pub listen: SocketAddr,
    /// Where the others are, as `host:port`. An entry for this broker itself is passed over.
    pub addresses: BTreeMap<BrokerId, String>,
    /// What the chance in the waits between attempts is derived from.
    pub seed: u64,
    /// Its bounds.
    pub limits: PeerLimits,
}

/// The bounds of links in memory and time.
#[derive(Clone, Debug)]
pub struct PeerLimits {
    /// Messages that wait for one link.
    pub queue_messages: usize,
    /// Bytes of the messages that wait for one link. One larger message still waits, alone.
    pub queue_bytes: usize,
    /// How long a message waits for a link before it is dropped: longer than that, its sender has asked anew.
    pub queue_wait: Duration,
    /// Accepted connections that have not greeted yet.
    pub unfinished: usize,
    /// Brokers without a known address that are answered where they say they are.
    pub guests: usize,
    /// How long a greeting and its answer may take.
    pub handshake: Duration,
    /// How long it may take to connect.
    pub connect: Duration,
    /// After so much time without anything to say, a keep-alive is sent, and answered about as often.
    pub keep_alive: Duration,
    /// After this silence an accepted connection is closed.
    pub silence: Duration,
    /// After so much time without an answer to its keep-alives, a link counts as lost. Shorter than what TCP would take to find out,
    /// since after a cut it tries again ever more rarely.
    pub unanswered: Duration,
    /// The waits between attempts to connect.
    pub backoff: Backoff,
}

impl Default for PeerLimits {
    fn default() -> PeerLimits {
        PeerLimits {
            queue_messages: 1024,
            queue_bytes: 32 << 20,
            queue_wait: Duration::from_secs(2),
            unfinished: 64,
            guests: 64,
            handshake: Duration::from_secs(5),
            connect: Duration::from_secs(3),
            keep_alive: Duration::from_secs(1),
            silence: Duration::from_secs(10),
            unanswered: Duration::from_secs(5),
            backoff: Backoff::default(),
        }
    }
}

impl PeerLimits {
    fn bounds(&self) -> Bounds {
        Bounds { frames: self.queue_messages, bytes: self.queue_bytes, wait: self.queue_wait }
    }
}

/// What is found out about another broker.
#[derive(Debug)]
pub enum Heard {
    /// It says this: everything that one read has brought, in order, never nothing.
    Said(Vec<PeerMessage>),
    /// Nobody listens where it is reached: its host refuses the connection.
    Absent,
    /// The link to it broke, which it had taken.
    Unlinked,
}

/// What is called with what is heard of another broker. It is called on the task that has found out, and must not wait.
pub(crate) type Deliver = dyn Fn(BrokerId, Heard) + Send + Sync;

/// The links of one broker. Dropping it ends them.
pub struct Peers {
    shared: Arc<Shared>,
    local: SocketAddr,
}

impl Peers {
    /// Listens, and begins to connect to all others, in the runtime that this is called in. `deliver` is kept until the links have
    /// ended: see [`Peers::stop`].
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(
        options: PeerOptions,
        deliver: impl Fn(BrokerId, Heard) + Send + Sync + 'static,
    ) -> io::Result<Peers> {
        let listener = Listener::bind(options.listen).await?;
        let local = listener.local_addr()?;
        let deliver: Arc<Deliver> = Arc::new(deliver);
        let shared = Shared::new((options.me, options.limits, options.seed), Arc::downgrade(&deliver));
        let shared = Arc::new(shared);
        let entrance = Entrance::new(Arc::clone(&shared), listener, deliver);
        shared.spawner.spawn(entrance.serve());
        let peers = Peers { shared, local };
        peers.set_addresses(options.addresses);
        Ok(peers)
    }

    /// Where others connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Sends a message if it can be, without waiting: it is put behind what waits for that broker, and the oldest of that is dropped
    /// if it has become too much. A message to a broker without an address is dropped, and so is one too large for a frame.
    pub fn send(&self, to: BrokerId, message: PeerMessage) {
        match frame::encode(&message) {
            Ok(pieces) => self.shared.send(to, pieces),
            Err(why) => {
                add(&self.shared.stats.dropped, 1);
                tracing::warn!("a message to broker {to} was dropped: {why}");
            }
        }
    }

    /// Takes note of where the others are from now on: links to those no longer among them end in both directions, new ones begin,
    /// and one whose address has changed begins anew with what waited for it. A broker that is not among them, and that has said
    /// itself where it is, is linked for as long as it speaks.
    pub fn set_addresses(&self, addresses: BTreeMap<BrokerId, String>) {
        self.shared.set_addresses(addresses);
    }

    /// Takes note of the cluster, which a new node learns late. All links begin anew, since those of another cluster may be among
    /// them. Nothing happens when it is known already.
    pub fn set_cluster(&self, cluster: &str) {
        self.shared.set_cluster(cluster);
    }

    /// How the link to each other broker is.
    pub fn links(&self) -> BTreeMap<BrokerId, LinkStatus> {
        self.shared.links()
    }

    /// What was counted since the start.
    pub fn counts(&self) -> PeerCounts {
        self.shared.stats.counts()
    }

    /// Waits until everything that waits for a link that is up has been handed to the system, or `limit` has passed: for a broker
    /// that stops, and wants its last words to be heard.
    pub async fn drained(&self, limit: Duration) {
        let written = async {
            while self.shared.is_busy() {
                rt::sleep(DRAIN_PAUSE).await;
            }
        };
        rt::timeout(limit, written).await;
    }

    /// Ends all links and listens no more. What waits is dropped. Nothing is delivered once the tasks have noticed, and then what was
    /// to be called for it is dropped.
    pub fn stop(&self) {
        self.shared.phases.reach(Phase::Stopped);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop();
    }
}
