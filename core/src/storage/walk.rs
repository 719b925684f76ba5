//! Going through the batches of a segment file one after the other, believing nothing that is read.

use bytes::Bytes;

use crate::disk::{Disk, DiskError};
use crate::ids::{LeaderEpoch, Offset};
use crate::record::batch::HEADER_BYTES;
use crate::record::{Batch, BatchHeader};

/// Bytes read at once when only headers are wanted.
const HEADERS_CHUNK: usize = 16 << 10;

/// A walk over a segment file. Each batch must begin at the offset where the one before it ended.
pub(crate) struct Walk<'a, D: Disk> {
    disk: &'a D,
    file: D::File,
    /// Where the next batch begins.
    position: u64,
    /// Bytes of the file that count.
    limit: u64,
    /// Offset of the next batch, once it is known, and the epoch that it may not be below.
    expected: Option<Offset>,
    epoch: LeaderEpoch,
    /// What has been read: `chunk` lies at `chunk_at`.
    chunk: Bytes,
    chunk_at: u64,
    chunk_bytes: usize,
    /// Whether whole batches are wanted, with their CRCs checked, or only headers.
    whole: bool,
}

/// One batch of a walk.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) header: BatchHeader,
    pub(crate) position: u64,
    pub(crate) size: u64,
    /// The batch itself, on a walk over whole batches.
    pub(crate) batch: Option<Batch>,
}

/// Why a walk cannot go on.
#[derive(Debug)]
pub(crate) enum Stumble {
    /// What lies here is no batch, or not the one that must come here.
    Bad { position: u64, why: String },
    /// The disk failed.
    Io(DiskError),
}

impl<'a, D: Disk> Walk<'a, D> {
    /// A walk over headers from `position` to `limit`.
    pub(crate) fn headers(disk: &'a D, file: D::File, position: u64, limit: u64) -> Walk<'a, D> {
        Walk {
            disk,
            file,
            position,
            limit,
            expected: None,
            epoch: LeaderEpoch(i32::MIN),
            chunk: Bytes::new(),
            chunk_at: 0,
            chunk_bytes: HEADERS_CHUNK,
            whole: false,
        }
    }

    /// The same over whole batches, reading so much at once.
    pub(crate) fn whole(self, chunk_bytes: usize) -> Walk<'a, D> {
        Walk { whole: true, chunk_bytes, ..self }
    }

    /// The first batch must begin at this offset.
    pub(crate) fn expecting(self, offset: Offset) -> Walk<'a, D> {
        Walk { expected: Some(offset), ..self }
    }

    /// No batch may be of an epoch before this one.
    pub(crate) fn not_before(self, epoch: LeaderEpoch) -> Walk<'a, D> {
        Walk { epoch, ..self }
    }

    /// What was read last, and where in the file it lies.
    pub(crate) fn chunk(&self) -> (&Bytes, u64) {
        (&self.chunk, self.chunk_at)
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch's header, whatever the walk is over.
    pub(crate) fn next_header(&mut self) -> Result<Option<Step>, Stumble> {
        self.whole = false;
        self.next()
    }

    /// The next batch; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, Stumble> {
        let Some(mut step) = self.peek()? else { return Ok(None) };
        if self.whole {
            step.batch = Some(self.take(&step)?);
        }
        self.pass(&step);
        Ok(Some(step))
    }

    /// The next batch's header, without going past it.
    pub(crate) fn peek(&mut self) -> Result<Option<Step>, Stumble> {
        if self.position >= self.limit {
            return Ok(None);
        }
        let position = self.position;
        let bad = |why: String| Stumble::Bad { position, why };
        let here = self.at_least(HEADER_BYTES)?;
        let (header, size) = Batch::peek(&here).map_err(|e| bad(e.to_string()))?;
        let size = size as u64;
        if size > self.limit - position {
            return Err(bad(format!("the batch claims {size} bytes, {} are there", self.limit - position)));
        }
        self.check(&header).map_err(bad)?;
        Ok(Some(Step { header, position, size, batch: None }))
    }

    /// Goes past the batch that was peeked at.
    pub(crate) fn pass(&mut self, step: &Step) {
        assert_eq!(step.position, self.position, "only the next batch can be passed");
        self.position += step.size;
        self.expected = Some(step.header.next_offset());
        self.epoch = step.header.leader_epoch;
    }

    /// Goes past the batches that end below `offset`, reading little more than their headers.
    pub(crate) fn skip_below(&mut self, offset: Offset) -> Result<(), Stumble> {
        let chunk_bytes = std::mem::replace(&mut self.chunk_bytes, HEADERS_CHUNK);
        while let Some(step) = self.peek()?.filter(|step| step.header.last_offset() < offset) {
            self.pass(&step);
        }
        self.chunk_bytes = chunk_bytes;
        Ok(())
    }

    /// From now on no more than this is read ahead.
    pub(crate) fn read_ahead(&mut self, bytes: usize) {
        self.chunk_bytes = bytes.max(HEADERS_CHUNK);
    }

    fn check(&self, header: &BatchHeader) -> Result<(), String> {
        let sane = header.base_offset.0 >= 0
            && header.last_offset_delta >= 0
            && header.base_offset.0.checked_add(i64::from(header.last_offset_delta) + 1).is_some();
        if !sane {
            let (base, delta) = (header.base_offset, header.last_offset_delta);
            return Err(format!("a batch with base offset {base} and last offset delta {delta} cannot be"));
        }
        if let Some(expected) = self.expected.filter(|e| *e != header.base_offset) {
            return Err(format!(
                "offset {expected} must come here, the batch has base offset {}",
                header.base_offset
            ));
        }
        if header.leader_epoch < self.epoch {
            return Err(format!("leader epoch {} comes after {}", header.leader_epoch, self.epoch));
        }
        Ok(())
    }

    /// The batch that was peeked at, checked, without going past it.
    pub(crate) fn take(&mut self, step: &Step) -> Result<Batch, Stumble> {
        let position = self.position;
        let bad = |why: String| Stumble::Bad { position, why };
        let mut here = self.at_least(usize::try_from(step.size).unwrap_or(usize::MAX))?;
        let batch = Batch::take(&mut here).map_err(|e| bad(e.to_string()))?;
        batch.check_crc().map_err(|e| bad(e.to_string()))?;
        Ok(batch)
    }

    /// What has been read from the position on, at least `bytes` of it unless the file ends before.
    fn at_least(&mut self, bytes: usize) -> Result<Bytes, Stumble> {
        let skip = self.position.checked_sub(self.chunk_at).and_then(|s| usize::try_from(s).ok());
        if let Some(skip) = skip.filter(|s| s.saturating_add(bytes) <= self.chunk.len()) {
            return Ok(self.chunk.slice(skip..));
        }
        let left = usize::try_from(self.limit - self.position).unwrap_or(usize::MAX);
        let want = self.chunk_bytes.max(bytes).min(left);
        self.chunk = self.disk.read_at(&self.file, self.position, want).map_err(Stumble::Io)?;
        self.chunk_at = self.position;
        Ok(self.chunk.clone())
    }
}
