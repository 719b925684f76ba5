//! All connections of a client: where a request goes, in which version, and what became of it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ids::{BrokerId, ConnId};
use crate::time::{Instant, Now};
use crate::wire::{ErrorCode, Request, Response};

use super::chance::{Backoff, draw};
use super::door::{Address, ClientEffect, Event};
use super::frame;
use super::link::{Heard, Line, Link, Sent, State, negotiated, negotiation};
use super::settings::ClientSettings;

/// Whom a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// A broker of which only the address is known: the nth of the bootstrap list.
    Bootstrap(usize),
    /// A broker that metadata named.
    Broker(BrokerId),
}

/// One request in the life of a client. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskId(pub(crate) u64);

/// Which role gets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The connection itself (ApiVersions).
    Link,
    /// The metadata cache.
    Cluster,
    /// The search for coordinators.
    Coordinators,
    /// A user's call.
    Call,
    /// The producer.
    Producer,
    /// The consumer.
    Consumer,
    /// The group member.
    Member,
}

/// A request that a role wants sent.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) peer: Peer,
    pub(crate) line: Line,
    pub(crate) owner: Owner,
    pub(crate) request: Request,
    /// How long its answer may take once it is sent.
    pub(crate) timeout_ms: i64,
    /// How long it may wait to be sent.
    pub(crate) patience_ms: i64,
    /// No newer version than this.
    pub(crate) cap: i16,
}

impl Ask {
    /// A request in any version, that may wait to be sent for as long as it may wait for its answer.
    pub(crate) fn new(peer: Peer, line: Line, owner: Owner, request: Request, timeout_ms: i64) -> Ask {
        Ask { peer, line, owner, request, timeout_ms, patience_ms: timeout_ms, cap: i16::MAX }
    }
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ask: AskId,
    pub(crate) owner: Owner,
    pub(crate) result: Result<Response, Lost>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was never sent.
    NotSent(String),
    /// It cannot be sent: the broker does not speak it.
    Unsupported(String),
    /// It was sent; whether it was done is unknown.
    Unknown(String),
}

impl Lost {
    /// The words for people.
    pub(crate) fn text(&self) -> &str {
        match self {
            Lost::NotSent(text) | Lost::Unsupported(text) | Lost::Unknown(text) => text,
        }
    }
}

/// The connections, and what the rest of the client has in common.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) settings: ClientSettings,
    pub(crate) now: Now,
    pub(crate) done: VecDeque<Done>,
    pub(crate) out: Vec<ClientEffect>,
    wake: Option<Instant>,
    links: BTreeMap<ConnId, Link>,
    routes: BTreeMap<(Peer, Line), ConnId>,
    addresses: BTreeMap<BrokerId, Address>,
    next_conn: u64,
    next_ask: u64,
    /// Which broker is next when any will do.
    turn: usize,
}

impl Net {
    pub(crate) fn new(settings: ClientSettings) -> Net {
        assert!(!settings.bootstrap.is_empty(), "a client needs an address to begin with");
        let turn = (draw(settings.seed, 3, 0) % settings.bootstrap.len() as u64) as usize;
        Net {
            settings,
            now: Now::default(),
            done: VecDeque::new(),
            out: Vec::new(),
            wake: None,
            links: BTreeMap::new(),
            routes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            next_conn: 0,
            next_ask: 0,
            turn,
        }
    }

    /// Tells the user.
    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(ClientEffect::Event(event));
    }

    /// Asks to be woken at that moment or earlier. Forgotten with each [`Net::forget_wake`].
    pub(crate) fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    pub(crate) fn forget_wake(&mut self) {
        self.wake = None;
    }

    /// The next moment at which something is due.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let idle = |l: &Link| {
            (l.is_ready() && l.in_flight.is_empty()).then(|| l.used.after_ms(self.settings.idle_ms))
        };
        let waits = |l: &Link| l.waiting.iter().map(|(_, _, until)| *until).min();
        let links = self.links.values().flat_map(|l| [l.deadline(), idle(l), waits(l)]);
        links.chain([self.wake]).flatten().min()
    }

    /// The waits between attempts.
    pub(crate) fn backoff(&self) -> Backoff {
        let s = &self.settings;
        Backoff { first_ms: s.retry_backoff_ms, most_ms: s.retry_backoff_max_ms, seed: s.seed }
    }

    /// The moment of attempt number `attempt`, counted from now.
    pub(crate) fn retry_at(&self, attempt: u32) -> Instant {
        self.now.mono.after_ms(self.backoff().wait_ms(attempt))
    }

    /// Whether that moment has come; if not, asks to be woken then.
    pub(crate) fn due(&mut self, at: Instant) -> bool {
        let due = at <= self.now.mono;
        if !due {
            self.wake_at(at);
        }
        due
    }

    /// A request on the main connection in any version, with the usual timeout.
    pub(crate) fn ask_main(&mut self, peer: Peer, owner: Owner, request: Request) -> AskId {
        let timeout_ms = self.settings.request_timeout_ms;
        self.ask(Ask::new(peer, Line::Main, owner, request, timeout_ms))
    }

    /// Sends a request, or keeps it until its connection is ready. Answered once by a [`Done`], but for a produce without
    /// acknowledgement, which is done when it is handed to the connection.
    pub(crate) fn ask(&mut self, ask: Ask) -> AskId {
        let id = AskId(self.next_ask);
        self.next_ask += 1;
        match self.route(ask.peer, ask.line) {
            Some(conn) => self.enqueue(conn, id, ask),
            None => {
                let text = match ask.peer {
                    Peer::Broker(id) => format!("broker {id} is not known (any more)"),
                    Peer::Bootstrap(_) => "there is no such bootstrap server".to_string(),
                };
                self.done.push_back(Done { ask: id, owner: ask.owner, result: Err(Lost::NotSent(text)) });
            }
        }
        id
    }

    fn enqueue(&mut self, conn: ConnId, id: AskId, ask: Ask) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.is_ready() {
            self.send(conn, id, ask);
        } else {
            let until = self.now.mono.after_ms(ask.patience_ms);
            link.waiting.push_back((id, ask, until));
        }
    }

    /// The connection to a peer, opened if need be.
    fn route(&mut self, peer: Peer, line: Line) -> Option<ConnId> {
        let addr = self.address(peer)?.clone();
        if let Some(conn) = self.routes.get(&(peer, line)).copied() {
            if self.links.get(&conn).is_some_and(|l| l.addr == addr) {
                return Some(conn);
            }
            self.close(conn, "the broker has moved to another address");
        }
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let link = Link {
            peer,
            line,
            addr: addr.clone(),
            state: State::Connecting(self.now.mono.after_ms(self.settings.connect_timeout_ms)),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_correlation: 0,
            used: self.now.mono,
        };
        self.links.insert(conn, link);
        self.routes.insert((peer, line), conn);
        self.out.push(ClientEffect::Connect { conn, addr });
        Some(conn)
    }

    fn address(&self, peer: Peer) -> Option<&Address> {
        match peer {
            Peer::Bootstrap(n) => self.settings.bootstrap.get(n),
            Peer::Broker(id) => self.addresses.get(&id),
        }
    }

    /// The brokers there are, as metadata names them.
    pub(crate) fn set_addresses(&mut self, addresses: BTreeMap<BrokerId, Address>) {
        self.addresses = addresses;
    }

    /// Learns of one broker.
    pub(crate) fn add_address(&mut self, id: BrokerId, addr: Address) {
        self.addresses.insert(id, addr);
    }

    /// Whether that broker's address is known.
    pub(crate) fn knows(&self, id: BrokerId) -> bool {
        self.addresses.contains_key(&id)
    }

    /// Any broker: one that a connection is ready to, else the next in turn of all that are known.
    pub(crate) fn any(&self) -> Peer {
        let ready = self
            .links
            .values()
            .find(|l| l.is_ready() && l.line == Line::Main && self.address(l.peer) == Some(&l.addr));
        if let Some(link) = ready {
            return link.peer;
        }
        let bootstraps = self.settings.bootstrap.len();
        let nth = self.turn % (bootstraps + self.addresses.len());
        match self.addresses.keys().nth(nth.wrapping_sub(bootstraps)) {
            Some(id) if nth >= bootstraps => Peer::Broker(*id),
            _ => Peer::Bootstrap(nth),
        }
    }

    fn send(&mut self, conn: ConnId, id: AskId, ask: Ask) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let State::Ready(versions) = &link.state else { return };
        let (key, owner) = (ask.request.key(), ask.owner);
        let silent = matches!(&ask.request, Request::Produce(p) if p.acks == 0);
        let version = match versions.choose(key, ask.cap) {
            Ok(version) => version,
            Err(text) => {
                return self.done.push_back(Done { ask: id, owner, result: Err(Lost::Unsupported(text)) });
            }
        };
        let correlation = link.take_correlation();
        let chunks = match frame::encode(&ask.request, version, correlation, &self.settings.client_id) {
            Ok(chunks) => chunks,
            Err(error) => {
                let text = format!("{error}, in what the broker understands of {key} (version {version})");
                return self.done.push_back(Done { ask: id, owner, result: Err(Lost::Unsupported(text)) });
            }
        };
        link.used = self.now.mono;
        self.out.push(ClientEffect::Send { conn, chunks });
        if silent {
            let nothing = Response::Produce(Default::default());
            return self.done.push_back(Done { ask: id, owner, result: Ok(nothing) });
        }
        let deadline = self.now.mono.after_ms(ask.timeout_ms);
        link.in_flight.push_back(Sent { ask: id, owner, key, version, correlation, deadline });
    }

    /// A connection is open: versions are agreed upon first.
    pub(crate) fn connected(&mut self, conn: ConnId) {
        if self.links.get(&conn).is_some_and(|l| matches!(l.state, State::Connecting(_))) {
            self.negotiate(conn, *crate::wire::ApiKey::ApiVersions.accepted().end());
        }
    }

    fn negotiate(&mut self, conn: ConnId, version: i16) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let (id, correlation) = (AskId(self.next_ask), link.take_correlation());
        self.next_ask += 1;
        let request = negotiation();
        match frame::encode(&request, version, correlation, &self.settings.client_id) {
            Ok(chunks) => {
                link.state = State::Negotiating;
                let deadline = self.now.mono.after_ms(self.settings.request_timeout_ms);
                let sent =
                    Sent { ask: id, owner: Owner::Link, key: request.key(), version, correlation, deadline };
                link.in_flight.push_back(sent);
                self.out.push(ClientEffect::Send { conn, chunks });
            }
            Err(error) => self.close(conn, &error.to_string()),
        }
    }

    /// A frame has arrived.
    pub(crate) fn received(&mut self, conn: ConnId, frame: Bytes) {
        // An answer on a connection that was given up is late: whoever asked has been told that it is lost.
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.used = self.now.mono;
        match link.hear(&frame) {
            Heard::Answer(sent) if sent.owner == Owner::Link => self.heard_versions(conn, &sent, frame),
            Heard::Answer(sent) => self.heard(conn, &sent, frame),
            Heard::Stale => {}
            Heard::Astray(why) => self.close(conn, &why),
        }
    }

    fn heard(&mut self, conn: ConnId, sent: &Sent, frame: Bytes) {
        let unreadable = |error| Lost::Unknown(format!("the broker's answer cannot be read: {error}"));
        let result = frame::decode(sent.key, sent.version, &frame).map_err(unreadable);
        let broken = result.is_err();
        self.done.push_back(Done { ask: sent.ask, owner: sent.owner, result });
        if broken {
            self.close(conn, "the broker sent an answer that cannot be read");
        }
    }

    /// Goes down to version 0 when the broker does not know ours (error 35): its answer says so in version 0.
    fn heard_versions(&mut self, conn: ConnId, sent: &Sent, frame: Bytes) {
        let answered_in = if frame::is_unsupported(&frame) { 0 } else { sent.version };
        match frame::decode(sent.key, answered_in, &frame) {
            Ok(Response::ApiVersions(r))
                if r.error_code == ErrorCode::UNSUPPORTED_VERSION && sent.version > 0 =>
            {
                let (low, high) = r
                    .api_keys
                    .iter()
                    .find(|k| k.api_key == 18)
                    .map_or((0, 0), |k| (k.min_version, k.max_version));
                let version = if high < sent.version { high.max(low).max(0) } else { 0 };
                self.negotiate(conn, version);
            }
            Ok(Response::ApiVersions(r)) if r.error_code.is_none() => {
                self.ready(conn, State::Ready(negotiated(&r)))
            }
            Ok(Response::ApiVersions(r)) => {
                self.close(conn, &format!("the broker refused ApiVersions: {}", r.error_code))
            }
            Ok(_) => self.close(conn, "the broker answered ApiVersions with something else"),
            Err(error) => {
                self.close(conn, &format!("the broker does not seem to speak Kafka's protocol: {error}"))
            }
        }
    }

    fn ready(&mut self, conn: ConnId, state: State) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.state = state;
        for (id, ask, _) in std::mem::take(&mut link.waiting) {
            self.send(conn, id, ask);
        }
    }

    /// A connection could not be opened, or has ended.
    pub(crate) fn disconnected(&mut self, conn: ConnId, why: &str) {
        let Some(link) = self.links.remove(&conn) else { return };
        if self.routes.get(&(link.peer, link.line)) == Some(&conn) {
            self.routes.remove(&(link.peer, link.line));
        }
        let addr = link.addr.clone();
        if !link.is_ready() {
            self.turn = self.turn.wrapping_add(1);
            self.event(Event::Unreachable { addr: addr.clone(), why: why.to_string() });
        }
        for sent in link.in_flight.into_iter().filter(|s| s.owner != Owner::Link) {
            let lost = Lost::Unknown(format!("{addr}: {why}"));
            self.done.push_back(Done { ask: sent.ask, owner: sent.owner, result: Err(lost) });
        }
        for (id, ask, _) in link.waiting {
            let lost = Lost::NotSent(format!("{addr}: {why}"));
            self.done.push_back(Done { ask: id, owner: ask.owner, result: Err(lost) });
        }
    }

    fn close(&mut self, conn: ConnId, why: &str) {
        self.out.push(ClientEffect::Close { conn });
        self.disconnected(conn, why);
    }

    /// Gives up connections that have waited too long, or were not used for long.
    pub(crate) fn expire(&mut self) {
        let now = self.now.mono;
        for link in self.links.values_mut() {
            for (id, ask) in link.take_overdue(now) {
                let lost = Lost::NotSent(format!("{}: no connection in time", link.addr));
                self.done.push_back(Done { ask: id, owner: ask.owner, result: Err(lost) });
            }
        }
        let idle = |l: &Link| {
            l.is_ready() && l.in_flight.is_empty() && l.used.after_ms(self.settings.idle_ms) <= now
        };
        let late = |l: &Link| l.deadline().is_some_and(|d| d <= now);
        let over: Vec<(ConnId, bool)> =
            self.links.iter().filter(|(_, l)| late(l) || idle(l)).map(|(c, l)| (*c, l.is_ready())).collect();
        for (conn, ready) in over {
            let why = if ready {
                "no answer within the request timeout"
            } else {
                "no connection within the timeout"
            };
            self.close(conn, why);
        }
    }
}
