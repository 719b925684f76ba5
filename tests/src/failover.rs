//! Failover: how long the partitions of a broker that is killed, stopped or stands still are without a leader.
//!
//! What is measured is what a client sees: from the signal to the first acknowledgement of a record that was sent after
//! it, and the longest time without any, each of the slowest partition that the broker led. A broker that stops in order
//! still acknowledges while it hands over, so there the second figure is the one that counts.

use std::time::Duration;

use crate::cluster::BROKERS;
use crate::figures::Figures;
use crate::pulse::Outage;
use crate::trial::Trial;
use crate::view::View;

/// How long a broker stands still.
const PAUSE: Duration = Duration::from_secs(6);

/// Restarts in order that may pass until a broker of the wanted kind leads something.
const TRIES: usize = 8;

/// What is done to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    KillLeader,
    KillController,
    Stop,
    Pause,
}

const WAYS: [Way; 4] = [Way::KillLeader, Way::KillController, Way::Stop, Way::Pause];

/// What was measured of one way.
#[derive(Clone, Debug, Default)]
struct Row {
    next: Figures,
    silent: Figures,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::KillLeader => "kill -9, not the controller",
            Way::KillController => "kill -9, the controller",
            Way::Stop => "SIGTERM",
            Way::Pause => "SIGSTOP for 6 s",
        }
    }

    /// Whom it can be done to: those that lead partitions.
    fn victims(self, view: &View, topic: &str) -> Vec<i32> {
        let fits = |id: i32| match self {
            Way::KillLeader => id != view.controller,
            Way::KillController => id == view.controller,
            Way::Stop | Way::Pause => true,
        };
        BROKERS.into_iter().filter(|id| fits(*id) && !view.led_by(*id, topic).is_empty()).collect()
    }
}

/// So many times each way. Panics as chaos does.
pub fn run(rounds: u64, seed: u64) {
    println!("failover: {rounds} rounds, seed {seed}");
    let mut trial = Trial::start("failover", seed);
    let mut rows = vec![Row::default(); WAYS.len()];
    for round in 1..=rounds {
        let mut order = [0, 1, 2, 3];
        trial.chance.shuffle(&mut order);
        for way in order {
            strike(&mut trial, WAYS[way], &mut rows[way], round);
        }
    }
    trial.finish("failover");
    report(&rows);
}

fn strike(trial: &mut Trial, way: Way, row: &mut Row, round: u64) {
    let (victim, led) = victim(trial, way);
    trial.load.pulse.mark();
    match way {
        Way::KillLeader | Way::KillController => {
            trial.cluster.broker(victim).kill();
            trial.load.pulse.only_from_here();
            trial.answered(&led, way.name());
            trial.cluster.broker(victim).spawn();
        }
        Way::Stop => {
            let broker = trial.cluster.broker(victim);
            broker.ask_to_stop();
            broker.wait_for_end();
            trial.answered(&led, way.name());
            trial.cluster.broker(victim).spawn();
        }
        Way::Pause => {
            trial.cluster.broker(victim).pause();
            trial.load.pulse.only_from_here();
            std::thread::sleep(PAUSE);
            trial.cluster.broker(victim).resume();
            trial.answered(&led, way.name());
        }
    }
    let outages = trial.over(way.name());
    let slowest = |what: fn(&Outage) -> Duration| led.iter().map(|one| what(&outages[*one])).max();
    let next = slowest(|outage| outage.answered.unwrap_or_default()).unwrap_or_default();
    let silent = slowest(|outage| outage.longest).unwrap_or_default();
    let (next_s, silent_s) = (next.as_secs_f64(), silent.as_secs_f64());
    println!("failover: {round:3}: {:<28} next after {next_s:.2} s, silent for {silent_s:.2} s", way.name());
    row.next.push(next);
    row.silent.push(silent);
}

/// Whom it is done to, and what it leads. When nobody of the wanted kind leads anything, leaders are moved by stopping one in order.
fn victim(trial: &mut Trial, way: Way) -> (i32, Vec<usize>) {
    for _ in 0..TRIES {
        let view = trial.calm();
        if let Some(victim) = trial.chance.one_of(&way.victims(&view, &trial.scene.topic)) {
            return (victim, view.led_by(victim, &trial.scene.topic));
        }
        let leaders = BROKERS.into_iter().filter(|id| !view.led_by(*id, &trial.scene.topic).is_empty());
        let leaders: Vec<i32> = leaders.collect();
        let leader = trial.chance.one_of(&leaders).expect("somebody leads");
        let broker = trial.cluster.broker(leader);
        broker.ask_to_stop();
        broker.wait_for_end();
        broker.spawn();
    }
    panic!("{}: nobody of that kind leads a partition after {TRIES} restarts", way.name());
}

fn report(rows: &[Row]) {
    println!(
        "\n{:<29}{:>6}{:>20}{:>10}{:>10}{:>14}{:>10}{:>10}",
        "", "count", "next ack: median", "p95", "max", "silent", "p95", "max"
    );
    for (way, row) in WAYS.iter().zip(rows) {
        let [next, next_95, next_max] = [50, 95, 100].map(|percent| row.next.seconds(percent));
        let [silent, silent_95, silent_max] = [50, 95, 100].map(|percent| row.silent.seconds(percent));
        println!(
            "{:<29}{:>6}{next:>20}{next_95:>10}{next_max:>10}{silent:>14}{silent_95:>10}{silent_max:>10}",
            way.name(),
            row.next.count()
        );
    }
    println!(
        "of the slowest partition that the broker led: from the signal to the first acknowledgement of a record sent after it; longest time without any\n"
    );
}
