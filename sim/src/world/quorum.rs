//! Whether several brokers are at one about their metadata, which they must be soon once all is healed, and stay.

use quipu_core::broker::view::QuorumView;
use quipu_core::ids::LogId;

use super::agenda::Moment;
use super::network::{LinkId, Place, Way};
use super::{LOOK, Phase, World};

/// In how long a leader must be elected, and every metadata log be the same, once all is healed: a few dozens of the longest
/// election time-out, of which a wiped or restarted broker may have to wait some.
const ELECTS_IN: Moment = 40_000_000;
/// After which they count as at one: beyond every time-out of the quorum.
const SETTLES: Moment = 6_000_000;
/// How long nobody must stand for election after that.
const STAYS_FOR: Moment = 10_000_000;

impl World {
    /// Until when a packet for a broker waits that stands still. A broker alone reads on: its plans are older than this.
    pub(super) fn held_until(&self, link: LinkId, way: Way) -> Option<Moment> {
        let Some(Place::Server(server)) = self.network.destination(link, way) else { return None };
        let (until, now) = (self.servers[server].paused_until, self.agenda.now());
        // Healing may end the wait before.
        (self.servers.len() > 1 && until > now).then(|| until.min(now + LOOK))
    }

    /// Whether the brokers have been at one about their metadata for long enough. Claim L5 is judged here.
    pub(super) fn quorum_rests(&mut self) -> bool {
        if self.servers.len() < 2 || self.phase == Phase::Load || self.watch.canon.torn {
            return true;
        }
        let now = self.agenda.now();
        let damaged = self.history.damaged;
        match (self.agreed_epoch(), self.calm_since) {
            // What went wrong before may still show: who was cut off for a while may give its leader up just now.
            (Some(_), None) if now < self.whole_since() + SETTLES => {}
            (Some(epoch), None) => self.calm_since = Some((now, epoch)),
            (Some(epoch), Some((since, before))) if epoch == before => return now >= since + STAYS_FOR,
            // More may be decided; the same one leads.
            (None, Some((_, before))) if self.led_epoch() == Some(before) => {}
            // A broker that refused its damaged disk was given an empty one, and comes in anew.
            (_, Some(_)) if damaged => self.calm_since = None,
            (_, Some((since, before))) if now > since => {
                let story = format!("they were at one in epoch {before}, and are no more: {}", self.told());
                self.watch.breaks("L5", "once all is healed one leader is elected, and stays", story);
            }
            (None, None) if now > self.whole_since() + ELECTS_IN => {
                let seconds = (now - self.whole_since()) / 1_000_000;
                let story = format!("{seconds} s after all was healed and every broker ran: {}", self.told());
                self.watch.breaks("L5", "once all is healed one leader is elected, and stays", story);
            }
            _ => {}
        }
        false
    }

    /// Since when nothing is wrong any more and every broker runs.
    pub(super) fn whole_since(&self) -> Moment {
        self.since.max(self.last_start)
    }

    /// Who leads, if exactly one broker does and all know it, and its epoch.
    fn led(&self) -> Option<(usize, i32)> {
        let views: Option<Vec<_>> = self.servers.iter().map(|s| s.broker()?.quorum()).collect();
        let views = views?;
        let leader = views.iter().position(|view| view.leads)?;
        let first = views[leader];
        let same = |v: &QuorumView| (v.epoch, v.leader) == (first.epoch, first.leader);
        let one = views.iter().filter(|view| view.leads).count() == 1 && views.iter().all(same);
        one.then_some((leader, first.epoch.0))
    }

    fn led_epoch(&self) -> Option<i32> {
        self.led().map(|(_, epoch)| epoch)
    }

    /// The epoch in which exactly one broker leads, all know it, and every metadata log is whole, the same and committed to its end.
    fn agreed_epoch(&self) -> Option<i32> {
        let (leader, epoch) = self.led()?;
        let marks = |server: usize| {
            let log = self.servers[server].broker()?.log(LogId::METADATA)?;
            Some((log.end(), log.high(), log.flushed()))
        };
        let (end, high, flushed) = marks(leader)?;
        let same = (0..self.servers.len()).all(|server| marks(server) == marks(leader));
        (end == high && high == flushed && same).then_some(epoch)
    }

    /// What each broker thinks of the quorum.
    fn told(&self) -> String {
        let of = |server: &super::Server| {
            let Some(broker) = server.broker() else { return format!("{} is down", server.id + 1) };
            let log = broker.log(LogId::METADATA);
            let marks = log.map(|log| (log.end().0, log.high().0, log.flushed().0));
            format!(
                "{} sees {:?}, with end, high watermark and flushed {marks:?}",
                server.id + 1,
                broker.quorum()
            )
        };
        self.servers.iter().map(of).collect::<Vec<_>>().join("; ")
    }

    /// The same for those who wonder why nothing comes to rest.
    pub(super) fn quorum_story(&self) -> Option<String> {
        (self.servers.len() > 1).then(|| self.told())
    }
}
