//! P7: a fetch that waits for records ends without any when its time is over, not before and not after, whatever clocks are set to.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::wire::messages::fetch::{FetchResponse, PartitionData};
use quipu_core::wire::records::Records;
use quipu_core::wire::{self, Response};

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// A broker that has woken has ended what was due so long before, in microseconds: it does not do all of it in one wake.
const SLACK: u64 = 500_000;
/// No wait is longer, whatever is asked, in microseconds.
const MOST: u64 = 300_000_000;

/// The claim.
pub struct WaitsEndInTime {
    brokers: Vec<Waits>,
}

/// Who waits at a broker, and until when its monotonic clock shows what, in microseconds.
#[derive(Clone, Debug, Default)]
struct Waits {
    /// Asked in this step, for so many microseconds.
    asked: Option<(Caller, u64)>,
    until: BTreeMap<Caller, u64>,
    woken: bool,
}

impl WaitsEndInTime {
    /// For so many brokers.
    pub fn new(servers: usize) -> WaitsEndInTime {
        WaitsEndInTime { brokers: vec![Waits::default(); servers] }
    }
}

impl Claim for WaitsEndInTime {
    fn id(&self) -> &'static str {
        "P7"
    }

    fn says(&self) -> &'static str {
        "a wait for records ends when its time is over"
    }

    fn asking(&mut self, server: usize, broker: &Broker, input: &Input) {
        let waits = &mut self.brokers[server];
        waits.woken = false;
        match input {
            Input::Request { to, request: Request::Api(wire::Request::Fetch(fetch)), .. } => {
                let waits_at_all = broker.is_ready() && fetch.max_wait_ms > 0 && fetch.min_bytes > 0;
                let wait = (fetch.max_wait_ms.max(0) as u64 * 1000).min(MOST);
                waits.asked = waits_at_all.then_some((*to, wait));
            }
            Input::Gone { conn } => waits.until.retain(|to, _| to.conn != *conn),
            Input::Wake => waits.woken = true,
            // What waits is answered as it is.
            Input::Stop => waits.until.clear(),
            _ => {}
        }
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        let Effect::Reply { to, response: Response::Fetch(fetch) } = effect else { return Ok(()) };
        self.brokers[scene.server].answered(*to, fetch, scene.now.mono.0)
    }

    fn stepped(&mut self, scene: &Scene<'_>, _: &Ghost) -> Verdict {
        let waits = &mut self.brokers[scene.server];
        if scene.broker.is_dead() {
            waits.until.clear();
        }
        waits.stepped(scene.now.mono.0)
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.brokers[server] = Waits::default();
    }
}

impl Waits {
    fn answered(&mut self, to: Caller, fetch: &FetchResponse, now: u64) -> Verdict {
        // What is answered at once has nothing to wait for.
        self.asked = self.asked.filter(|(asked, _)| *asked != to);
        match self.until.remove(&to) {
            Some(until) if now < until && is_empty(fetch) => {
                Err(format!("{to:?} is told {} us too soon that there is nothing", until - now))
            }
            _ => Ok(()),
        }
    }

    fn stepped(&mut self, now: u64) -> Verdict {
        if let Some((to, wait)) = self.asked.take() {
            self.until.insert(to, now + wait);
        }
        match self.until.iter().find(|(_, until)| self.woken && **until + SLACK < now) {
            Some((to, until)) => Err(format!("{to:?} still waits, {} us too long", now - until)),
            None => Ok(()),
        }
    }
}

fn is_empty(fetch: &FetchResponse) -> bool {
    let nothing = |records: &Option<Records>| match records {
        Some(Records::Held(chunks)) => chunks.is_empty(),
        Some(Records::OnDisk(_)) => false,
        None => true,
    };
    let mut parts = fetch.responses.iter().flat_map(|topic| &topic.partitions);
    // Who is told to read from another broker is not told that there is nothing.
    let says_nothing = |part: &PartitionData| part.error_code.is_none() && part.preferred_read_replica < 0;
    fetch.error_code.is_none() && parts.all(|part| says_nothing(part) && nothing(&part.records))
}

#[cfg(test)]
mod tests {
    use quipu_core::ids::ConnId;
    use quipu_core::wire::ErrorCode;
    use quipu_core::wire::messages::fetch::{FetchableTopicResponse, PartitionData};

    use super::*;

    const ONE: Caller = Caller { conn: ConnId(1), seq: 7 };

    fn answer(error_code: ErrorCode, records: Option<Records>) -> FetchResponse {
        let part = PartitionData { error_code, records, ..Default::default() };
        let topic = FetchableTopicResponse { partitions: vec![part], ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }

    /// One who asked at 1 s for 2 s.
    fn waiting() -> Waits {
        let mut waits = Waits { asked: Some((ONE, 2_000_000)), ..Waits::default() };
        assert!(waits.stepped(1_000_000).is_ok());
        waits
    }

    #[test]
    fn nothing_told_too_soon_is_seen_and_in_time_it_is_fine() {
        let nothing = || answer(ErrorCode::NONE, Some(Records::default()));
        assert!(waiting().answered(ONE, &nothing(), 2_999_999).is_err());
        assert!(waiting().answered(ONE, &nothing(), 3_000_000).is_ok());
    }

    #[test]
    fn records_and_errors_may_come_at_any_time() {
        let records = Records::Held(vec![bytes::Bytes::from_static(b"r")]);
        assert!(waiting().answered(ONE, &answer(ErrorCode::NONE, Some(records)), 1_500_000).is_ok());
        let error = answer(ErrorCode::KAFKA_STORAGE_ERROR, None);
        assert!(waiting().answered(ONE, &error, 1_500_000).is_ok());
    }

    #[test]
    fn who_still_waits_after_a_wake_that_came_too_late_is_seen() {
        let late = Waits { woken: true, ..waiting() };
        assert!(late.clone().stepped(3_500_001).is_err());
        assert!(late.clone().stepped(3_400_000).is_ok(), "just now");
        assert!(Waits { woken: false, ..late }.stepped(9_000_000).is_ok(), "it has not woken yet");
    }
}
