//! The configs of a broker that is one of several.

use std::time::Duration;

use super::broker_table::RACK_SELECTOR;
use super::settings::Settings;

/// A broker's part in a cluster: how it shows that it lives, and how replicas keep up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_ms: i64,
    /// `broker.session.timeout.ms`.
    pub session_ms: i64,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `replica.selector.class`: whether consumers are told to read from a replica in their own rack.
    pub reads_in_rack: bool,
    /// `replica.lag.time.max.ms`.
    pub lag_max: Duration,
    /// `replica.fetch.wait.max.ms`.
    pub fetch_wait: Duration,
    /// `replica.fetch.response.max.bytes`.
    pub fetch_bytes: u32,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff: Duration,
    /// `replica.socket.timeout.ms`.
    pub fetch_patience: Duration,
    /// `leader.replication.throttled.rate`; `None` is without limit.
    pub leader_rate: Option<u64>,
    /// `follower.replication.throttled.rate`; `None` is without limit.
    pub follower_rate: Option<u64>,
    /// `auto.leader.rebalance.enable`.
    pub balance: bool,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds.
    pub balance_ms: i64,
    /// `leader.imbalance.per.broker.percentage`.
    pub imbalance_percent: u32,
}

impl ClusterConfig {
    pub(super) fn new(s: &Settings) -> ClusterConfig {
        let ms = |name| Duration::from_millis(s.number(name));
        let rate = |name| Some(s.number(name)).filter(|rate| *rate < i64::MAX as u64);
        ClusterConfig {
            leader_rate: rate("leader.replication.throttled.rate"),
            follower_rate: rate("follower.replication.throttled.rate"),
            heartbeat_ms: s.number("broker.heartbeat.interval.ms"),
            session_ms: s.number("broker.session.timeout.ms"),
            rack: s.get("broker.rack").filter(|rack| !rack.is_empty()).map(str::to_string),
            reads_in_rack: s.get("replica.selector.class") == Some(RACK_SELECTOR),
            lag_max: ms("replica.lag.time.max.ms"),
            fetch_wait: ms("replica.fetch.wait.max.ms"),
            fetch_bytes: s.number("replica.fetch.response.max.bytes"),
            fetch_backoff: ms("replica.fetch.backoff.ms"),
            fetch_patience: ms("replica.socket.timeout.ms"),
            balance: s.flag("auto.leader.rebalance.enable"),
            balance_ms: s.number::<i64>("leader.imbalance.check.interval.seconds").saturating_mul(1000),
            imbalance_percent: s.number("leader.imbalance.per.broker.percentage"),
        }
    }

    /// What is wrong with them taken together.
    pub(super) fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.session_ms < self.heartbeat_ms.saturating_mul(2) {
            wrong.push(format!(
                "broker.session.timeout.ms ({}) must be at least twice broker.heartbeat.interval.ms ({})",
                self.session_ms, self.heartbeat_ms
            ));
        }
        if self.fetch_patience <= self.fetch_wait {
            wrong
                .push("replica.socket.timeout.ms must be greater than replica.fetch.wait.max.ms".to_string());
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_shorter_than_two_heartbeats_and_a_follower_that_gives_up_before_it_is_answered_are_refused()
    {
        let of = |name: &str, value: &str| {
            let mut settings = Settings::new();
            settings.set(name, value).unwrap();
            ClusterConfig::new(&settings).check()
        };
        assert!(of("broker.session.timeout.ms", "9000").is_empty());
        assert!(of("broker.session.timeout.ms", "300")[0].contains("at least twice"));
        assert!(of("replica.socket.timeout.ms", "500")[0].contains("greater than replica.fetch.wait.max.ms"));
    }
}
