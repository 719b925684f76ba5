//! The task that hears one accepted connection: the greeting, then every message, until it ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quipu_core::ids::BrokerId;
use quipu_core::peer::frame::{self, KEEP_ALIVE, LARGEST_FRAME};
use quipu_core::peer::hello::{Hello, Reception};
use quipu_core::peer::message::PeerMessage;

use crate::outbox;
use crate::peer::entrance::Arrival;
use crate::peer::shared::{Ear, Shared};
use crate::peer::stream::Stream;
use crate::peer::{Deliver, Heard};
use crate::phase::Phase;
use crate::rt::{self, Either, WriteSide};
use crate::stats::add;

/// Frames with more bytes than this are checked while other tasks go on elsewhere.
const LONG_CHECK_BYTES: usize = 2 * 1024 * 1024;

/// Hears a connection to its end.
pub(super) async fn serve(arrival: Arrival) {
    let shared = Arc::clone(&arrival.shared);
    rt::first(shared.phases.at_least(Phase::Stopped), live(arrival)).await;
}

async fn live(arrival: Arrival) {
    let Arrival { shared, mut stream, mut write, address, deliver, room } = arrival;
    let greeted = rt::timeout(shared.limits.handshake, greet(&shared, &mut stream, &mut write)).await;
    drop(room);
    let ear = match greeted.unwrap_or_else(|| Err("it does not greet in time".to_owned())) {
        Ok(ear) => ear,
        Err(why) => {
            add(&shared.stats.refused, 1);
            let what = format_args!("refused {address} at quipu.peer.listen: {why}");
            return shared.complaints.warn(address.ip(), shared.clock.mono(), what);
        }
    };
    add(&shared.stats.accepted, 1);
    let from = ear.from;
    if ear.is_doubled {
        add(&shared.stats.doubled, 1);
        let what = format_args!(
            "two brokers with node.id={from} end one another's connections, the latest from {address}: stop one, or give it \
             another node.id"
        );
        shared.complaints.warn(address.ip(), shared.clock.mono(), what);
    }
    tracing::debug!("broker {from} speaks on a connection from {address}");
    let end = Arc::clone(&ear.end);
    let hearing = Hearing { shared: &shared, stream, write, deliver: &*deliver, from };
    match rt::first(end.notified(), hearing.run()).await {
        Either::First(()) => {
            tracing::debug!("closed the connection of broker {from} from {address}: it has another")
        }
        Either::Second(End::Gone(why)) => {
            tracing::debug!("broker {from} at {address} is heard no more: {why}")
        }
        Either::Second(End::Cut(why)) => cut(&shared, &ear, address, &why),
    }
}

fn cut(shared: &Shared, ear: &Ear, address: SocketAddr, why: &str) {
    add(&shared.stats.cut, 1);
    let what = format_args!("closed the connection of broker {} from {address}: {why}", ear.from);
    shared.complaints.warn(address.ip(), shared.clock.mono(), what);
}

/// Reads the greeting and answers it. Strangers get no answer: they would not understand it.
async fn greet(shared: &Arc<Shared>, stream: &mut Stream, write: &mut WriteSide) -> Result<Ear, String> {
    let greeting = stream.greeting().await.map_err(|(why, _)| why)?;
    let judged = Hello::read(&greeting).and_then(|hello| shared.admit(&hello));
    let reception = match &judged {
        Ok(_) => Reception::Welcome(shared.me().welcome()),
        Err(why) => Reception::refused(why),
    };
    let told = write_all(write, Bytes::from(reception.to_bytes())).await;
    let ear = judged?;
    told.map_err(|error| format!("it did not hear its welcome: {error}"))?;
    Ok(ear)
}

async fn write_all(write: &mut WriteSide, bytes: Bytes) -> std::io::Result<()> {
    let mut pieces = VecDeque::from([bytes]);
    while !pieces.is_empty() {
        let written = outbox::write_some(write, &pieces).await?;
        outbox::advance(&mut pieces, written);
    }
    Ok(())
}

/// Why a connection that was welcome ends.
enum End {
    /// The other side has closed it, or the network has: its dialer says so if it must be said.
    Gone(String),
    /// This side closes it, for that reason.
    Cut(String),
}

struct Hearing<'a> {
    shared: &'a Shared,
    stream: Stream,
    write: WriteSide,
    deliver: &'a Deliver,
    from: BrokerId,
}

impl Hearing<'_> {
    async fn run(mut self) -> End {
        let limits = &self.shared.limits;
        let mut answered = self.shared.clock.mono();
        loop {
            // Even when the last frame was bad: what came before it counts.
            let mut messages = Vec::new();
            let taken = self.take(&mut messages);
            if !messages.is_empty() {
                add(&self.shared.stats.received, messages.len());
                (self.deliver)(self.from, Heard::Said(messages));
            }
            if let Err(why) = taken {
                return End::Cut(why);
            }
            match rt::timeout(limits.silence, self.stream.more()).await {
                None => return End::Cut(format!("silent for {} s", limits.silence.as_secs_f32())),
                Some(Err(why)) => return End::Gone(why),
                Some(Ok(read)) => add(&self.shared.stats.bytes_in, read),
            }
            let now = self.shared.clock.mono();
            if now.since(answered) >= limits.keep_alive {
                answered = now;
                let told = write_all(&mut self.write, Bytes::from_static(&KEEP_ALIVE));
                if !matches!(rt::timeout(limits.silence, told).await, Some(Ok(()))) {
                    return End::Gone("it does not hear that it is heard".to_owned());
                }
            }
        }
    }

    /// Takes all whole messages out of what has arrived.
    fn take(&mut self, messages: &mut Vec<PeerMessage>) -> Result<(), String> {
        while let Some(frame) = self.stream.next(LARGEST_FRAME)? {
            if frame.is_empty() {
                continue;
            }
            let is_long = frame.len() > LONG_CHECK_BYTES;
            messages.push(if is_long {
                rt::computing(|| frame::decode(frame))
            } else {
                frame::decode(frame)
            }?);
        }
        Ok(())
    }
}
