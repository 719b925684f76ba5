//! Drawing the faults of a plan: most in its bursts, when much is under way, some in its quiet stretches.

use crate::plan::fault::{Fault, FaultPlan};
use crate::plan::tide::{Course, between};
use crate::rng::Rng;
use crate::world::network::Weather;

/// Which kinds of faults a seed has, how often, and what each is.
pub(super) fn draw(rng: &mut Rng, course: &Course, users: usize) -> Vec<FaultPlan> {
    let kinds: Vec<u64> = (0..23).filter(|kind| rng.percent(chance(*kind))).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut times = draw_times(rng, course);
    times.sort_unstable();
    let mut fault = |at_ms| {
        let kind = kinds[rng.below(kinds.len() as u64) as usize];
        // In a long load some faults last long as well: beyond every session and delivery time-out.
        let times = if course.is_long() && rng.percent(25) { between(rng, 2, 40) } else { 1 };
        FaultPlan { at_ms, what: draw_fault(rng, kind, users, times) }
    };
    let mut faults: Vec<FaultPlan> = times.into_iter().map(&mut fault).collect();
    let more: Vec<FaultPlan> = faults.iter().flat_map(|fault| company(rng, fault)).collect();
    faults.extend(more);
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// What comes with some faults: a bit that flips is often found at the next start only, or by the first append after it; on
/// a slow disk much is in the round that finds it full, or that a checkpoint is in; and a broker is killed again while it
/// reads the groups' logs, on a disk that is slow enough for that.
pub(super) fn company(rng: &mut Rng, fault: &FaultPlan) -> Vec<FaultPlan> {
    let at = |at_ms: u64, what| FaultPlan { at_ms, what };
    let struck_at = fault.at_ms;
    match fault.what {
        Fault::Flip { server, .. } => match rng.below(4) {
            0 => vec![at(struck_at + 20, Fault::Kill { server, down_ms: 50 })],
            1 | 2 => {
                let down_ms = 200 + rng.below(2_000);
                vec![at(struck_at.saturating_sub(150), Fault::Kill { server, down_ms })]
            }
            _ => Vec::new(),
        },
        Fault::Full { server, .. } | Fault::CrashCheckpointing { server, .. } if rng.percent(50) => {
            let slow = Fault::SlowDisk { server, times: 2 + rng.below(500), ms: 50 + rng.below(4_000) };
            vec![at(struck_at.saturating_sub(1), slow)]
        }
        Fault::Kill { server, down_ms } if rng.percent(30) => vec![
            at(struck_at, Fault::SlowDisk { server, times: 100 + rng.below(400), ms: down_ms + 2_000 }),
            at(struck_at + down_ms + 40 + rng.below(500), Fault::Kill { server, down_ms: 100 }),
        ],
        _ => Vec::new(),
    }
}

/// How many seeds in a hundred have a kind of fault. Few have one that no single broker survives: less is claimed of them.
fn chance(kind: u64) -> u64 {
    match kind {
        10 => 10,
        19..=22 => 4,
        _ => 35,
    }
}

/// When faults strike.
pub(super) fn draw_times(rng: &mut Rng, course: &Course) -> Vec<u64> {
    let gap = 300 + rng.below(3_000);
    let mut times = Vec::new();
    for (from, to) in course.bursts() {
        let gap = if course.is_long() { gap / 3 } else { gap };
        let mut at_ms = from + 200 + rng.below(2 * gap);
        // What is down when a burst ends comes back in the quiet.
        while at_ms < (to + gap).min(course.load_ms) {
            times.push(at_ms);
            at_ms += rng.below(2 * gap) + 1;
        }
    }
    if course.is_long() {
        times.extend((0..rng.below(6)).map(|_| rng.below(course.load_ms)));
    }
    times
}

pub(super) fn draw_fault(rng: &mut Rng, kind: u64, users: usize, times: u64) -> Fault {
    let server = 0;
    let user = rng.below(users as u64) as usize;
    let down_ms = (10 + rng.below(2_000)) * times;
    let ms = (50 + rng.below(4_000)) * times;
    let operations = rng.below(40);
    let power = rng.percent(70);
    match kind {
        0 => Fault::Kill { server, down_ms },
        1 => Fault::PowerLoss { server, down_ms },
        2 => Fault::CrashWriting { server, operations, power, down_ms },
        3 => Fault::CrashRecovering { server, operations: rng.below(60), power, down_ms },
        4 => Fault::Stop { server, down_ms },
        5 => Fault::Pause { server, ms: ms * 2 },
        6 => Fault::FailSync { server, down_ms },
        7 => Fault::FailWrite { server, operations, down_ms },
        8 => {
            let most = if rng.percent(50) { 1_000 } else { 20_000 };
            Fault::Full { server, room: rng.below(most), ms }
        }
        9 => Fault::SlowDisk { server, times: 2 + rng.below(500), ms },
        10 => Fault::Flip { server, draw: rng.bits() },
        11 => {
            let (up, down) = [(true, true), (true, false), (false, true)][rng.below(3) as usize];
            Fault::Cut { user, server, up, down, ms: ms * 3 }
        }
        12 => Fault::Reset { user, server, tells: (rng.percent(60), rng.percent(60)) },
        13 => Fault::Storm { weather: draw_storm(rng), ms },
        14 => {
            let syncs = rng.percent(70);
            let operations = rng.below(if syncs { 5 } else { 60 });
            Fault::CrashCheckpointing { server, operations, syncs, power, down_ms }
        }
        15 => Fault::Jump { server, by_ms: [1_000, -1_000, 3_600_000, -3_600_000][rng.below(4) as usize] },
        16 => Fault::KillUser { user, down_ms },
        _ => draw_disk_fault(rng, kind, (operations, ms, down_ms)),
    }
}

fn draw_storm(rng: &mut Rng) -> Weather {
    Weather { least_us: rng.below(20_000), spread_us: rng.below(200_000), lost_per_mille: rng.below(300) }
}

/// What a disk does that takes time or fails reads, and what no single broker survives.
fn draw_disk_fault(rng: &mut Rng, kind: u64, (operations, ms, down_ms): (u64, u64, u64)) -> Fault {
    let server = 0;
    match kind {
        17 => Fault::Stall { server, ms: ms * 3 },
        18 => Fault::FailReads { server, one_in: 1 + rng.below(50), ms },
        19 => Fault::BetrayWrite { server, operations, elsewhere: false },
        20 => Fault::BetrayWrite { server, operations, elsewhere: true },
        21 => Fault::RollBack { server, ms: ms * 2, down_ms },
        _ => Fault::Wipe { server, down_ms },
    }
}
