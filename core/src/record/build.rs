//! Puts record batches together: the machine's facts, a client's records, what is compressed anew.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset, ProducerId};
use crate::record::batch::{Batch, BatchHeader, Codec};
use crate::record::compress;
use crate::record::iter::RawRecord;
use crate::record::varint;
use crate::time::Timestamp;

/// A batch in the making. Its base offset will be 0 and its leader epoch -1, as in what a client sends.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    level: Option<i32>,
    body: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}

impl BatchBuilder {
    /// An empty batch: not compressed, no producer, create time.
    pub fn new() -> BatchBuilder {
        let header = BatchHeader {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp: Timestamp(-1),
            max_timestamp: Timestamp(-1),
            producer_id: ProducerId(-1),
            producer_epoch: -1,
            base_sequence: -1,
            count: 0,
        };
        BatchBuilder { header, codec: Codec::None, level: None, body: Vec::new() }
    }

    /// An empty batch that takes producer, flags and base timestamp from another.
    pub(super) fn like(header: &BatchHeader) -> BatchBuilder {
        let header = BatchHeader { last_offset_delta: -1, count: 0, ..*header };
        BatchBuilder { header, codec: Codec::None, level: None, body: Vec::new() }
    }

    /// A batch of records that all have the same timestamp and no headers: what the broker writes for itself.
    pub fn plain(timestamp: Timestamp, records: &[(Option<Bytes>, Option<Bytes>)]) -> Batch {
        let mut builder = BatchBuilder::new();
        for (key, value) in records {
            builder.push(timestamp, key.as_deref(), value.as_deref());
        }
        builder.build()
    }

    /// Compresses the records in the end; without a level, with the codec's default.
    pub fn compression(mut self, codec: Codec, level: Option<i32>) -> BatchBuilder {
        (self.codec, self.level) = (codec, level);
        self
    }

    /// Names the idempotent producer, its epoch and the sequence number of the first record.
    pub fn producer(mut self, id: ProducerId, epoch: i16, base_sequence: i32) -> BatchBuilder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes it part of a transaction.
    pub fn transactional(mut self) -> BatchBuilder {
        self.header.set_transactional();
        self
    }

    /// Makes its records control records: transaction markers, leader changes.
    pub fn control(mut self) -> BatchBuilder {
        self.header.set_control();
        self
    }

    /// Adds a record. Its timestamp is -1 for none, or not negative.
    pub fn push(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record with headers. Keys may repeat.
    pub fn push_with_headers(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        assert!(timestamp.0 >= -1, "a record's timestamp is -1 or not negative");
        if self.header.count == 0 {
            self.header.base_timestamp = timestamp;
        }
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        let contents = contents_size(key, value, headers);
        self.begin(0, timestamp.0 - self.header.base_timestamp.0, contents);
        put_nullable(&mut self.body, key);
        put_nullable(&mut self.body, value);
        varint::put(&mut self.body, headers.len() as i64);
        for (key, value) in headers {
            put_nullable(&mut self.body, Some(key));
            put_nullable(&mut self.body, *value);
        }
    }

    /// Adds a record of the batch that this one is like, next in line whatever its place was there.
    pub(super) fn push_raw(&mut self, record: &RawRecord<'_>) {
        self.begin(record.attributes, record.timestamp_delta, record.contents.len());
        self.body.extend_from_slice(record.contents);
    }

    /// Writes what comes before a record's key: its length too, so the size of what follows must be known.
    fn begin(&mut self, attributes: u8, timestamp_delta: i64, contents: usize) {
        let offset_delta = i64::from(self.header.count);
        let size = 1 + varint::size(timestamp_delta) + varint::size(offset_delta) + contents;
        varint::put(&mut self.body, size as i64);
        self.body.push(attributes);
        varint::put(&mut self.body, timestamp_delta);
        varint::put(&mut self.body, offset_delta);
        self.header.last_offset_delta = self.header.count;
        self.header.count += 1;
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.header.count as usize
    }

    /// Whether it has no record yet.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Ends the batch.
    ///
    /// # Panics
    /// When it is empty, or would exceed the 2 GiB of the format: see [`Batch::assemble`].
    pub fn build(mut self) -> Batch {
        assert!(!self.is_empty(), "a batch has at least one record");
        self.header.set_codec(self.codec);
        if self.codec == Codec::None {
            return Batch::assemble(self.header, &self.body);
        }
        Batch::assemble(self.header, &compress::compress(self.codec, self.level, &self.body))
    }
}

/// An upper bound for the bytes that a record adds to a batch, as clients estimate it before they add one.
pub fn record_bytes_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&[u8], Option<&[u8]>)],
) -> usize {
    // Length, attributes, both deltas: at most 5 + 1 + 10 + 5 bytes.
    21 + contents_size(key, value, headers)
}

fn contents_size(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&[u8], Option<&[u8]>)]) -> usize {
    let headers_size: usize = headers.iter().map(|(k, v)| nullable_size(Some(k)) + nullable_size(*v)).sum();
    nullable_size(key) + nullable_size(value) + varint::size(headers.len() as i64) + headers_size
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |b| varint::size(b.len() as i64) + b.len())
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
