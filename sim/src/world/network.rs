//! The network between processes: connections that deliver in order, late, or not at all.
//!
//! The fault model: every packet takes a drawn time; some are lost and sent again by TCP, which only takes longer; a
//! direction between two machines can be cut, then what is sent waits in the connection until it is healed; a connection
//! can be reset, so that both ends, or one alone (half-open), learn of it, and what was under way is gone. A wall is a set of
//! directions between brokers that are cut together, and several may stand at once. A path may be slow: everything that goes
//! that way takes so much longer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use quipu_core::ids::ConnId;

use super::agenda::{Agenda, Moment};
use super::event::Event;
use crate::rng::Rng;

/// One machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A client's, by its number.
    User(usize),
    /// A broker's, by its number.
    Server(usize),
}

/// Names a connection for ever.
pub type LinkId = u64;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the side that connected.
    Up,
    /// To the side that connected.
    Down,
}

/// What goes over a connection.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Up: asks for the connection.
    Open,
    /// Down: it is open.
    Opened,
    /// A frame without its length.
    Frame(Bytes),
    /// The other side has closed it, or is not there.
    Closed(&'static str),
}

/// How packets fare.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Weather {
    /// The least time a packet takes, in microseconds.
    pub least_us: u64,
    /// What it takes beyond that on average.
    pub spread_us: u64,
    /// How many in a thousand are lost and sent again.
    pub lost_per_mille: u64,
}

impl Weather {
    /// A quiet network.
    pub const FAIR: Weather = Weather { least_us: 50, spread_us: 200, lost_per_mille: 0 };
}

struct Link {
    ends: (Place, Place),
    /// The name each end has for it; the accepting end none before it accepts.
    names: (ConnId, Option<ConnId>),
    up: Lane,
    down: Lane,
}

#[derive(Default)]
struct Lane {
    packets: VecDeque<Packet>,
    /// No packet arrives before.
    free_at: Moment,
}

/// All connections.
pub struct Network {
    links: BTreeMap<LinkId, Link>,
    opened: LinkId,
    weather: Weather,
    /// Directions that are cut: from where, to where.
    cuts: BTreeSet<(Place, Place)>,
    /// Directions that are cut together, by the name of each such set.
    walls: BTreeMap<usize, BTreeSet<(Place, Place)>>,
    /// What a direction takes beyond what others do, in microseconds.
    slow: BTreeMap<(Place, Place), u64>,
    rng: Rng,
}

/// A packet at its destination.
pub struct Arrival {
    /// From where.
    pub from: Place,
    /// Where.
    pub to: Place,
    /// The destination's name for the connection; none for one that it has not accepted.
    pub conn: Option<ConnId>,
    /// The connection.
    pub link: LinkId,
    /// What.
    pub packet: Packet,
}

impl Network {
    /// A quiet network; what it does is drawn from `seed`.
    pub fn new(seed: u64) -> Network {
        Network {
            links: BTreeMap::new(),
            opened: 0,
            weather: Weather::FAIR,
            cuts: BTreeSet::new(),
            walls: BTreeMap::new(),
            slow: BTreeMap::new(),
            rng: Rng::new(seed),
        }
    }

    /// Changes how packets fare from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Asks for a connection.
    pub fn connect(&mut self, agenda: &mut Agenda<Event>, from: Place, to: Place, name: ConnId) -> LinkId {
        self.opened += 1;
        let link = Link { ends: (from, to), names: (name, None), up: Lane::default(), down: Lane::default() };
        self.links.insert(self.opened, link);
        self.send(agenda, self.opened, Way::Up, Packet::Open);
        self.opened
    }

    /// The accepting end names the connection, which is open from now on.
    pub fn accept(&mut self, agenda: &mut Agenda<Event>, link: LinkId, name: ConnId) {
        if let Some(found) = self.links.get_mut(&link) {
            found.names.1 = Some(name);
            self.send(agenda, link, Way::Down, Packet::Opened);
        }
    }

    /// Sends a packet; on a connection that is gone it goes nowhere.
    pub fn send(&mut self, agenda: &mut Agenda<Event>, link: LinkId, way: Way, packet: Packet) {
        let mut takes = self.draw_time();
        let Some(found) = self.links.get_mut(&link) else { return };
        takes += self.slow.get(&found.ends_of(way)).copied().unwrap_or(0);
        let lane = found.lane(way);
        lane.packets.push_back(packet);
        lane.free_at = lane.free_at.max(agenda.now() + takes);
        agenda.plan(lane.free_at, Event::Packet { link, way });
    }

    fn draw_time(&mut self) -> u64 {
        let Weather { least_us, spread_us, lost_per_mille } = self.weather;
        // About exponential: the smaller of two draws, now and then stretched.
        let spread = self.rng.below(2 * spread_us + 1).min(self.rng.below(2 * spread_us + 1));
        let mut takes = least_us + spread;
        let mut again = 200_000;
        while self.rng.below(1000) < lost_per_mille && again < 10_000_000 {
            takes += again;
            again *= 2;
        }
        takes
    }

    /// The packet that is due on a connection, unless its direction is cut or it is gone.
    pub fn arrive(&mut self, link: LinkId, way: Way) -> Option<Arrival> {
        let (from, to) = self.links.get(&link)?.ends_of(way);
        if self.is_cut((from, to)) {
            return None;
        }
        let found = self.links.get_mut(&link)?;
        let packet = found.lane(way).packets.pop_front()?;
        let conn = if to == found.ends.0 { Some(found.names.0) } else { found.names.1 };
        if matches!(packet, Packet::Closed(_)) {
            self.links.remove(&link);
        }
        Some(Arrival { from, to, conn, link, packet })
    }

    /// Where the packets of a connection arrive that go this way.
    pub fn destination(&self, link: LinkId, way: Way) -> Option<Place> {
        self.links.get(&link).map(|link| link.ends_of(way).1)
    }

    /// Whether nothing gets from one place to another.
    pub fn is_cut(&self, way: (Place, Place)) -> bool {
        self.cuts.contains(&way) || self.walls.values().any(|wall| wall.contains(&way))
    }

    /// Puts up a wall.
    pub fn wall_off(&mut self, name: usize, wall: BTreeSet<(Place, Place)>) {
        self.walls.insert(name, wall);
    }

    /// Takes a wall down. `breaks` in a hundred of the connections that it stood across are gone by then, with all that waited in
    /// them, and both ends learn of it; over the others it arrives now, late as it is.
    pub fn take_down(&mut self, agenda: &mut Agenda<Event>, name: usize, breaks: u64) {
        let Some(wall) = self.walls.remove(&name) else { return };
        let across: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| wall.contains(&l.ends) || wall.contains(&(l.ends.1, l.ends.0)))
            .map(|(id, _)| *id)
            .collect();
        for link in across {
            if self.rng.percent(breaks) {
                self.reset(agenda, link, (true, true));
            }
        }
        for way in wall {
            if !self.is_cut(way) {
                self.resume(agenda, way.0, way.1);
            }
        }
    }

    /// Makes a direction slow by so many microseconds; by none, as fast as the others.
    pub fn set_slow(&mut self, from: Place, to: Place, by_us: u64) {
        self.slow.insert((from, to), by_us);
    }

    /// Cuts a direction, or heals it: then what waited goes on.
    pub fn set_cut(&mut self, agenda: &mut Agenda<Event>, from: Place, to: Place, cut: bool) {
        if cut {
            self.cuts.insert((from, to));
        } else if self.cuts.remove(&(from, to)) {
            self.resume(agenda, from, to);
        }
    }

    /// Heals every direction.
    pub fn heal(&mut self, agenda: &mut Agenda<Event>) {
        self.slow.clear();
        for (from, to) in std::mem::take(&mut self.cuts) {
            self.resume(agenda, from, to);
        }
        let walls: Vec<usize> = self.walls.keys().copied().collect();
        walls.into_iter().for_each(|name| self.take_down(agenda, name, 50));
    }

    fn resume(&mut self, agenda: &mut Agenda<Event>, from: Place, to: Place) {
        for (id, link) in &mut self.links {
            for way in [Way::Up, Way::Down] {
                if link.ends_of(way) == (from, to) {
                    // One event a packet; those still planned for packets under way find none left, which is fine.
                    link.lane(way).packets.iter().for_each(|_| {
                        agenda.plan_in(1, Event::Packet { link: *id, way });
                    });
                }
            }
        }
    }

    /// One end closes a connection in order: the other learns of it after what was sent before.
    pub fn close(&mut self, agenda: &mut Agenda<Event>, link: LinkId, by: Place) {
        let Some(found) = self.links.get_mut(&link) else { return };
        let way = if found.ends.0 == by { Way::Up } else { Way::Down };
        // Nothing reaches the end that has closed it any more.
        found.lane(if way == Way::Up { Way::Down } else { Way::Up }).packets.clear();
        self.send(agenda, link, way, Packet::Closed("the other side closed the connection"));
    }

    /// Every connection of a place, with its own name for each that it has accepted or asked for.
    pub fn links_of(&self, place: Place) -> Vec<LinkId> {
        let at = |link: &Link| link.ends.0 == place || link.ends.1 == place;
        self.links.iter().filter(|(_, link)| at(link)).map(|(id, _)| *id).collect()
    }

    /// The connections between two places.
    pub fn links_between(&self, user: Place, server: Place) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.ends == (user, server)).map(|(id, _)| *id).collect()
    }

    /// A reset: what is under way is gone. Who is told: the side that connected, the other, or both.
    pub fn reset(&mut self, agenda: &mut Agenda<Event>, link: LinkId, tell: (bool, bool)) {
        let Some(found) = self.links.remove(&link) else { return };
        let why = "the connection was reset";
        if tell.0 {
            agenda.plan_in(1, Event::Lost { at: found.ends.0, link, conn: found.names.0, why });
        }
        if let (true, Some(conn)) = (tell.1, found.names.1) {
            agenda.plan_in(1, Event::Lost { at: found.ends.1, link, conn, why });
        }
    }

    /// Whether a connection is still there.
    pub fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }
}

impl Link {
    fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    fn ends_of(&self, way: Way) -> (Place, Place) {
        match way {
            Way::Up => self.ends,
            Way::Down => (self.ends.1, self.ends.0),
        }
    }
}
