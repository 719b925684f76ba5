//! The task that writes for one connection when that takes waiting, for the client or for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use quipu_core::exchange::records;
use quipu_core::exchange::replies::Ask;
use quipu_core::wire;

use crate::answers;
use crate::conn::{Conn, End};
use crate::outbox::{self, Next};
use crate::rt::{self, Either, WriteSide};
use crate::shell::Shell;
use crate::stats::add;

/// Writes `pieces`, and then whatever becomes ready, until nothing is left.
pub(crate) async fn write_out(conn: Arc<Conn>, socket: WriteSide, pieces: VecDeque<Bytes>) {
    if let Err(end) = write_until_done(&conn, socket, pieces).await {
        conn.end(&end);
    }
}

async fn write_until_done(conn: &Conn, socket: WriteSide, mut pieces: VecDeque<Bytes>) -> Result<(), End> {
    let mut socket = Some(socket);
    // Bytes of `pieces` that count against the budget for records read from disk.
    let mut read = Taken { shell: &conn.shell, bytes: 0 };
    loop {
        let held = socket.as_mut().expect("this task has the socket until it is done");
        write_all(conn, held, &mut pieces).await?;
        read.release();
        match next(conn, &mut socket)? {
            Turn::Write(ready) => pieces = ready,
            Turn::Read(ask, answer) => pieces = read_records(conn, ask, answer, &mut read).await?,
            Turn::Done => return Ok(()),
        }
    }
}

enum Turn {
    Write(VecDeque<Bytes>),
    Read(Ask, wire::Response),
    /// Nothing is left, and the socket is back with the connection.
    Done,
}

/// What to do next. The socket is given back under the lock under which nothing was found to be ready.
fn next(conn: &Conn, socket: &mut Option<WriteSide>) -> Result<Turn, End> {
    let mut outbox = conn.outbox();
    let next = conn.gather(&mut outbox)?;
    let ready = outbox.take_ready();
    let turn = if !ready.is_empty() {
        Turn::Write(ready)
    } else if next == Next::OnDisk {
        let (ask, answer) = outbox.replies.pop().expect("there is an answer");
        Turn::Read(ask, answer)
    } else {
        if let Some(socket) = socket.take() {
            outbox.hand_back(socket);
        }
        Turn::Done
    };
    conn.settle(&mut outbox);
    Ok(turn)
}

/// Writes all pieces. A client that does not read them in time is ended by the patrol.
async fn write_all(conn: &Conn, socket: &mut WriteSide, pieces: &mut VecDeque<Bytes>) -> Result<(), End> {
    let shell = &conn.shell;
    while !pieces.is_empty() {
        conn.expect_reader(Some(shell.clock.mono() + shell.limits.stalled_answer));
        let written = match rt::first(conn.end_for_writer(), outbox::write_some(socket, pieces)).await {
            Either::First(()) => return Err(End::Lost),
            Either::Second(written) => written.map_err(|_| End::Lost)?,
        };
        outbox::advance(pieces, written);
        add(&shell.stats.bytes_out, written);
        add(&shell.stats.writes, 1);
    }
    conn.expect_reader(None);
    conn.active();
    Ok(())
}

/// Reads what an answer has on disk, and encodes it.
async fn read_records(
    conn: &Conn,
    ask: Ask,
    mut answer: wire::Response,
    read: &mut Taken<'_>,
) -> Result<VecDeque<Bytes>, End> {
    let shell = &conn.shell;
    match rt::first(conn.end_for_writer(), shell.answers.take(records::on_disk_bytes(&answer))).await {
        Either::First(()) => return Err(End::Lost),
        Either::Second(taken) => read.bytes = taken,
    }
    let reads = Arc::clone(&shell.reads);
    let answer = rt::blocking(move || {
        records::fill(&mut answer, |range| {
            reads.bytes(range).inspect_err(|error| {
                tracing::warn!(
                    "reading {:?} from offset {} for a fetch failed: {error}",
                    range.log,
                    range.from
                );
            })
        });
        answer
    })
    .await;
    add(&shell.stats.disk_reads, 1);
    conn.throttle(answers::throttle_ms(&answer));
    let mut outbox = conn.outbox();
    outbox.encode(ask, &answer).map_err(|error| End::Cut(format!("answering failed: {error}")))?;
    Ok(outbox.take_ready())
}

/// Bytes taken from the budget for records read, given back when dropped.
struct Taken<'a> {
    shell: &'a Shell,
    bytes: usize,
}

impl Taken<'_> {
    fn release(&mut self) {
        self.shell.answers.give(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
