//! `quipu-sim`: simulated clusters, many seeds of them, and the claims that must hold.
fn main() {
    let mut args = std::env::args().skip(1);
    let from: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(0);
    let to: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(from + 1);
    let aloud = args.next().is_some();
    let began = std::time::Instant::now();
    let (mut sim, mut events, mut acked, mut read, mut disc) = (0.0, 0, 0, 0, 0);
    for seed in from..to {
        let out = quipu_sim::run::run(quipu_sim::plan::Plan::draw(seed), aloud);
        if let Some(b) = &out.broken {
            println!("seed {seed}: {} {}: {}", b.claim, b.says, b.story);
        }
        sim += out.seconds;
        events += out.events;
        acked += out.acknowledged;
        read += out.read;
        disc += u64::from(out.discarded.is_some());
    }
    let t = began.elapsed().as_secs_f64();
    println!(
        "{} seeds {:.1}s sim {:.0}s ({:.0}/s) events {} ({:.0}/s) acked {} read {} discarded {}",
        to - from,
        t,
        sim,
        sim / t,
        events,
        events as f64 / t,
        acked,
        read,
        disc
    );
}
