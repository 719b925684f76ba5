//! Snapshots of the metadata among several brokers: each keeps its own and trims its log behind it, and who has fallen behind takes
//! the leader's.
//!
//! A snapshot is on disk before anything is done on the strength of it: before the log is trimmed behind it, and before the log of one
//! that has fallen behind begins anew where it ends. A start finds either the log as it was or a snapshot that it does not
//! reach, and then begins it anew (`start`). Until the log has begun anew on disk nothing of it counts for any majority.

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::lane::Waiting;
use crate::broker::seat::say;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::image::MetadataImage;
use crate::ids::{LogId, Offset};
use crate::quorum::ServingPiece;
use crate::quorum::messages::{Answer, Body, Message, Piece, Tip};
use crate::record::batch::crc32c;
use crate::storage::ops::StoreOp;

/// Bytes of the largest and of the smallest piece of a snapshot in one answer.
const PIECES: (u64, u64) = (256, 1 << 20);
/// A piece is this part of what is appended between two snapshots: with Kafka's default the largest.
const PIECES_BETWEEN: u64 = 20;

/// A snapshot as others get it.
#[derive(Debug)]
struct Kept {
    of: Tip,
    bytes: Bytes,
    crc: u32,
}

impl Kept {
    fn new(of: Tip, bytes: Bytes) -> Kept {
        Kept { of, crc: crc32c(&bytes), bytes }
    }
}

/// The snapshots of one of several brokers. A broker alone has nobody to show them to.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The newest that is durable and that the log here goes on from.
    newest: Option<Kept>,
    /// On its way to the disk; with its image if another broker has made it.
    on_its_way: Option<(Kept, Option<MetadataImage>)>,
    /// Durable, but the log here does not go on from it yet.
    taken: Option<(Kept, MetadataImage)>,
    /// The image that the one of a snapshot has replaced, until all that depends on it has followed.
    pub(super) replaced: Option<MetadataImage>,
}

impl Snapshots {
    /// A start has found one.
    pub(super) fn found(&mut self, of: Tip, bytes: Bytes) {
        self.newest = Some(Kept::new(of, bytes));
    }

    /// Up to where the newest goes.
    pub(super) fn newest(&self) -> Option<Tip> {
        self.newest.as_ref().map(|kept| kept.of)
    }
}

impl Broker {
    /// Keeps the image as it is now. The log is trimmed behind it once it is durable.
    pub(super) fn keep_own_snapshot(&mut self, turn: &mut Turn) {
        let (end, epoch) = self.controller.position();
        let nothing_new = self.snapshots.newest().is_some_and(|newest| end <= newest.end);
        // The disk keeps what it was told last: of two on their way it could be the older one.
        if end == Offset(0) || nothing_new || self.snapshots.on_its_way.is_some() {
            return;
        }
        let kept = Kept::new(Tip { epoch, end }, self.controller.image().encode().into());
        self.store_snapshot(turn, kept, None);
        self.upkeep.snapshot_made();
    }

    fn store_snapshot(&mut self, turn: &mut Turn, kept: Kept, image: Option<MetadataImage>) {
        let (of, bytes) = (kept.of, kept.bytes.clone());
        self.snapshots.on_its_way = Some((kept, image));
        let op = StoreOp::Snapshot { log: LogId::METADATA, at: of.end, epoch: of.epoch, bytes };
        self.lane.store_and_wait(turn, op, Waiting::Snapshot);
    }

    /// The disk is done with a snapshot; whether it has it.
    pub(super) fn snapshot_stored(&mut self, turn: &mut Turn, done: bool) {
        let Some((kept, image)) = self.snapshots.on_its_way.take() else { return };
        let of = kept.of;
        if let Some(image) = image {
            self.snapshots.taken = Some((kept, image)).filter(|_| done);
            self.steer(turn, |quorum, now, log, out| quorum.snapshot_kept(now, of, done, log, out));
            // It may have come too late, after a leader that has more.
            self.snapshots.taken = None;
            return;
        }
        if !done || matches!(self.phase, Phase::Stopping | Phase::Dead(_)) {
            return;
        }
        if let Some(quorum) = &mut self.quorum {
            quorum.set_snapshot(of);
        }
        if let Some(before) = self.snapshots.newest.replace(kept) {
            self.trim_metadata(turn, before.of.end);
        }
    }

    /// Lets go of what the snapshot before the newest has: who is not further behind than the newest needs no snapshot.
    fn trim_metadata(&mut self, turn: &mut Turn, to: Offset) {
        let log = &mut self.partitions.get_mut(&LogId::METADATA).expect("the metadata log is open").log;
        // What goes is whole segments.
        log.roll_next();
        if log.raise_start(to) {
            self.lane.store(turn, StoreOp::Trim { log: LogId::METADATA, start: to });
        }
    }

    /// Answers another node's question for a piece of the newest snapshot.
    pub(super) fn serve_piece(&mut self, turn: &mut Turn, serving: ServingPiece) {
        let Some(newest) = &self.snapshots.newest else { return };
        let whole = newest.bytes.len() as u64;
        let answer = if newest.of == serving.of && serving.from < whole {
            let most = (self.config.snapshot_bytes / PIECES_BETWEEN).clamp(PIECES.0, PIECES.1);
            let range = serving.from as usize..serving.from.saturating_add(most).min(whole) as usize;
            let (of, from, crc, bytes) = (newest.of, serving.from, newest.crc, newest.bytes[range].to_vec());
            Answer::Piece(Piece { of, from, whole, crc, bytes })
        } else {
            Answer::Snapshot(newest.of)
        };
        let (correlation, epoch, body) = (serving.correlation, serving.epoch, Body::Answer(answer));
        say(turn, serving.to, Message { correlation, epoch, body });
    }

    /// The leader's snapshot has come, whole: it goes to the disk if it can be read.
    pub(super) fn keep_fetched_snapshot(&mut self, turn: &mut Turn, of: Tip, bytes: Vec<u8>) {
        let image = MetadataImage::decode(&bytes);
        let busy = self.snapshots.on_its_way.is_some();
        match image {
            Ok(image) if !busy => self.store_snapshot(turn, Kept::new(of, bytes.into()), Some(image)),
            other => {
                if let Err(why) = other {
                    turn.warn(format!("the leader's snapshot of the metadata is not taken: {why}"));
                }
                self.steer(turn, |quorum, now, log, out| quorum.snapshot_kept(now, of, false, log, out));
            }
        }
    }

    /// Begins the metadata log anew behind the snapshot that was fetched, whose image is the committed one from now on.
    pub(super) fn begin_at_snapshot(&mut self, turn: &mut Turn, of: Tip) {
        let Some((kept, image)) = self.snapshots.taken.take_if(|(kept, _)| kept.of == of) else { return };
        let Broker { partitions, tails, .. } = self;
        let metadata = partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it");
        let end = metadata.log.end();
        metadata.log.restart(of.end, Some(of.epoch), tails);
        metadata.heard = (of.end, Offset(0));
        let cuts = metadata.log.cuts();
        let op = StoreOp::Restart { log: LogId::METADATA, at: of.end, epoch: Some(of.epoch) };
        self.lane.append(turn, op, of.end, cuts);
        turn.info(format!(
            "the metadata log ended at offset {end}, and what follows there its leader does not have any more: it begins anew at \
             offset {}, behind the leader's snapshot",
            of.end
        ));
        self.snapshots.newest = Some(kept);
        if let Some(quorum) = &mut self.quorum {
            quorum.set_snapshot(of);
        }
        let before = self.controller.replace(image, (of.end, of.epoch));
        self.snapshots.replaced.get_or_insert(before);
        self.upkeep.snapshot_made();
        self.moved.insert(LogId::METADATA);
    }
}
