//! Chaos in a cluster of three under load. `CHAOS_MINUTES` says how long (0: one fault of each kind), `CHAOS_SEED` repeats a run's draws.

use quipu_tests::chance::number;
use quipu_tests::kafka::now_ms;

#[test]
fn a_cluster_comes_back_from_every_fault_and_nothing_acknowledged_is_lost_doubled_or_reordered() {
    let seed = number("CHAOS_SEED").unwrap_or(now_ms() as u64);
    quipu_tests::chaos::run(number("CHAOS_MINUTES").unwrap_or(0), seed);
}
