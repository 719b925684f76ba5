//! One client connection as all threads see it: its answers, its deadlines, its end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use quipu_core::exchange::replies::Ask;
use quipu_core::ids::ConnId;
use quipu_core::time::Instant;
use quipu_core::wire;

use crate::outbox::{Next, Outbox, Written};
use crate::rt::{Notify, WriteSide};
use crate::shell::Shell;
use crate::stats::add;
use crate::writer;

/// How much of others' answers a thread writes itself; more is a writer task's.
pub(crate) const INLINE_BYTES: usize = 64 * 1024;

/// A connection. Its reader task has it, the list of connections, and its writer task while there is one.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) peer: SocketAddr,
    pub(crate) shell: Arc<Shell>,
    outbox: Mutex<Outbox>,
    /// Rings for the reader when a request has been answered while it waits for that.
    room: Notify,
    ended: AtomicBool,
    reader_end: Notify,
    writer_end: Notify,
    /// Rings for the writer task when what is read ahead has been.
    pub(crate) read_ahead: Notify,
    /// Microseconds of the monotonic clock; 0 is none.
    last_active: AtomicU64,
    read_deadline: AtomicU64,
    write_deadline: AtomicU64,
    muted_until: AtomicU64,
    /// Set while a thread has noted that it must flush this connection.
    pub(crate) noted: AtomicBool,
}

impl Conn {
    pub(crate) fn new(id: ConnId, peer: SocketAddr, socket: WriteSide, shell: Arc<Shell>) -> Conn {
        let now = shell.clock.mono().0;
        Conn {
            id,
            peer,
            shell,
            outbox: Mutex::new(Outbox::new(socket)),
            room: Notify::new(),
            ended: AtomicBool::new(false),
            reader_end: Notify::new(),
            writer_end: Notify::new(),
            read_ahead: Notify::new(),
            last_active: AtomicU64::new(now),
            read_deadline: AtomicU64::new(0),
            write_deadline: AtomicU64::new(0),
            muted_until: AtomicU64::new(0),
            noted: AtomicBool::new(false),
        }
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().expect("no panic under this lock")
    }

    /// Opens a slot for the answer of a request: its number.
    pub(crate) fn open(&self, ask: Ask) -> u64 {
        self.outbox().replies.open(ask)
    }

    /// Puts an answer into its slot. Whether [`Conn::flush`] is needed.
    pub(crate) fn complete(&self, seq: u64, answer: wire::Response) -> bool {
        self.outbox().replies.complete(seq, answer)
    }

    /// Whether another request may be taken from this client now.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room_in(&self.outbox())
    }

    fn has_room_in(&self, outbox: &Outbox) -> bool {
        let limits = &self.shell.limits;
        let (requests, fetches, bytes) = outbox.replies.in_progress();
        requests < limits.requests_in_flight
            && fetches < limits.fetches_in_flight
            && (requests == 0 || bytes < limits.bytes_in_flight)
    }

    /// Waits until another request may be taken.
    pub(crate) async fn room(&self) {
        loop {
            {
                let mut outbox = self.outbox();
                if self.has_room_in(&outbox) {
                    return;
                }
                outbox.reader_waits = true;
            }
            self.room.notified().await;
        }
    }

    /// Sends what is ready, in order, from whatever thread this is: up to `inline_bytes` and what the system takes at
    /// once; what is more, or must be read from disk, is left to a writer task.
    pub(crate) fn flush(self: &Arc<Conn>, inline_bytes: usize) {
        let mut outbox = self.outbox();
        let mut counted = (0, 0);
        let result = self.flush_locked(&mut outbox, inline_bytes, &mut counted);
        self.settle(&mut outbox);
        drop(outbox);
        if counted.1 > 0 {
            add(&self.shell.stats.bytes_out, counted.0);
            add(&self.shell.stats.writes, counted.1);
        }
        match result {
            Ok(None) => {}
            Ok(Some((socket, pieces))) => {
                self.shell.spawner.spawn(writer::write_out(Arc::clone(self), socket, pieces));
            }
            Err(reason) => self.end(&reason),
        }
    }

    fn flush_locked(
        &self,
        outbox: &mut Outbox,
        inline_bytes: usize,
        counted: &mut (usize, usize),
    ) -> Result<Option<(WriteSide, VecDeque<Bytes>)>, End> {
        if outbox.is_busy() {
            return Ok(None);
        }
        loop {
            let next = self.gather(outbox)?;
            if next == Next::OnDisk || outbox.ready_bytes() > inline_bytes {
                return Ok(outbox.hand_over());
            }
            match outbox.try_write(counted) {
                Ok(Written::All) if next == Next::More => {}
                Ok(Written::All | Written::Busy) => return Ok(None),
                Ok(Written::Rest) => return Ok(outbox.hand_over()),
                Err(_) => return Err(End::Lost),
            }
        }
    }

    /// Encodes what is next, and takes note of throttling.
    pub(crate) fn gather(&self, outbox: &mut Outbox) -> Result<Next, End> {
        let mut throttle_ms = 0;
        let next = outbox
            .gather(&mut throttle_ms)
            .map_err(|error| End::Cut(format!("answering failed: {error}")))?;
        self.throttle(throttle_ms);
        Ok(next)
    }

    /// Reads nothing from this client for that long: it has been told so in an answer (KIP-219).
    pub(crate) fn throttle(&self, ms: i32) {
        if ms > 0 {
            let until = self.shell.clock.mono().after_ms(i64::from(ms));
            self.muted_until.fetch_max(until.0, Relaxed);
        }
    }

    /// Until when this client is muted, if it is.
    pub(crate) fn muted_until(&self) -> Option<Instant> {
        match self.muted_until.load(Relaxed) {
            0 => None,
            until => Some(Instant(until)),
        }
    }

    /// Gives back what answered requests took, and lets the reader go on.
    pub(crate) fn settle(&self, outbox: &mut Outbox) {
        self.shell.queued.give(outbox.replies.settle());
        if outbox.reader_waits && self.has_room_in(outbox) {
            outbox.reader_waits = false;
            self.room.notify_one();
        }
    }

    /// Notes that bytes went through.
    pub(crate) fn active(&self) {
        self.last_active.store(self.shell.clock.mono().0, Relaxed);
    }

    /// Until when the reader must have got on with the request that is arriving.
    pub(crate) fn expect_bytes(&self, by: Option<Instant>) {
        self.read_deadline.store(by.map_or(0, |by| by.0), Relaxed);
    }

    /// Until when the client must have read some of its answer.
    pub(crate) fn expect_reader(&self, by: Option<Instant>) {
        self.write_deadline.store(by.map_or(0, |by| by.0), Relaxed);
    }

    /// Looks for a missed deadline.
    pub(crate) fn overdue(&self, now: Instant) -> Option<End> {
        let passed =
            |deadline: &AtomicU64| !matches!(deadline.load(Relaxed), 0) && deadline.load(Relaxed) <= now.0;
        if passed(&self.read_deadline) {
            return Some(End::Cut("a request that it began to send does not arrive".to_owned()));
        }
        if passed(&self.write_deadline) {
            return Some(End::Cut("it does not read its answers".to_owned()));
        }
        let idle = now.since(Instant(self.last_active.load(Relaxed)));
        (idle >= self.shell.limits.idle && !self.is_waiting()).then_some(End::Idle(idle))
    }

    /// Whether a request is in progress.
    fn is_waiting(&self) -> bool {
        self.outbox().replies.in_progress().0 > 0
    }

    /// Whether something is still to be written.
    pub(crate) fn is_writing(&self) -> bool {
        let outbox = self.outbox();
        !self.has_ended() && (outbox.is_busy() || outbox.ready_bytes() > 0)
    }

    /// Ends the connection from any thread: the reader task does the rest.
    pub(crate) fn end(&self, why: &End) {
        if self.ended.swap(true, SeqCst) {
            return;
        }
        match why {
            End::Cut(reason) => {
                let what = format_args!("closed the connection from {}: {reason}", self.peer);
                self.shell.complaints.warn(self.peer.ip(), self.shell.clock.mono(), what);
                add(&self.shell.stats.connections_cut, 1);
            }
            End::Idle(idle) => {
                let seconds = idle.as_secs();
                tracing::debug!(
                    "closed the connection from {}: idle for {seconds} s (connections.max.idle.ms)",
                    self.peer
                );
            }
            End::Lost | End::Stopping => {}
        }
        self.shell.queued.give(self.outbox().close());
        self.reader_end.notify_one();
        self.writer_end.notify_one();
    }

    /// Whether the connection has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }

    /// For the reader: waits for the end.
    pub(crate) async fn end_for_reader(&self) {
        if !self.has_ended() {
            self.reader_end.notified().await;
        }
    }

    /// For the writer task: waits for the end.
    pub(crate) async fn end_for_writer(&self) {
        if !self.has_ended() {
            self.writer_end.notified().await;
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has closed it, or the network has.
    Lost,
    /// The node stops.
    Stopping,
    /// Nothing happened on it for that long.
    Idle(Duration),
    /// The client is to blame for what is said, after "closed the connection from its address".
    Cut(String),
}
