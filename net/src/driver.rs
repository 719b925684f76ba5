//! The machine behind a lock: whoever has inputs steps it with all of them, unlocks, and then does what came out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use quipu_core::broker::door::{Effect, Input};
use quipu_core::broker::{Broker, Status};
use quipu_core::ids::{ConnId, LaneId, Mark};
use quipu_core::record::check::Rules;
use quipu_core::storage::ops::StoreOp;
use quipu_core::time::Instant;

use crate::conn::Conn;
use crate::lane::Lane;
use crate::peer::Peers;
use crate::phase::{Phase, Phases};
use crate::rt::{self, Either, Notify};
use crate::shell::Shell;
use crate::stats::{Stats, add};

/// The one lane there is.
const LANE: LaneId = LaneId(0);

/// The machine and everything its effects reach.
pub(crate) struct Driver {
    pub(crate) shell: Arc<Shell>,
    pub(crate) phases: Phases,
    /// The links to other brokers; a node alone has none.
    pub(crate) peers: OnceLock<Peers>,
    locked: Mutex<Locked>,
    lane: Arc<Lane>,
    conns: RwLock<BTreeMap<ConnId, Arc<Conn>>>,
    rules: RwLock<Arc<Rules>>,
    /// Rings for the timer task when it must wake earlier than it meant to.
    rearm: Notify,
}

struct Locked {
    broker: Broker,
    out: Vec<Effect>,
    ops: Vec<(Mark, StoreOp)>,
    /// When the timer task will wake.
    armed: Option<Instant>,
}

thread_local! {
    /// Effects on their way from the lock to where they belong: the memory is used again.
    static EFFECTS: Cell<Vec<Effect>> = const { Cell::new(Vec::new()) };
}

impl Driver {
    pub(crate) fn new(shell: Arc<Shell>, broker: Broker) -> Driver {
        let lane = Arc::new(Lane::new(LANE, shell.limits.lane_bytes));
        Driver {
            shell,
            phases: Phases::default(),
            peers: OnceLock::new(),
            locked: Mutex::new(Locked { broker, out: Vec::new(), ops: Vec::new(), armed: None }),
            lane,
            conns: RwLock::default(),
            rules: RwLock::default(),
            rearm: Notify::new(),
        }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// The links to other brokers, of a node that has something to say to them.
    pub(crate) fn peers(&self) -> &Peers {
        self.peers.get().expect("a node alone has nothing to say to others")
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.shell.stats
    }

    /// The rules by which batches are checked now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().expect("no panic under this lock"))
    }

    /// Steps the machine with all these inputs at one moment, and does what comes out.
    pub(crate) fn drive(self: &Arc<Driver>, inputs: impl IntoIterator<Item = Input>) {
        self.drive_for(None, inputs);
    }

    /// The same, by the reader task of a connection, which writes that connection's own answers without a limit.
    pub(crate) fn drive_for(
        self: &Arc<Driver>,
        own: Option<&Arc<Conn>>,
        inputs: impl IntoIterator<Item = Input>,
    ) {
        let broken = BrokenUnlessDone(&self.phases);
        let mut effects = EFFECTS.take();
        let (ring, rearm) = self.step_all(inputs, &mut effects);
        add(&self.stats().drives, 1);
        if ring {
            self.lane.ring();
        }
        if rearm {
            self.rearm.notify_one();
        }
        self.dispatch(own, &mut effects);
        EFFECTS.set(effects);
        std::mem::forget(broken);
    }

    fn step_all(&self, inputs: impl IntoIterator<Item = Input>, effects: &mut Vec<Effect>) -> (bool, bool) {
        let locked = &mut *self.locked();
        let now = self.shell.clock.now();
        for input in inputs {
            locked.broker.step(now, input, &mut locked.out);
        }
        let mut ring = false;
        for effect in locked.out.drain(..) {
            match effect {
                // These must take effect in the order of the steps, so they do under the lock.
                Effect::Store { lane, mark, op } => {
                    assert_eq!(lane, LANE, "the machine was told of one log directory only");
                    locked.ops.push((mark, op));
                }
                Effect::Rules(rules) => *self.rules.write().expect("no panic under this lock") = rules,
                Effect::Peers(addresses) => self.peers().set_addresses(addresses),
                other => effects.push(other),
            }
        }
        if !locked.ops.is_empty() {
            ring = self.lane.push(&mut locked.ops);
        }
        let rearm = locked.rearm();
        (ring, rearm)
    }

    /// The task that wakes the machine at the moments it names.
    pub(crate) async fn keep_time(self: Arc<Driver>) {
        loop {
            let armed = self.locked().armed;
            let passed = async {
                match armed {
                    Some(moment) => self.shell.clock.sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            match rt::first(self.rearm.notified(), passed).await {
                Either::First(()) => {}
                Either::Second(()) => {
                    if self.is_due() {
                        self.drive([Input::Wake]);
                    }
                    // The machine cuts long work into slices that follow one another at once: others come in between.
                    rt::yield_now().await;
                }
            }
        }
    }

    /// Whether the moment has come. It may have moved since the timer was set; then the timer is set anew.
    fn is_due(&self) -> bool {
        let mut locked = self.locked();
        let next = locked.broker.next_wake();
        let due = next.is_some_and(|moment| moment <= self.shell.clock.mono());
        locked.armed = if due { None } else { next };
        due
    }

    fn locked(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().expect("the machine has broken an invariant before: see the log")
    }

    /// Lists a connection, so that answers reach it.
    pub(crate) fn list(&self, conn: &Arc<Conn>) {
        self.conns.write().expect("no panic under this lock").insert(conn.id, Arc::clone(conn));
    }

    /// Forgets a connection and tells the machine that it is gone.
    pub(crate) fn forget(self: &Arc<Driver>, conn: ConnId) {
        self.conns.write().expect("no panic under this lock").remove(&conn);
        self.drive([Input::Gone { conn }]);
    }

    /// The connection with that id, if it has not ended.
    pub(crate) fn conn(&self, conn: ConnId) -> Option<Arc<Conn>> {
        self.conns.read().expect("no panic under this lock").get(&conn).cloned()
    }

    /// All connections.
    pub(crate) fn conns(&self) -> Vec<Arc<Conn>> {
        self.conns.read().expect("no panic under this lock").values().cloned().collect()
    }

    /// Looks at the machine.
    pub(crate) fn status(&self) -> Status {
        self.locked().broker.status()
    }
}

impl Locked {
    /// Whether the timer must wake earlier than it means to; from now on it does.
    fn rearm(&mut self) -> bool {
        let Some(next) = self.broker.next_wake() else { return false };
        let earlier = self.armed.is_none_or(|armed| next < armed);
        if earlier {
            self.armed = Some(next);
        }
        earlier
    }
}

/// Says that the node is broken, unless it is forgotten: a panic has left the machine, or an answer, in no defined state.
struct BrokenUnlessDone<'a>(&'a Phases);

impl Drop for BrokenUnlessDone<'_> {
    fn drop(&mut self) {
        self.0.reach(Phase::Broken);
    }
}
