//! What was sent where: the truth that the log and the readers are held against when a story is over.

use std::collections::BTreeSet;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use crate::kafka::{PATIENCE, consumer, read, until};
use crate::reader::{Progress, Reader};
use crate::scene::{Place, Scene, place};

/// Records that are read and checked at once.
const PIECE: usize = 50_000;

/// A story that is over.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a> {
    /// Where it took place.
    pub scene: &'a Scene,
    /// By partition, how many records were sent and acknowledged.
    pub sent: &'a [usize],
}

/// How one partition's log differs from what was sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    lost: usize,
    doubled: usize,
    reordered: usize,
    foreign: usize,
    /// The first record that does not lie where it must: its offset, and where it says that it must lie.
    first: Option<(usize, Option<Place>)>,
}

impl Story<'_> {
    /// Reads every partition from start to end: exactly what was sent, in order, once. Panics with all that is wrong.
    pub fn log_is_exact(&self) {
        let Scene { bootstrap, topic, .. } = self.scene;
        let log = |partition| log(bootstrap, topic, partition);
        let judge = |partition: usize| judge((partition, self.sent[partition]), &log(partition));
        let wrong: Vec<(usize, Verdict)> = (0..self.sent.len())
            .map(|partition| (partition, judge(partition)))
            .filter(|(_, verdict)| *verdict != Verdict::default())
            .collect();
        assert!(wrong.is_empty(), "partitions whose records are lost, doubled or reordered: {wrong:#?}");
    }

    /// Lets the group read to the end, then ends its readers; panics when they saw what may not be.
    pub fn readers_saw_everything(&self, readers: Vec<Reader>, progress: &Progress) {
        until("the group reads to the end", PATIENCE, || {
            progress.next().iter().zip(self.sent).all(|(next, sent)| next >= sent)
        });
        readers.into_iter().for_each(Reader::crash);
        let faults = progress.faults();
        assert!(
            faults.is_empty(),
            "{} faults, the first: {:#?}",
            faults.len(),
            &faults[..faults.len().min(5)]
        );
        assert!(progress.commits() > 0, "no commit was acknowledged: resuming was not tested");
    }
}

/// Where each record of a partition's log says that it must lie, up to the high watermark.
pub fn log(bootstrap: &str, topic: &str, partition: usize) -> Vec<Option<Place>> {
    let consumer = consumer(bootstrap, "watermarks", &[]);
    let marks = consumer.fetch_watermarks(topic, partition as i32, PATIENCE);
    let (low, high) = marks.unwrap_or_else(|error| panic!("partition {partition} has no end: {error}"));
    assert_eq!(low, 0, "partition {partition} begins later");
    let mut found = Vec::new();
    while found.len() < high as usize {
        let (next, count) = (found.len(), PIECE.min(high as usize - found.len()));
        let piece = read(bootstrap, topic, partition as i32, Offset::Offset(next as i64), count);
        let is_whole = piece.iter().map(|(offset, _)| *offset as usize).eq(next..next + count);
        assert!(is_whole, "partition {partition}: {count} records from {next} on cannot be read");
        found.extend(piece.iter().map(|(_, record)| place(record.value.as_deref().unwrap_or_default())));
    }
    found
}

/// Holds a log against how many records were sent to the partition.
fn judge((partition, sent): (usize, usize), log: &[Option<Place>]) -> Verdict {
    let mut verdict = Verdict::default();
    let (mut seen, mut highest) = (BTreeSet::new(), None);
    for (offset, said) in log.iter().enumerate() {
        if *said != Some((partition, offset)) {
            verdict.first.get_or_insert((offset, *said));
        }
        match said {
            Some((of, sequence)) if *of == partition && *sequence < sent => {
                if !seen.insert(*sequence) {
                    verdict.doubled += 1;
                } else if highest > Some(*sequence) {
                    verdict.reordered += 1;
                }
                highest = highest.max(Some(*sequence));
            }
            _ => verdict.foreign += 1,
        }
    }
    verdict.lost = sent - seen.len();
    verdict
}

#[test]
fn what_is_lost_doubled_reordered_or_foreign_is_counted() {
    let log = |sequences: &[usize]| sequences.iter().map(|sequence| Some((1, *sequence))).collect::<Vec<_>>();
    assert_eq!(judge((1, 3), &log(&[0, 1, 2])), Verdict::default());
    let lost = Verdict { lost: 1, ..Verdict::default() };
    assert_eq!(judge((1, 3), &log(&[0, 1])), lost);
    let first = Some((1, Some((1, 2))));
    assert_eq!(judge((1, 3), &log(&[0, 2])), Verdict { first, ..lost });
    assert_eq!(judge((1, 3), &log(&[0, 2, 1])), Verdict { reordered: 1, first, ..Verdict::default() });
    let first = Some((2, Some((1, 1))));
    assert_eq!(judge((1, 3), &log(&[0, 1, 1, 2])), Verdict { doubled: 1, first, ..Verdict::default() });
    let strange = [Some((0, 0)), None];
    let found = judge((1, 0), &strange);
    assert_eq!((found.foreign, found.first), (2, Some((0, Some((0, 0))))));
}
