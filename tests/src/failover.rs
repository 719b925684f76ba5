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
use crate::witness::Witness;

/// How long a broker stands still.
const PAUSE: Duration = Duration::from_secs(6);

/// Partitions that the witness writes to.
const WITNESSED: usize = 3;

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
    seen: Figures,
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
    let addresses = BROKERS.map(|id| trial.cluster.broker(id).address());
    let witness = Witness::start(&addresses, WITNESSED);
    let mut rows = vec![Row::default(); WAYS.len()];
    for round in 1..=rounds {
        let mut order = [0, 1, 2, 3];
        trial.chance.shuffle(&mut order);
        for way in order {
            let stroke = Stroke { way: WAYS[way], round };
            stroke.fall(&mut trial, &witness, &mut rows[way]);
        }
    }
    witness.end();
    trial.finish("failover");
    report(&rows);
}

/// One of them.
struct Stroke {
    way: Way,
    round: u64,
}

impl Stroke {
    fn fall(&self, trial: &mut Trial, witness: &Witness, row: &mut Row) {
        let name = self.way.name();
        let (victim, view) = victim(trial, self.way);
        let [led, witnessed] = [&trial.scene.topic, &witness.topic].map(|topic| view.led_by(victim, topic));
        trial.load.pulse.mark();
        self.strike(trial, victim, &led, witness);
        let outages = trial.over(name);
        let slowest = |what: fn(&Outage) -> Duration| led.iter().map(|one| what(&outages[*one])).max();
        let next = slowest(|outage| outage.answered.unwrap_or_default()).unwrap_or_default();
        let silent = slowest(|outage| outage.longest).unwrap_or_default();
        // Nothing if the broker led none of its partitions.
        let seen = witness.answered(&witnessed);
        let seen_text = seen.map_or("nothing".to_owned(), |seen| format!("{:.2} s", seen.as_secs_f64()));
        let (next_s, silent_s, round) = (next.as_secs_f64(), silent.as_secs_f64(), self.round);
        println!(
            "failover: {round:3}: {name:<28} next after {next_s:.2} s, silent for {silent_s:.2} s; the witness: {seen_text}"
        );
        row.next.push(next);
        row.silent.push(silent);
        row.seen.extend(seen);
    }

    fn strike(&self, trial: &mut Trial, victim: i32, led: &[usize], witness: &Witness) {
        let name = self.way.name();
        match self.way {
            Way::KillLeader | Way::KillController => {
                trial.cluster.broker(victim).kill();
                witness.mark();
                trial.load.pulse.only_from_here();
                trial.answered(led, name);
                trial.cluster.broker(victim).spawn();
            }
            Way::Stop => {
                let broker = trial.cluster.broker(victim);
                broker.ask_to_stop();
                broker.wait_for_end();
                witness.mark();
                trial.answered(led, name);
                trial.cluster.broker(victim).spawn();
            }
            Way::Pause => {
                trial.cluster.broker(victim).pause();
                witness.mark();
                trial.load.pulse.only_from_here();
                std::thread::sleep(PAUSE);
                trial.cluster.broker(victim).resume();
                trial.answered(led, name);
            }
        }
    }
}

/// Whom it is done to, and the cluster as it is then. When nobody of the wanted kind leads anything, leaders are moved by stopping one in order.
fn victim(trial: &mut Trial, way: Way) -> (i32, View) {
    for _ in 0..TRIES {
        let view = trial.calm();
        if let Some(victim) = trial.chance.one_of(&way.victims(&view, &trial.scene.topic)) {
            return (victim, view);
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
        "\n{:<29}{:>6}{:>20}{:>10}{:>10}{:>14}{:>10}{:>10}{:>14}{:>10}{:>10}",
        "", "count", "next ack: median", "p95", "max", "silent", "p95", "max", "witness", "p95", "max"
    );
    for (way, row) in WAYS.iter().zip(rows) {
        let [next, next_95, next_max] = [50, 95, 100].map(|percent| row.next.seconds(percent));
        let [silent, silent_95, silent_max] = [50, 95, 100].map(|percent| row.silent.seconds(percent));
        let [seen, seen_95, seen_max] = [50, 95, 100].map(|percent| row.seen.seconds(percent));
        println!(
            "{:<29}{:>6}{next:>20}{next_95:>10}{next_max:>10}{silent:>14}{silent_95:>10}{silent_max:>10}{seen:>14}{seen_95:>10}{seen_max:>10}",
            way.name(),
            row.next.count()
        );
    }
    println!(
        "of the slowest partition that the broker led: from the signal to the first acknowledgement of a record sent after it; longest time without any; the first again as a client sees it that has no backoff, after the end of who stopped in order\n"
    );
}
