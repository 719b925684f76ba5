//! Drawing a plan from a seed: a swarm, in which each seed does without some kinds of faults and turns others up.

mod cluster;
mod faults;
mod racks;
mod throttles;

use super::fault::{Fault, FaultPlan};
use super::tide::{Course, between};
use super::{Deeds, Plan, ServerPlan, UserPlan, as_many_as_ever};
use crate::actor::auditor::AuditorPlan;
use crate::actor::group_member::MemberPlan;
use crate::actor::hostile::HostilePlan;
use crate::actor::operator::{OperatorPlan, TopicPlan};
use crate::actor::producer::ProducerPlan;
use crate::actor::reader::ReaderPlan;
use crate::actor::veteran::VeteranPlan;
use crate::actor::zombie::ZombiePlan;
use crate::rng::Rng;
use crate::world::network::Weather;

impl Plan {
    /// The plan of a seed, for one broker.
    pub fn draw(seed: u64) -> Plan {
        let mut rng = Rng::new(seed ^ 0x706c_616e);
        let course = Course::draw(&mut rng);
        let topics = draw_topics(&mut rng, &course);
        let mut users = draw_users(&mut rng, &topics, &course);
        let faults = faults::draw(&mut rng, &course, users.len());
        users.extend(draw_hostile(seed, &users));
        let forgets = forgets(&mut rng, &course, &users, &faults);
        let server = draw_server(&mut rng, &course, forgets);
        Plan {
            seed,
            load_ms: course.load_ms,
            metadata_max_age_ms: (course.load_ms / 100).clamp(10_000, 300_000) as i64,
            tides: course.tides,
            servers: vec![server],
            users,
            weather: Weather {
                least_us: 20 + rng.below(200),
                spread_us: 1 + rng.below(2_000),
                lost_per_mille: 0,
            },
            faults,
            power_loss_at_end: rng.percent(50),
            echoes_per_mille: 0,
        }
    }
}

/// Wall clocks that are off by no more count as right.
const CLOCKS_AGREE_MS: i64 = 2_000;
/// For how long offsets of groups are kept if nothing else is said: Kafka's week.
const OFFSETS_KEPT_MINUTES: u64 = 10_080;
/// For how long producers are kept that write no more: Kafka's day.
const PRODUCERS_KEPT_MS: u64 = 86_400_000;

fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_string(), value.to_string())
}

/// After how long offsets of groups, in minutes, and producers, in milliseconds, are forgotten: Kafka's days, or less than a
/// long load lasts. Not with wall clocks that jump, which may make anything look old; nor producers among clocks that are
/// apart or with one who tries a batch for ever: it would rightly be written again once its producer is forgotten.
fn forgets(rng: &mut Rng, course: &Course, users: &[UserPlan], faults: &[FaultPlan]) -> (u64, u64) {
    let (offsets, producers) = (rng.percent(50), rng.percent(50));
    let jumps = faults.iter().any(|f| matches!(f.what, Fault::Jump { .. }));
    let apart = users
        .iter()
        .any(|u| u.off_ms.abs() > CLOCKS_AGREE_MS || matches!(u.does, Deeds::Wrap(_) | Deeds::Haunt(_)));
    let steady = course.is_long() && !jumps;
    let minutes =
        if steady && offsets { 1 + rng.below(course.load_ms / 400_000) } else { OFFSETS_KEPT_MINUTES };
    let silent_ms =
        if steady && producers && !apart { between(rng, 130_000, 1_800_000) } else { PRODUCERS_KEPT_MS };
    (minutes, silent_ms)
}

fn draw_server(rng: &mut Rng, course: &Course, (minutes, silent_ms): (u64, u64)) -> ServerPlan {
    let mut often = |least| course.interval(rng, (least, 5_000), 300_000);
    let (checkpoints, retention, expiry) = (often(200), often(500), often(200));
    let configs = vec![
        pair("log.flush.offset.checkpoint.interval.ms", checkpoints),
        pair("log.retention.check.interval.ms", retention),
        pair("offsets.topic.num.partitions", 1 + rng.below(3)),
        pair("offsets.retention.check.interval.ms", expiry),
        pair("offsets.topic.segment.bytes", 2_000 + rng.below(30_000)),
        pair("group.initial.rebalance.delay.ms", rng.below(1_000)),
        pair("group.min.session.timeout.ms", 500),
        pair("quipu.hot.tail.bytes", [0, 4_000, 100_000, 64 << 20][rng.below(4) as usize]),
        pair("quipu.disk.reserve.bytes", 0),
        pair("offsets.retention.minutes", minutes),
        pair("producer.id.expiration.ms", silent_ms),
        pair("producer.id.expiration.check.interval.ms", checkpoints.max(1_000)),
        pair(
            "metadata.log.max.record.bytes.between.snapshots",
            [1, 500, 5_000, 1 << 20][rng.below(4) as usize],
        ),
    ];
    let batches_at_once = if rng.percent(50) { 1 + rng.below(8) as usize } else { as_many_as_ever() };
    ServerPlan { drift_ppm: draw_drift(rng), off_ms: draw_off(rng), configs, batches_at_once }
}

fn draw_drift(rng: &mut Rng) -> i64 {
    rng.below(100_001) as i64 - 50_000
}

fn draw_off(rng: &mut Rng) -> i64 {
    if rng.percent(70) { rng.below(2_000) as i64 - 1_000 } else { rng.below(7_200_000) as i64 - 3_600_000 }
}

fn draw_topics(rng: &mut Rng, course: &Course) -> Vec<TopicPlan> {
    let count = 1 + rng.below(3);
    (0..count)
        .map(|i| {
            // Some so small that a round of the disk often begins several segments.
            let segment = if rng.percent(30) { 300 + rng.below(4_000) } else { 2_000 + rng.below(60_000) };
            let mut configs = vec![
                pair("internal.segment.bytes", segment),
                pair("index.interval.bytes", 1 + rng.below(8_000)),
            ];
            if rng.percent(25) {
                configs.push(pair("message.timestamp.type", "LogAppendTime"));
            }
            if rng.percent(15) {
                let codecs = ["gzip", "snappy", "lz4", "zstd", "uncompressed"];
                configs.push(pair("compression.type", codecs[rng.below(5) as usize]));
            }
            if course.is_long() && rng.percent(30) {
                configs.push(pair("retention.ms", between(rng, course.load_ms / 100, course.load_ms / 2)));
                configs.push(pair("segment.ms", between(rng, course.load_ms / 100, course.load_ms)));
            }
            if rng.percent(15) {
                configs.push(pair("retention.bytes", between(rng, 5_000, 1_000_000)));
            }
            TopicPlan { name: format!("t{i}"), partitions: 1 + rng.below(3) as i32, configs, replicas: None }
        })
        .collect()
}

fn draw_users(rng: &mut Rng, topics: &[TopicPlan], course: &Course) -> Vec<UserPlan> {
    let all: Vec<(String, i32)> =
        topics.iter().flat_map(|t| (0..t.partitions).map(|p| (t.name.clone(), p))).collect();
    let mut deeds = vec![Deeds::Operate(draw_operator(rng, topics))];
    for _ in 0..1 + rng.below(3) {
        deeds.push(Deeds::Produce(draw_producer(rng, &all)));
    }
    if rng.percent(25) {
        deeds.push(Deeds::Wrap(VeteranPlan {
            partition: all[rng.below(all.len() as u64) as usize].clone(),
            left: rng.below(40) as i32,
            batch: 1 + rng.below(4),
            in_flight: 1 + rng.below(5) as usize,
            every_ms: 20 + rng.below(200),
        }));
    }
    if rng.percent(25) {
        let partition = all[rng.below(all.len() as u64) as usize].clone();
        deeds.push(Deeds::Haunt(ZombiePlan { partition, every_ms: 20 + rng.below(300) }));
    }
    for _ in 0..rng.below(3) {
        deeds.push(Deeds::Read(ReaderPlan {
            partitions: all.clone(),
            seeks_per_mille: if rng.percent(50) { rng.below(200) } else { 0 },
            partition_bytes: [1, 3_000, 1 << 20][rng.below(3) as usize],
            wait_ms: course.interval(rng, (0, 1_000), 60_000) as i32,
            rack: String::new(),
        }));
    }
    let groups = draw_members(rng, topics, &mut deeds, course);
    let every_ms = 50 + rng.below(500);
    deeds.push(Deeds::Audit(AuditorPlan { partitions: all, groups, every_ms }));
    deeds
        .into_iter()
        .map(|does| UserPlan { drift_ppm: draw_drift(rng), off_ms: draw_off(rng), does })
        .collect()
}

fn draw_operator(rng: &mut Rng, topics: &[TopicPlan]) -> OperatorPlan {
    OperatorPlan {
        topics: topics.to_vec(),
        every_ms: if rng.percent(50) { 300 + rng.below(3_000) } else { 0 },
        trims_percent: if rng.percent(40) { rng.below(60) } else { 0 },
        moves: None,
    }
}

/// Somebody who gets in the way of the others, in some plans; drawn apart, so that the rest is the same with and without.
fn draw_hostile(seed: u64, users: &[UserPlan]) -> Option<UserPlan> {
    let mut rng = Rng::new(seed ^ 0x0068_6f73_7469_6c65);
    let audit =
        users.iter().find_map(|u| if let Deeds::Audit(plan) = &u.does { Some(plan) } else { None })?;
    let does = Deeds::Trouble(HostilePlan {
        partitions: audit.partitions.clone(),
        groups: audit.groups.clone(),
        every_ms: 20 + rng.below(300),
        flood: rng.below(100),
        trims: rng.percent(30),
    });
    rng.percent(40).then(|| UserPlan { drift_ppm: draw_drift(&mut rng), off_ms: draw_off(&mut rng), does })
}

fn draw_producer(rng: &mut Rng, all: &[(String, i32)]) -> ProducerPlan {
    let idempotent = rng.percent(60);
    let acks = if idempotent { -1 } else { [0, 1, -1][rng.below(3) as usize] };
    ProducerPlan {
        partitions: all.to_vec(),
        acks,
        idempotent,
        in_flight: 1 + rng.below(5) as usize,
        repeats: !idempotent && rng.percent(50),
        codec: draw_codec(rng),
        every_ms: 5 + rng.below(100),
        burst: 1 + rng.below(6),
        timeout_ms: 3_000 + rng.below(60_000) as i64,
    }
}

/// None in most cases: a codec costs more than all the rest, and is the same under any fault.
fn draw_codec(rng: &mut Rng) -> u8 {
    if rng.percent(60) { 0 } else { 1 + rng.below(4) as u8 }
}

fn draw_members(rng: &mut Rng, topics: &[TopicPlan], deeds: &mut Vec<Deeds>, course: &Course) -> Vec<String> {
    let groups: Vec<String> = (0..rng.below(3)).map(|i| format!("g{i}")).collect();
    let names: Vec<String> = topics.iter().map(|t| t.name.clone()).collect();
    for group in &groups {
        let statics = rng.percent(30);
        let session_ms = course.interval(rng, (1_000, 5_000), 300_000).max(1_000) as i32;
        for member in 0..1 + rng.below(3) {
            deeds.push(Deeds::Join(MemberPlan {
                group: group.clone(),
                topics: names.clone(),
                instance: statics.then(|| format!("{group}-{member}")),
                session_ms,
                wait_ms: course.interval(rng, (500, 1), 60_000) as i32,
                rack: String::new(),
                commit_ms: 30 + rng.below(1_000),
                leaves_percent: if rng.percent(50) { rng.below(10) } else { 0 },
            }));
        }
    }
    groups
}
