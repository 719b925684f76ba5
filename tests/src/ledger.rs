//! What a client in a process of its own tells line by line, held against what may be while it runs, and against the log at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::scene::Place;

/// How long a partition may go without an acknowledgement until its client is said not to come back.
const SILENCE: Duration = Duration::from_secs(120);

/// The lines of one client, which writes to one topic and reads it in one group that is placed at the start.
#[derive(Debug)]
pub struct Ledger {
    accounts: Vec<Account>,
    /// By member and partition, the offset it reads next. Forgotten when the partition changes hands.
    positions: BTreeMap<(usize, usize), i64>,
    /// By member and partition, what it may not resume below: what was committed when it was assigned the partition,
    /// and what it has committed since.
    ///
    /// Not what others commit later: who was expelled while its coordinator stood still learns that only after it has
    /// asked where to resume, and neither its assignment nor that question is fenced (Kafka: `validateOffsetFetch` of
    /// `ClassicGroup` asks for no member or generation). Its commits are.
    floors: BTreeMap<(usize, usize), i64>,
    again: i64,
    assignments: usize,
    commits: usize,
    refusals: usize,
    faults: Vec<String>,
}

/// One partition.
#[derive(Debug)]
struct Account {
    /// By number, the offset that was acknowledged; -1 where the client was told none.
    acked: BTreeMap<usize, i64>,
    failed: BTreeSet<usize>,
    /// How many were given to the client; nothing until it ends.
    sent: Option<usize>,
    /// The next offset that no member has read yet.
    next: i64,
    /// The highest offset whose commit was acknowledged.
    committed: i64,
    /// When the last acknowledgement came; nothing before the first.
    last: Option<Instant>,
    longest: Duration,
}

impl Account {
    fn silence(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.elapsed())
    }
}

impl Ledger {
    /// Of a topic of so many partitions.
    pub fn new(partitions: usize) -> Ledger {
        let account = |_| Account {
            acked: BTreeMap::new(),
            failed: BTreeSet::new(),
            sent: None,
            next: 0,
            committed: 0,
            last: None,
            longest: Duration::ZERO,
        };
        let accounts = (0..partitions).map(account).collect();
        let (positions, floors, faults) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Ledger { accounts, positions, floors, again: 0, assignments: 0, commits: 0, refusals: 0, faults }
    }

    /// Takes one line; what such lines say stands in tests/clients/java/Chaos.java.
    pub fn take(&mut self, line: &str) {
        if self.understood(line).is_none() {
            self.faults.push(line.to_string());
        }
    }

    /// Nothing for a line that tells of a fault, or that nobody understands, which is one too.
    fn understood(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        let mut parts = rest.split(' ');
        match word {
            "assigned" => {
                self.assigned(parts.next()?.parse().ok()?, parts.next().unwrap_or_default());
                self.assignments += 1;
            }
            "lost" => {}
            "uncommitted" => self.refusals += 1,
            // It goes on by itself once its coordinator or a leader is back.
            "waits" => {}
            "acked" => {
                let (partition, number) = (self.partition(parts.next()?)?, parts.next()?.parse().ok()?);
                self.acked(partition, number, parts.next()?.parse().ok()?);
            }
            "failed" => {
                let (partition, number) = (self.partition(parts.next()?)?, parts.next()?.parse().ok()?);
                self.accounts[partition].failed.insert(number);
                self.faults.push(line.to_string());
            }
            "sent" => {
                let partition = self.partition(parts.next()?)?;
                self.accounts[partition].sent = Some(parts.next()?.parse().ok()?);
            }
            "read" => {
                let (member, partition) = (parts.next()?.parse().ok()?, self.partition(parts.next()?)?);
                let (from, to) = parts.next()?.split_once('-')?;
                self.read((member, partition), from.parse().ok()?, to.parse().ok()?);
            }
            "committed" => {
                let (member, partition) = (parts.next()?.parse().ok()?, self.partition(parts.next()?)?);
                self.committed((member, partition), parts.next()?.parse().ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    fn partition(&self, text: &str) -> Option<usize> {
        text.parse().ok().filter(|partition| *partition < self.accounts.len())
    }

    /// Partitions came to a member: where it goes on shows at its next record.
    fn assigned(&mut self, member: usize, partitions: &str) {
        for partition in partitions.split(',').filter_map(|text| text.parse().ok()) {
            self.positions.remove(&(member, partition));
            let committed = self.accounts.get(partition).map_or(0, |account| account.committed);
            self.floors.insert((member, partition), committed);
        }
    }

    fn committed(&mut self, (member, partition): (usize, usize), offset: i64) {
        self.commits += 1;
        let account = &mut self.accounts[partition];
        account.committed = account.committed.max(offset);
        let floor = self.floors.entry((member, partition)).or_default();
        *floor = (*floor).max(offset);
    }

    fn acked(&mut self, partition: usize, number: usize, offset: i64) {
        let account = &mut self.accounts[partition];
        account.longest = account.longest.max(account.silence());
        account.last = Some(Instant::now());
        if let Some(before) = account.acked.insert(number, offset) {
            self.faults
                .push(format!("{partition}:{number} was acknowledged at {before} and again at {offset}"));
        }
    }

    /// A member read what lies at `from..=to`; it has checked that each record says so.
    fn read(&mut self, (member, partition): (usize, usize), from: i64, to: i64) {
        let account = &mut self.accounts[partition];
        let (next, floor) = (account.next, self.floors.get(&(member, partition)).copied());
        let before = self.positions.insert((member, partition), to + 1);
        if from > next {
            self.faults.push(format!("partition {partition}: {next} to {from} were never read"));
        }
        match floor {
            None => self.faults.push(format!("partition {partition}: member {member} reads it unassigned")),
            Some(floor) if before != Some(from) && from < floor => {
                let what = format!("member {member} resumed at {from}, but {floor} was committed before");
                self.faults.push(format!("partition {partition}: {what}"));
            }
            Some(_) => {}
        }
        self.again += (next.min(to + 1) - from).max(0);
        account.next = next.max(to + 1);
    }

    /// What may not be, so far, of a client that still writes.
    pub fn faults_of_a_writer(&self) -> Vec<String> {
        let silent = |(partition, account): (usize, &Account)| {
            let silence = account.silence();
            (silence > SILENCE).then(|| format!("partition {partition} acknowledged nothing for {silence:?}"))
        };
        let silences = self.accounts.iter().enumerate().filter_map(silent);
        self.faults.iter().cloned().chain(silences).collect()
    }

    /// Whether every partition has acknowledged something and been read.
    pub fn begun(&self) -> bool {
        self.accounts.iter().all(|account| account.last.is_some() && account.next > 0)
    }

    /// What the lines told that may not be.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// How what the client was told differs from a partition's log: where each of its records says that it must lie.
    pub fn against(&self, partition: usize, log: &[Option<Place>]) -> Vec<String> {
        let account = &self.accounts[partition];
        let Some(sent) = account.sent else {
            return vec![format!("partition {partition}: the client did not say how many it sent")];
        };
        let mut wrong = Vec::new();
        let (mut lies, mut highest) = (BTreeMap::new(), None);
        for (offset, said) in log.iter().enumerate() {
            match *said {
                Some((of, number)) if of == partition && number < sent => {
                    if let Some(first) = lies.insert(number, offset as i64) {
                        wrong.push(format!("{partition}:{number} lies at {first} and at {offset}"));
                    } else if highest > Some(number) {
                        wrong.push(format!("{partition}:{number} lies at {offset}, after {highest:?}"));
                    }
                    highest = highest.max(Some(number));
                }
                _ => wrong.push(format!("partition {partition}, offset {offset} holds {said:?}")),
            }
        }
        for (number, offset) in &account.acked {
            match lies.get(number) {
                None => wrong.push(format!("{partition}:{number} was acknowledged at {offset} and is lost")),
                Some(found) if *offset != -1 && found != offset => {
                    wrong.push(format!("{partition}:{number} was acknowledged at {offset}, lies at {found}"));
                }
                Some(_) => {}
            }
        }
        let answered = account.acked.len() + account.failed.len();
        if answered != sent {
            wrong.push(format!("partition {partition}: {sent} were sent, {answered} answered"));
        }
        if account.next != log.len() as i64 {
            wrong.push(format!("partition {partition}: read up to {} of {}", account.next, log.len()));
        }
        wrong
    }

    /// What came together, for people; how many commits the client was told.
    pub fn totals(&self) -> (String, usize) {
        let sum = |of: fn(&Account) -> usize| self.accounts.iter().map(of).sum::<usize>();
        let sent = sum(|account| account.sent.unwrap_or(0));
        let acked = sum(|account| account.acked.len());
        let read = sum(|account| account.next as usize);
        let longest = self.accounts.iter().map(|account| account.longest).max().unwrap_or_default();
        let Ledger { again, assignments, commits, refusals, .. } = self;
        let text = format!(
            "{sent} records, {acked} acknowledged, silent for {:.2} s at most; {read} read and {again} of them again, \
             {assignments} assignments, {commits} commits acknowledged and {refusals} not",
            longest.as_secs_f64()
        );
        (text, *commits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Ledger {
        let mut ledger = Ledger::new(2);
        lines.iter().for_each(|line| ledger.take(line));
        ledger
    }

    #[test]
    fn a_reader_may_read_again_what_was_not_committed_and_nothing_else() {
        let begun = ["assigned 1 0,1", "read 1 1 0-9", "committed 1 1 10", "read 1 1 10-19"];
        let resumed = |from| told(&[&begun[..], &["lost 1 0,1", "assigned 2 1", from]].concat());
        let ledger = resumed("read 2 1 10-24");
        assert_eq!((ledger.faults().len(), ledger.again, ledger.accounts[1].next), (0, 10, 25));
        let below = "partition 1: member 2 resumed at 9, but 10 was committed before";
        assert_eq!(resumed("read 2 1 9-24").faults(), [below]);
        assert_eq!(resumed("read 2 1 21-24").faults(), ["partition 1: 20 to 21 were never read"]);
    }

    #[test]
    fn whoever_was_expelled_unknowingly_may_resume_where_it_was_told_to_and_go_on() {
        let begun = ["assigned 1 0", "read 1 0 0-9", "committed 1 0 5", "assigned 2 0"];
        let expelled =
            ["assigned 1 0", "read 1 0 5-14", "committed 1 0 15", "read 2 0 5-14", "read 2 0 15-19"];
        let ledger = told(&[&begun[..], &expelled].concat());
        assert_eq!((ledger.faults().len(), ledger.again), (0, 15));
        let back = ["committed 2 0 20", "read 2 0 15-19"];
        let ledger = told(&[&begun[..], &expelled, &back].concat());
        assert_eq!(ledger.faults(), ["partition 0: member 2 resumed at 15, but 20 was committed before"]);
        assert_eq!(told(&["read 1 0 0-4"]).faults(), ["partition 0: member 1 reads it unassigned"]);
    }

    #[test]
    fn what_nobody_understands_and_what_was_given_up_are_faults() {
        let lines =
            ["failed 0 3 timed out", "acked 2 0 0", "read 1 0 x-y", "fault no place to resume", "assigned"];
        assert_eq!(told(&lines).faults(), lines);
        assert!(
            told(&["uncommitted 1 it moves", "waits 1 for it", "lost 1 ", "assigned 1 "]).faults().is_empty()
        );
        let twice = told(&["acked 0 0 0", "acked 0 0 7"]);
        assert_eq!(twice.faults(), ["0:0 was acknowledged at 0 and again at 7"]);
    }

    #[test]
    fn an_acknowledged_record_lies_once_in_order_and_where_it_was_said_to() {
        let acked =
            ["acked 1 0 0", "acked 1 1 -1", "acked 1 2 2", "assigned 1 1", "read 1 1 0-2", "sent 1 3"];
        let against = |numbers: &[usize]| {
            let log: Vec<Option<Place>> = numbers.iter().map(|number| Some((1, *number))).collect();
            let wrong = told(&acked).against(1, &log);
            wrong.into_iter().filter(|text| !text.contains("read up to")).collect::<Vec<_>>()
        };
        assert!(against(&[0, 1, 2]).is_empty());
        assert_eq!(against(&[0, 1]), ["1:2 was acknowledged at 2 and is lost"]);
        assert_eq!(
            against(&[0, 1, 2, 2]),
            ["1:2 lies at 2 and at 3", "1:2 was acknowledged at 2, lies at 3"]
        );
        let reordered = ["1:1 lies at 2, after Some(2)", "1:2 was acknowledged at 2, lies at 1"];
        assert_eq!(against(&[0, 2, 1]), reordered);
        assert_eq!(against(&[0, 1, 2, 3]), ["partition 1, offset 3 holds Some((1, 3))"]);
    }

    #[test]
    fn a_record_without_an_answer_and_a_log_that_was_not_read_are_wrong() {
        let ledger = told(&["acked 0 0 0", "sent 0 2"]);
        assert!(!ledger.begun());
        let wrong = ["partition 0: 2 were sent, 1 answered", "partition 0: read up to 0 of 1"];
        assert_eq!(ledger.against(0, &[Some((0, 0))]), wrong);
        assert_eq!(ledger.against(1, &[]), ["partition 1: the client did not say how many it sent"]);
    }
}
