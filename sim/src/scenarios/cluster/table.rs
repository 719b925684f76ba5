//! The brokers at a glance: who leads, what their logs have, how much of it is on disk and committed.

use quipu_core::broker::Broker;
use quipu_core::ids::{LogId, Offset};
use quipu_core::log::Log;

use super::node::Node;

/// The quorum and the metadata log, a line for each broker.
pub(super) fn quorum(nodes: &[Node]) -> Vec<String> {
    let line = |node: &Node| {
        let Some(broker) = node.broker() else { return "down".to_string() };
        let place = broker.quorum().map_or("no seat".to_string(), |view| match view.leader {
            Some(_) if view.leads => format!("leads in epoch {}", view.epoch),
            Some(leader) => format!("epoch {} of {leader}", view.epoch),
            None => format!("epoch {}", view.epoch),
        });
        let log = broker.log(LogId::METADATA).map_or("no log".to_string(), log);
        format!("{place}; metadata {log}")
    };
    nodes.iter().map(|node| format!("{} | {}", node.at + 1, line(node))).collect()
}

/// One partition, a line for each broker that has it.
pub(super) fn partition(nodes: &[Node], topic: &str, partition: i32) -> Vec<String> {
    let line = |node: &Node| {
        let broker = node.broker()?;
        let id = id(broker, topic, partition)?;
        let what = if broker.leads(id) { "leads" } else { "has" };
        let off = broker.logs().any(|(log, _, offline)| log.id() == id && offline);
        let off = if off { ", OFFLINE" } else { "" };
        let text = log(broker.log(id)?);
        Some(format!("{} | {what} {topic}-{partition}: {text}{off}", node.at + 1))
    };
    nodes.iter().filter_map(line).collect()
}

/// The segments of all logs on a disk, a line for each.
pub(super) fn files(node: &Node) -> Vec<String> {
    let segments = node.disk.paths().into_iter().filter(|(path, _)| path.ends_with(".log"));
    segments.map(|(path, bytes)| format!("{} | {path}: {bytes} bytes", node.at + 1)).collect()
}

/// The log of a partition, by what a broker knows.
pub(super) fn id(broker: &Broker, topic: &str, partition: i32) -> Option<LogId> {
    broker.image().topic(topic).map(|t| LogId { topic: t.id, partition })
}

fn log(log: &Log) -> String {
    let mut spans: Vec<(i32, Offset, Offset)> = Vec::new();
    let mut at = log.start();
    while at < log.end() {
        let epoch = log.epochs().of(at).map_or(-1, |epoch| epoch.0);
        let next = Offset(at.0 + 1);
        match spans.last_mut() {
            Some(span) if span.0 == epoch => span.2 = next,
            _ => spans.push((epoch, at, next)),
        }
        at = next;
    }
    let spans: Vec<String> = spans.iter().map(|(epoch, from, to)| format!("e{epoch} {from}..{to}")).collect();
    let spans = if spans.is_empty() { format!("empty at {}", log.end()) } else { spans.join(" ") };
    format!("{spans}; flushed {}, high watermark {}", log.flushed(), log.high())
}
