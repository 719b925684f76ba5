//! Batches in the bytes of Kafka's own Java client (kafka-clients 4.3.1, `MemoryRecordsBuilder`), one a codec.

use bytes::Bytes;

use super::check::{Terms, TopicRules, check};
use super::{Batch, BatchBuilder, Codec, Records};
use crate::ids::ProducerId;
use crate::time::Timestamp;

const NOW: i64 = 1_700_000_000_000;

const NONE: &str = "\
    000000000000000000000097ffffffff024528f1790000000000020000018bcfe568000000018bcfe568050000000000\
    00002a000300000007000000035e000000066b65793e612076616c756520612076616c756520612076616c7565206120\
    76616c756504026802310268010c000a020101005c001304005000000000000000000000000000000000000000000000\
    00000000000000000000000000000000000000\
";
const GZIP: &str = "\
    00000000000000000000006fffffffff02e6478a370001000000020000018bcfe568000000018bcfe568050000000000\
    00002a000300000007000000031f8b08000000000000ff8b63606060cb4eadb44b54284bcc294d55c041b33065301932\
    6530f2307031313232c43008b3300430100b005b0ae58266000000\
";
const SNAPPY: &str = "\
    000000000000000000000075ffffffff02da9c55310002000000020000018bcfe568000000018bcfe568050000000000\
    00002a0003000000070000000382534e415050590000000001000000010000003066405e000000066b65793e61207661\
    6c7565205a08005404026802310268010c000a020101005c0013040050009e0100\
";
const LZ4: &str = "\
    000000000000000000000077ffffffff023da9fd3e0003000000020000018bcfe568000000018bcfe568050000000000\
    00002a0003000000070000000304224d1860408237000000ff025e000000066b65793e612076616c756520080004ff07\
    04026802310268010c000a020101005c00130400500001001050000000000000000000\
";
const ZSTD: &str = "\
    00000000000000000000006effffffff021020e63c0004000000020000018bcfe568000000018bcfe568050000000000\
    00002a0003000000070000000328b52ffd00588c010074025e000000066b65793e612076616c75652004026802310268\
    010c000a020101005c0013040050000200e2ca76755902010000\
";

fn golden() -> Vec<(Codec, Bytes)> {
    let texts = [
        (Codec::None, NONE),
        (Codec::Gzip, GZIP),
        (Codec::Snappy, SNAPPY),
        (Codec::Lz4, LZ4),
        (Codec::Zstd, ZSTD),
    ];
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    texts.map(|(codec, hex)| (codec, hex.as_bytes().chunks(2).map(byte).collect())).to_vec()
}

/// The batch of the golden bytes, built by ourselves.
fn ours(codec: Codec) -> Batch {
    let mut builder = BatchBuilder::new().compression(codec, None).producer(ProducerId(42), 3, 7);
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
    let value = b"a value a value a value a value";
    builder.push_with_headers(Timestamp(NOW), Some(b"key"), Some(value), &headers);
    builder.push(Timestamp(NOW + 5), None, None);
    builder.push(Timestamp(NOW - 10), Some(b""), Some(&[0; 40]));
    builder.build()
}

#[test]
fn a_batch_that_is_not_compressed_has_the_same_bytes_as_from_the_java_client() {
    assert_eq!(ours(Codec::None).to_bytes(), golden()[0].1);
}

#[test]
fn the_java_clients_batches_pass_and_read_as_what_it_put_in() {
    let terms = Terms { now: Timestamp(NOW), max_decompressed_bytes: 1 << 20, zstd_allowed: true };
    for (codec, bytes) in golden() {
        let batch = check(bytes.clone(), &TopicRules::default(), &terms).unwrap();
        assert_eq!(batch.to_bytes(), bytes, "{codec} is left as it came");
        assert_eq!(batch.header().codec(), Some(codec));
        let records = Records::read_all(&batch, 1 << 20).unwrap();
        assert_eq!(records, Records::read_all(&ours(Codec::None), 1 << 20).unwrap(), "{codec}");
        let header = |batch: &Batch| (batch.header().attributes, batch.header().max_timestamp);
        assert_eq!(header(&batch), header(&ours(codec)));
    }
}
