//! Snappy: bare, as librdkafka sends it, and in the framing of xerial's `SnappyOutputStream`.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::{CompressionError, corrupt};
use crate::record::batch::Codec::Snappy;

/// What a xerial stream begins with; its version and the oldest version that can read it follow.
const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic and both versions.
const HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Bytes that xerial's stream compresses at a time.
const BLOCK_BYTES: usize = 32 << 10;
/// No element of snappy's format yields more bytes per byte than a copy of 64 bytes that takes three.
const MAX_RATIO: usize = 22;

/// In the framing that every client reads.
pub(super) fn compress(body: &[u8]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    let mut encoder = Encoder::new();
    for block in body.chunks(BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).expect("snappy compresses any 32 KiB");
        out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    out
}

pub(super) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if !body.starts_with(MAGIC) {
        unpack(body, &mut out, limit)?;
        return Ok(out);
    }
    let mut rest = body.get(HEADER.len()..).ok_or_else(|| corrupt(Snappy, "its header is cut short"))?;
    while !rest.is_empty() {
        let block = take_block(&mut rest).ok_or_else(|| corrupt(Snappy, "a block is cut short"))?;
        unpack(block, &mut out, limit)?;
    }
    Ok(out)
}

fn take_block<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (block, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    Some(block)
}

/// Appends what one block of raw snappy holds. Its declared length is believed only as far as its bytes can
/// reach.
fn unpack(block: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CompressionError> {
    let declared = decompress_len(block).map_err(|e| corrupt(Snappy, e))?;
    if declared > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt(Snappy, "a block declares more bytes than it can hold"));
    }
    let at = out.len();
    if declared > limit - at {
        return Err(CompressionError::TooLarge { limit });
    }
    out.resize(at + declared, 0);
    let written = Decoder::new().decompress(block, &mut out[at..]).map_err(|e| corrupt(Snappy, e))?;
    out.truncate(at + written);
    Ok(())
}
