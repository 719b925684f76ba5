//! The task that keeps one link up: connects, greets, writes what waits, and begins anew when the link is lost.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quipu_core::peer::frame::KEEP_ALIVE;
use quipu_core::peer::hello::{Reception, judge_welcome};

use crate::client::connect_words;
use crate::outbox;
use crate::peer::link::Link;
use crate::peer::outage::{Down, Outage};
use crate::peer::shared::Shared;
use crate::peer::stream::Stream;
use crate::phase::Phase;
use crate::rt::{self, Either, WriteSide};
use crate::stats::add;

/// A link that was up for less than this does not end an outage: the waits go on growing, and nothing is told anew.
const STEADY: Duration = Duration::from_secs(1);

/// Keeps a link up as long as it is wanted.
pub(super) async fn keep(shared: Arc<Shared>, link: Arc<Link>) {
    let unwanted = rt::first(shared.phases.at_least(Phase::Stopped), link.end.notified());
    rt::first(unwanted, Dialer { shared: &shared, link: &link, outage: Outage::default() }.run()).await;
}

struct Dialer<'a> {
    shared: &'a Shared,
    link: &'a Link,
    outage: Outage,
}

impl Dialer<'_> {
    async fn run(mut self) {
        let mut failed = 0;
        loop {
            let down = match self.connect().await {
                Ok((stream, write)) => {
                    let since = self.shared.clock.mono();
                    self.rise();
                    let why = self.talk(stream, write).await;
                    self.shared.is_unlinked(self.link.to);
                    if self.shared.clock.mono().since(since) >= STEADY {
                        failed = 0;
                        self.outage = Outage::default();
                    }
                    Down::Lost(why)
                }
                Err(down) => down,
            };
            failed += 1;
            self.fall(&down);
            rt::sleep(self.shared.limits.backoff.pause(self.shared.seed, self.link.to, failed)).await;
        }
    }

    fn rise(&mut self) {
        add(&self.shared.stats.linked, 1);
        self.link.is_up();
        let Link { to, address, .. } = self.link;
        match self.outage.rises() {
            true => tracing::info!("the link to broker {to} at {address} is up again"),
            false => tracing::debug!("the link to broker {to} at {address} is up"),
        }
    }

    fn fall(&mut self, down: &Down) {
        self.link.is_down(&down.to_string());
        let Link { to, address, .. } = self.link;
        match self.outage.is_news(down) {
            true => tracing::warn!("no link to broker {to} at {address}: {down}; trying again"),
            false => tracing::debug!("no link to broker {to} at {address}: {down}"),
        }
    }

    /// Connects and greets.
    async fn connect(&self) -> Result<(Stream, WriteSide), Down> {
        let limits = &self.shared.limits;
        let (host, port) = split(&self.link.address).ok_or_else(|| {
            Down::Refused(format!("{:?} is not host:port: look at quipu.voters", self.link.address))
        })?;
        let (read, write) = match rt::timeout(limits.connect, rt::connect(host, port)).await {
            Some(Ok(halves)) => halves,
            Some(Err(error)) => {
                if error.kind() == ErrorKind::ConnectionRefused {
                    self.shared.is_absent(self.link.to);
                }
                return Err(Down::Lost(connect_words(&error)));
            }
            None => return Err(Down::Lost(format!("no answer within {} s", limits.connect.as_secs_f32()))),
        };
        let greeted = rt::timeout(limits.handshake, self.greet(Stream::new(read), write)).await;
        greeted.unwrap_or_else(|| {
            let seconds = limits.handshake.as_secs_f32();
            Err(Down::Lost(format!("connected, but not answered within {seconds} s")))
        })
    }

    async fn greet(&self, mut stream: Stream, mut write: WriteSide) -> Result<(Stream, WriteSide), Down> {
        let (me, to) = (self.shared.me(), self.link.to);
        let mut pieces = VecDeque::from([Bytes::from(me.hello(to).to_bytes())]);
        write_all(&mut write, &mut pieces).await.map_err(Down::Lost)?;
        let answer = match stream.greeting().await {
            Ok(answer) => answer,
            Err((why, true)) => return Err(Down::Refused(why)),
            Err((why, false)) => {
                return Err(Down::Lost(format!(
                    "{why} without an answer; if that is a port for clients, look at quipu.voters: brokers talk at \
                     quipu.peer.listen"
                )));
            }
        };
        match Reception::read(&answer).map_err(Down::Refused)? {
            Reception::Welcome(welcome) => judge_welcome(&welcome, &me, to).map_err(Down::Refused)?,
            Reception::Refused(why) => return Err(Down::Refused(why)),
        }
        Ok((stream, write))
    }

    /// Writes and listens, until the link is lost: why.
    async fn talk(&self, stream: Stream, write: WriteSide) -> String {
        match rt::first(self.listen(stream), self.speak(write)).await {
            Either::First(why) | Either::Second(why) => why,
        }
    }

    /// Hears that it is heard.
    async fn listen(&self, mut stream: Stream) -> String {
        let limits = &self.shared.limits;
        loop {
            match stream.next(0) {
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(_) => return "it speaks where it should only listen".to_owned(),
            }
            match rt::timeout(limits.unanswered, stream.more()).await {
                None => return format!("it has not answered for {} s", limits.unanswered.as_secs_f32()),
                Some(Err(why)) => return why,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Writes what waits, and a keep-alive when nothing does for long.
    async fn speak(&self, mut write: WriteSide) -> String {
        let stats = &self.shared.stats;
        let mut pieces = VecDeque::new();
        loop {
            let taken = self.link.take(&mut pieces, self.shared.clock.mono());
            add(&stats.dropped, taken.dropped);
            if pieces.is_empty() {
                if rt::timeout(self.shared.limits.keep_alive, self.link.queued()).await.is_some() {
                    continue;
                }
                pieces.push_back(Bytes::from_static(&KEEP_ALIVE));
            }
            match write_all(&mut write, &mut pieces).await {
                Ok(written) => add(&stats.bytes_out, written),
                Err(why) => return why,
            }
            add(&stats.sent, taken.messages);
        }
    }
}

/// Writes all pieces: how many bytes.
async fn write_all(write: &mut WriteSide, pieces: &mut VecDeque<Bytes>) -> Result<usize, String> {
    let mut all = 0;
    while !pieces.is_empty() {
        let written = outbox::write_some(write, pieces).await;
        let written = written.map_err(|error| format!("the connection broke: {error}"))?;
        outbox::advance(pieces, written);
        all += written;
    }
    Ok(all)
}

/// Host and port of `host:port`, where an IPv6 address stands in brackets.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_or_numbers_and_a_port() {
        assert_eq!(split("broker-1.example:9093"), Some(("broker-1.example", 9093)));
        assert_eq!(split("[::1]:9093"), Some(("::1", 9093)));
        for wrong in ["", "broker-1", ":9093", "broker-1:", "broker-1:x", "broker-1:65536"] {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
    }
}
