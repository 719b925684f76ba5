//! Decompression of what clients write, and of what nobody should.

use super::*;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| b"the quick brown fox jumps over the lazy dog "[(i * 7 + i / 97) % 44]).collect()
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn every_codec_gives_back_what_it_was_given_at_every_level() {
    for codec in CODECS {
        for level in [None, Some(-1), Some(1), Some(9), Some(17), Some(i32::MIN), Some(i32::MAX)] {
            for size in [0, 1, 100, 32 << 10, (32 << 10) + 1, 300_000] {
                // The slowest levels are slow on large inputs.
                let size = if level == Some(i32::MAX) { size.min(1000) } else { size };
                let body = text(size);
                let packed = compress(codec, level, &body);
                assert_eq!(decompress(codec, &packed, size), Ok(body), "{codec} {level:?} {size}");
            }
        }
    }
}

#[test]
fn a_limit_is_exact_and_stops_a_bomb_of_every_codec() {
    let zeros = vec![0; 64 << 20];
    for codec in CODECS {
        let packed = compress(codec, None, &zeros);
        for limit in [0, 1, 1 << 20, zeros.len() - 1] {
            assert_eq!(
                decompress(codec, &packed, limit),
                Err(CompressionError::TooLarge { limit }),
                "{codec}"
            );
        }
        assert_eq!(decompress(codec, &packed, zeros.len()).map(|out| out.len()), Ok(zeros.len()));
    }
}

#[test]
fn a_small_batch_may_not_decompress_to_as_much_as_a_large_one() {
    assert_eq!(output_limit(100, 128 << 20), 16 << 20);
    assert_eq!(output_limit(1 << 20, 128 << 20), 100 << 20);
    assert_eq!(output_limit(usize::MAX, 128 << 20), 128 << 20);
    assert_eq!(output_limit(100, 1000), 1000);
}

#[test]
fn a_body_that_is_cut_short_or_has_something_behind_it_is_refused() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compress(codec, None, &text(5000));
        for cut in 1..packed.len() {
            // A xerial stream has no end mark: cut between blocks it is a shorter stream.
            let short = decompress(codec, &packed[..cut], 1 << 20);
            assert!(short.is_err() || (codec == Codec::Snappy && cut == 16), "{codec} cut at {cut}");
        }
        let twice = [&packed[..], &[0; 3]].concat();
        assert!(
            matches!(decompress(codec, &twice, 1 << 20), Err(CompressionError::Corrupt { .. })),
            "{codec}"
        );
    }
}

#[test]
fn bare_snappy_is_read_as_well_as_xerials_framing() {
    let body = text(100_000);
    let bare = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    assert_eq!(decompress(Codec::Snappy, &bare, 1 << 20), Ok(body));
}

#[test]
fn a_declared_size_of_snappy_is_not_believed() {
    // 2 GiB declared by five bytes, bare and in xerial's framing.
    let bare = [0xff, 0xff, 0xff, 0xff, 0x07, 0];
    let framed = [&hex("82534e41505059000000000100000001")[..], &[0, 0, 0, 6], &bare].concat();
    for body in [&bare[..], &framed] {
        assert!(matches!(
            decompress(Codec::Snappy, body, CEILING_BYTES),
            Err(CompressionError::Corrupt { .. })
        ));
    }
    let huge_block = hex("82534e41505059000000000100000001ffffffff00");
    assert!(decompress(Codec::Snappy, &huge_block, 1 << 20).is_err());
}

#[test]
fn a_zstd_window_beyond_8_mib_is_refused_before_it_is_allocated() {
    // A frame of one empty raw block whose header asks for a window of 2^31 bytes, and one that asks for 8
    // MiB.
    let frame = |window: u8| [&hex("28b52ffd00")[..], &[window], &hex("010000")].concat();
    assert!(decompress(Codec::Zstd, &frame((31 - 10) << 3), 1 << 20).is_err());
    assert_eq!(decompress(Codec::Zstd, &frame((23 - 10) << 3), 1 << 20), Ok(vec![]));
}

#[test]
fn zstd_without_a_content_size_is_read_as_the_java_client_writes_it() {
    let body = text(200_000);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&body).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(packed[4] & 0b1110_0000, 0, "no content size, not a single segment");
    assert_eq!(decompress(Codec::Zstd, &packed, 1 << 20), Ok(body));
}

#[test]
fn lz4_is_written_in_independent_blocks_of_64_kib_with_a_true_header_checksum() {
    let packed = compress(Codec::Lz4, None, &text(100));
    // Magic; version 1 with independent blocks and nothing else; 64 KiB; xxHash32 of the two flag bytes,
    // second byte.
    assert_eq!(packed[..7], hex("04224d18604082"));
    let mut wrong = packed.clone();
    wrong[6] ^= 1;
    assert!(decompress(Codec::Lz4, &wrong, 1000).is_err());
}

#[test]
fn lz4_that_java_clients_could_not_read_is_refused() {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    let mut encoder =
        FrameEncoder::with_frame_info(FrameInfo::new().block_mode(BlockMode::Linked), Vec::new());
    encoder.write_all(&text(1000)).unwrap();
    let linked = encoder.finish().unwrap();
    assert!(decompress(Codec::Lz4, &linked, 10_000).is_err());
    // An empty stored block, which some decoders take for the end.
    let mut empty_block = compress(Codec::Lz4, None, &text(1000));
    empty_block.splice(7..7, hex("00000080"));
    assert!(decompress(Codec::Lz4, &empty_block, 10_000).is_err());
}

#[test]
fn lz4_with_checksums_and_a_content_size_is_read_and_its_checksums_are_believed() {
    use lz4_flex::frame::{FrameEncoder, FrameInfo};
    let body = text(1000);
    let frame = FrameInfo::new().block_checksums(true).content_checksum(true).content_size(Some(1000));
    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(&body).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(decompress(Codec::Lz4, &packed, 1000), Ok(body));
    let mut wrong = packed.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(decompress(Codec::Lz4, &wrong, 1000).is_err());
}
