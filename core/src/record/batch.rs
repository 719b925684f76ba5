//! One record batch: its 61-byte header as numbers, its body as the slice of the frame it arrived in.
//!
//! Base offset and partition leader epoch lie before the CRC's range, so stamping a batch never touches its
//! body (Kafka: `DefaultRecordBatch`).

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset, ProducerId};
use crate::time::Timestamp;

/// Bytes of a batch header.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the part that the length field counts: base offset and the length itself.
pub const LENGTH_OVERHEAD: usize = 12;
/// Bytes that are stamped on append: base offset, length, leader epoch.
pub const PREFIX_BYTES: usize = 16;
/// Where the CRC lies.
const CRC_AT: usize = 17;
/// Where the CRC's range begins.
const CRC_FROM: usize = 21;
/// The only format served: v2.
const MAGIC: i8 = 2;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// snappy, in the xerial framing of Kafka's Java client or bare.
    Snappy,
    /// lz4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// The header of a batch, field by field in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record. 0 in what a client sends; stamped on append.
    pub base_offset: Offset,
    /// Epoch of the leader that appended it. Stamped on append.
    pub leader_epoch: LeaderEpoch,
    /// CRC32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: i16,
    /// Offset of the last record, relative to the base offset. Kept when compaction removes records.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from.
    pub base_timestamp: Timestamp,
    /// The largest timestamp in the batch; the append time when the timestamp type says so.
    pub max_timestamp: Timestamp,
    /// The idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records there are.
    pub count: i32,
}

impl Codec {
    /// Its number in the attributes (Kafka: `CompressionType.id`).
    pub fn id(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }
}

/// As `compression.type` spells it.
impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        })
    }
}

impl BatchHeader {
    /// The codec that the attributes name, or `None` for one that does not exist.
    pub fn codec(&self) -> Option<Codec> {
        match self.attributes & CODEC_MASK {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    /// Whether the timestamps are the broker's (LogAppendTime) rather than the producer's.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it holds control records, which clients never see.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    /// Whether it has attributes that the format does not know.
    pub fn has_unknown_attributes(&self) -> bool {
        self.attributes & !(CODEC_MASK | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON) != 0
    }

    /// Names the codec that the records are compressed with.
    pub fn set_codec(&mut self, codec: Codec) {
        self.attributes = (self.attributes & !CODEC_MASK) | codec.id();
    }

    /// Gives all its records the broker's time.
    pub fn set_log_append_time(&mut self, now: Timestamp) {
        self.attributes |= LOG_APPEND_TIME;
        self.max_timestamp = now;
    }

    /// Marks it as part of a transaction.
    pub fn set_transactional(&mut self) {
        self.attributes |= TRANSACTIONAL;
    }

    /// Marks its records as control records.
    pub fn set_control(&mut self) {
        self.attributes |= CONTROL;
    }

    /// Whether an idempotent producer sent it.
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Offset after the last record: where the next batch begins.
    pub fn next_offset(&self) -> Offset {
        self.last_offset() + 1
    }
}

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than the header or the length field asks for.
    Truncated,
    /// The length field is smaller than a header allows.
    Length(i32),
    /// Not format v2.
    Magic(i8),
    /// The checksum does not match the bytes.
    Crc {
        /// What the header claims.
        claimed: u32,
        /// What the bytes give.
        computed: u32,
    },
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BatchError::Truncated => f.write_str("the batch is cut short"),
            BatchError::Length(n) => write!(f, "the batch claims a length of {n} bytes"),
            BatchError::Magic(m) => write!(f, "record format v{m} is not supported, only v2 is"),
            BatchError::Crc { claimed, computed } => {
                write!(f, "the batch's CRC is {claimed:08x}, its bytes give {computed:08x}")
            }
        }
    }
}

/// A record batch. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    /// The whole batch as it arrived; its first 16 bytes are superseded by `header`.
    bytes: Bytes,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Batch({}..={}, {} bytes)",
            self.header.base_offset,
            self.header.last_offset(),
            self.bytes.len()
        )
    }
}

impl Batch {
    /// Takes the first batch off `bytes`. The CRC is not checked: see [`Batch::check_crc`].
    pub fn take(bytes: &mut Bytes) -> Result<Batch, BatchError> {
        let (header, size) = read_header(bytes)?;
        if bytes.len() < size {
            return Err(BatchError::Truncated);
        }
        Ok(Batch { header, bytes: bytes.split_to(size) })
    }

    /// Writes a batch from its header and its records, compressed as the header says. The CRC is computed.
    ///
    /// # Panics
    /// When the batch would exceed the 2 GiB that its length field can tell: whoever builds batches has
    /// smaller limits.
    pub fn assemble(header: BatchHeader, body: &[u8]) -> Batch {
        let length = i32::try_from(HEADER_BYTES - LENGTH_OVERHEAD + body.len());
        let length = length.expect("a batch is smaller than 2 GiB");
        let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
        out.extend_from_slice(&header.base_offset.0.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&header.leader_epoch.0.to_be_bytes());
        out.push(MAGIC as u8);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&header.attributes.to_be_bytes());
        out.extend_from_slice(&header.last_offset_delta.to_be_bytes());
        out.extend_from_slice(&header.base_timestamp.0.to_be_bytes());
        out.extend_from_slice(&header.max_timestamp.0.to_be_bytes());
        out.extend_from_slice(&header.producer_id.0.to_be_bytes());
        out.extend_from_slice(&header.producer_epoch.to_be_bytes());
        out.extend_from_slice(&header.base_sequence.to_be_bytes());
        out.extend_from_slice(&header.count.to_be_bytes());
        out.extend_from_slice(body);
        let crc = crc32c(&out[CRC_FROM..]);
        out[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        Batch { header: BatchHeader { crc, ..header }, bytes: Bytes::from(out) }
    }

    /// The same records under another header, in bytes of its own with a CRC of its own.
    pub fn with_header(&self, header: BatchHeader) -> Batch {
        Batch::assemble(header, &self.bytes[HEADER_BYTES..])
    }

    /// The header and the whole size in bytes of the batch that `bytes` begin with, of which only the header
    /// need be there.
    pub fn peek(bytes: &[u8]) -> Result<(BatchHeader, usize), BatchError> {
        read_header(bytes)
    }

    /// Checks the CRC over everything from the attributes on.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(&self.bytes[CRC_FROM..]);
        let claimed = self.header.crc;
        if computed == claimed { Ok(()) } else { Err(BatchError::Crc { claimed, computed }) }
    }

    /// The header, with what was stamped.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The size of the whole batch in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The records as they lie after the header, still compressed.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }

    /// Gives the batch its place in the log.
    pub fn stamp(&mut self, base_offset: Offset, leader_epoch: LeaderEpoch) {
        self.header.base_offset = base_offset;
        self.header.leader_epoch = leader_epoch;
    }

    /// The 16 bytes that go first: base offset, length, leader epoch, as stamped.
    pub fn prefix(&self) -> [u8; PREFIX_BYTES] {
        let mut out = [0; PREFIX_BYTES];
        out[..8].copy_from_slice(&self.header.base_offset.0.to_be_bytes());
        out[8..12].copy_from_slice(&((self.bytes.len() - LENGTH_OVERHEAD) as i32).to_be_bytes());
        out[12..].copy_from_slice(&self.header.leader_epoch.0.to_be_bytes());
        out
    }

    /// Everything after the prefix: the slice of what arrived.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(PREFIX_BYTES..)
    }

    /// The batch as one stretch of bytes, copied.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes.len());
        self.write_to(&mut out);
        Bytes::from(out)
    }

    /// Appends the batch as it stands in the log to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix());
        out.extend_from_slice(&self.bytes[PREFIX_BYTES..]);
    }
}

/// CRC32C (Castagnoli), the checksum of record batches and of everything else that lies on our disks.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn read_header(b: &[u8]) -> Result<(BatchHeader, usize), BatchError> {
    if b.len() < HEADER_BYTES {
        return Err(BatchError::Truncated);
    }
    let length = i32_at(b, 8);
    if length < (HEADER_BYTES - LENGTH_OVERHEAD) as i32 {
        return Err(BatchError::Length(length));
    }
    let magic = b[16] as i8;
    if magic != MAGIC {
        return Err(BatchError::Magic(magic));
    }
    let header = BatchHeader {
        base_offset: Offset(i64_at(b, 0)),
        leader_epoch: LeaderEpoch(i32_at(b, 12)),
        crc: i32_at(b, 17) as u32,
        attributes: i16_at(b, 21),
        last_offset_delta: i32_at(b, 23),
        base_timestamp: Timestamp(i64_at(b, 27)),
        max_timestamp: Timestamp(i64_at(b, 35)),
        producer_id: ProducerId(i64_at(b, 43)),
        producer_epoch: i16_at(b, 51),
        base_sequence: i32_at(b, 53),
        count: i32_at(b, 57),
    };
    Ok((header, length as usize + LENGTH_OVERHEAD))
}

fn i16_at(b: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([b[at], b[at + 1]])
}

fn i32_at(b: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn i64_at(b: &[u8], at: usize) -> i64 {
    i64::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6], b[at + 7]])
}
