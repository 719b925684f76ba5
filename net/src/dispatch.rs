//! What becomes of the machine's effects once the lock is released.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quipu_core::broker::door::{Caller, Effect, Input, Note};
use quipu_core::ids::{LoadId, LookupId};
use quipu_core::storage::ops::LogRange;
use quipu_core::wire::Response;

use crate::conn::{Conn, End, INLINE_BYTES};
use crate::driver::Driver;
use crate::phase::Phase;
use crate::reads::Question;

impl Driver {
    /// Does all of it. `own` is the connection whose reader task this is.
    pub(crate) fn dispatch(self: &Arc<Driver>, own: Option<&Arc<Conn>>, effects: &mut Vec<Effect>) {
        let mut touched = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Reply { to, response } => touched.extend(self.complete(own, to, response)),
                Effect::Close { conn, reason } => self.cut(conn, reason),
                Effect::Load { load, range } => self.load(load, range),
                Effect::Look { lookup, log, what, below } => self.look(lookup, Question { log, what, below }),
                Effect::Note(note) => self.note(note),
                Effect::Stopped => self.phases.reach(Phase::Stopped),
                Effect::Store { .. } | Effect::Rules(_) | Effect::Peers(_) => {
                    unreachable!("these are done under the lock")
                }
                Effect::Send { to, message } => self.peers().send(to, message),
                Effect::Cluster(cluster) => self.peers().set_cluster(&cluster),
            }
        }
        for conn in touched {
            conn.noted.store(false, Relaxed);
            let is_own = own.is_some_and(|own| own.id == conn.id);
            conn.flush(if is_own { usize::MAX } else { INLINE_BYTES });
        }
    }

    /// Puts an answer into its slot. The connection, if it must be flushed and nobody else has noted so.
    fn complete(&self, own: Option<&Arc<Conn>>, to: Caller, response: Response) -> Option<Arc<Conn>> {
        let conn = match own {
            Some(own) if own.id == to.conn => Arc::clone(own),
            // One that has ended meanwhile needs no answer.
            _ => self.conn(to.conn)?,
        };
        let must_flush = conn.complete(to.seq, response) && !conn.noted.swap(true, Relaxed);
        must_flush.then_some(conn)
    }

    fn cut(&self, conn: quipu_core::ids::ConnId, reason: String) {
        if let Some(conn) = self.conn(conn) {
            conn.end(&End::Cut(reason));
        }
    }

    fn load(self: &Arc<Driver>, load: LoadId, range: LogRange) {
        let driver = Arc::clone(self);
        self.shell.spawner.spawn_blocking(move || {
            let result = driver.shell.reads.batches(range).map_err(|error| error.to_string());
            driver.drive([Input::Loaded { load, result }]);
        });
    }

    fn look(self: &Arc<Driver>, lookup: LookupId, question: Question) {
        let driver = Arc::clone(self);
        self.shell.spawner.spawn_blocking(move || {
            let result = driver.shell.reads.look(&question).map_err(|error| error.to_string());
            driver.drive([Input::Looked { lookup, result }]);
        });
    }

    fn note(&self, note: Note) {
        match note {
            Note::Ready => self.phases.reach(Phase::Ready),
            Note::Warn(what) => tracing::warn!("{what}"),
            Note::Info(what) => tracing::info!("{what}"),
            Note::Committed { log, high } => tracing::trace!("{log:?}: high watermark {high}"),
            Note::DiskDead(why) => {
                tracing::error!("the log directory is dead, nothing more is acknowledged: {why}");
                self.phases.reach(Phase::Dead);
            }
        }
    }
}
