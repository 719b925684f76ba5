//! The records of a batch, one after the other, as slices of its decompressed body (Kafka: `DefaultRecord`).

use std::fmt;
use std::iter::FusedIterator;

use bytes::Bytes;

use crate::ids::Offset;
use crate::record::batch::{Batch, BatchHeader, Codec};
use crate::record::compress::{self, CompressionError};
use crate::record::varint::{CUT, take_i32, take_i64, take_u8};
use crate::time::Timestamp;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log, if the batch has been given one; relative to the batch otherwise.
    pub offset: Offset,
    /// The producer's time, or the broker's when the batch says so; -1 for none.
    pub timestamp: Timestamp,
    /// The key; `None` and empty are different.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone on a compacted topic.
    pub value: Option<Bytes>,
    /// The headers in the order they were sent; a key may occur more than once.
    pub headers: Vec<RecordHeader>,
}

/// A header of a record (KIP-82).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its key: text in UTF-8 by convention, which nobody checks.
    pub key: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
}

/// Why the records of a batch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The attributes name a codec that does not exist.
    UnknownCodec,
    /// The body does not decompress.
    Compression(CompressionError),
    /// One record is not formed as the format says.
    Malformed {
        /// Its index in the batch.
        record: i32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Bytes are left over after the last record.
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::UnknownCodec => {
                f.write_str("the batch is compressed with a codec that does not exist")
            }
            RecordError::Compression(e) => e.fmt(f),
            RecordError::Malformed { record, what } => {
                write!(f, "record {record} of the batch is malformed: {what}")
            }
            RecordError::Trailing { bytes } => write!(f, "{bytes} bytes follow the last record of the batch"),
        }
    }
}

impl From<CompressionError> for RecordError {
    fn from(e: CompressionError) -> RecordError {
        RecordError::Compression(e)
    }
}

/// The records of one batch. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    body: Bytes,
    at: usize,
    index: i32,
}

impl Records {
    /// Opens a batch, decompressing it if need be to at most `limit` bytes.
    pub fn open(batch: &Batch, limit: usize) -> Result<Records, RecordError> {
        let body = open_body(batch, limit)?;
        Ok(Records { header: *batch.header(), body, at: 0, index: 0 })
    }

    /// All of them, or why not all can be read.
    pub fn read_all(batch: &Batch, limit: usize) -> Result<Vec<Record>, RecordError> {
        Records::open(batch, limit)?.collect()
    }

    fn record(&self, raw: &RawRecord<'_>) -> Result<Record, RecordError> {
        let malformed = |what| RecordError::Malformed { record: self.index, what };
        let share = |bytes: &[u8]| self.body.slice_ref(bytes);
        let delta = i64::from(raw.offset_delta);
        let offset = self.header.base_offset.0.checked_add(delta).ok_or(malformed("its offset overflows"))?;
        Ok(Record {
            offset: Offset(offset),
            timestamp: raw.timestamp(&self.header).ok_or(malformed(TIMESTAMP_OVERFLOW))?,
            key: raw.key.map(share),
            value: raw.value.map(share),
            headers: raw
                .headers()
                .map(|(key, value)| RecordHeader { key: share(key), value: value.map(share) })
                .collect(),
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut walk = Walk { rest: &self.body[self.at..], index: self.index, count: self.header.count };
        let raw = walk.next()?;
        let at = self.body.len() - walk.rest.len();
        let item = raw.and_then(|raw| self.record(&raw));
        self.at = if item.is_ok() { at } else { self.body.len() };
        self.index = if item.is_ok() { self.index + 1 } else { self.header.count };
        Some(item)
    }
}

impl FusedIterator for Records {}

/// The body of a batch with its compression undone.
pub(super) fn open_body(batch: &Batch, limit: usize) -> Result<Bytes, RecordError> {
    match batch.header().codec() {
        None => Err(RecordError::UnknownCodec),
        Some(Codec::None) => Ok(batch.body()),
        Some(codec) => Ok(Bytes::from(compress::decompress(codec, &batch.body(), limit)?)),
    }
}

/// Why a timestamp cannot be.
pub(super) const TIMESTAMP_OVERFLOW: &str = "its timestamp overflows";

/// A record as it lies in the body, checked for its form and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRecord<'a> {
    pub(super) attributes: u8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// Everything from the key's length on: what stays the same wherever the record goes.
    pub(super) contents: &'a [u8],
    headers: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Its timestamp under this header, or `None` when it overflows.
    #[inline]
    pub(super) fn timestamp(&self, header: &BatchHeader) -> Option<Timestamp> {
        if header.is_log_append_time() {
            return Some(header.max_timestamp);
        }
        header.base_timestamp.0.checked_add(self.timestamp_delta).map(Timestamp)
    }

    fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.headers;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            Some(take_header(&mut rest).expect("the walk has been over this header"))
        })
    }
}

/// Goes over the records of a decompressed body without copying any. The count is the header's claim.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(body: &'a [u8], count: i32) -> Walk<'a> {
        Walk { rest: body, index: 0, count }
    }

    fn end(&mut self) -> Option<RecordError> {
        let bytes = std::mem::take(&mut self.rest).len();
        (bytes > 0).then_some(RecordError::Trailing { bytes })
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<RawRecord<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return self.end().map(Err);
        }
        let record = self.index;
        match take_record(&mut self.rest) {
            Ok(raw) => {
                self.index += 1;
                Some(Ok(raw))
            }
            Err(what) => {
                *self = Walk { rest: &[], index: 0, count: 0 };
                Some(Err(RecordError::Malformed { record, what }))
            }
        }
    }
}

#[inline]
fn take_record<'a>(bytes: &mut &'a [u8]) -> Result<RawRecord<'a>, &'static str> {
    let length = usize::try_from(take_i32(bytes)?).map_err(|_| "its length is negative")?;
    let mut record = take(bytes, length)?;
    let attributes = take_u8(&mut record)?;
    let timestamp_delta = take_i64(&mut record)?;
    let offset_delta = take_i32(&mut record)?;
    let contents = record;
    let key = take_nullable(&mut record)?;
    let value = take_nullable(&mut record)?;
    let count = take_i32(&mut record)?;
    if count < 0 {
        return Err("its count of headers is negative");
    }
    let headers = record;
    for _ in 0..count {
        take_header(&mut record)?;
    }
    if !record.is_empty() {
        return Err("it is longer than what it contains");
    }
    Ok(RawRecord { attributes, timestamp_delta, offset_delta, key, value, contents, headers })
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), &'static str> {
    let key = take_nullable(bytes)?.ok_or("a header has no key")?;
    Ok((key, take_nullable(bytes)?))
}

#[inline]
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    match take_i32(bytes)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| "a length in it is negative")?;
            take(bytes, length).map(Some)
        }
    }
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (first, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
    *bytes = rest;
    Ok(first)
}
