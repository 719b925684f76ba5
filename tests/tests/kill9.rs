//! kill -9 under load: an idempotent producer and a consumer group go on through every restart.
//!
//! The records prove themselves (`scene`). The consumers commit as they go, so the offset each resumes at must be one
//! they committed, or were committing when the server died. `KILL9_ROUNDS` says how many kills (3 by default),
//! `KILL9_SEED` repeats a run's moments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quipu_tests::chance::{Chance, number};
use quipu_tests::kafka::{PATIENCE, now_ms, until};
use quipu_tests::load::{Load, Pace};
use quipu_tests::reader::{Progress, Reader};
use quipu_tests::scene::Scene;
use quipu_tests::server::Server;
use quipu_tests::story::Story;

const PARTITIONS: usize = 4;
/// Acknowledgements that each life of the server must give before it is killed again.
const PROGRESS: usize = 200;
const PACE: Pace = Pace { burst: 100, pause: Duration::from_millis(5) };

#[test]
fn nothing_acknowledged_is_lost_doubled_or_reordered_and_groups_resume_where_they_stopped() {
    let rounds = number("KILL9_ROUNDS").unwrap_or(3) as usize;
    let seed = number("KILL9_SEED").unwrap_or(now_ms() as u64);
    println!("kill9: {rounds} rounds, seed {seed}");
    let mut server = Server::start(&["group.initial.rebalance.delay.ms=100"]);
    let scene = Scene::open(server.bootstrap(), "kill9", (PARTITIONS, 1));
    let load = Load::start(&scene, PACE, &[]);
    let progress = Arc::new(Progress::new(PARTITIONS));
    let join = || Reader::start(&scene, &progress);
    let mut readers = vec![join(), join()];
    let mut chance = Chance::new(seed);
    let mut recoveries = Vec::new();
    for round in 0..rounds {
        load.progress(PROGRESS, round);
        // Every other kill falls into a quiet group, whose offsets move; the others into one that is still rebalancing.
        let commits = progress.commits();
        if round % 2 == 0 {
            until("a commit", PATIENCE, || progress.commits() > commits);
        }
        std::thread::sleep(chance.pause(250));
        let before = load.pulse.count();
        server.kill();
        let opened = server.again();
        let started = Instant::now();
        until("a first acknowledgement", PATIENCE, || load.pulse.count() > before);
        recoveries.push((opened, opened + started.elapsed()));
        // librdkafka goes on by itself where it was; only a new member asks where the group had stopped.
        std::mem::replace(&mut readers[round % 2], join()).crash();
    }
    load.progress(PROGRESS, rounds);
    let sent = load.finish();
    let story = Story { scene: &scene, sent: &sent };
    story.log_is_exact();
    story.readers_saw_everything(readers, &progress);
    report(&recoveries, sent.iter().sum(), &progress);
}

fn report(recoveries: &[(Duration, Duration)], sent: usize, progress: &Progress) {
    let mut first_acks: Vec<u128> = recoveries.iter().map(|(_, ack)| ack.as_millis()).collect();
    first_acks.sort_unstable();
    let slowest_open = recoveries.iter().map(|(open, _)| open.as_millis()).max().unwrap_or(0);
    let (median, most) = match first_acks.as_slice() {
        [] => (0, 0),
        some => (some[some.len() / 2], some[some.len() - 1]),
    };
    let (consumed, again, commits) =
        (progress.next().iter().sum::<usize>(), progress.again(), progress.commits());
    println!("kill9: {} kills, {sent} records sent, all acknowledged once", recoveries.len());
    println!(
        "kill9: 0 lost, 0 doubled, 0 reordered; {consumed} consumed, {again} of them again after a restart"
    );
    println!("kill9: {commits} commits acknowledged, every resume at or after the last of them");
    println!(
        "kill9: ready after {slowest_open} ms at most; first acknowledgement after {median} ms (median), {most} ms (most)"
    );
}
