//! Properties of record batches, whatever their bytes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::batch::crc32c;
use super::check::{CompressionType, Terms, TopicRules, check};
use super::compress::{self, CompressionError};
use super::{Batch, BatchBuilder, Codec, Record, Records};
use crate::time::Timestamp;

const TERMS: Terms =
    Terms { now: Timestamp(1_700_000_000_000), max_decompressed_bytes: 1 << 20, zstd_allowed: true };

type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;
type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Headers);

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::None),
        Just(Codec::Gzip),
        Just(Codec::Snappy),
        Just(Codec::Lz4),
        Just(Codec::Zstd)
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    let bytes = || vec(any::<u8>(), 0..200);
    let headers = vec((vec(any::<u8>(), 0..5), option::of(bytes())), 0..4);
    (-1..TERMS.now.0 + 1000, option::of(bytes()), option::of(bytes()), headers)
}

fn build(codec: Codec, records: &[Plain]) -> Batch {
    let mut builder = BatchBuilder::new().compression(codec, None);
    for (time, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(k, v)| (&k[..], v.as_deref())).collect();
        builder.push_with_headers(Timestamp(*time), key.as_deref(), value.as_deref(), &headers);
    }
    builder.build()
}

fn plain_again(record: Record) -> Plain {
    let own = |b: Option<Bytes>| b.map(|b| b.to_vec());
    let headers = record.headers.into_iter().map(|h| (h.key.to_vec(), own(h.value))).collect();
    (record.timestamp.0, own(record.key), own(record.value), headers)
}

/// Whatever passes the check must be whole: checksum, count, offsets, largest timestamp, and pass again
/// unchanged.
fn passes_whole(bytes: &Bytes, rules: &TopicRules) {
    let Ok(batch) = check(bytes.clone(), rules, &TERMS) else { return };
    let stored = Batch::take(&mut batch.to_bytes()).expect("what passes is a batch");
    assert_eq!(stored.check_crc(), Ok(()));
    let records = Records::read_all(&stored, 64 << 20).expect("what passes can be read");
    assert_eq!(records.len(), stored.header().count as usize);
    assert!(records.iter().zip(0..).all(|(r, i)| r.offset.0 == i));
    let largest = records.iter().map(|r| r.timestamp).max().expect("what passes has a record");
    assert_eq!(largest, stored.header().max_timestamp);
    assert_eq!(check(stored.to_bytes(), rules, &TERMS).map(|b| b.to_bytes()), Ok(stored.to_bytes()));
}

fn with_true_crc(mut bytes: Vec<u8>) -> Bytes {
    if bytes.len() >= 21 {
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    Bytes::from(bytes)
}

proptest! {
    #[test]
    fn what_is_built_is_read_again_and_passes_the_check(codec in codec(), records in vec(plain(), 1..30)) {
        let batch = build(codec, &records);
        prop_assert_eq!(batch.check_crc(), Ok(()));
        let checked = check(batch.to_bytes(), &TopicRules::default(), &TERMS).unwrap();
        prop_assert_eq!(checked.to_bytes(), batch.to_bytes());
        let read = Records::read_all(&batch, 1 << 20).unwrap();
        prop_assert!(read.iter().zip(0..).all(|(r, i)| r.offset.0 == i));
        prop_assert_eq!(read.into_iter().map(plain_again).collect::<Vec<_>>(), records);
    }

    #[test]
    fn a_changed_byte_under_a_true_checksum_is_refused_or_leaves_a_whole_batch(
        codec in codec(),
        records in vec(plain(), 1..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = build(codec, &records).to_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = with_true_crc(bytes);
        passes_whole(&bytes, &TopicRules::default());
        let compression = CompressionType::Lz4 { level: 1 };
        passes_whole(&bytes, &TopicRules { compression, ..TopicRules::default() });
    }

    #[test]
    fn any_body_under_a_true_checksum_is_refused_or_leaves_a_whole_batch(
        codec in codec(),
        packed in any::<bool>(),
        body in vec(prop_oneof![0u8..20, any::<u8>()], 0..60),
        count in 1..4i32,
    ) {
        let mut header = *build(codec, &[(5, None, None, vec![])]).header();
        (header.count, header.last_offset_delta) = (count, count - 1);
        let body = if packed { compress::compress(codec, None, &body) } else { body };
        passes_whole(&Batch::assemble(header, &body).to_bytes(), &TopicRules::default());
    }

    #[test]
    fn random_bytes_are_no_batch(bytes in vec(any::<u8>(), 0..200)) {
        passes_whole(&with_true_crc(bytes), &TopicRules::default());
    }

    #[test]
    fn no_bytes_decompress_to_more_than_the_limit(
        codec in codec(),
        body in vec(any::<u8>(), 0..200),
        limit in 0..300usize,
    ) {
        if let Ok(out) = compress::decompress(codec, &body, limit) {
            prop_assert!(out.len() <= limit);
        }
        let packed = compress::compress(codec, None, &body);
        let out = compress::decompress(codec, &packed, limit);
        let expected = if body.len() <= limit { Ok(body) } else { Err(CompressionError::TooLarge { limit }) };
        prop_assert_eq!(out, expected);
    }
}
