//! What a produce request carries for a partition: it is refused, or it leaves a batch that every consumer can read.

use bytes::Bytes;
use quipu_core::record::batch::{HEADER_BYTES, LENGTH_OVERHEAD, crc32c};
use quipu_core::record::check::{CompressionType, Terms, TimestampType, TopicRules, check};
use quipu_core::record::compress::{compress, decompress};
use quipu_core::record::search::{first_at_or_after, of_max_timestamp};
use quipu_core::record::{Batch, BatchBuilder, Codec, Records};
use quipu_core::time::Timestamp;

const TERMS: Terms =
    Terms { now: Timestamp(1_700_000_000_000), max_decompressed_bytes: 1 << 20, zstd_allowed: true };
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// The first byte of `data` says what the rest is, the second which rules the topic has.
pub fn run(data: &[u8]) {
    let [form, rules, rest @ ..] = data else { return };
    let rules = rules_from(*rules);
    match form % 8 {
        0 => judge(Bytes::copy_from_slice(rest), &rules),
        1 => judge(sealed(rest), &rules),
        n @ 2..=6 => judge(wrapped(CODECS[usize::from(n) - 2], rest), &rules),
        _ => unpack(rest),
    }
}

/// One bit a rule, three for the compression.
fn rules_from(bits: u8) -> TopicRules {
    let timestamp_type = if bits & 8 == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime };
    let compression = match bits & 7 {
        1 => CompressionType::Uncompressed,
        2 => CompressionType::Gzip { level: 1 },
        3 => CompressionType::Snappy,
        4 => CompressionType::Lz4 { level: 9 },
        5 => CompressionType::Zstd { level: 3 },
        _ => CompressionType::Producer,
    };
    TopicRules { compression, timestamp_type, compacted: bits & 16 != 0, ..TopicRules::default() }
}

/// The bytes with length, format and checksum put right, so that what lies behind these three is reached.
fn sealed(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEADER_BYTES {
        let length = (bytes.len() - LENGTH_OVERHEAD) as u32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    Bytes::from(bytes)
}

/// The bytes as the records of a batch with a good header, honestly compressed. Their first byte is the count.
fn wrapped(codec: Codec, bytes: &[u8]) -> Bytes {
    let Some((count, body)) = bytes.split_first() else { return Bytes::new() };
    let mut template = BatchBuilder::new();
    template.push(TERMS.now, None, None);
    let mut header = *template.build().header();
    header.set_codec(codec);
    (header.count, header.last_offset_delta) = (i32::from(*count), i32::from(*count) - 1);
    Batch::assemble(header, &compress(codec, None, body)).to_bytes()
}

/// What passes must be whole, must be readable, and must pass again as it is.
fn judge(bytes: Bytes, rules: &TopicRules) {
    let Ok(batch) = check(bytes, rules, &TERMS) else { return };
    let bytes = batch.to_bytes();
    let stored = Batch::take(&mut bytes.clone()).expect("what passes is a batch");
    assert_eq!(stored.check_crc(), Ok(()));
    let records = Records::read_all(&stored, 4 << 20).expect("what passes can be read");
    assert_eq!(records.len() as i64, i64::from(stored.header().count));
    assert_eq!(records.len() as i64, i64::from(stored.header().last_offset_delta) + 1);
    assert!((0..).zip(&records).all(|(i, r)| r.offset.0 == i), "offsets follow one another");
    let largest = records.iter().map(|r| r.timestamp).max().expect("what passes has a record");
    assert_eq!(largest, stored.header().max_timestamp);
    let first = first_at_or_after(&stored, largest, records[0].offset).expect("what passes can be searched");
    assert_eq!(first.map(|(_, t)| t), Some(largest));
    let found = of_max_timestamp(&stored).expect("what passes can be searched");
    assert_eq!(found.is_some(), largest.0 >= 0);
    if rules.timestamp_type == TimestampType::CreateTime {
        assert_eq!(check(bytes.clone(), rules, &TERMS).map(|b| b.to_bytes()), Ok(bytes));
    }
}

/// The bytes as what each codec is said to have made, under a small limit.
fn unpack(bytes: &[u8]) {
    const LIMIT: usize = 1 << 16;
    for codec in CODECS {
        if let Ok(out) = decompress(codec, bytes, LIMIT) {
            assert!(out.len() <= LIMIT, "{codec} keeps to its limit");
            assert_eq!(decompress(codec, &compress(codec, None, &out), LIMIT).as_ref(), Ok(&out));
        }
    }
}
