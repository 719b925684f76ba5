//! What a connection refuses, what it sets right, and what it leaves alone.

use bytes::Bytes;

use super::*;
use crate::ids::{Offset, ProducerId};
use crate::record::batch::{Batch, BatchHeader, Codec};
use crate::record::build::BatchBuilder;
use crate::record::iter::{Record, Records};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const TERMS: Terms = Terms { now: NOW, max_decompressed_bytes: 32 << 20, zstd_allowed: true };
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn at(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

/// A batch of records with those timestamps.
fn batch(codec: Codec, times: &[Timestamp]) -> Batch {
    let mut builder = BatchBuilder::new().compression(codec, None);
    for t in times {
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
        builder.push_with_headers(*t, Some(b"key"), Some(b"value"), &headers);
    }
    builder.build()
}

/// The batch with its header changed and its CRC right again.
fn edited(batch: &Batch, edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = *batch.header();
    edit(&mut header);
    batch.with_header(header).to_bytes()
}

fn verdict(bytes: impl Into<Bytes>) -> Result<Batch, RefusedKind> {
    check(bytes.into(), &TopicRules::default(), &TERMS).map_err(|r| r.kind)
}

fn refusal(bytes: Bytes, rules: &TopicRules) -> Refused {
    check(bytes, rules, &TERMS).expect_err("it is refused")
}

fn contents(batch: &Batch) -> Vec<Record> {
    Records::read_all(batch, 1 << 30).expect("a batch that passed can be read")
}

const INVALID: Result<Batch, RefusedKind> = Err(RefusedKind::InvalidRecord);

#[test]
fn the_bytes_of_an_ordinary_batch_are_not_copied() {
    for codec in CODECS {
        let bytes = batch(codec, &[at(0), at(5)]).to_bytes();
        let checked = verdict(bytes.clone()).unwrap();
        assert_eq!(checked.rest().as_ptr(), bytes[16..].as_ptr(), "{codec}");
        assert_eq!(checked.to_bytes(), bytes);
    }
}

#[test]
fn a_partition_gets_exactly_one_batch() {
    let one = batch(Codec::None, &[at(0)]).to_bytes();
    assert_eq!(verdict(Bytes::new()), INVALID);
    assert_eq!(verdict([&one[..], &one[..]].concat()), INVALID);
    assert_eq!(verdict([&one[..], &[0]].concat()), INVALID);
    for cut in 1..one.len() {
        assert_eq!(verdict(one.slice(..cut)), INVALID, "cut at {cut}");
    }
}

#[test]
fn record_formats_before_v2_are_refused() {
    for magic in [0, 1, 3, 255] {
        let mut bytes = batch(Codec::None, &[at(0)]).to_bytes().to_vec();
        bytes[16] = magic;
        assert_eq!(verdict(bytes.clone()), INVALID);
        assert_eq!(verdict(bytes[..40].to_vec()), INVALID);
    }
}

#[test]
fn zstd_is_refused_in_versions_of_produce_before_7() {
    let bytes = batch(Codec::Zstd, &[at(0)]).to_bytes();
    let terms = Terms { zstd_allowed: false, ..TERMS };
    let refused = check(bytes, &TopicRules::default(), &terms).unwrap_err();
    assert_eq!(refused.code(), 76);
    let bytes = batch(Codec::Lz4, &[at(0)]).to_bytes();
    assert!(check(bytes, &TopicRules::default(), &terms).is_ok());
}

#[test]
fn a_codec_that_does_not_exist_is_refused() {
    for codec in 5..8 {
        let bytes = edited(&batch(Codec::None, &[at(0)]), |h| h.attributes = codec);
        assert_eq!(verdict(bytes), Err(RefusedKind::UnsupportedCompressionType));
    }
}

#[test]
fn the_checksum_and_the_length_must_fit_the_bytes() {
    let good = batch(Codec::None, &[at(0)]).to_bytes();
    for i in 17..good.len() {
        let mut bytes = good.to_vec();
        bytes[i] ^= 0x10;
        assert!(verdict(bytes).is_err(), "byte {i}");
    }
    let mut bytes = good.to_vec();
    bytes[70] ^= 1;
    assert_eq!(verdict(bytes), Err(RefusedKind::CorruptMessage));
    let mut bytes = good.to_vec();
    bytes[8..12].copy_from_slice(&48i32.to_be_bytes());
    assert_eq!(verdict(bytes), Err(RefusedKind::CorruptMessage));
}

#[test]
fn the_leader_epoch_of_the_client_does_not_matter() {
    let bytes = edited(&batch(Codec::None, &[at(0)]), |h| h.leader_epoch.0 = 77);
    assert!(verdict(bytes).is_ok());
}

#[test]
fn the_base_offset_must_be_0() {
    let bytes = edited(&batch(Codec::None, &[at(0)]), |h| h.base_offset = Offset(1));
    assert_eq!(verdict(bytes), INVALID);
}

#[test]
fn count_and_last_offset_delta_must_agree_with_each_other_and_with_the_records() {
    for codec in CODECS {
        let b = batch(codec, &[at(0), at(1)]);
        for (count, last) in [
            (0, -1),
            (-1, -2),
            (2, 2),
            (2, 0),
            (1, 0),
            (3, 2),
            (i32::MIN, i32::MAX),
            (i32::MAX, i32::MAX - 1),
        ] {
            let bytes = edited(&b, |h| (h.count, h.last_offset_delta) = (count, last));
            assert_eq!(verdict(bytes), INVALID, "{codec} {count} {last}");
        }
    }
}

#[test]
fn clients_may_not_write_control_records_nor_other_marks_of_the_broker() {
    let b = batch(Codec::None, &[at(0)]);
    assert_eq!(verdict(edited(&b, BatchHeader::set_control)), INVALID);
    for bit in 6..16 {
        assert_eq!(verdict(edited(&b, |h| h.attributes |= (1u16 << bit) as i16)), INVALID, "bit {bit}");
    }
}

#[test]
fn a_client_may_not_claim_log_append_time() {
    let bytes = edited(&batch(Codec::None, &[at(0)]), |h| h.set_log_append_time(NOW));
    assert_eq!(verdict(bytes.clone()), Err(RefusedKind::InvalidTimestamp));
    let rules = TopicRules { timestamp_type: TimestampType::LogAppendTime, ..TopicRules::default() };
    assert_eq!(refusal(bytes, &rules).code(), 32);
}

#[test]
fn a_producer_id_needs_a_sequence_and_an_epoch_and_a_transaction_needs_a_producer_id() {
    let b = batch(Codec::None, &[at(0)]);
    let with = |id, epoch, sequence| {
        edited(&b, |h| {
            (h.producer_id, h.producer_epoch, h.base_sequence) = (ProducerId(id), epoch, sequence);
        })
    };
    assert!(verdict(with(5, 0, 0)).is_ok());
    assert!(verdict(with(5, 0, i32::MAX)).is_ok());
    assert_eq!(verdict(with(5, 0, -1)), INVALID);
    assert_eq!(verdict(with(5, -1, 0)), INVALID);
    assert_eq!(verdict(edited(&b, BatchHeader::set_transactional)), INVALID);
}

#[test]
fn a_batch_is_measured_whole_against_max_message_bytes() {
    let b = batch(Codec::None, &[at(0)]);
    let rules = TopicRules { max_message_bytes: b.size(), ..TopicRules::default() };
    assert!(check(b.to_bytes(), &rules, &TERMS).is_ok());
    let rules = TopicRules { max_message_bytes: b.size() - 1, ..rules };
    assert_eq!(refusal(b.to_bytes(), &rules).code(), 10);
}

#[test]
fn a_batch_that_grows_when_it_is_compressed_anew_is_measured_again() {
    let mut builder = BatchBuilder::new().compression(Codec::Gzip, None);
    builder.push(NOW, None, Some(&[7; 10_000]));
    let b = builder.build();
    let rules = TopicRules {
        max_message_bytes: 5_000,
        compression: CompressionType::Uncompressed,
        ..TopicRules::default()
    };
    assert!(b.size() < 5_000);
    assert_eq!(refusal(b.to_bytes(), &rules).kind, RefusedKind::MessageTooLarge);
}

#[test]
fn a_decompression_bomb_is_refused_as_too_large() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        builder.push(NOW, None, Some(&vec![0; 33 << 20]));
        let bytes = builder.build().to_bytes();
        let rules = TopicRules { max_message_bytes: usize::MAX, ..TopicRules::default() };
        assert_eq!(refusal(bytes, &rules).kind, RefusedKind::MessageTooLarge, "{codec}");
    }
}

#[test]
fn bytes_after_the_last_record_are_refused() {
    for codec in CODECS {
        let b = batch(Codec::None, &[at(0)]);
        let body = [&b.body()[..], b"x"].concat();
        let mut header = *b.header();
        header.set_codec(codec);
        let bytes =
            Batch::assemble(header, &crate::record::compress::compress(codec, None, &body)).to_bytes();
        assert_eq!(verdict(bytes), INVALID, "{codec}");
    }
}

#[test]
fn wrong_offset_deltas_are_set_right() {
    for codec in CODECS {
        let b = batch(codec, &[at(0), at(1), at(2)]);
        let mut body = open_body(&b, 1000).unwrap().to_vec();
        let record = body.len() / 3;
        // Length, attributes, a timestamp delta of one byte, then the offset delta: 0, 5, 2.
        body[record + 3] = 10;
        let wrong = Batch::assemble(*b.header(), &crate::record::compress::compress(codec, None, &body));
        let checked = verdict(wrong.to_bytes()).unwrap();
        assert_eq!(contents(&checked), contents(&b), "{codec}");
        assert_eq!(checked.check_crc(), Ok(()));
    }
}

#[test]
fn a_wrong_max_timestamp_is_set_right_with_a_new_checksum() {
    for lie in [Timestamp(-1), at(0), at(999), Timestamp(i64::MAX), Timestamp(i64::MIN)] {
        for codec in CODECS {
            let b = batch(codec, &[at(0), at(9), at(3)]);
            let checked = verdict(edited(&b, |h| h.max_timestamp = lie)).unwrap();
            assert_eq!(checked.header().max_timestamp, at(9));
            assert_eq!(checked.to_bytes(), b.to_bytes());
        }
    }
}

#[test]
fn log_append_time_is_written_into_the_batch_with_a_new_checksum() {
    let rules = TopicRules { timestamp_type: TimestampType::LogAppendTime, ..TopicRules::default() };
    for codec in CODECS {
        // Far out of any bounds, which do not apply to times that are replaced.
        let b = batch(codec, &[Timestamp(5), at(10_000_000_000)]);
        let checked = check(b.to_bytes(), &rules, &TERMS).unwrap();
        let on_disk = Batch::take(&mut checked.to_bytes()).unwrap();
        assert_eq!(on_disk.check_crc(), Ok(()));
        assert!(on_disk.header().is_log_append_time());
        assert_eq!(on_disk.header().max_timestamp, NOW);
        assert!(contents(&on_disk).iter().all(|r| r.timestamp == NOW));
    }
}

#[test]
fn timestamps_out_of_bounds_are_refused_record_by_record() {
    let rules =
        TopicRules { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 10, ..TopicRules::default() };
    let refused =
        refusal(batch(Codec::Gzip, &[at(0), at(11), at(10), at(-1000), at(-1001)]).to_bytes(), &rules);
    assert_eq!(refused.code(), 32);
    assert_eq!(refused.record_errors.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 4]);
    assert!(refused.record_errors[0].1.as_deref().unwrap().contains("out of range"));
}

#[test]
fn a_record_may_have_no_timestamp() {
    let rules = TopicRules { timestamp_before_max_ms: 1000, ..TopicRules::default() };
    let checked = check(batch(Codec::None, &[Timestamp(-1)]).to_bytes(), &rules, &TERMS).unwrap();
    assert_eq!(checked.header().max_timestamp, Timestamp(-1));
}

#[test]
fn timestamps_that_overflow_are_refused() {
    let b = batch(Codec::None, &[at(0), at(1)]);
    assert_eq!(verdict(edited(&b, |h| h.base_timestamp = Timestamp(i64::MAX))), INVALID);
    assert_eq!(
        verdict(edited(&b, |h| h.base_timestamp = Timestamp(i64::MIN))),
        Err(RefusedKind::InvalidTimestamp)
    );
}

#[test]
fn records_without_a_key_are_named_one_by_one_on_a_compacted_topic() {
    let rules = TopicRules { compacted: true, trust: true, ..TopicRules::default() };
    let mut builder = BatchBuilder::new();
    builder.push(NOW, Some(b""), None);
    builder.push(NOW, None, Some(b"v"));
    builder.push(NOW, None, None);
    let bytes = builder.build().to_bytes();
    assert!(verdict(bytes.clone()).is_ok());
    let refused = refusal(bytes, &rules);
    assert_eq!(refused.code(), 87);
    assert_eq!(refused.record_errors.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_list_of_records_at_fault_is_bounded() {
    let mut builder = BatchBuilder::new();
    (0..10_000).for_each(|_| builder.push(NOW, None, None));
    let rules = TopicRules { compacted: true, ..TopicRules::default() };
    let refused = refusal(builder.build().to_bytes(), &rules);
    assert_eq!(refused.record_errors.len(), 100);
    assert!(refused.message.contains("10000"), "{refused}");
}

#[test]
fn a_topic_that_names_a_compression_stores_all_batches_with_it() {
    let types = [
        CompressionType::Uncompressed,
        CompressionType::Gzip { level: 9 },
        CompressionType::Snappy,
        CompressionType::Lz4 { level: 9 },
        CompressionType::Zstd { level: 1 },
    ];
    for (codec, compression) in CODECS.into_iter().flat_map(|c| types.map(|t| (c, t))) {
        let b = batch(codec, &[at(0), at(9), at(3)]);
        let sent = edited(&b, |h| {
            (h.producer_id, h.producer_epoch, h.base_sequence) = (ProducerId(5), 3, i32::MAX);
            h.set_transactional();
        });
        let rules = TopicRules { compression, trust: true, ..TopicRules::default() };
        let stored = check(sent.clone(), &rules, &TERMS).unwrap();
        let sent = Batch::take(&mut sent.clone()).unwrap();
        assert_eq!(stored.check_crc(), Ok(()));
        let mut expected = BatchHeader { crc: stored.header().crc, ..*sent.header() };
        expected.set_codec(compression.codec().unwrap());
        assert_eq!(*stored.header(), expected, "{codec} to {compression:?}");
        assert_eq!(contents(&stored), contents(&sent));
    }
}

#[test]
fn a_trusted_producers_records_are_not_looked_at() {
    let b = batch(Codec::None, &[at(0)]);
    let nonsense = Batch::assemble(*b.header(), b"nonsense").to_bytes();
    assert_eq!(verdict(nonsense.clone()), INVALID);
    let rules = TopicRules { trust: true, ..TopicRules::default() };
    assert!(check(nonsense, &rules, &TERMS).is_ok());
    let late = edited(&b, |h| h.max_timestamp = at(4_000_000));
    assert_eq!(refusal(late, &rules).kind, RefusedKind::InvalidTimestamp);
    let stored =
        check(b.to_bytes(), &TopicRules { timestamp_type: TimestampType::LogAppendTime, ..rules }, &TERMS);
    assert_eq!(stored.unwrap().header().max_timestamp, NOW);
}

#[test]
fn a_topic_without_rules_of_its_own_has_the_default_ones() {
    let mut rules = Rules::default();
    rules.topics.insert("t".to_owned(), TopicRules { compacted: true, ..TopicRules::default() });
    assert!(rules.of("t").compacted);
    assert!(!rules.of("u").compacted);
}
