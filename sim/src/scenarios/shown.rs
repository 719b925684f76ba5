//! What happened, in words.

use quipu_core::broker::Broker;
use quipu_core::broker::door::Note;
use quipu_core::ids::LogId;
use quipu_core::record::{Batch, Records as BatchRecords};
use quipu_core::storage::ops::{RecoveredLog, StoreOp, Stored};
use quipu_core::wire::messages::fetch::PartitionData;
use quipu_core::wire::{ErrorCode, Records, Response};

fn name(broker: &Broker, log: LogId) -> String {
    if log == LogId::METADATA {
        return "the metadata log".into();
    }
    let topic = broker.image().topic_by_id(log.topic);
    topic.map_or_else(
        || format!("a log of partition {}", log.partition),
        |t| format!("{}-{}", t.name, log.partition),
    )
}

/// A log that a start has found.
pub(super) fn found(log: &RecoveredLog) -> String {
    let what = if log.log == LogId::METADATA { "the metadata log" } else { "a log" };
    let damage = log.damage.as_ref().map(|_| ", DAMAGED").unwrap_or_default();
    format!("found: {what} from {} to {}, {} segments{damage}", log.start, log.end, log.segments.len())
}

/// Something that the machine orders the disk to do.
pub(super) fn ordered(broker: &Broker, op: &StoreOp) -> String {
    match op {
        StoreOp::Create { name, log, .. } => format!("disk: create {name}-{}", log.partition),
        StoreOp::Append { log, batches, roll } => {
            let of = |b: &Batch| {
                let h = b.header();
                format!("{}..{} epoch {}", h.base_offset, h.next_offset(), h.leader_epoch)
            };
            let batches: Vec<String> = batches.iter().map(of).collect();
            let roll = if *roll { " in a new segment" } else { "" };
            format!("disk: append to {} {}{roll}", name(broker, *log), batches.join(", "))
        }
        StoreOp::Truncate { log, to } => format!("disk: cut {} back to {to}", name(broker, *log)),
        StoreOp::Restart { log, at, .. } => format!("disk: begin {} anew at {at}", name(broker, *log)),
        StoreOp::Trim { log, start } => format!("disk: {} begins at {start}", name(broker, *log)),
        StoreOp::Remove { log } => format!("disk: remove {}", name(broker, *log)),
        StoreOp::Producers { log, at, table } => {
            format!("disk: keep the {} producers of {} at {at}", table.len(), name(broker, *log))
        }
        StoreOp::Snapshot { at, .. } => format!("disk: keep a snapshot of the metadata at {at}"),
        StoreOp::Election { .. } => "disk: keep what is known of elections".to_string(),
        StoreOp::Checkpoint { clean } => {
            format!("disk: move the recovery point{}", if *clean { ", clean" } else { "" })
        }
    }
}

/// What a round came to.
pub(super) fn round(result: &Result<Stored, String>) -> String {
    match result {
        Ok(stored) if stored.failed.is_empty() => "disk: everything is synced".into(),
        Ok(stored) => {
            let failed: Vec<&str> = stored.failed.iter().map(|f| f.message.as_str()).collect();
            format!("disk: synced, but {}", failed.join("; "))
        }
        Err(why) => format!("disk: FAILED: {why}"),
    }
}

/// Something that the machine says.
pub(super) fn note(broker: &Broker, note: &Note) -> Option<String> {
    Some(match note {
        Note::Ready => "it is ready".into(),
        Note::Warn(text) => format!("warning: {text}"),
        Note::Info(text) => format!("note: {text}"),
        Note::Committed { log, high } => format!("high watermark of {}: {high}", name(broker, *log)),
        Note::DiskDead(why) => format!("the log directory is dead: {why}"),
    })
}

fn code(code: ErrorCode) -> String {
    if code == ErrorCode::NONE { "ok".into() } else { code.to_string() }
}

/// An answer, in a line.
pub(super) fn answer(response: &Response) -> String {
    match response {
        Response::Produce(r) => {
            let part = &r.responses[0].partition_responses[0];
            format!("produce {}, offset {}", code(part.error_code), part.base_offset)
        }
        Response::Fetch(r) => fetched(&r.responses[0].partitions[0]),
        Response::CreateTopics(r) => format!("create topic {}", code(r.topics[0].error_code)),
        Response::InitProducerId(r) => {
            format!("producer id {} epoch {}, {}", r.producer_id, r.producer_epoch, code(r.error_code))
        }
        Response::JoinGroup(r) => format!(
            "join {}, generation {}, {}{} members told",
            code(r.error_code),
            r.generation_id,
            if !r.member_id.is_empty() && r.leader == r.member_id { "it leads, " } else { "" },
            r.members.len()
        ),
        Response::SyncGroup(r) => {
            format!("sync {}, assignment {:?}", code(r.error_code), String::from_utf8_lossy(&r.assignment))
        }
        Response::Heartbeat(r) => format!("heartbeat {}", code(r.error_code)),
        Response::LeaveGroup(r) => format!("leave {}", code(r.error_code)),
        Response::OffsetCommit(r) => format!("commit {}", code(r.topics[0].partitions[0].error_code)),
        Response::OffsetFetch(r) => {
            let part = &r.groups[0].topics[0].partitions[0];
            format!("committed offset {}, {}", part.committed_offset, code(r.groups[0].error_code))
        }
        Response::AlterPartitionReassignments(r) => {
            format!("reassign {}", code(r.responses[0].partitions[0].error_code))
        }
        Response::IncrementalAlterConfigs(r) => format!("alter {}", code(r.responses[0].error_code)),
        Response::ElectLeaders(r) => {
            let results = r.replica_election_results.iter().flat_map(|t| &t.partition_result);
            let codes: Vec<String> = results.map(|p| code(p.error_code)).collect();
            format!("elect {}", codes.join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn fetched(part: &PartitionData) -> String {
    let chunks = match &part.records {
        Some(Records::Held(chunks)) => chunks.concat(),
        _ => Vec::new(),
    };
    let mut bytes = bytes::Bytes::from(chunks);
    let mut values = Vec::new();
    while let Ok(batch) = Batch::take(&mut bytes) {
        for record in BatchRecords::read_all(&batch, usize::MAX).expect("a batch that was served") {
            let value = record.value.unwrap_or_default();
            values.push(format!("{}={}", record.offset, String::from_utf8_lossy(&value)));
        }
    }
    let marks = format!("high watermark {}, log start {}", part.high_watermark, part.log_start_offset);
    format!("fetch {}, {marks}, records [{}]", code(part.error_code), values.join(" "))
}
