//! lz4 as Kafka's clients write and read it: one frame of independent blocks.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{CompressionError, at_end, corrupt, read_bounded};
use crate::record::batch::Codec::Lz4;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;
/// Bit of a block's length that says it is stored, not compressed.
const STORED: u32 = 1 << 31;

pub(super) fn compress(body: &[u8]) -> Vec<u8> {
    let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(body).expect("a vector takes any bytes");
    encoder.finish().expect("a vector takes any bytes")
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let length = frame_length(body).map_err(|why| corrupt(Lz4, why))?;
    if length != body.len() {
        return Err(corrupt(Lz4, format_args!("{} bytes follow its frame", body.len() - length)));
    }
    let mut decoder = FrameDecoder::new(body);
    let out = read_bounded(Lz4, &mut decoder, body.len(), limit)?;
    // The decoder also ends at a block that yields nothing.
    at_end(Lz4, decoder.get_ref())?;
    Ok(out)
}

/// The bytes of the frame with its end mark, which the decoder itself would not miss. Refuses what the Java
/// client cannot read: dependent blocks, dictionaries, the legacy format.
fn frame_length(body: &[u8]) -> Result<usize, &'static str> {
    const CUT: &str = "its frame is cut short";
    let (&[_, _, _, _, flags, _], _) = body.split_first_chunk::<6>().ok_or(CUT)?;
    if body[..4] != MAGIC {
        return Err("it is no lz4 frame");
    }
    if flags & INDEPENDENT_BLOCKS == 0 {
        return Err("its blocks depend on each other, which Java clients cannot read");
    }
    if flags & DICTIONARY != 0 {
        return Err("it needs a dictionary");
    }
    let mut at = if flags & CONTENT_SIZE != 0 { 15 } else { 7 };
    let checksum = if flags & BLOCK_CHECKSUMS != 0 { 4 } else { 0 };
    loop {
        let length = body.get(at..).and_then(|b| b.first_chunk::<4>()).ok_or(CUT)?;
        at += 4;
        match u32::from_le_bytes(*length) {
            0 => break,
            n => at = at.checked_add((n & !STORED) as usize + checksum).ok_or(CUT)?,
        }
    }
    at += if flags & CONTENT_CHECKSUM != 0 { 4 } else { 0 };
    if at > body.len() { Err(CUT) } else { Ok(at) }
}
