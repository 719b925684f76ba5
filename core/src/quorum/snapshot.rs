//! Catching up from a snapshot (KIP-630): what a follower gathers piece by piece when its leader's log does not reach back to it.

use crate::ids::{BrokerId, LeaderEpoch};
use crate::log::Log;
use crate::quorum::messages::{Answer, Piece, Refusal, Tip, Wanted};
use crate::quorum::voters::Voter;
use crate::quorum::{Output, Quorum, Role};
use crate::record::batch::crc32c;
use crate::time::Instant;

/// Bytes of the largest snapshot that is taken from another node: it is held in memory until it is whole.
pub(super) const LARGEST: u64 = 256 << 20;

/// A question for a piece of a snapshot that the leader answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingPiece {
    /// Who asked.
    pub to: BrokerId,
    /// Which of its questions this answers.
    pub correlation: u64,
    /// The epoch in which this node leads.
    pub epoch: LeaderEpoch,
    /// Which snapshot.
    pub of: Tip,
    /// The first byte wanted.
    pub from: u64,
}

/// A snapshot as far as a follower has it.
#[derive(Debug)]
pub(super) struct Gathering {
    of: Tip,
    /// Its bytes so far; once it is whole they are the disk's.
    bytes: Vec<u8>,
    whole: bool,
}

impl Gathering {
    /// Whether it has been handed over.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What it lacks next.
    pub(super) fn wants(&self, by: Voter) -> Wanted {
        Wanted { by, of: self.of, from: self.bytes.len() as u64 }
    }

    /// Takes the next piece. Answers whether all is there.
    fn take(&mut self, piece: &Piece) -> Result<bool, String> {
        let Tip { epoch, end } = self.of;
        let wrong = |why: &str| format!("the snapshot of the metadata up to {end} (epoch {epoch}) {why}");
        if piece.whole > LARGEST {
            let why = format!("has {} bytes, and this node takes {LARGEST} at most", piece.whole);
            return Err(wrong(&why));
        }
        if piece.of != self.of || piece.from != self.bytes.len() as u64 || piece.bytes.is_empty() {
            return Err(wrong("came with a piece that does not belong to it"));
        }
        self.bytes.extend_from_slice(&piece.bytes);
        if (self.bytes.len() as u64) < piece.whole {
            return Ok(false);
        }
        if self.bytes.len() as u64 > piece.whole || crc32c(&self.bytes) != piece.crc {
            return Err(wrong("is damaged: its checksum does not match its contents"));
        }
        Ok(true)
    }
}

impl Quorum {
    /// The newest durable snapshot is this one from now on.
    pub fn set_snapshot(&mut self, of: Tip) {
        self.snapshot = Some(of);
    }

    /// The newest durable snapshot.
    pub fn snapshot(&self) -> Option<Tip> {
        self.snapshot
    }

    /// The snapshot that was handed over with [`Output::KeepSnapshot`] is durable, or could not be read or kept. If it is still what this
    /// node waits for, its log begins anew there.
    pub fn snapshot_kept(&mut self, now: Instant, of: Tip, kept: bool, log: &Log, out: &mut Vec<Output>) {
        if let Role::Following(following) = &mut self.role
            && following.gathering.take_if(|snapshot| snapshot.whole && snapshot.of == of).is_some()
        {
            if kept {
                out.push(Output::BeginAt(of));
                self.log_changes = true;
            } else {
                self.rest(now);
            }
        }
        self.go_on(now, log, out);
    }

    /// The leader says of its snapshot what was asked.
    pub(super) fn snapshot_answered(
        &mut self,
        now: Instant,
        answer: Answer,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        if let Answer::Snapshot(of) = answer {
            self.falls_behind(of, log, out);
        } else if let Answer::Piece(piece) = answer {
            self.got_piece(now, piece, out);
        }
    }

    /// The leader has nothing that follows on this log: its snapshot does.
    fn falls_behind(&mut self, of: Tip, log: &Log, out: &mut Vec<Output>) {
        self.following(|f| f.gathering = None);
        if of.end < log.high() {
            let (epoch, end, high) = (self.election.epoch, of.end, log.high());
            return out.push(Output::Fatal(format!(
                "the leader of epoch {epoch} has a snapshot of the metadata up to offset {end} and nothing that follows on what is here, \
                 but here everything below {high} is committed; this node or that one has lost data: compare both logs before one \
                 of them is started again"
            )));
        }
        if of.end == log.high() && of.end < log.end() {
            // What is in it is here; what lies beyond was never committed.
            out.push(Output::Cut(of.end));
            self.log_changes = true;
        } else {
            self.following(|f| f.gathering = Some(Gathering { of, bytes: Vec::new(), whole: false }));
        }
    }

    /// The leader has sent a piece of its snapshot.
    fn got_piece(&mut self, now: Instant, piece: Piece, out: &mut Vec<Output>) {
        let Role::Following(following) = &mut self.role else { return };
        let Some(gathering) = &mut following.gathering else { return };
        match gathering.take(&piece) {
            Ok(false) => {}
            Ok(true) => {
                gathering.whole = true;
                out.push(Output::KeepSnapshot(gathering.of, std::mem::take(&mut gathering.bytes)));
            }
            Err(why) => {
                following.gathering = None;
                out.push(Output::Warn(format!("{why}; it is asked for again")));
                self.rest(now);
            }
        }
    }

    /// Nothing is asked for a while.
    fn rest(&mut self, now: Instant) {
        let again = now + self.config.times.request;
        let nothing = self.next_correlation();
        self.following(|f| f.under_way = Some((nothing, again)));
    }

    /// A node wants a piece of a snapshot.
    pub(super) fn piece_wanted(
        &mut self,
        now: Instant,
        from: BrokerId,
        correlation: u64,
        wanted: &Wanted,
        out: &mut Vec<Output>,
    ) {
        let epoch = self.election.epoch;
        let kept = self.is_kept();
        let Role::Leading(leading) = &mut self.role else {
            return self.answer(from, correlation, Refusal::NotLeader, out);
        };
        leading.listens(from, wanted.by.directory, now);
        // Nothing of this epoch leaves before it is kept. Who gets no answer asks again.
        if kept {
            let (to, of, from) = (from, wanted.of, wanted.from);
            out.push(Output::ServePiece(ServingPiece { to, correlation, epoch, of, from }));
        }
    }
}
