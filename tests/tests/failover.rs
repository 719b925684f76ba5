//! How long failover takes in a cluster of three under load. `FAILOVER_ROUNDS` says how often (once), `FAILOVER_SEED` repeats a run's draws.

use quipu_tests::chance::number;
use quipu_tests::kafka::now_ms;

#[test]
fn partitions_of_a_leader_that_goes_are_led_again_and_nothing_acknowledged_is_lost_doubled_or_reordered() {
    let seed = number("FAILOVER_SEED").unwrap_or(now_ms() as u64);
    quipu_tests::failover::run(number("FAILOVER_ROUNDS").unwrap_or(1), seed);
}
