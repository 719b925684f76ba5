//! Drawing a plan from a seed: a swarm, in which each seed does without some kinds of faults and turns others up.

use super::fault::{Fault, FaultPlan};
use super::{Deeds, Plan, ServerPlan, UserPlan};
use crate::actor::auditor::AuditorPlan;
use crate::actor::group_member::MemberPlan;
use crate::actor::hostile::HostilePlan;
use crate::actor::operator::{OperatorPlan, TopicPlan};
use crate::actor::producer::ProducerPlan;
use crate::actor::reader::ReaderPlan;
use crate::actor::veteran::VeteranPlan;
use crate::rng::Rng;
use crate::world::network::Weather;

impl Plan {
    /// The plan of a seed, for one broker.
    pub fn draw(seed: u64) -> Plan {
        let mut rng = Rng::new(seed ^ 0x706c_616e);
        let load_ms = 4_000 + rng.below(16_000);
        let topics = draw_topics(&mut rng);
        let mut users = draw_users(&mut rng, &topics);
        let faults = draw_faults(&mut rng, load_ms, users.len());
        users.extend(draw_hostile(seed, &users));
        Plan {
            seed,
            load_ms,
            servers: vec![draw_server(&mut rng)],
            users,
            weather: Weather {
                least_us: 20 + rng.below(200),
                spread_us: 1 + rng.below(2_000),
                lost_per_mille: 0,
            },
            faults,
            power_loss_at_end: rng.percent(50),
        }
    }
}

fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_string(), value.to_string())
}

fn draw_server(rng: &mut Rng) -> ServerPlan {
    let configs = vec![
        pair("log.flush.offset.checkpoint.interval.ms", 200 + rng.below(5_000)),
        pair("log.retention.check.interval.ms", 500 + rng.below(5_000)),
        pair("offsets.topic.num.partitions", 1 + rng.below(3)),
        pair("offsets.retention.check.interval.ms", 200 + rng.below(5_000)),
        pair("offsets.topic.segment.bytes", 2_000 + rng.below(30_000)),
        pair("group.initial.rebalance.delay.ms", rng.below(1_000)),
        pair("group.min.session.timeout.ms", 500),
        pair("quipu.hot.tail.bytes", [0, 4_000, 100_000, 64 << 20][rng.below(4) as usize]),
        pair("quipu.disk.reserve.bytes", 0),
        pair("producer.id.expiration.ms", 86_400_000),
        pair(
            "metadata.log.max.record.bytes.between.snapshots",
            [1, 500, 5_000, 1 << 20][rng.below(4) as usize],
        ),
    ];
    let batches_at_once = if rng.percent(50) { 1 + rng.below(8) as usize } else { 500 };
    ServerPlan { drift_ppm: draw_drift(rng), off_ms: draw_off(rng), configs, batches_at_once }
}

fn draw_drift(rng: &mut Rng) -> i64 {
    rng.below(100_001) as i64 - 50_000
}

fn draw_off(rng: &mut Rng) -> i64 {
    if rng.percent(70) { rng.below(2_000) as i64 - 1_000 } else { rng.below(7_200_000) as i64 - 3_600_000 }
}

fn draw_topics(rng: &mut Rng) -> Vec<TopicPlan> {
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
            if rng.percent(25) {
                let codecs = ["gzip", "snappy", "lz4", "zstd", "uncompressed"];
                configs.push(pair("compression.type", codecs[rng.below(5) as usize]));
            }
            TopicPlan { name: format!("t{i}"), partitions: 1 + rng.below(3) as i32, configs }
        })
        .collect()
}

fn draw_users(rng: &mut Rng, topics: &[TopicPlan]) -> Vec<UserPlan> {
    let all: Vec<(String, i32)> =
        topics.iter().flat_map(|t| (0..t.partitions).map(|p| (t.name.clone(), p))).collect();
    let mut deeds = vec![Deeds::Operate(OperatorPlan {
        topics: topics.to_vec(),
        every_ms: if rng.percent(50) { 300 + rng.below(3_000) } else { 0 },
        trims_percent: if rng.percent(40) { rng.below(60) } else { 0 },
    })];
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
    for _ in 0..rng.below(3) {
        deeds.push(Deeds::Read(ReaderPlan {
            partitions: all.clone(),
            seeks_per_mille: if rng.percent(50) { rng.below(200) } else { 0 },
            partition_bytes: [1, 3_000, 1 << 20][rng.below(3) as usize],
            wait_ms: rng.below(1_000) as i32,
        }));
    }
    let groups = draw_members(rng, topics, &mut deeds);
    let every_ms = 50 + rng.below(500);
    deeds.push(Deeds::Audit(AuditorPlan { partitions: all, groups, every_ms }));
    deeds
        .into_iter()
        .map(|does| UserPlan { drift_ppm: draw_drift(rng), off_ms: draw_off(rng), does })
        .collect()
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
        codec: rng.below(5) as u8,
        every_ms: 5 + rng.below(100),
        burst: 1 + rng.below(6),
        timeout_ms: 3_000 + rng.below(60_000) as i64,
    }
}

fn draw_members(rng: &mut Rng, topics: &[TopicPlan], deeds: &mut Vec<Deeds>) -> Vec<String> {
    let groups: Vec<String> = (0..rng.below(3)).map(|i| format!("g{i}")).collect();
    let names: Vec<String> = topics.iter().map(|t| t.name.clone()).collect();
    for group in &groups {
        let statics = rng.percent(30);
        let session_ms = 1_000 + rng.below(5_000) as i32;
        for member in 0..1 + rng.below(3) {
            deeds.push(Deeds::Join(MemberPlan {
                group: group.clone(),
                topics: names.clone(),
                instance: statics.then(|| format!("{group}-{member}")),
                session_ms,
                commit_ms: 30 + rng.below(1_000),
                leaves_percent: if rng.percent(50) { rng.below(10) } else { 0 },
            }));
        }
    }
    groups
}

/// The kind of fault that makes a disk slow.
const SLOW: u64 = 9;

/// Which kinds of faults a seed has, how often, and what each is.
fn draw_faults(rng: &mut Rng, load_ms: u64, users: usize) -> Vec<FaultPlan> {
    let kinds: Vec<u64> = (0..17).filter(|kind| rng.percent(if *kind == 10 { 10 } else { 35 })).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let gap = 300 + rng.below(3_000);
    let mut at_ms = 200 + rng.below(2 * gap);
    let mut faults = Vec::new();
    while at_ms < load_ms {
        let kind = kinds[rng.below(kinds.len() as u64) as usize];
        let what = draw_fault(rng, kind, users);
        let goes_before = rng.percent(50);
        match what {
            // On a slow disk much is in the round that finds it full, or in which a checkpoint is.
            Fault::Full { .. } | Fault::CrashCheckpointing { .. } if goes_before => {
                faults.push(FaultPlan { at_ms, what: draw_fault(rng, SLOW, users) });
            }
            // What is damaged while nobody looks is found by the next start.
            Fault::Flip { server, .. } if goes_before => {
                faults
                    .push(FaultPlan { at_ms, what: Fault::Kill { server, down_ms: 200 + rng.below(2_000) } });
                at_ms += 150;
            }
            _ => {}
        }
        faults.push(FaultPlan { at_ms, what });
        at_ms += rng.below(2 * gap) + 1;
    }
    faults
}

fn draw_fault(rng: &mut Rng, kind: u64, users: usize) -> Fault {
    let server = 0;
    let user = rng.below(users as u64) as usize;
    let down_ms = 10 + rng.below(2_000);
    let ms = 50 + rng.below(4_000);
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
        SLOW => Fault::SlowDisk { server, times: 2 + rng.below(500), ms },
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
        _ => Fault::KillUser { user, down_ms },
    }
}

fn draw_storm(rng: &mut Rng) -> Weather {
    Weather { least_us: rng.below(20_000), spread_us: rng.below(200_000), lost_per_mille: rng.below(300) }
}
