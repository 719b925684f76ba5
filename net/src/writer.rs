//! The task that writes for one connection when that takes waiting, for the client or for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use quipu_core::exchange::records;
use quipu_core::exchange::replies::Ask;
use quipu_core::ids::Offset;
use quipu_core::wire;

use crate::ahead::{self, Order};
use crate::answers;
use crate::budget::Taken;
use crate::conn::{Conn, End};
use crate::outbox::{self, Next};
use crate::rt::{self, Either, WriteSide};
use crate::stats::add;

/// Writes `pieces`, and then whatever becomes ready, until nothing is left.
pub(crate) async fn write_out(conn: Arc<Conn>, socket: WriteSide, pieces: VecDeque<Bytes>) {
    if let Err(end) = write_until_done(&conn, socket, pieces).await {
        conn.end(&end);
    }
}

async fn write_until_done(
    conn: &Arc<Conn>,
    socket: WriteSide,
    mut pieces: VecDeque<Bytes>,
) -> Result<(), End> {
    let mut socket = Some(socket);
    // Bytes of `pieces` that count against a budget for records read from disk.
    let mut taken = None;
    loop {
        let held = socket.as_mut().expect("this task has the socket until it is done");
        write_all(conn, held, &mut pieces).await?;
        drop(taken.take());
        match next(conn, &mut socket)? {
            Turn::Write(ready) => pieces = ready,
            Turn::Read(ask, answer) => {
                let (read, of) = read_records(conn, ask, answer).await?;
                (pieces, taken) = (read, Some(of));
            }
            Turn::Done(order) => {
                if let Some(order) = order {
                    order.read(Arc::clone(conn));
                }
                return Ok(());
            }
        }
    }
}

enum Turn {
    Write(VecDeque<Bytes>),
    Read(Ask, wire::Response),
    /// Nothing is left, and the socket is back with the connection. What is to be read ahead.
    Done(Option<Order>),
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
        // Under this lock a connection that has not ended yet drops later whatever is read.
        Turn::Done(if conn.has_ended() { None } else { outbox.ahead.begin(&conn.shell.ahead) })
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

/// Reads what an answer has on disk, unless that was read ahead, and encodes it.
async fn read_records(
    conn: &Conn,
    ask: Ask,
    mut answer: wire::Response,
) -> Result<(VecDeque<Bytes>, Taken), End> {
    let asked = records::one_on_disk(&answer);
    let (held, reads_on) = match &asked {
        Some(asked) => ahead::claim(conn, asked).await?,
        None => (None, false),
    };
    let (next, taken) = match held {
        Some((mut stretch, taken)) => {
            records::fill(&mut answer, |_| Ok(std::mem::take(&mut stretch.chunks)));
            (Some(stretch.next), taken)
        }
        None => {
            let (filled, next, taken) = read_now(conn, answer).await?;
            answer = filled;
            (next, taken)
        }
    };
    conn.throttle(answers::throttle_ms(&answer));
    let mut outbox = conn.outbox();
    outbox.encode(ask, &answer).map_err(|error| End::Cut(format!("answering failed: {error}")))?;
    if let Some((asked, next)) = asked.zip(next) {
        outbox.ahead.expect(asked, next, reads_on, conn.shell.clock.mono());
    }
    Ok((outbox.take_ready(), taken))
}

/// Reads what an answer has on disk: the answer, and where the last stretch of it ends.
async fn read_now(
    conn: &Conn,
    mut answer: wire::Response,
) -> Result<(wire::Response, Option<Offset>, Taken), End> {
    let shell = &conn.shell;
    let room = Taken::from(&shell.answers, records::on_disk_bytes(&answer));
    let taken = match rt::first(conn.end_for_writer(), room).await {
        Either::First(()) => return Err(End::Lost),
        Either::Second(taken) => taken,
    };
    let reads = Arc::clone(&shell.reads);
    let (answer, next) = rt::blocking(move || {
        let mut next = None;
        records::fill(&mut answer, |range| {
            let stretch = reads.stretch(range).inspect_err(|error| {
                tracing::warn!(
                    "reading {:?} from offset {} for a fetch failed: {error}",
                    range.log,
                    range.from
                );
            })?;
            next = Some(stretch.next);
            Ok(stretch.chunks)
        });
        (answer, next)
    })
    .await;
    add(&shell.stats.disk_reads, 1);
    Ok((answer, next, taken))
}
