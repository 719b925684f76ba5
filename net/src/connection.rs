//! The task that reads one connection: takes what has arrived, hands all whole requests to the machine at once.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use quipu_core::broker::door::Input;
use quipu_core::caller::{Caller, Client};
use quipu_core::exchange::entry::Entry;
use quipu_core::time::Instant;

use crate::conn::{Conn, End};
use crate::driver::Driver;
use crate::frames::{Frames, PREFIX};
use crate::requests;
use crate::rt::{self, Either, ReadSide};
use crate::stats::add;

/// A frame larger than this takes its bytes from the shared budget before it is read, a smaller one when it has arrived.
const AHEAD_FROM: usize = 64 * 1024;
/// Characters of a client's own words that are repeated in a log line.
const QUOTED: usize = 80;

/// Reads a connection to its end.
pub(crate) async fn serve(driver: Arc<Driver>, conn: Arc<Conn>, socket: ReadSide, advertised: (String, u16)) {
    let host = format!("/{}", conn.peer.ip());
    let client = Arc::new(Client { client_id: String::new(), host, advertised });
    let frames = Frames::new(&conn.shell.limits);
    let id = conn.id;
    let mut connection = Connection {
        driver: Arc::clone(&driver),
        conn,
        socket,
        frames,
        client,
        software: String::new(),
        inputs: Vec::new(),
        ahead: 0,
        begun_at: None,
    };
    let end = connection.run().await;
    connection.conn.end(&end);
    connection.conn.shell.queued.give(connection.ahead);
    driver.forget(id);
}

struct Connection {
    driver: Arc<Driver>,
    conn: Arc<Conn>,
    socket: ReadSide,
    frames: Frames,
    client: Arc<Client>,
    /// Name and version of the client's software, if it told them (KIP-511).
    software: String,
    /// Requests understood and not yet handed to the machine.
    inputs: Vec<Input>,
    /// Bytes taken from the budget for the large frame that is arriving.
    ahead: usize,
    /// When the frame that is arriving began to.
    begun_at: Option<Instant>,
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            let mut result = self.read().await;
            if result.is_ok() {
                result = self.take_frames().await;
                // Even when the last frame was bad: what came before it counts.
                self.hand_in();
            }
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// Reads what is there, at least something.
    async fn read(&mut self) -> Result<(), End> {
        if let Some(total) = self.frames.begun().filter(|total| *total > AHEAD_FROM && self.ahead == 0) {
            self.ahead = until_end(&self.conn, self.conn.shell.queued.take(total - PREFIX)).await?;
        }
        self.unmuted().await?;
        self.expect_bytes();
        let read = until_end(&self.conn, self.socket.read(self.frames.room())).await?;
        match read {
            Ok(0) | Err(_) => Err(End::Lost),
            Ok(n) => {
                add(&self.conn.shell.stats.bytes_in, n);
                add(&self.conn.shell.stats.reads, 1);
                self.conn.active();
                // The client may have been muted while it was silent: then what it has sent now must wait.
                self.unmuted().await
            }
        }
    }

    /// Sets the deadline of the frame that is arriving, if one is.
    fn expect_bytes(&mut self) {
        let Some(total) = self.frames.begun() else {
            self.begun_at = None;
            return self.conn.expect_bytes(None);
        };
        let limits = &self.conn.shell.limits;
        let now = self.conn.shell.clock.mono();
        let begun_at = *self.begun_at.get_or_insert(now);
        let whole_by = begun_at + limits.arrival(total);
        self.conn.expect_bytes(Some(whole_by.min(now + limits.stalled_request)));
    }

    /// Takes all whole frames out of the buffer, as far as the bounds on requests in progress let it.
    async fn take_frames(&mut self) -> Result<(), End> {
        let mut count = 0;
        let mut bytes = 0;
        while let Some(frame) = self.next_frame()? {
            count += 1;
            bytes += PREFIX + frame.len();
            let taken = self.charge(frame.len()).await?;
            self.take_frame(&frame, taken)?;
            if !self.conn.has_room() || self.driver.lane().is_full() {
                self.wait_for_room().await?;
            }
        }
        self.frames.learn(count, bytes);
        Ok(())
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, End> {
        let next = self.frames.next().map_err(|error| self.blame(&error))?;
        if next.is_some() {
            self.begun_at = None;
            self.conn.expect_bytes(None);
        }
        Ok(next)
    }

    /// Takes the bytes of a frame from the budget, unless they were before it was read.
    async fn charge(&mut self, bytes: usize) -> Result<usize, End> {
        if self.ahead > 0 {
            return Ok(std::mem::take(&mut self.ahead));
        }
        if let Some(taken) = self.conn.shell.queued.try_take(bytes) {
            return Ok(taken);
        }
        self.hand_in();
        until_end(&self.conn, self.conn.shell.queued.take(bytes)).await
    }

    fn take_frame(&mut self, frame: &Bytes, taken: usize) -> Result<(), End> {
        let now = self.conn.shell.clock.now();
        let parsed = requests::parse(frame, taken, &self.driver.rules(), now.wall);
        let parsed = parsed.map_err(|unreadable| {
            self.conn.shell.queued.give(taken);
            self.blame(&unreadable)
        })?;
        add(&self.conn.shell.stats.requests, 1);
        self.frames.understood();
        match parsed {
            Entry::Ask { ask, client_id, dialect, request } => {
                self.rename(client_id);
                let to = Caller { conn: self.conn.id, seq: self.conn.open(ask) };
                self.inputs.push(Input::Request { to, from: Arc::clone(&self.client), dialect, request });
            }
            Entry::Answer { ask, response, software } => {
                self.software = software.unwrap_or_default();
                let seq = self.conn.open(ask);
                self.conn.complete(seq, response);
            }
        }
        Ok(())
    }

    fn rename(&mut self, client_id: String) {
        if self.client.client_id != client_id {
            self.client = Arc::new(Client { client_id, ..(*self.client).clone() });
        }
    }

    /// Hands the requests gathered so far to the machine, and sends what can be.
    fn hand_in(&mut self) {
        if !self.inputs.is_empty() {
            self.driver.drive_for(Some(&self.conn), self.inputs.drain(..));
        }
        // Answers that the shell gave itself, and requests that get none.
        self.conn.flush(usize::MAX);
    }

    async fn wait_for_room(&mut self) -> Result<(), End> {
        self.hand_in();
        until_end(&self.conn, self.conn.room()).await?;
        until_end(&self.conn, self.driver.lane().room()).await
    }

    /// Waits while this client is muted.
    async fn unmuted(&mut self) -> Result<(), End> {
        let Some(until) = self.conn.muted_until() else { return Ok(()) };
        if until <= self.conn.shell.clock.mono() {
            return Ok(());
        }
        self.conn.expect_bytes(None);
        until_end(&self.conn, self.conn.shell.clock.sleep_until(until)).await
    }

    /// The end of a connection whose client sent something wrong, in words for whoever runs the client.
    fn blame(&self, wrong: &dyn std::fmt::Display) -> End {
        let quote = |text: &str| text.chars().take(QUOTED).collect::<String>();
        End::Cut(format!(
            "{wrong} (client id {:?}, software {:?})",
            quote(&self.client.client_id),
            quote(&self.software)
        ))
    }
}

/// Waits for something, unless the connection ends first.
async fn until_end<T>(conn: &Conn, something: impl Future<Output = T>) -> Result<T, End> {
    match rt::first(conn.end_for_reader(), something).await {
        Either::First(()) => Err(End::Lost),
        Either::Second(value) => Ok(value),
    }
}
