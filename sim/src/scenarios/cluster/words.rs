//! What brokers say to one another, in words.

use quipu_core::ids::LogId;
use quipu_core::peer::message::{Carried, FromController, Outcome, PeerMessage, ToController};
use quipu_core::quorum::messages::{Answer, Body, Question, Tip};
use quipu_core::record::Batch;
use quipu_core::replica::messages::{News, PartitionAnswer, ReplicaAnswer, Tip as ReplicaTip};

/// The name of its kind, by which lines of scenarios select it.
pub(super) fn kind(message: &PeerMessage) -> &'static str {
    match message {
        PeerMessage::Quorum(message) => match &message.body {
            Body::Question(Question::Vote(vote)) if vote.pre => "pre-vote",
            Body::Question(Question::Vote(_)) => "vote",
            Body::Question(Question::Begin) => "begin",
            Body::Question(Question::End { .. }) => "end",
            Body::Question(Question::Fetch(_)) => "fetch",
            Body::Question(Question::Piece(_)) => "snapshot-fetch",
            Body::Answer(Answer::Vote { .. }) => "voted",
            Body::Answer(Answer::Records { .. }) => "records",
            Body::Answer(Answer::Diverging(_)) => "diverging",
            Body::Answer(Answer::Snapshot(_)) => "snapshot",
            Body::Answer(Answer::Piece(_)) => "piece",
            Body::Answer(Answer::Refused { .. }) => "refused",
            Body::Answer(Answer::Heard) => "heard",
            Body::Flushed(_) => "flushed",
        },
        PeerMessage::ToController(message) => match message {
            ToController::Register(_) => "register",
            ToController::Heartbeat(_) => "heartbeat",
            ToController::ProducerIds(_) => "producer-ids",
            ToController::Isr(..) => "isr",
            ToController::Topics(_) => "topics",
        },
        PeerMessage::FromController(message) => match message {
            FromController::NotRegistered(_) => "not-registered",
            FromController::Standing(..) => "standing",
            FromController::NotChanged(..) => "not-changed",
        },
        PeerMessage::ReplicaFetch(_) => "replica-fetch",
        PeerMessage::ReplicaAnswer(answer) if diverges(answer) => "replica-diverging",
        PeerMessage::ReplicaAnswer(_) => "replica-answer",
        PeerMessage::ReplicaFlushed(_) => "replica-flushed",
        PeerMessage::Forward { .. } => "forward",
        PeerMessage::Forwarded { .. } => "forwarded",
    }
}

fn diverges(answer: &ReplicaAnswer<Carried>) -> bool {
    answer.partitions.iter().any(|(_, partition)| matches!(partition.news, News::Diverging(..)))
}

/// What it says.
pub(super) fn message(message: &PeerMessage) -> String {
    let name = kind(message);
    match message {
        PeerMessage::Quorum(message) => {
            format!("{name} in epoch {}{}", message.epoch, quorum(&message.body))
        }
        PeerMessage::ToController(ToController::Isr(_, proposals)) => {
            let each = proposals.iter().map(|(log, proposal)| {
                let isr: Vec<String> = proposal.isr.iter().map(|(id, _)| id.to_string()).collect();
                let (epoch, partition) = (proposal.epoch, proposal.partition_epoch);
                let isr = isr.join(",");
                format!(": isr {isr} of {} in leader epoch {epoch}, partition epoch {partition}", place(log))
            });
            format!("{name}{}", each.collect::<String>())
        }
        PeerMessage::FromController(FromController::NotChanged(_, refused)) => {
            let each = refused.iter().map(|(log, epoch, why)| {
                format!(": {why:?}, what was proposed of {} on partition epoch {epoch}", place(log))
            });
            format!("{name}{}", each.collect::<String>())
        }
        PeerMessage::ReplicaAnswer(_) | PeerMessage::ReplicaFetch(_) | PeerMessage::ReplicaFlushed(_) => {
            format!("{name}{}", of_replicas(message))
        }
        PeerMessage::Forwarded { outcome: Outcome::NotController, .. } => {
            format!("{name}: not answered, another broker is the active controller now")
        }
        PeerMessage::Forwarded { outcome: Outcome::Unanswerable(why), .. } => {
            format!("{name}: not answered, {why}")
        }
        PeerMessage::ToController(_)
        | PeerMessage::FromController(_)
        | PeerMessage::Forward { .. }
        | PeerMessage::Forwarded { outcome: Outcome::Answer(_), .. } => name.to_string(),
    }
}

fn of_replicas(message: &PeerMessage) -> String {
    match message {
        PeerMessage::ReplicaAnswer(answer) => {
            let each = answer.partitions.iter().map(|(log, answer)| format!(": {}", news(log, answer)));
            each.collect()
        }
        PeerMessage::ReplicaFetch(fetch) => {
            let each = fetch.partitions.iter().map(|(log, at)| {
                format!(": {} in leader epoch {}, {}", place(log), at.epoch, replica_tip(at.tip))
            });
            each.collect()
        }
        PeerMessage::ReplicaFlushed(flushed) => {
            let each = flushed.logs.iter().map(|told| {
                let start = match told.start.0 {
                    0 => String::new(),
                    start => format!(", it starts at {start}"),
                };
                format!(": {} to {}{start}", place(&told.log), told.flushed)
            });
            each.collect()
        }
        _ => String::new(),
    }
}

fn quorum(body: &Body) -> String {
    match body {
        Body::Question(Question::Vote(vote)) => format!(", {}", tip(vote.tip)),
        Body::Question(Question::Fetch(fetch)) => {
            format!(", {}, flushed {}", tip(fetch.tip), fetch.flushed)
        }
        Body::Question(Question::Begin | Question::End { .. }) | Body::Answer(Answer::Heard) => String::new(),
        Body::Answer(Answer::Vote { granted: true, .. }) => ": yes".into(),
        Body::Answer(Answer::Vote { granted: false, .. }) => ": no".into(),
        Body::Answer(Answer::Records { batches, high }) => {
            format!(": {}high watermark {high}", records(batches))
        }
        Body::Question(Question::Piece(wanted)) => {
            format!(", of the snapshot up to {} from byte {} on", wanted.of.end, wanted.from)
        }
        Body::Answer(Answer::Snapshot(of)) => format!(": it is in the snapshot up to {}", of.end),
        Body::Answer(Answer::Piece(piece)) => {
            format!(": {} of {} bytes of the snapshot up to {}", piece.bytes.len(), piece.whole, piece.of.end)
        }
        Body::Answer(Answer::Diverging(agreed)) => {
            format!(": they may agree up to {} of epoch {}", agreed.end, agreed.epoch)
        }
        Body::Answer(Answer::Refused { why, .. }) => format!(": {why:?}"),
        Body::Flushed(to) => format!(" to {to}"),
    }
}

fn news(log: &LogId, answer: &PartitionAnswer<Carried>) -> String {
    let what = match &answer.news {
        News::Records { records: carried, high, .. } => {
            format!("{}high watermark {high}", records(&carried.batches))
        }
        // `..`: with a seeded bug (A10) it says more.
        News::Diverging(agreed, ..) => {
            format!("they may agree up to {} of epoch {}", agreed.end, agreed.epoch)
        }
        News::Restart(at) => format!("begins at {at}"),
        News::Refused(why) => format!("{why:?}"),
    };
    format!("{} in leader epoch {}: {what}", place(log), answer.epoch)
}

fn place(log: &LogId) -> String {
    if *log == LogId::METADATA { "the metadata log".into() } else { format!("partition {}", log.partition) }
}

fn tip(tip: Tip) -> String {
    format!("log up to {} of epoch {}", tip.end, tip.epoch)
}

fn replica_tip(tip: ReplicaTip) -> String {
    format!("log up to {} of epoch {}", tip.end, tip.epoch)
}

fn records(batches: &[Batch]) -> String {
    let each = batches.iter().map(|batch| {
        let header = batch.header();
        format!("{}..{} e{}, ", header.base_offset, header.next_offset(), header.leader_epoch)
    });
    each.collect()
}
