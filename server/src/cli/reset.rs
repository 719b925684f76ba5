//! `quipu group reset-offsets`: moves what a group without members has committed.

use std::collections::BTreeMap;

use clap::Args;
use quipu_core::client::{Target, TopicPartition};
use quipu_core::wire::messages::metadata::MetadataResponseTopic;
use quipu_core::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use serde_json::{Value, json};

use super::group_view::GroupView;
use super::moment;
use super::offsets::{END, Offsets, START, offsets, questions, topic_of};
use super::remote::{Cluster, Failed, Format, Remote, put, told};
use super::table::table;

/// Flags of `quipu group reset-offsets`.
#[derive(Args, Debug)]
pub(crate) struct ResetArgs {
    /// The group; it must have no members
    group: String,
    /// The topic
    #[arg(short, long)]
    topic: String,
    /// Only this partition; may be given more than once
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// Where to: earliest, latest, an offset, or @TIME (milliseconds or 2026-11-22T01:30:00Z)
    #[arg(long, value_name = "WHERE", value_parser = to)]
    to: To,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Earliest,
    Latest,
    Offset(i64),
    Time(i64),
}

fn to(text: &str) -> Result<To, String> {
    match (text, text.strip_prefix('@'), text.parse::<i64>()) {
        ("earliest" | "beginning", ..) => Ok(To::Earliest),
        ("latest" | "end", ..) => Ok(To::Latest),
        (_, Some(time), _) => moment::parse(time).map(|at| To::Time(at.0)),
        (_, None, Ok(offset @ 0..)) => Ok(To::Offset(offset)),
        _ => Err(format!("'{text}' is none of earliest, latest, OFFSET, @TIME")),
    }
}

/// One partition's move.
#[derive(Debug, PartialEq, Eq)]
struct Move {
    partition: i32,
    from: Option<i64>,
    to: i64,
}

impl ResetArgs {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        let cluster = self.remote.open();
        let committed = match GroupView::look(&cluster, &self.group).await {
            Ok(view) if !view.is_empty() => {
                return Err(Failed::one(format!(
                    "group {} has {} members, which would go on where they are: stop them first",
                    self.group,
                    view.group.members.len()
                )));
            }
            Ok(view) => view.committed,
            // A group that does not exist yet may be given a place to begin.
            Err(Failed(why)) if why.iter().any(|w| w.starts_with("there is no group")) => BTreeMap::new(),
            Err(failed) => return Err(failed),
        };
        let names = [self.topic.clone()];
        let r = cluster.metadata(Some(&names)).await?;
        let moves = self.moves(&cluster, topic_of(&r, &self.topic)?, &committed).await?;
        if !self.dry_run {
            self.commit(&cluster, &moves).await?;
        }
        self.tell(&moves);
        Ok(())
    }

    async fn moves(
        &self,
        cluster: &Cluster,
        topic: &MetadataResponseTopic,
        committed: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Vec<Move>, Failed> {
        let (asked, leaderless) = questions(topic, START);
        if let Some(partition) = leaderless.first() {
            return Err(Failed::one(format!("partition {partition} of {} has no leader now", self.topic)));
        }
        let starts = offsets(cluster, &asked).await?;
        let ends = offsets(cluster, &questions(topic, END).0).await?;
        let times = match self.to {
            To::Time(at) => offsets(cluster, &questions(topic, at).0).await?,
            _ => Offsets::new(),
        };
        let mut chosen: Vec<i32> = topic.partitions.iter().map(|p| p.partition_index).collect();
        chosen.sort_unstable();
        if let Some(missing) = self.partition.iter().find(|p| !chosen.contains(p)) {
            return Err(Failed::one(format!("topic {} has no partition {missing}", self.topic)));
        }
        chosen.retain(|p| self.partition.is_empty() || self.partition.contains(p));
        let mut moves = Vec::new();
        for partition in chosen {
            let of = TopicPartition::new(self.topic.as_str(), partition);
            let (start, end) = (found(&starts, &of)?, found(&ends, &of)?);
            let to = match self.to {
                To::Earliest => start,
                To::Latest => end,
                To::Offset(offset) => within(&of, offset, (start, end)),
                To::Time(_) => match found(&times, &of)? {
                    offset @ 0.. => offset,
                    _ => end,
                },
            };
            moves.push(Move { partition, from: committed.get(&of).copied(), to });
        }
        Ok(moves)
    }

    async fn commit(&self, cluster: &Cluster, moves: &[Move]) -> Result<(), Failed> {
        let partition = |m: &Move| OffsetCommitRequestPartition {
            partition_index: m.partition,
            committed_offset: m.to,
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: self.topic.clone(),
            partitions: moves.iter().map(partition).collect(),
        };
        // Without a generation: accepted only while the group has no members, so nobody is overtaken.
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let r: OffsetCommitResponse = cluster.ask(Target::Group(self.group.clone()), request).await?;
        let wrong: Vec<String> = r
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .filter(|p| p.error_code.is_err())
            .map(|p| format!("partition {}: {}", p.partition_index, told(p.error_code, None)))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong)) }
    }

    fn tell(&self, moves: &[Move]) {
        match self.remote.format {
            Format::Json => {
                let one = |m: &Move| json!({"partition": m.partition, "from": m.from, "to": m.to});
                let moves: Vec<Value> = moves.iter().map(one).collect();
                put(
                    json!({"group": self.group, "topic": self.topic, "dry_run": self.dry_run, "partitions": moves}),
                );
            }
            Format::Text => {
                let from = |m: &Move| m.from.map_or("-".to_string(), |f| f.to_string());
                let row =
                    |m: &Move| vec![self.topic.clone(), m.partition.to_string(), from(m), m.to.to_string()];
                put(table(&["TOPIC", "PARTITION", "FROM", "TO"], &moves.iter().map(row).collect::<Vec<_>>())
                    .trim_end());
                if self.dry_run {
                    put("nothing was changed: this was a dry run");
                }
            }
        }
    }
}

fn found(offsets: &Offsets, of: &TopicPartition) -> Result<i64, Failed> {
    match offsets.get(of) {
        Some(Ok(offset)) => Ok(*offset),
        Some(Err(code)) => Err(Failed::one(format!("offsets of {of}: {}", told(*code, None)))),
        None => Err(Failed::one(format!("the broker says nothing about {of}"))),
    }
}

/// An offset that exists: consumers would be reset from any other, and not to where the user wanted.
fn within(of: &TopicPartition, offset: i64, (start, end): (i64, i64)) -> i64 {
    let to = offset.clamp(start, end);
    if to != offset {
        eprintln!("warning: {of} has offsets {start} to {end}: {offset} becomes {to}");
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_go_to_is_said_in_four_ways() {
        assert_eq!([to("earliest"), to("latest")], [Ok(To::Earliest), Ok(To::Latest)]);
        assert_eq!([to("12"), to("@1000")], [Ok(To::Offset(12)), Ok(To::Time(1000))]);
        assert!(to("-3").is_err() && to("@x").is_err() && to("stored").is_err());
    }

    #[test]
    fn an_offset_that_does_not_exist_becomes_the_nearest_that_does() {
        let of = TopicPartition::new("t", 0);
        assert_eq!([3, 5, 9, 12].map(|offset| within(&of, offset, (5, 9))), [5, 5, 9, 9]);
    }
}
