//! Drawing a plan for several brokers. Whatever strikes one strikes any of them; what damages a disk strikes a minority alone.

use super::faults::{company, draw_fault, draw_times};
use super::racks::draw_racks;
use super::throttles::draw_throttles;
use super::{CLOCKS_AGREE_MS, OFFSETS_KEPT_MINUTES, PRODUCERS_KEPT_MS};
use super::{draw_drift, draw_hostile, draw_off, draw_server, draw_topics, draw_users, forgets, pair};
use crate::actor::moves::MovesPlan;
use crate::plan::fault::{Blow, Fault, FaultPlan, Shape};
use crate::plan::tide::{Course, between};
use crate::plan::{Deeds, Plan, ServerPlan, UserPlan, as_many_as_ever};
use crate::rng::Rng;
use crate::world::network::Weather;
use crate::world::server::peer_address;

/// Kinds of faults of a broker alone, as `draw_fault` counts them.
const ALONE: u64 = 23;
/// All kinds, those among brokers with them.
const ALL: u64 = ALONE + 12;

impl Plan {
    /// The plan of a seed for several brokers.
    pub fn draw_cluster(seed: u64, count: usize) -> Plan {
        let mut rng = Rng::new(seed ^ 0x636c_7573_7465_7200 ^ count as u64);
        let course = Course::draw_cluster(&mut rng);
        let mut topics = draw_topics(&mut rng, &course);
        topics.iter_mut().for_each(|t| t.replicas = Some(1 + rng.below(count as u64) as i16));
        let mut users = draw_users(&mut rng, &topics, &course);
        let voters = draw_voters(seed, count);
        let faults = draw_faults(&mut rng, &course, (count, users.len()), &voters);
        users.extend(draw_hostile(seed, &users));
        draw_moves(seed, count, &mut users);
        let forgets = forgets(&mut rng, &course, &users, &faults);
        let mut servers = draw_servers(&mut rng, &course, forgets, (count, &voters));
        draw_racks(seed, &mut servers, &mut users);
        draw_in_sync(seed, &mut users, &mut servers);
        draw_throttles(seed, &mut users, &mut servers);
        let far = if rng.percent(20) { 60_000 } else { 2_000 };
        let weather = Weather {
            least_us: 20 + rng.below(200),
            spread_us: 1 + rng.below(far),
            lost_per_mille: if rng.percent(20) { rng.below(30) } else { 0 },
        };
        Plan {
            seed,
            load_ms: course.load_ms,
            metadata_max_age_ms: (course.load_ms / 100).clamp(10_000, 300_000) as i64,
            tides: course.tides,
            servers,
            users,
            weather,
            faults,
            power_loss_at_end: rng.percent(50),
            echoes_per_mille: if rng.percent(50) { rng.below(200) } else { 0 },
        }
    }
}

/// In half of the plans the operator moves leaders and replicas too; drawn apart, so that the rest is the same with and without.
fn draw_moves(seed: u64, count: usize, users: &mut [UserPlan]) {
    let mut rng = Rng::new(seed ^ 0x006d_6f76_6573);
    let moves = MovesPlan {
        brokers: count,
        percent: 10 + rng.below(80),
        others_percent: if rng.percent(50) { 20 } else { 0 },
    };
    let every_ms = 100 + rng.below(1_500);
    if rng.percent(50) {
        for user in users {
            if let Deeds::Operate(plan) = &mut user.does {
                // Who does nothing else does this alone.
                let percent = if plan.every_ms == 0 { 100 } else { moves.percent };
                plan.every_ms = if plan.every_ms == 0 { every_ms } else { plan.every_ms.min(every_ms) };
                plan.moves = Some(MovesPlan { percent, ..moves.clone() });
            }
        }
    }
}

/// How many must be in sync, and how soon one is not any more; drawn apart, so that the rest is the same with and without.
fn draw_in_sync(seed: u64, users: &mut [UserPlan], servers: &mut [ServerPlan]) {
    let mut rng = Rng::new(seed ^ 0x0069_6e73_796e_6373);
    for user in users {
        let Deeds::Operate(plan) = &mut user.does else { continue };
        for topic in &mut plan.topics {
            let replicas = topic.replicas.unwrap_or(1) as u64;
            if rng.percent(50) {
                topic.configs.push(pair("min.insync.replicas", 1 + rng.below(replicas)));
            }
        }
    }
    if rng.percent(50) {
        let (lag, session) = (between(&mut rng, 520, 10_000), between(&mut rng, 400, 4_000));
        let beat = session / (2 + rng.below(8));
        for server in servers {
            server.configs.push(pair("replica.lag.time.max.ms", lag));
            server.configs.push(pair("broker.session.timeout.ms", session));
            server.configs.push(pair("broker.heartbeat.interval.ms", beat));
        }
    }
}

/// Brokers that have their configs in common, but for who they are. Where their wall clocks are far apart nothing is forgotten soon: what a
/// leader wrote a moment ago looks old to the next one, which forgets it rightly.
fn draw_servers(
    rng: &mut Rng,
    course: &Course,
    forgets: (u64, u64),
    (count, voters): (usize, &[usize]),
) -> Vec<ServerPlan> {
    let first = draw_server(rng, course, forgets);
    let named = voters.iter().map(|at| at + 1).map(|id| format!("{id}@{}", peer_address(id)));
    let named: Vec<String> = named.collect();
    let times = [("election", 100, 900), ("fetch", 300, 1_700), ("request", 300, 1_700)]
        .map(|(name, least, spread)| (name, least + rng.below(spread)));
    let server = |id: usize| {
        let mut configs = first.configs.clone();
        configs.push(pair("node.id", id));
        configs.push(pair("quipu.voters", named.join(",")));
        if !voters.contains(&(id - 1)) {
            configs.push(pair("quipu.peer.listen", peer_address(id)));
        }
        configs.push(pair("advertised.listeners", format!("PLAINTEXT://broker-{id}:9092")));
        for (name, ms) in times {
            configs.push(pair(&format!("controller.quorum.{name}.timeout.ms"), ms));
        }
        let batches_at_once = if rng.percent(50) { 1 + rng.below(8) as usize } else { as_many_as_ever() };
        ServerPlan { drift_ppm: draw_drift(rng), off_ms: draw_off(rng), configs, batches_at_once }
    };
    let mut servers: Vec<ServerPlan> = (1..=count).map(server).collect();
    if servers.iter().any(|server| server.off_ms.abs() > CLOCKS_AGREE_MS) {
        for (name, value) in servers.iter_mut().flat_map(|server| &mut server.configs) {
            match name.as_str() {
                "offsets.retention.minutes" => *value = OFFSETS_KEPT_MINUTES.to_string(),
                "producer.id.expiration.ms" => *value = PRODUCERS_KEPT_MS.to_string(),
                _ => {}
            }
        }
    }
    servers
}

/// Which brokers vote: all of them as a rule, and sometimes one of three, or three of five. Drawn by itself, so that all else is as it
/// would be.
fn draw_voters(seed: u64, count: usize) -> Vec<usize> {
    let mut rng = Rng::new(seed ^ 0x0076_6f74_6572_7300 ^ count as u64);
    let mut voters: Vec<usize> = (0..count).collect();
    let few = if count > 3 { rng.percent(35).then_some(3) } else { rng.percent(20).then_some(1) };
    while voters.len() > few.unwrap_or(count) {
        voters.swap_remove(rng.below(voters.len() as u64) as usize);
    }
    voters.sort_unstable();
    voters
}

/// Brokers whose disks may be damaged: a minority of all, and of those that vote.
fn draw_frail(rng: &mut Rng, count: usize, voters: &[usize]) -> Vec<usize> {
    let mut frail: Vec<usize> = (0..count).collect();
    while frail.len() > (count - 1) / 2 {
        frail.swap_remove(rng.below(frail.len() as u64) as usize);
    }
    let mut votes = 0;
    frail.retain(|at| {
        votes += usize::from(voters.contains(at));
        !voters.contains(at) || votes <= (voters.len() - 1) / 2
    });
    if frail.is_empty() {
        frail.extend((0..count).find(|at| !voters.contains(at)));
    }
    frail
}

fn draw_faults(
    rng: &mut Rng,
    course: &Course,
    (count, users): (usize, usize),
    voters: &[usize],
) -> Vec<FaultPlan> {
    let kinds: Vec<u64> = (0..ALL).filter(|kind| rng.percent(chance(*kind))).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let frail = draw_frail(rng, count, voters);
    let mut times = draw_times(rng, course);
    times.sort_unstable();
    let mut faults = Vec::new();
    for at_ms in times {
        let kind = kinds[rng.below(kinds.len() as u64) as usize];
        let what = if kind < ALONE { draw_fault(rng, kind, users, 1) } else { among(rng, kind, count) };
        let fault = FaultPlan { at_ms, what };
        let fellows = company(rng, &fault);
        let at = rng.below(count as u64) as usize;
        let at = if fault.what.damages() { frail[at % frail.len()] } else { at };
        faults.extend([fault].into_iter().chain(fellows).map(|mut fault| {
            fault.what.aim(at);
            fault
        }));
    }
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// How many seeds in a hundred have a kind of fault. Few have one after which a disk has forgotten what it promised, and does not
/// know it: less is claimed of them.
fn chance(kind: u64) -> u64 {
    match kind {
        10 => 8,
        19..=21 => 3,
        22 => 12,
        ALONE.. => 45,
        _ => 25,
    }
}

/// A fault among brokers.
fn among(rng: &mut Rng, kind: u64, count: usize) -> Fault {
    let most = if rng.percent(25) { 12_000 } else { 4_000 };
    let ms = 100 + rng.below(most);
    let blows = [Blow::Kill, Blow::PowerLoss, Blow::Pause, Blow::Isolate, Blow::Mute, Blow::Deafen];
    let two = |rng: &mut Rng| {
        let one = rng.below(count as u64) as usize;
        (one, (one + 1 + rng.below(count as u64 - 1) as usize) % count)
    };
    match kind - ALONE {
        0 => part(rng, Shape::Halves, count, ms),
        1 => part(rng, Shape::Isolated, count, ms),
        2 => part(rng, Shape::Bridge, count, ms),
        3 => part(rng, Shape::Ring, count, ms),
        4 => part(rng, Shape::OneWay, count, ms),
        5 => {
            let (one, other) = two(rng);
            Fault::ResetPeers { one, other, tells: (rng.percent(60), rng.percent(60)) }
        }
        6 => {
            let ((from, to), by_us) = (two(rng), between(rng, 1_000, 4_000_000));
            Fault::SlowPath { from, to, by_us, ms }
        }
        7 => Fault::AllDown { power: rng.percent(70), down_ms: 10 + rng.below(1_500) },
        _ => Fault::StrikeLeader { blow: blows[rng.below(6) as usize], ms },
    }
}

/// A partition of this shape among brokers in a drawn order.
fn part(rng: &mut Rng, shape: Shape, count: usize, ms: u64) -> Fault {
    let mut order: Vec<usize> = (0..count).collect();
    (1..count).rev().for_each(|i| order.swap(i, rng.below(i as u64 + 1) as usize));
    let edge = 1 + rng.below(count as u64 - 1) as usize;
    let (incoming, outgoing) = [(true, true), (true, false), (false, true)][rng.below(3) as usize];
    let parted = |one: usize, other: usize, rng: &mut Rng| match shape {
        Shape::Halves => (one < edge) != (other < edge),
        Shape::Isolated => (one == 0 && outgoing) || (other == 0 && incoming),
        Shape::Bridge => one != 0 && other != 0 && (one <= count / 2) != (other <= count / 2),
        // Three are all neighbours: there each hears the one before it alone.
        Shape::Ring if count == 3 => (one + 1) % count != other,
        Shape::Ring => !matches!(one.abs_diff(other), 1) && one.abs_diff(other) != count - 1,
        Shape::OneWay => rng.percent(30),
    };
    let mut ways = Vec::new();
    for one in 0..count {
        for other in (0..count).filter(|other| *other != one) {
            if parted(one, other, rng) {
                ways.push((order[one], order[other]));
            }
        }
    }
    let flaps_ms = if rng.percent(30) { between(rng, 50, 3_000) } else { 0 };
    Fault::Part { shape, ways, flaps_ms, ms: if flaps_ms > 0 { ms * 3 } else { ms } }
}

#[cfg(test)]
mod tests {
    use quipu_core::config::{BrokerConfig, Settings};

    use super::*;

    #[test]
    fn every_broker_is_struck_by_something_and_a_minority_of_disks_is_damaged_at_most() {
        let plans: Vec<Plan> =
            (0..300).map(|seed| Plan::draw_cluster(seed, [3, 5][seed as usize % 2])).collect();
        let mut named = std::collections::BTreeSet::new();
        for plan in &plans {
            let mut damaged = std::collections::BTreeSet::new();
            for fault in &plan.faults {
                named.insert(fault.what.name());
                if fault.what.damages() {
                    damaged.insert(
                        serde_json::to_value(&fault.what)
                            .expect("a fault")
                            .as_object()
                            .and_then(|o| o.values().next()?.get("server")?.as_u64()),
                    );
                }
            }
            assert!(damaged.len() <= (plan.servers.len() - 1) / 2, "seed {}: {damaged:?}", plan.seed);
        }
        assert_eq!(named.len(), Fault::NAMES.len(), "{named:?}");
    }

    #[test]
    fn the_voters_are_the_same_everywhere_and_each_broker_knows_who_it_is() {
        let plan = Plan::draw_cluster(1, 5);
        let config = |at: usize, name: &str| {
            plan.servers[at].configs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        };
        assert!((0..5).all(|at| config(at, "node.id") == Some((at + 1).to_string())));
        assert!((0..5).all(|at| config(at, "quipu.voters") == config(0, "quipu.voters")));
    }

    #[test]
    fn some_brokers_have_no_vote_at_times_and_damage_leaves_a_majority_of_those_that_have() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let count = [3, 5][seed as usize % 2];
            let voters = draw_voters(seed, count);
            seen.insert((count, voters.len()));
            let frail = draw_frail(&mut Rng::new(seed), count, &voters);
            let votes = frail.iter().filter(|at| voters.contains(at)).count();
            assert!(!frail.is_empty() && frail.len() <= (count - 1) / 2, "{frail:?} of {count}");
            assert!(votes * 2 < voters.len(), "{frail:?} of the voters {voters:?}");
            for server in Plan::draw_cluster(seed, count).servers {
                let mut settings = Settings::new();
                server.configs.iter().for_each(|(name, value)| settings.set(name, value).expect("a config"));
                let config = BrokerConfig::new(settings);
                assert_eq!(config.check(), Vec::<String>::new());
                let own = peer_address(config.node_id.0 as usize);
                assert_eq!(config.peer_address, Some(own));
            }
        }
        assert_eq!(seen, [(3, 1), (3, 3), (5, 3), (5, 5)].into());
    }
}
