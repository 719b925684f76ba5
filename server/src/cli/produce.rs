//! `quipu produce`: lines of standard input or a file become records; the end waits for all acknowledgements.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use quipu_core::client::{
    Acks, NewRecord, Outcome, Partitioner, Placed, ProducerSettings, Target, TopicPartition,
};
use quipu_core::record::{Codec, RecordHeader};
use quipu_core::wire::messages::metadata::MetadataResponse;
use quipu_net::client::Delivery;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::remote::{Cluster, Failed, Format, Remote, put};
use super::topic::pair;

/// Flags of `quipu produce`.
#[derive(Args, Debug)]
#[command(
    after_help = "Each line is one record. Records without a key go to one partition after the other, batch by \
                        batch; those with a key where Java's default partitioner puts them."
)]
pub(crate) struct ProduceArgs {
    /// The topic; made with the broker's defaults if it does not exist and the broker allows that
    topic: String,
    /// Read lines from here instead of standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take the whole input as one record
    #[arg(long)]
    whole: bool,
    /// What separates key and value in a line; without it lines have no key
    #[arg(short = 'K', long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// The key of every record that brings none of its own
    #[arg(short, long)]
    key: Option<String>,
    /// A header for every record; may be given more than once
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = pair)]
    header: Vec<(String, String)>,
    /// The partition [default: by the key's hash; without a key in turn]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// How batches are compressed
    #[arg(short = 'z', long, value_enum, default_value_t = CodecName::None)]
    codec: CodecName,
    /// Whom to wait for: 0 nobody, 1 the leader, all the in-sync replicas
    #[arg(short, long, value_parser = acks, default_value = "all")]
    acks: Acks,
    /// Write an empty value as none (a tombstone)
    #[arg(short = 'Z', long)]
    tombstones: bool,
    /// Bytes of the largest record
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_bytes: usize,
    /// Milliseconds that a record waits for company
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = clap::value_parser!(i64).range(0..=60_000))]
    linger_ms: i64,
    /// Spread records over partitions in turn, whatever their keys
    #[arg(long)]
    round_robin: bool,
    #[command(flatten)]
    remote: Remote,
}

/// The codecs by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl CodecName {
    fn codec(self) -> Codec {
        match self {
            CodecName::None => Codec::None,
            CodecName::Gzip => Codec::Gzip,
            CodecName::Snappy => Codec::Snappy,
            CodecName::Lz4 => Codec::Lz4,
            CodecName::Zstd => Codec::Zstd,
        }
    }
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "all" | "-1" => Ok(Acks::All),
        _ => Err(format!("'{text}' is none of 0, 1, all")),
    }
}

/// What was written to one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    records: u64,
    /// The first and the last offset, if the broker tells.
    offsets: Option<(i64, i64)>,
}

/// What has become of the records so far.
#[derive(Debug, Default)]
struct Report {
    written: u64,
    partitions: BTreeMap<i32, Tally>,
    wrong: Vec<String>,
    failed: u64,
    unknown: u64,
}

/// Errors that are shown one by one.
const ERRORS_SHOWN: usize = 5;
/// Lines that are read ahead.
const LINES_AHEAD: usize = 1024;
/// Records whose fate is awaited at a time: the client's buffer bounds their bytes.
const UNDER_WAY: usize = 100_000;

impl ProduceArgs {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        let settings =
            quipu_core::client::ClientSettings { auto_create_topics: true, ..self.remote.settings() };
        let cluster = self.remote.open_with(settings);
        let mut lines = self.input()?;
        let producer = cluster.kafka.producer(self.settings()).await;
        let mut report = Report::default();
        let mut under_way: VecDeque<(u64, Delivery)> = VecDeque::new();
        let mut number = 0;
        while let Some(line) = next(&mut lines, &mut under_way, &mut report).await {
            let line = line.map_err(|e| Failed::one(format!("cannot read the input: {e}")))?;
            number += 1;
            if line.len() > self.max_bytes {
                let text = format!(
                    "record {number} is longer than {} bytes; --max-bytes raises the limit",
                    self.max_bytes
                );
                report.wrong.push(text);
                report.failed += 1;
            } else {
                under_way.push_back((number, producer.send(self.record(&line)).await));
            }
            if report.failed + report.unknown > 0 {
                break;
            }
        }
        producer.flush().await;
        while let Some((number, delivery)) = under_way.pop_front() {
            report.note(number, delivery.fate().await);
        }
        if self.acks == Acks::None {
            self.wait_for_brokers(&cluster, &report).await?;
        }
        self.tell(report)
    }

    fn settings(&self) -> ProducerSettings {
        let timeout_ms = i64::try_from(self.remote.timeout.as_millis()).unwrap_or(i64::MAX);
        ProducerSettings {
            acks: self.acks,
            linger_ms: self.linger_ms,
            codec: self.codec.codec(),
            partitioner: if self.round_robin { Partitioner::RoundRobin } else { Partitioner::KeyHash },
            delivery_timeout_ms: timeout_ms,
            // Room for what a record adds to its own bytes.
            request_max_bytes: self.max_bytes.saturating_add(64 << 10),
            buffer_bytes: (32 << 20).max(self.max_bytes.saturating_mul(2)),
            ..ProducerSettings::default()
        }
    }

    /// Lines as they come, read on a thread that may block.
    fn input(&self) -> Result<mpsc::Receiver<io::Result<Vec<u8>>>, Failed> {
        let mut input: Box<dyn BufRead + Send> = match &self.file {
            Some(path) => match File::open(path) {
                Ok(file) => Box::new(BufReader::with_capacity(1 << 16, file)),
                Err(e) => return Err(Failed::one(format!("cannot open {}: {e}", path.display()))),
            },
            None => Box::new(BufReader::with_capacity(1 << 16, io::stdin())),
        };
        let (send, lines) = mpsc::channel(LINES_AHEAD);
        let (whole, limit) = (self.whole, self.max_bytes as u64 + 2);
        std::thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                let mut bounded = (&mut input).take(limit);
                let read =
                    if whole { bounded.read_to_end(&mut line) } else { bounded.read_until(b'\n', &mut line) };
                let item = match read {
                    Ok(0) => return,
                    Ok(_) => Ok(line_of(line, whole)),
                    Err(error) => Err(error),
                };
                let last = whole || item.is_err();
                if send.blocking_send(item).is_err() || last {
                    return;
                }
            }
        });
        Ok(lines)
    }

    fn record(&self, line: &[u8]) -> NewRecord {
        let (key, value) = match &self.key_separator {
            Some(separator) => split(line, separator.as_bytes()),
            None => (None, line),
        };
        let key =
            key.map(Bytes::copy_from_slice).or_else(|| self.key.as_ref().map(|k| Bytes::from(k.clone())));
        let header = |(name, value): &(String, String)| RecordHeader {
            key: Bytes::from(name.clone()),
            value: Some(Bytes::from(value.clone())),
        };
        NewRecord {
            topic: self.topic.clone(),
            partition: self.partition,
            key,
            value: (!(self.tombstones && value.is_empty())).then(|| Bytes::copy_from_slice(value)),
            headers: self.header.iter().map(header).collect(),
            timestamp: None,
        }
    }

    /// With acks=0 nothing is answered: a question behind the records proves that they have arrived.
    async fn wait_for_brokers(&self, cluster: &Cluster, report: &Report) -> Result<(), Failed> {
        for partition in report.partitions.keys() {
            let leader = Target::Leader(TopicPartition::new(self.topic.as_str(), *partition));
            let none: Vec<String> = Vec::new();
            let _: MetadataResponse =
                cluster.ask(leader, quipu_core::client::metadata_of(Some(&none))).await?;
        }
        Ok(())
    }

    fn tell(&self, report: Report) -> Result<(), Failed> {
        match self.remote.format {
            Format::Json => put(report.json(&self.topic)),
            Format::Text => eprintln!("{}", report.text(&self.topic)),
        }
        let more = (report.failed + report.unknown).saturating_sub(ERRORS_SHOWN as u64);
        let mut wrong = report.wrong;
        wrong.truncate(ERRORS_SHOWN);
        if more > 0 {
            wrong.push(format!("and {more} more records"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong)) }
    }
}

/// The next line; meanwhile the fates of records that are known are noted.
async fn next(
    lines: &mut mpsc::Receiver<io::Result<Vec<u8>>>,
    under_way: &mut VecDeque<(u64, Delivery)>,
    report: &mut Report,
) -> Option<io::Result<Vec<u8>>> {
    loop {
        let full = under_way.len() >= UNDER_WAY;
        let Some((number, first)) = under_way.front_mut() else { return lines.recv().await };
        let number = *number;
        tokio::select! {
            biased;
            fate = first.poll_fate() => {
                under_way.pop_front();
                report.note(number, fate);
                if report.failed + report.unknown > 0 {
                    return None;
                }
            }
            line = lines.recv(), if !full => return line,
        }
    }
}

fn line_of(mut line: Vec<u8>, whole: bool) -> Vec<u8> {
    if !whole && line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

/// Key and value of a line; no key when the separator is not in it.
fn split<'a>(line: &'a [u8], separator: &[u8]) -> (Option<&'a [u8]>, &'a [u8]) {
    let at =
        if separator.is_empty() { None } else { line.windows(separator.len()).position(|w| w == separator) };
    match at {
        Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
        None => (None, line),
    }
}

impl Report {
    fn note(&mut self, number: u64, fate: Outcome<Placed>) {
        match fate {
            Outcome::Done(placed) => {
                self.written += 1;
                let tally = self.partitions.entry(placed.partition.partition).or_default();
                tally.records += 1;
                if let Some(offset) = placed.offset {
                    let (first, last) = tally.offsets.unwrap_or((offset.0, offset.0));
                    tally.offsets = Some((first.min(offset.0), last.max(offset.0)));
                }
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                self.complain(format!("record {number} was not written: {why}"));
            }
            Outcome::Unknown(why) => {
                self.unknown += 1;
                self.complain(format!("record {number} may or may not have been written: {why}"));
            }
        }
    }

    fn complain(&mut self, text: String) {
        if self.wrong.len() < ERRORS_SHOWN {
            self.wrong.push(text);
        }
    }

    fn text(&self, topic: &str) -> String {
        let range = |(partition, tally): (&i32, &Tally)| match tally.offsets {
            Some((first, last)) => {
                format!("partition {partition}: {} at offsets {first} to {last}", tally.records)
            }
            None => format!("partition {partition}: {}", tally.records),
        };
        let where_to: Vec<String> = self.partitions.iter().map(range).collect();
        let records = if self.written == 1 { "record" } else { "records" };
        if where_to.is_empty() {
            return format!("wrote {} {records} to {topic}", self.written);
        }
        format!("wrote {} {records} to {topic} ({})", self.written, where_to.join("; "))
    }

    fn json(&self, topic: &str) -> Value {
        let partition = |(partition, tally): (&i32, &Tally)| {
            json!({"partition": partition, "records": tally.records,
                "first_offset": tally.offsets.map(|o| o.0), "last_offset": tally.offsets.map(|o| o.1)})
        };
        let partitions: Vec<Value> = self.partitions.iter().map(partition).collect();
        json!({"topic": topic, "written": self.written, "failed": self.failed, "unknown": self.unknown,
            "partitions": partitions})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        assert_eq!(split(b"k:v:w", b":"), (Some(&b"k"[..]), &b"v:w"[..]));
        assert_eq!(split(b"no key", b":"), (None, &b"no key"[..]));
        assert_eq!(split(b"a=>b", b"=>"), (Some(&b"a"[..]), &b"b"[..]));
    }

    #[test]
    fn line_ends_are_no_part_of_a_record_unless_the_input_is_one() {
        assert_eq!(line_of(b"a\r\n".to_vec(), false), b"a");
        assert_eq!(line_of(b"a".to_vec(), false), b"a");
        assert_eq!(line_of(b"a\n".to_vec(), true), b"a\n");
    }

    #[test]
    fn the_report_says_how_many_and_where() {
        let mut report = Report::default();
        for offset in [7, 5, 6] {
            let partition = TopicPartition::new("t", 1);
            let (offset, timestamp) = (Some(quipu_core::ids::Offset(offset)), Default::default());
            report.note(1, Outcome::Done(Placed { partition, offset, timestamp }));
        }
        assert_eq!(report.text("t"), "wrote 3 records to t (partition 1: 3 at offsets 5 to 7)");
        report.note(4, Outcome::Failed(quipu_core::client::Failure::local("no")));
        assert_eq!((report.json("t")["failed"].clone(), report.wrong.len()), (json!(1), 1));
    }
}
