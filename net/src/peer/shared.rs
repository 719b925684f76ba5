//! What all links of one broker share: who it is, who the others are, and who speaks to it at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use quipu_core::ids::BrokerId;
use quipu_core::peer::hello::{self, Hello, Me};

use crate::complaints::Complaints;
use crate::peer::counts::PeerStats;
use crate::peer::dialer;
use crate::peer::link::{Link, LinkStatus};
use crate::peer::queue::Queue;
use crate::peer::{Deliver, Heard, PeerLimits};
use crate::phase::Phases;
use crate::rt::{Clock, Notify, Spawner};
use crate::stats::add;

/// Whose means these are, and who is linked to it.
pub(super) struct Shared {
    pub(super) limits: PeerLimits,
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) spawner: Spawner,
    pub(super) complaints: Complaints,
    pub(super) stats: PeerStats,
    /// Whether it is all over.
    pub(super) phases: Phases,
    /// Who is told of what is heard, until it is all over. Weak, since it leads to the driver, which owns these links: neither would end
    /// if each kept the other.
    deliver: Weak<Deliver>,
    around: Mutex<Around>,
}

/// Whom this broker talks with. One lock, so that nobody is let in who has just been put out.
struct Around {
    me: Me,
    links: BTreeMap<BrokerId, Arc<Link>>,
    /// Those of the links that are to brokers which have no known address, and have said where they are: for as long as they speak.
    guests: BTreeSet<BrokerId>,
    /// Who speaks to this broker.
    voices: BTreeMap<BrokerId, Voice>,
}

/// The connection on which a broker speaks.
struct Voice {
    /// What ends it.
    end: Arc<Notify>,
    incarnation: u64,
    /// The other life of that broker whose connection this one, or one before it, has taken the place of.
    replaced: Option<u64>,
}

/// The right to be heard as a broker. It ends when another connection of the same broker gets it.
pub(super) struct Ear {
    shared: Arc<Shared>,
    pub(super) from: BrokerId,
    pub(super) end: Arc<Notify>,
    /// Whether this life of the broker was replaced by another one, and is back: they are two processes.
    pub(super) is_doubled: bool,
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut around = self.shared.around();
        if around.voices.get(&self.from).is_some_and(|voice| Arc::ptr_eq(&voice.end, &self.end)) {
            around.voices.remove(&self.from);
            around.forget_guest(self.from);
        }
    }
}

impl Around {
    /// Nobody listens to this broker any more where it said it was.
    fn forget_guest(&mut self, id: BrokerId) {
        if self.guests.remove(&id)
            && let Some(link) = self.links.remove(&id)
        {
            link.end.notify_one();
        }
    }
}

impl Shared {
    /// Must be called within the runtime that the links are to live in.
    pub(super) fn new((me, limits, seed): (Me, PeerLimits, u64), deliver: Weak<Deliver>) -> Shared {
        let around = Around { me, links: BTreeMap::new(), guests: BTreeSet::new(), voices: BTreeMap::new() };
        Shared {
            limits,
            seed,
            clock: Clock::new(),
            spawner: Spawner::current(),
            complaints: Complaints::default(),
            stats: PeerStats::default(),
            phases: Phases::default(),
            deliver,
            around: Mutex::new(around),
        }
    }

    fn around(&self) -> MutexGuard<'_, Around> {
        self.around.lock().expect("no panic under this lock")
    }

    /// Who this broker is.
    pub(super) fn me(&self) -> Me {
        self.around().me.clone()
    }

    /// Nobody listens where a broker is reached.
    pub(super) fn is_absent(&self, broker: BrokerId) {
        self.found(broker, Heard::Absent);
    }

    /// The link to a broker broke.
    pub(super) fn is_unlinked(&self, broker: BrokerId) {
        self.found(broker, Heard::Unlinked);
    }

    fn found(&self, broker: BrokerId, what: Heard) {
        if let Some(deliver) = self.deliver.upgrade() {
            deliver(broker, what);
        }
    }

    /// Queues an encoded message.
    pub(super) fn send(&self, to: BrokerId, pieces: Vec<Bytes>) {
        let now = self.clock.mono();
        let dropped = match self.around().links.get(&to) {
            Some(link) => link.push(pieces, now),
            None => 1,
        };
        if dropped > 0 {
            add(&self.stats.dropped, dropped);
        }
    }

    /// See [`crate::peer::Peers::set_addresses`].
    pub(super) fn set_addresses(self: &Arc<Shared>, mut addresses: BTreeMap<BrokerId, String>) {
        let mut around = self.around();
        addresses.remove(&around.me.id);
        let Around { links, guests, voices, .. } = &mut *around;
        guests.retain(|guest| !addresses.contains_key(guest));
        let stays = |id: &BrokerId| addresses.contains_key(id) || guests.contains(id);
        links.extract_if(.., |to, _| !stays(to)).for_each(|(_, link)| link.end.notify_one());
        voices.extract_if(.., |from, _| !stays(from)).for_each(|(_, voice)| voice.end.notify_one());
        for (to, address) in addresses {
            let is_same = around.links.get(&to).is_some_and(|link| link.address == address);
            if !is_same {
                self.begin(&mut around, to, address);
            }
        }
    }

    /// See [`crate::peer::Peers::set_cluster`].
    pub(super) fn set_cluster(self: &Arc<Shared>, cluster: &str) {
        let mut around = self.around();
        if around.me.cluster.as_deref() == Some(cluster) {
            return;
        }
        around.me.cluster = Some(cluster.to_owned());
        for voice in std::mem::take(&mut around.voices).into_values() {
            voice.end.notify_one();
        }
        for guest in around.guests.clone() {
            around.forget_guest(guest);
        }
        let all: Vec<(BrokerId, String)> =
            around.links.iter().map(|(to, link)| (*to, link.address.clone())).collect();
        for (to, address) in all {
            self.begin(&mut around, to, address);
        }
    }

    /// A link in the place of the one that there may be.
    fn begin(self: &Arc<Shared>, around: &mut Around, to: BrokerId, address: String) {
        let queue = match around.links.get(&to) {
            Some(old) => {
                old.end.notify_one();
                old.take_queue()
            }
            None => Queue::new(self.limits.bounds()),
        };
        let link = Arc::new(Link::new(to, address, queue));
        around.links.insert(to, Arc::clone(&link));
        self.spawner.spawn(dialer::keep(Arc::clone(self), link));
    }

    /// Whether a broker that greets is heard from now on, in the place of an older connection of it.
    ///
    /// # Errors
    /// Why not: see [`hello::judge`].
    pub(super) fn admit(self: &Arc<Shared>, hello: &Hello) -> Result<Ear, String> {
        let mut around = self.around();
        let expected: BTreeSet<BrokerId> = around.links.keys().copied().collect();
        hello::judge(hello, &around.me, &expected)?;
        self.take_in(&mut around, hello)?;
        let (from, end, incarnation) = (hello.from, Arc::new(Notify::new()), hello.incarnation);
        let mut voice = Voice { end: Arc::clone(&end), incarnation, replaced: None };
        let mut is_doubled = false;
        if let Some(older) = around.voices.remove(&from) {
            older.end.notify_one();
            let is_same = older.incarnation == incarnation;
            voice.replaced = if is_same { older.replaced } else { Some(older.incarnation) };
            is_doubled = !is_same && older.replaced == Some(incarnation);
        }
        around.voices.insert(from, voice);
        Ok(Ear { shared: Arc::clone(self), from, end, is_doubled })
    }

    /// Answers a broker without a known address where it says that it is, until one is known, or it speaks no more.
    fn take_in(self: &Arc<Shared>, around: &mut Around, hello: &Hello) -> Result<(), String> {
        let from = hello.from;
        let is_known = around.links.contains_key(&from) && !around.guests.contains(&from);
        let Some(address) = hello.address.as_ref().filter(|_| !is_known) else { return Ok(()) };
        if around.links.get(&from).is_some_and(|link| link.address == *address) {
            return Ok(());
        }
        if around.guests.len() >= self.limits.guests && !around.guests.contains(&from) {
            return Err(format!(
                "broker {} does not know broker {from}, and has taken in {} others that it does not know",
                around.me.id, self.limits.guests
            ));
        }
        around.guests.insert(from);
        self.begin(around, from, address.clone());
        Ok(())
    }

    /// Whether anything is on its way out.
    pub(super) fn is_busy(&self) -> bool {
        self.around().links.values().any(|link| link.is_busy())
    }

    /// How the links are.
    pub(super) fn links(&self) -> BTreeMap<BrokerId, LinkStatus> {
        self.around().links.iter().map(|(to, link)| (*to, link.status())).collect()
    }
}
