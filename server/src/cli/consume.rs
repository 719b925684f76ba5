//! `quipu consume`: reads a topic alone or as a member of a group, and writes records as asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use quipu_core::client::{
    ClientSettings, Command, ConsumerSettings, Event, Fetched, Isolation, MemberSettings, Outcome, Reset,
    Start, TopicPartition,
};
use quipu_core::ids::Offset;
use quipu_net::client::{Events, Kafka};

use super::moment;
use super::offsets::{END, START, offsets, questions, topic_of};
use super::remote::{Cluster, Failed, Format, Remote, complain_once};
use super::shape::{self, Shape};

/// Flags of `quipu consume`.
#[derive(Args, Debug)]
#[command(after_help = shape::HELP)]
pub(crate) struct ConsumeArgs {
    /// The topic
    topic: String,
    /// Where to begin: beginning, end, an offset, -N (the last N records of each partition), @TIME (milliseconds or
    /// 2026-11-22T01:30:00Z), or stored (where the group left off) [default: beginning; stored with --group]
    #[arg(short = 'o', long, value_name = "WHERE", allow_hyphen_values = true, value_parser = from)]
    from: Option<From>,
    /// Read only this partition; may be given more than once
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..), conflicts_with = "group")]
    partition: Vec<i32>,
    /// Read as a member of this consumer group, and commit what is written
    #[arg(short, long)]
    group: Option<String>,
    /// Stop after this many records
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
    /// Stop when the end of every partition has been reached
    #[arg(short, long)]
    exit_at_end: bool,
    /// How each record is written [default: its value and a line end]
    #[arg(short = 'f', long = "print", value_name = "FORMAT", value_parser = shape::parse)]
    print: Option<Shape>,
    /// Read only records of no transaction or a committed one
    #[arg(long)]
    committed: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// As the client understands it.
    Start(Start),
    /// So many records before the end.
    Last(i64),
    /// Where the group left off.
    Stored,
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "beginning" | "start" | "earliest" => return Ok(From::Start(Start::Beginning)),
        "end" | "latest" => return Ok(From::Start(Start::End)),
        "stored" => return Ok(From::Stored),
        _ => {}
    }
    if let Some(time) = text.strip_prefix('@') {
        return moment::parse(time).map(|at| From::Start(Start::Time(at)));
    }
    match text.parse::<i64>() {
        Ok(offset @ 0..) => Ok(From::Start(Start::Offset(Offset(offset)))),
        Ok(back @ i64::MIN..=-1) if back != i64::MIN => Ok(From::Last(-back)),
        _ => Err(format!("'{text}' is none of beginning, end, OFFSET, -N, @TIME, stored")),
    }
}

/// A consumer at work.
struct Reading {
    kafka: Kafka,
    shape: Shape,
    count: Option<u64>,
    exit_at_end: bool,
    grouped: bool,
    written: u64,
    /// The partitions being read, and whether the end of each has been reached.
    ends: BTreeMap<TopicPartition, bool>,
    /// Whether it is known what to read: a group may take its time.
    assigned: bool,
    wrong: Vec<String>,
    said: BTreeSet<String>,
    out: Vec<u8>,
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

impl ConsumeArgs {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        let settings = ClientSettings { unknown_topic_timeout_ms: 3_000, ..self.remote.settings() };
        let (kafka, mut events) = Kafka::open(settings);
        let reset = match self.from {
            Some(From::Start(Start::End)) => Reset::Latest,
            _ => Reset::Earliest,
        };
        let isolation = if self.committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let consumer = ConsumerSettings { isolation, reset, ..ConsumerSettings::default() };
        kafka.tell(Command::Consumer(consumer)).await;
        let mut reading = Reading {
            kafka: kafka.clone(),
            shape: self.shape(),
            count: self.count,
            exit_at_end: self.exit_at_end,
            grouped: self.group.is_some(),
            written: 0,
            ends: BTreeMap::new(),
            assigned: false,
            wrong: Vec::new(),
            said: BTreeSet::new(),
            out: Vec::new(),
        };
        match &self.group {
            Some(group) => self.join(&kafka, group).await?,
            None => {
                let cluster = Cluster { kafka: kafka.clone(), timeout: self.remote.timeout };
                let starts = self.starts(&cluster, &mut events).await?;
                reading.assign(starts.iter().map(|(of, _)| of.clone()));
                kafka.tell(Command::Assign(starts)).await;
            }
        }
        let ended = reading.run(&mut events, self.remote.timeout).await;
        if reading.grouped {
            kafka.leave().await;
            reading.last_words(&mut events).await;
        }
        ended?;
        if reading.wrong.is_empty() { Ok(()) } else { Err(Failed(reading.wrong)) }
    }

    fn shape(&self) -> Shape {
        match (&self.print, self.remote.format) {
            (Some(shape), _) => shape.clone(),
            (None, Format::Json) => Shape::Json,
            (None, Format::Text) => Shape::plain(),
        }
    }

    async fn join(&self, kafka: &Kafka, group: &str) -> Result<(), Failed> {
        match self.from {
            None | Some(From::Stored | From::Start(Start::Beginning | Start::End)) => {}
            Some(_) => {
                return Err(Failed::one(format!(
                    "a group goes on where it left off: only beginning, end and stored go with --group; \
                     `quipu group reset-offsets {group} --topic {}` moves it elsewhere",
                    self.topic
                )));
            }
        }
        let mut settings = MemberSettings::new(group, vec![self.topic.clone()]);
        settings.auto_commit_ms = Some(1_000);
        kafka.tell(Command::Join(settings)).await;
        Ok(())
    }

    /// The partitions to read, and where to begin in each.
    async fn starts(
        &self,
        cluster: &Cluster,
        events: &mut Events,
    ) -> Result<Vec<(TopicPartition, Start)>, Failed> {
        let names = [self.topic.clone()];
        let metadata = cluster.metadata(Some(&names));
        let r = with_complaints(metadata, events).await?;
        let topic = topic_of(&r, &self.topic)?;
        let all: Vec<i32> = topic.partitions.iter().map(|p| p.partition_index).collect();
        if let Some(missing) = self.partition.iter().find(|p| !all.contains(p)) {
            return Err(Failed::one(format!(
                "topic {} has {} partitions, there is no {missing}",
                self.topic,
                all.len()
            )));
        }
        let chosen = if self.partition.is_empty() { &all } else { &self.partition };
        let name: std::sync::Arc<str> = self.topic.as_str().into();
        let of = |p: &i32| TopicPartition::new(name.clone(), *p);
        let start = match self.from {
            None => Start::Beginning,
            Some(From::Start(start)) => start,
            Some(From::Stored) => {
                return Err(Failed::one("stored: the offsets of which group? Name it with --group"));
            }
            Some(From::Last(back)) => {
                let starts = offsets(cluster, &questions(topic, START).0).await?;
                let ends = offsets(cluster, &questions(topic, END).0).await?;
                let known = |p: &i32| match (starts.get(&of(p)), ends.get(&of(p))) {
                    (Some(Ok(start)), Some(Ok(end))) => Start::Offset(Offset((end - back).max(*start))),
                    _ => Start::End,
                };
                return Ok(chosen.iter().map(|p| (of(p), known(p))).collect());
            }
        };
        Ok(chosen.iter().map(|p| (of(p), start)).collect())
    }
}

/// Waits for a result; meanwhile says which brokers cannot be reached.
async fn with_complaints<T>(wanted: impl Future<Output = T>, events: &mut Events) -> T {
    let mut said = BTreeSet::new();
    tokio::pin!(wanted);
    loop {
        tokio::select! {
            biased;
            result = &mut wanted => return result,
            Some(event) = events.next() => if let Event::Unreachable { addr, why } = event {
                complain_once(&mut said, &addr, &why);
            },
        }
    }
}

impl Reading {
    /// Reads until there is a reason to stop. Nothing heard from any broker for `patience` is one.
    async fn run(&mut self, events: &mut Events, patience: Duration) -> Result<(), Failed> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut heard = Instant::now();
        let mut silent = true;
        self.kafka.tell(Command::Poll).await;
        while self.count != Some(0) {
            let left = patience.saturating_sub(heard.elapsed());
            let event = tokio::select! {
                biased;
                _ = &mut interrupt => return Ok(()),
                event = events.next() => event,
                () = tokio::time::sleep(left), if silent => {
                    return Err(Failed::one(format!("nothing heard within {} s", patience.as_secs_f64())));
                }
            };
            let Some(event) = event else { return Err(Failed::one("the client has ended")) };
            if !matches!(event, Event::Unreachable { .. }) {
                (silent, heard) = (false, Instant::now());
            }
            if self.take(event).await == Then::Stop {
                return Ok(());
            }
        }
        Ok(())
    }

    fn assign(&mut self, partitions: impl Iterator<Item = TopicPartition>) {
        self.ends = partitions.map(|of| (of, false)).collect();
        self.assigned = true;
    }

    async fn take(&mut self, event: Event) -> Then {
        match event {
            Event::Records { partition, records, next, end } => {
                return self.records(partition, records, (next, end)).await;
            }
            Event::Assigned(assigned) => {
                self.note(&format!(
                    "assigned in generation {}: {}",
                    assigned.generation,
                    named(&assigned.partitions)
                ));
                self.assign(assigned.partitions.into_iter());
            }
            Event::Revoked { partitions, lost } => {
                let how = if lost { "lost" } else { "given back" };
                self.note(&format!("{how}: {}", named(&partitions)));
                (self.ends, self.assigned) = (BTreeMap::new(), false);
            }
            Event::Positioned { partition, offset, instead_of: Some(gone) } => {
                self.note(&format!(
                    "{partition}: offset {gone} does not exist (any more), going on at {offset}"
                ));
            }
            Event::Unreadable { partition, failure } => {
                self.wrong.push(format!("cannot read {partition}: {failure}"));
                self.ends.remove(&partition);
                if self.ends.is_empty() {
                    return Then::Stop;
                }
            }
            Event::Expelled(failure) => {
                self.wrong.push(format!("expelled from the group: {failure}"));
                return Then::Stop;
            }
            other => self.aside(other),
        }
        self.at_end()
    }

    fn aside(&mut self, event: Event) {
        match event {
            Event::Unreachable { addr, why } => complain_once(&mut self.said, &addr, &why),
            Event::Committed { outcome: Outcome::Failed(why) | Outcome::Unknown(why), .. } => {
                self.note(&format!("offsets were not committed: {why}"));
            }
            _ => {}
        }
    }

    async fn records(
        &mut self,
        of: TopicPartition,
        records: Vec<Fetched>,
        (next, end): (Offset, Offset),
    ) -> Then {
        let mut processed = next;
        for fetched in &records {
            if self.count == Some(self.written) {
                processed = fetched.record.offset;
                break;
            }
            self.written += 1;
            self.shape.write(&mut self.out, &of, fetched, self.written);
        }
        // Nobody reads any more: an ordinary way to end, as with `| head`.
        if !self.flush() {
            return Then::Stop;
        }
        if processed >= end
            && let Some(reached) = self.ends.get_mut(&of)
        {
            *reached = true;
        }
        if self.grouped {
            self.kafka.tell(Command::Processed { partition: of, next: processed }).await;
        }
        if self.count == Some(self.written) {
            return Then::Stop;
        }
        if !records.is_empty() {
            self.kafka.tell(Command::Poll).await;
        }
        self.at_end()
    }

    fn at_end(&self) -> Then {
        let all = self.assigned && self.ends.values().all(|reached| *reached);
        if self.exit_at_end && all { Then::Stop } else { Then::GoOn }
    }

    fn flush(&mut self) -> bool {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        written.is_ok()
    }

    fn note(&self, text: &str) {
        eprintln!("note: {text}");
    }

    /// What there still is to say after leaving.
    async fn last_words(&mut self, events: &mut Events) {
        while let Some(event) = events.next_within(Duration::from_millis(1)).await {
            self.aside(event);
        }
    }
}

fn named(partitions: &[TopicPartition]) -> String {
    match partitions {
        [] => "no partition".into(),
        some => some.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use quipu_core::time::Timestamp;

    use super::*;

    #[test]
    fn where_to_begin_is_said_in_many_ways() {
        assert_eq!(from("beginning"), Ok(From::Start(Start::Beginning)));
        assert_eq!(from("end"), Ok(From::Start(Start::End)));
        assert_eq!(from("42"), Ok(From::Start(Start::Offset(Offset(42)))));
        assert_eq!(from("-10"), Ok(From::Last(10)));
        assert_eq!(from("@1000"), Ok(From::Start(Start::Time(Timestamp(1000)))));
        assert_eq!(from("stored"), Ok(From::Stored));
        assert!(from("@yesterday").is_err() && from("middle").is_err());
    }
}
