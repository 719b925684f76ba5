//! Those who use clients: each does one kind of thing for the length of a run and tells the history what it saw.

pub mod auditor;
pub mod by_hand;
pub mod drainer;
pub mod garbage;
pub mod group_member;
pub mod hostile;
pub mod moves;
pub mod operator;
pub mod producer;
pub mod reader;
pub mod veteran;
pub mod zombie;

use bytes::Bytes;
use quipu_core::client::ClientSettings;
use quipu_core::client::{Command, Event};
use quipu_core::time::Timestamp;

use crate::history::History;
use crate::rng::Rng;
use crate::trace::Trace;

/// What an actor has at hand when something happens.
pub struct Env<'a> {
    /// True time in microseconds.
    pub now: u64,
    /// Which client this is.
    pub user: usize,
    /// Which life of it.
    pub life: u64,
    /// Whether the load goes on; else what is begun is brought to its end.
    pub loading: bool,
    /// How many times as long as planned it waits between its deeds.
    pub ease: u64,
    /// The client's wall clock.
    pub wall: Timestamp,
    /// Chance.
    pub rng: &'a mut Rng,
    /// What clients did and saw.
    pub history: &'a mut History,
    /// The story.
    pub trace: &'a mut Trace,
    /// What the client is to do next.
    pub commands: Vec<Command>,
    /// Frames to send past the client, each list over a connection of its own: brokers need not understand them.
    pub frames: Vec<Vec<Bytes>>,
    /// When to be called again, in microseconds from now.
    pub tick_in: Option<u64>,
}

impl Env<'_> {
    /// Asks to be called again after about `ms` milliseconds; in a quiet stretch after many times as long.
    pub fn tick_about_ms(&mut self, ms: u64) {
        let ms = ms * self.ease;
        self.tick_in = Some(ms * 500 + self.rng.below(ms * 1000 + 1));
    }

    /// Says something for a reader of the story.
    pub fn say(&mut self, words: impl FnOnce() -> String) {
        let user = self.user;
        self.trace.say(self.now, || format!("user {user}: {}", words()));
    }
}

/// Gives brokers that are to wait for records so long time enough to answer, by whatever clock.
fn be_patient(settings: &mut ClientSettings, wait_ms: i32) {
    settings.request_timeout_ms = settings.request_timeout_ms.max(i64::from(wait_ms) / 5);
}

/// One that uses a client.
pub trait Actor {
    /// What kind it is, for a story.
    fn kind(&self) -> &'static str;
    /// Changes the client's settings before its process starts.
    fn settings(&mut self, _settings: &mut ClientSettings) {}
    /// The process has started.
    fn started(&mut self, env: &mut Env<'_>);
    /// The moment asked for has come.
    fn tick(&mut self, env: &mut Env<'_>);
    /// The client tells something.
    fn told(&mut self, env: &mut Env<'_>, event: Event);
    /// The process is gone.
    fn ended(&mut self);
    /// Whether it waits for nothing, once the load is over.
    fn is_at_rest(&self) -> bool;
    /// What it waits for, for a story.
    fn waits_for(&self) -> String;
}
