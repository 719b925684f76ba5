//! Every codec behind one pair of functions, with a bound on what comes out.

mod lz4;
mod snappy;

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::record::batch::Codec;

/// Nothing is decompressed to more than this, whatever a config says: a quarter of what a batch's length
/// field can tell, so that it can be put together again.
pub const CEILING_BYTES: usize = 512 << 20;
/// What even the smallest batch may decompress to, where a ratio is the limit: see [`output_limit`].
const FLOOR_BYTES: usize = 16 << 20;
/// How many times its own size a larger batch may decompress to.
const MAX_RATIO: usize = 100;
/// The largest zstd window that a frame may ask us to hold: 8 MiB, the least that RFC 8878 wants a decoder to
/// support.
const ZSTD_WINDOW_LOG: u32 = 23;
/// zstd's and gzip's own default levels.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 6;

/// Why a body cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompressionError {
    /// It would be larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is not what the codec makes.
    Corrupt {
        /// The codec.
        codec: Codec,
        /// What the decoder says.
        why: String,
    },
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressionError::TooLarge { limit } => {
                write!(f, "the batch decompresses to more than {limit} bytes")
            }
            CompressionError::Corrupt { codec, why } => {
                write!(f, "the batch does not decompress with {codec}: {why}")
            }
        }
    }
}

/// How much a stranger's batch of `compressed` bytes may decompress to: a hundred times its size and at least
/// 16 MiB, but never more than `most` bytes. A small frame thus cannot claim the memory that a large one may.
pub fn output_limit(compressed: usize, most: usize) -> usize {
    compressed.saturating_mul(MAX_RATIO).max(FLOOR_BYTES).min(most)
}

/// Undoes the compression of a batch's body. Stops at `limit` bytes ([`CEILING_BYTES`] at the latest); no
/// size that the input declares is believed, and nothing may follow the one frame (or stream) that it
/// consists of.
pub fn decompress(codec: Codec, body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let limit = limit.min(CEILING_BYTES);
    match codec {
        Codec::None if body.len() > limit => Err(CompressionError::TooLarge { limit }),
        Codec::None => Ok(body.to_vec()),
        Codec::Gzip => gunzip(body, limit),
        Codec::Snappy => snappy::decompress(body, limit),
        Codec::Lz4 => lz4::decompress(body, limit),
        Codec::Zstd => unzstd(body, limit),
    }
}

/// Compresses the records of a batch. Levels out of the codec's range count as its nearest; `None` is its
/// default.
pub fn compress(codec: Codec, level: Option<i32>, body: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => body.to_vec(),
        Codec::Gzip => gzip(level, body),
        Codec::Snappy => snappy::compress(body),
        Codec::Lz4 => lz4::compress(body),
        Codec::Zstd => {
            zstd::bulk::compress(body, level.unwrap_or(ZSTD_LEVEL)).expect("zstd compresses any bytes")
        }
    }
}

fn gzip(level: Option<i32>, body: &[u8]) -> Vec<u8> {
    let level = match level {
        None | Some(i32::MIN..=-1) => GZIP_LEVEL,
        Some(level) => level.clamp(1, 9) as u32,
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes any bytes")
}

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut decoder = GzDecoder::new(body);
    let out = read_bounded(Codec::Gzip, &mut decoder, body.len(), limit)?;
    at_end(Codec::Gzip, decoder.into_inner())?;
    Ok(out)
}

fn unzstd(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let decoder =
        ZstdDecoder::with_buffer(body).and_then(|mut d| d.window_log_max(ZSTD_WINDOW_LOG).map(|()| d));
    let mut decoder = decoder.map_err(|e| corrupt(Codec::Zstd, e))?.single_frame();
    let out = read_bounded(Codec::Zstd, &mut decoder, body.len(), limit)?;
    at_end(Codec::Zstd, decoder.finish())?;
    Ok(out)
}

/// Reads to the end, at most one byte beyond the limit. Grows with what really comes.
fn read_bounded(
    codec: Codec,
    from: impl Read,
    compressed: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(compressed.saturating_mul(4).min(limit));
    from.take(limit as u64 + 1).read_to_end(&mut out).map_err(|e| corrupt(codec, e))?;
    if out.len() > limit {
        return Err(CompressionError::TooLarge { limit });
    }
    Ok(out)
}

fn at_end(codec: Codec, rest: &[u8]) -> Result<(), CompressionError> {
    if rest.is_empty() { Ok(()) } else { Err(corrupt(codec, format_args!("{} bytes follow it", rest.len()))) }
}

fn corrupt(codec: Codec, why: impl fmt::Display) -> CompressionError {
    CompressionError::Corrupt { codec, why: why.to_string() }
}

#[cfg(test)]
mod tests;
