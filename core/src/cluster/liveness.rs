//! When each broker was last heard of: soft state of the active controller, made anew with each of them (Kafka:
//! `BrokerHeartbeatManager`, `BrokerHeartbeatTracker`).

use std::collections::BTreeMap;

use crate::cluster::image::MetadataImage;
use crate::ids::{BrokerId, Offset};
use crate::time::Instant;

/// The newest contact with every broker.
#[derive(Clone, Debug)]
pub struct Liveness {
    session_ms: i64,
    contacts: BTreeMap<BrokerId, Contact>,
}

#[derive(Clone, Copy, Debug)]
struct Contact {
    incarnation: u64,
    at: Instant,
    /// The first metadata offset that it has not applied.
    applied: Offset,
    /// What the others have to apply before it may stop.
    stops_after: Option<Offset>,
    /// Nobody listens where it is reached, and it has not been heard of since.
    lost: bool,
    /// How often it was heard of after that had been told.
    wrongly_lost: u8,
}

/// Hints about one run of a broker that may turn out to be wrong before only its silence counts. A firewall that refuses what is sent
/// to it would have it fenced and let in again for ever; but what it said last may also come late, once.
const WRONG_HINTS: u8 = 3;

impl Liveness {
    /// A new controller gives every broker that takes part one whole session (`broker.session.timeout.ms`) to be heard of.
    pub fn new(image: &MetadataImage, session_ms: i64, now: Instant) -> Liveness {
        let unfenced = image.brokers().iter().filter(|(_, r)| !r.fenced);
        let contact = |incarnation| Contact::new(incarnation, Offset(0), now);
        Liveness { session_ms, contacts: unfenced.map(|(id, r)| (*id, contact(r.incarnation))).collect() }
    }

    /// A broker was heard of. What an earlier run of it said counts no more.
    pub fn touch(&mut self, broker: BrokerId, incarnation: u64, applied: Offset, now: Instant) {
        let contact = self.contacts.entry(broker).or_insert(Contact::new(incarnation, applied, now));
        if contact.incarnation != incarnation {
            *contact = Contact::new(incarnation, applied, now);
        }
        (contact.at, contact.applied) = (now, contact.applied.max(applied));
        if std::mem::take(&mut contact.lost) {
            contact.wrongly_lost += 1;
        }
    }

    /// The controller before this one, which owed answers all the time, was last heard of then: its session has run since.
    pub fn silent_since(&mut self, broker: BrokerId, at: Instant) {
        if let Some(contact) = self.contacts.get_mut(&broker) {
            contact.at = contact.at.min(at);
        }
    }

    /// Nobody listens where a broker is reached: it has been silent for too long already, unless such hints were wrong before.
    pub fn lost(&mut self, broker: BrokerId) {
        let contact = self.contacts.get_mut(&broker).filter(|c| c.wrongly_lost < WRONG_HINTS);
        if let Some(contact) = contact {
            contact.lost = true;
        }
    }

    /// Whether this run of a broker was heard of within the session timeout.
    pub fn lives(&self, broker: BrokerId, incarnation: u64, now: Instant) -> bool {
        let contact = self.contacts.get(&broker).filter(|c| c.incarnation == incarnation);
        contact.is_some_and(|c| now < self.expiry(c))
    }

    fn expiry(&self, contact: &Contact) -> Instant {
        if contact.lost { Instant(0) } else { contact.at.after_ms(self.session_ms) }
    }

    /// The brokers that take part and were not heard of within the session timeout: to be fenced, one decision after the other
    /// (KAFKA-13173), so that each sees what the one before came to.
    pub fn expired(&self, image: &MetadataImage, now: Instant) -> Vec<(BrokerId, u64)> {
        let unfenced = image.brokers().iter().filter(|(_, r)| !r.fenced);
        let silent = unfenced.filter(|(id, r)| !self.lives(**id, r.incarnation, now));
        silent.map(|(id, r)| (*id, r.incarnation)).collect()
    }

    /// When to look again whether somebody has expired, if nobody is heard of until then.
    pub fn next_expiry(&self, image: &MetadataImage) -> Option<Instant> {
        let unfenced = image.brokers().iter().filter(|(_, r)| !r.fenced);
        let expiry = |(id, _)| self.contacts.get(id).map_or(Instant(0), |c| self.expiry(c));
        unfenced.map(expiry).min()
    }

    /// A broker's controlled shutdown was decided: it may stop once the others have applied everything below `end`. The first
    /// end counts.
    pub(super) fn stopping(&mut self, broker: BrokerId, end: Offset) {
        if let Some(contact) = self.contacts.get_mut(&broker) {
            contact.stops_after.get_or_insert(end);
        }
    }

    /// Whether every active broker, and the stopping one, has applied the decision that it stops.
    pub(super) fn all_know_of_stop(&self, image: &MetadataImage, broker: BrokerId) -> bool {
        let Some(end) = self.contacts.get(&broker).and_then(|c| c.stops_after) else { return false };
        let active = image.brokers().iter().filter(|(_, r)| r.is_active()).map(|(id, _)| *id);
        let applied = |id: BrokerId| self.contacts.get(&id).map_or(Offset(0), |c| c.applied);
        active.chain([broker]).all(|id| applied(id) >= end)
    }
}

impl Contact {
    fn new(incarnation: u64, applied: Offset, now: Instant) -> Contact {
        Contact { incarnation, at: now, applied, stops_after: None, lost: false, wrongly_lost: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::Fact;

    fn image(runs: &[(i32, u64)]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for (id, incarnation) in runs {
            image.apply(&Fact::BrokerStarted { broker: BrokerId(*id), incarnation: *incarnation });
        }
        image
    }

    fn at(ms: i64) -> Instant {
        Instant(0).after_ms(ms)
    }

    #[test]
    fn a_new_controller_gives_everybody_one_session() {
        let image = image(&[(1, 10), (2, 20)]);
        let mut liveness = Liveness::new(&image, 9000, at(1000));
        assert_eq!(liveness.expired(&image, at(9999)), []);
        liveness.touch(BrokerId(2), 20, Offset(5), at(5000));
        assert_eq!(liveness.next_expiry(&image), Some(at(10_000)));
        assert_eq!(liveness.expired(&image, at(10_000)), [(BrokerId(1), 10)]);
        assert_eq!(liveness.expired(&image, at(14_000)), [(BrokerId(1), 10), (BrokerId(2), 20)]);
    }

    #[test]
    fn who_is_known_not_to_be_there_expires_at_once_unless_it_is_heard_of_again() {
        let image = image(&[(1, 10), (2, 20)]);
        let mut liveness = Liveness::new(&image, 9000, at(1000));
        liveness.lost(BrokerId(2));
        assert!(liveness.next_expiry(&image).is_some_and(|due| due <= at(9000)));
        assert_eq!(liveness.expired(&image, at(1000)), [(BrokerId(2), 20)]);
        liveness.touch(BrokerId(2), 20, Offset(5), at(1001));
        assert_eq!(liveness.expired(&image, at(1001)), []);
    }

    #[test]
    fn the_session_of_the_controller_before_runs_since_it_was_last_heard_of() {
        let image = image(&[(1, 10), (2, 20)]);
        let mut liveness = Liveness::new(&image, 9000, at(3000));
        liveness.silent_since(BrokerId(1), at(1000));
        assert_eq!(liveness.next_expiry(&image), Some(at(10_000)));
        assert_eq!(liveness.expired(&image, at(10_000)), [(BrokerId(1), 10)]);
        liveness.touch(BrokerId(1), 10, Offset(5), at(10_001));
        liveness.silent_since(BrokerId(1), at(20_000));
        assert_eq!(liveness.expired(&image, at(11_999)), [], "nobody is heard of later by that");
    }

    #[test]
    fn hints_that_were_wrong_three_times_are_not_believed_again_of_the_same_run() {
        let mut known = image(&[(1, 10), (2, 20)]);
        let mut liveness = Liveness::new(&known, 9000, at(1000));
        for _ in 0..3 {
            liveness.lost(BrokerId(2));
            assert_eq!(liveness.expired(&known, at(1001)), [(BrokerId(2), 20)]);
            liveness.touch(BrokerId(2), 20, Offset(5), at(1001));
        }
        liveness.lost(BrokerId(2));
        assert_eq!(liveness.expired(&known, at(1002)), []);
        assert_eq!(liveness.expired(&known, at(10_001)), [(BrokerId(1), 10), (BrokerId(2), 20)]);

        known.apply(&Fact::BrokerStarted { broker: BrokerId(2), incarnation: 21 });
        liveness.touch(BrokerId(2), 21, Offset(5), at(1003));
        liveness.lost(BrokerId(2));
        assert_eq!(liveness.expired(&known, at(1004)), [(BrokerId(2), 21)]);
    }

    #[test]
    fn what_is_heard_of_another_run_does_not_keep_this_one_alive() {
        let image = image(&[(1, 10)]);
        let mut liveness = Liveness::new(&image, 9000, at(0));
        liveness.touch(BrokerId(1), 9, Offset(0), at(8000));
        assert!(liveness.lives(BrokerId(1), 9, at(9000)) && !liveness.lives(BrokerId(1), 10, at(9000)));
        assert_eq!(liveness.expired(&image, at(9000)), [(BrokerId(1), 10)]);
    }

    #[test]
    fn fenced_brokers_do_not_expire_again() {
        let mut image = image(&[(1, 10)]);
        let liveness = Liveness::new(&image, 9000, at(0));
        image.apply(&Fact::BrokerFenced { broker: BrokerId(1), incarnation: 10 });
        assert_eq!((liveness.expired(&image, at(99_000)), liveness.next_expiry(&image)), (vec![], None));
    }
}
