//! The acknowledgements of a load as they come: how many, for what, and how long each partition was silent.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

/// Shared between the producer, its load, and who watches both.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    marked: Instant,
    beats: Vec<Beat>,
    faults: Vec<String>,
}

/// One partition.
#[derive(Clone, Copy, Debug)]
struct Beat {
    /// Records given to librdkafka.
    sent: usize,
    acknowledged: usize,
    /// Of those, how many were given to it before the mark.
    sent_before: usize,
    last: Instant,
    /// Since the mark.
    longest: Duration,
    /// From the mark to the first acknowledgement of a record that was sent after it.
    answered: Option<Duration>,
}

/// How one partition fared since the mark.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// The longest time without an acknowledgement; the last one before the mark counts as a beginning, and now as an end.
    pub longest: Duration,
    /// From the mark to the first acknowledgement of a record that was sent after it. Nothing if none came yet.
    pub answered: Option<Duration>,
}

impl Pulse {
    /// For a topic of so many partitions.
    pub fn new(partitions: usize) -> Pulse {
        let now = Instant::now();
        let beat = Beat {
            sent: 0,
            acknowledged: 0,
            sent_before: 0,
            last: now,
            longest: Duration::ZERO,
            answered: None,
        };
        Pulse(Arc::new(Mutex::new(State { marked: now, beats: vec![beat; partitions], faults: Vec::new() })))
    }

    /// A record is about to be given to librdkafka; answers its sequence in the partition.
    /// Nothing when as many as `backlog` of the partition wait for their acknowledgements.
    pub fn next(&self, partition: usize, backlog: usize) -> Option<usize> {
        let beat = &mut self.state().beats[partition];
        if beat.sent - beat.acknowledged >= backlog {
            return None;
        }
        beat.sent += 1;
        Some(beat.sent - 1)
    }

    /// How many records are acknowledged.
    pub fn count(&self) -> usize {
        self.state().beats.iter().map(|beat| beat.acknowledged).sum()
    }

    /// By partition, how many records were given to librdkafka.
    pub fn sent(&self) -> Vec<usize> {
        self.state().beats.iter().map(|beat| beat.sent).collect()
    }

    /// Outages are measured from here on.
    pub fn mark(&self) {
        let state = &mut *self.state();
        state.marked = Instant::now();
        for beat in &mut state.beats {
            (beat.sent_before, beat.longest, beat.answered) = (beat.sent, Duration::ZERO, None);
        }
    }

    /// Only records that are sent from here on answer the mark: what was acknowledged while a signal was on its way does not.
    pub fn only_from_here(&self) {
        for beat in &mut self.state().beats {
            (beat.sent_before, beat.answered) = (beat.sent, None);
        }
    }

    /// By partition, what has been measured since the mark.
    pub fn outages(&self) -> Vec<Outage> {
        let state = self.state();
        let outage =
            |beat: &Beat| Outage { longest: beat.longest.max(beat.last.elapsed()), answered: beat.answered };
        state.beats.iter().map(outage).collect()
    }

    /// What went wrong so far: records given up, acknowledgements that name a wrong place, a producer that cannot go on.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics with the lock")
    }
}

impl State {
    fn beat(&mut self, (partition, offset): (usize, i64), sequence: usize) {
        let (now, marked) = (Instant::now(), self.marked);
        let beat = &mut self.beats[partition];
        beat.acknowledged += 1;
        beat.longest = beat.longest.max(now - beat.last);
        beat.last = now;
        if sequence >= beat.sent_before {
            beat.answered.get_or_insert(now - marked);
        }
        // librdkafka knows no offset of a batch that the broker says it has already: the readers will see where it is.
        if offset >= 0 && offset != sequence as i64 {
            self.faults.push(format!("{partition}:{sequence} was acknowledged at offset {offset}"));
        }
    }
}

impl ClientContext for Pulse {
    fn error(&self, error: KafkaError, reason: &str) {
        // All others are told again by what becomes of records; a broker that is away is no fault.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.state().faults.push(format!("the producer cannot go on: {error}: {reason}"));
        }
    }
}

impl ProducerContext for Pulse {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let mut state = self.state();
        match result {
            Ok(message) => state.beat((message.partition() as usize, message.offset()), sequence),
            Err((error, message)) => {
                state.faults.push(format!("{}:{sequence} was given up: {error}", message.partition()));
            }
        }
    }
}

#[test]
fn a_mark_forgets_what_was_before_and_only_a_record_sent_after_it_answers_it() {
    let pulse = Pulse::new(2);
    assert_eq!([0, 0, 1].map(|partition| pulse.next(partition, 2)), [Some(0), Some(1), Some(0)]);
    assert_eq!(pulse.next(0, 2), None);
    pulse.mark();
    pulse.state().beat((0, 0), 0);
    assert_eq!(pulse.outages()[0].answered, None);
    assert_eq!(pulse.next(0, 2), Some(2));
    pulse.state().beat((0, 1), 1);
    pulse.state().beat((0, 2), 2);
    assert!(pulse.outages()[0].answered.is_some() && pulse.outages()[1].answered.is_none());
    assert_eq!((pulse.count(), pulse.sent(), pulse.faults().len()), (3, vec![3, 1], 0));
    pulse.state().beat((1, 5), 0);
    assert_eq!(pulse.faults(), ["1:0 was acknowledged at offset 5"]);
}
