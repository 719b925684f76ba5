//! Decisions about a broker's life: its heartbeats, and what it is fenced, unfenced and stopped by (Kafka:
//! `BrokerHeartbeatManager.calculateNextBrokerState`).

use serde::{Deserialize, Serialize};

use crate::cluster::facts::Fact;
use crate::cluster::liveness::Liveness;
use crate::cluster::topics::Refusal;
use crate::cluster::view::View;
use crate::ids::{BrokerId, Offset};
use crate::time::Instant;
use crate::wire::error::ErrorCode;

/// What a broker tells the controller now and then (`broker.heartbeat.interval.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub broker: BrokerId,
    /// Which run of it.
    pub incarnation: u64,
    /// The first metadata offset that it has not applied.
    pub applied: Offset,
    /// Whether it wants to be kept out: it is not ready yet, or its log directory has failed.
    pub wants_fence: bool,
    /// Whether it wants to stop in order.
    pub wants_stop: bool,
}

/// What a broker is told of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is kept out.
    Fenced,
    /// It takes part.
    Active,
    /// It hands over; it goes on until it may stop.
    Stopping,
    /// It may stop now.
    MayStop,
}

/// Decides what follows from a heartbeat; `end` is the metadata offset after the last fact that is decided so far.
pub fn heartbeat(
    view: &View<'_>,
    liveness: &mut Liveness,
    beat: Heartbeat,
    (now, end): (Instant, Offset),
) -> Result<(Standing, Vec<Fact>), Refusal> {
    check_run(view, beat.broker, beat.incarnation)?;
    let registration = &view.image.brokers()[&beat.broker];
    liveness.touch(beat.broker, beat.incarnation, beat.applied, now);
    if registration.fenced {
        return Ok(match (beat.wants_stop, beat.wants_fence || beat.applied <= registration.at) {
            (true, _) => (Standing::MayStop, Vec::new()),
            (false, true) => (Standing::Fenced, Vec::new()),
            (false, false) => (Standing::Active, unfence(view, beat.broker, beat.incarnation)),
        });
    }
    if beat.wants_fence {
        return Ok((Standing::Fenced, fence(view, beat.broker, beat.incarnation)));
    }
    if registration.stopping {
        liveness.stopping(beat.broker, end);
        if !leads(view, beat.broker) && liveness.all_know_of_stop(view.image, beat.broker) {
            return Ok((Standing::MayStop, fence(view, beat.broker, beat.incarnation)));
        }
        return Ok((Standing::Stopping, Vec::new()));
    }
    if beat.wants_stop {
        let facts = stop(view, beat.broker, beat.incarnation);
        liveness.stopping(beat.broker, end + facts.len() as i64);
        return Ok((Standing::Stopping, facts));
    }
    Ok((Standing::Active, Vec::new()))
}

/// Whether what a broker says is said by the run of it that is registered (Kafka: `checkBrokerEpoch`).
pub fn check_run(view: &View<'_>, broker: BrokerId, incarnation: u64) -> Result<(), Refusal> {
    match view.image.brokers().get(&broker) {
        None => Err((
            ErrorCode::BROKER_ID_NOT_REGISTERED,
            format!("Broker ID {broker} is not currently registered."),
        )),
        Some(registration) if registration.incarnation != incarnation => Err((
            ErrorCode::STALE_BROKER_EPOCH,
            format!("Broker {broker} has been started again since; this is said by an earlier run of it."),
        )),
        Some(_) => Ok(()),
    }
}

/// Keeps a broker out: first others lead, and it leaves every ISR; where it was the last, it stays eligible to lead. Nothing
/// if this run of it is fenced or not registered (Kafka: `ReplicationControlManager.handleBrokerFenced`).
pub fn fence(view: &View<'_>, broker: BrokerId, incarnation: u64) -> Vec<Fact> {
    let registration = view.image.brokers().get(&broker);
    if registration.is_none_or(|r| r.fenced || r.incarnation != incarnation) {
        return Vec::new();
    }
    let mut facts = view.leave(broker, None);
    facts.push(Fact::BrokerFenced { broker, incarnation });
    facts
}

fn unfence(view: &View<'_>, broker: BrokerId, incarnation: u64) -> Vec<Fact> {
    let mut facts = vec![Fact::BrokerUnfenced { broker, incarnation }];
    facts.extend(view.join(broker));
    facts
}

/// Begins a controlled shutdown: the broker leads nothing from then on, and is in no ISR (KIP-841).
fn stop(view: &View<'_>, broker: BrokerId, incarnation: u64) -> Vec<Fact> {
    let mut facts = view.leave(broker, None);
    facts.push(Fact::BrokerStopping { broker, incarnation });
    facts
}

fn leads(view: &View<'_>, broker: BrokerId) -> bool {
    view.image.partitions().any(|(.., state)| state.leader == Some(broker))
}

#[cfg(test)]
mod tests;
