//! Chaos: what can happen to a broker happens, one after the other, to a cluster under load that must come back each time.
//!
//! The faults: kill -9 of one that leads partitions, of the active controller, of all three at once; one that stands still
//! for 10 s with its connections open; one that is stopped in order and started again; one that is killed and loses its
//! disk. A broker that was killed comes back at once, or after the others have taken over; the seed draws which. The cluster has
//! come back when every broker lives, is in sync everywhere and has its vote.
//!
//! librdkafka's load says when it has; beside it the Java client and franz-go write and read as they are by default.

use std::time::{Duration, Instant};

use crate::cluster::BROKERS;
use crate::figures::Figures;
use crate::foreign::{Foreign, install};
use crate::trial::Trial;
use crate::view::View;

/// How long one that is paused stands still: longer than `broker.session.timeout.ms`.
const PAUSE: Duration = Duration::from_secs(10);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KillLeader,
    KillController,
    Pause,
    Restart,
    KillAll,
    Wipe,
}

/// What was measured of one kind of fault.
#[derive(Clone, Debug, Default)]
struct Row {
    /// The longest silence of each partition in each strike.
    silences: Figures,
    /// From the signal until every broker is back and in sync everywhere.
    whole: Figures,
}

impl Fault {
    const ALL: [Fault; 6] =
        [Fault::KillLeader, Fault::KillController, Fault::Pause, Fault::Restart, Fault::KillAll, Fault::Wipe];

    fn name(self) -> &'static str {
        match self {
            Fault::KillLeader => "kill -9 of a leader",
            Fault::KillController => "kill -9 of the controller",
            Fault::Pause => "SIGSTOP for 10 s",
            Fault::Restart => "restart in order",
            Fault::KillAll => "kill -9 of all three",
            Fault::Wipe => "kill -9, disk emptied",
        }
    }
}

/// One fault of each kind in an order that is drawn, then more until so many minutes are over.
/// Panics when a record is lost, doubled or reordered, a reader resumes where it must not, or the cluster does not come back.
pub fn run(minutes: u64, seed: u64) {
    println!("chaos: at least {minutes} minutes, seed {seed}");
    let installed = install();
    let mut trial = Trial::start("chaos", seed);
    let mut foreign = Foreign::start(&trial.scene.bootstrap, trial.scene.partitions, installed);
    let mut rows = vec![Row::default(); Fault::ALL.len()];
    let mut first = Fault::ALL;
    trial.chance.shuffle(&mut first);
    for fault in first {
        strike(&mut trial, fault, &mut rows);
        foreign.over();
    }
    while trial.elapsed() < Duration::from_secs(60 * minutes) {
        let fault = trial.chance.one_of(&Fault::ALL).expect("there are faults");
        strike(&mut trial, fault, &mut rows);
        foreign.over();
    }
    foreign.finish();
    trial.finish("chaos");
    report(&rows);
}

fn strike(trial: &mut Trial, fault: Fault, rows: &mut [Row]) {
    let view = trial.calm();
    let victims = victims(trial, fault, &view);
    let at = trial.elapsed().as_secs_f64();
    println!("chaos: {at:6.1} s: {} ({victims:?}; the controller is {})", fault.name(), view.controller);
    trial.load.pulse.mark();
    let struck = Instant::now();
    inflict(trial, fault, &victims);
    trial.cluster.whole();
    let whole = struck.elapsed();
    let outages = trial.over(fault.name());
    let worst = outages.iter().map(|outage| outage.longest).max().unwrap_or_default();
    println!(
        "chaos:           silent for {:.2} s at most, whole after {:.2} s",
        worst.as_secs_f64(),
        whole.as_secs_f64()
    );
    let row = &mut rows[Fault::ALL.iter().position(|known| *known == fault).expect("all are listed")];
    row.silences.extend(outages.iter().map(|outage| outage.longest));
    row.whole.push(whole);
}

/// Whom it hits.
fn victims(trial: &mut Trial, fault: Fault, view: &View) -> Vec<i32> {
    let leads = |id: &i32| !view.led_by(*id, &trial.scene.topic).is_empty();
    let among: Vec<i32> = match fault {
        Fault::KillAll => return BROKERS.to_vec(),
        Fault::KillController => vec![view.controller],
        Fault::KillLeader => BROKERS.iter().copied().filter(leads).collect(),
        Fault::Pause | Fault::Restart | Fault::Wipe => BROKERS.to_vec(),
    };
    vec![trial.chance.one_of(&among).expect("somebody leads")]
}

/// Does it, and undoes it.
fn inflict(trial: &mut Trial, fault: Fault, victims: &[i32]) {
    match fault {
        Fault::KillLeader | Fault::KillController | Fault::KillAll | Fault::Wipe => {
            victims.iter().for_each(|id| trial.cluster.broker(*id).kill());
            trial.load.pulse.only_from_here();
            if fault == Fault::Wipe {
                trial.cluster.empty(victims[0]);
            }
            stay_down(trial, fault);
            victims.iter().for_each(|id| trial.cluster.broker(*id).spawn());
        }
        Fault::Pause => {
            trial.cluster.broker(victims[0]).pause();
            std::thread::sleep(PAUSE);
            trial.cluster.broker(victims[0]).resume();
        }
        Fault::Restart => {
            let broker = trial.cluster.broker(victims[0]);
            broker.ask_to_stop();
            broker.wait_for_end();
            broker.spawn();
        }
    }
}

/// Half of all times only for a moment; else, where others can take over, until they have.
fn stay_down(trial: &mut Trial, fault: Fault) {
    let moment = trial.chance.pause(1_000);
    if fault != Fault::KillAll && trial.chance.below(2) == 0 {
        trial.all_answered("while one is away");
    }
    std::thread::sleep(moment);
}

fn report(rows: &[Row]) {
    println!("\n{:<27}{:>6}{:>11}{:>10}{:>11}{:>10}", "fault", "count", "silent", "worst", "whole", "worst");
    for (fault, row) in Fault::ALL.iter().zip(rows) {
        let [silent, silent_worst] = [50, 100].map(|percent| row.silences.seconds(percent));
        let [whole, whole_worst] = [50, 100].map(|percent| row.whole.seconds(percent));
        println!(
            "{:<27}{:>6}{silent:>11}{silent_worst:>10}{whole:>11}{whole_worst:>10}",
            fault.name(),
            row.whole.count()
        );
    }
    println!(
        "silent: the longest time without an acknowledgement, of every partition; whole: from the signal until all are in sync again; medians\n"
    );
}
