//! Frames: a message's header in postcard, and behind it the bytes of its record batches, which are never copied.

use bytes::{Buf, Bytes};

use crate::peer::message::PeerMessage;
use crate::record::Batch;
use crate::record::batch::{BatchHeader, PREFIX_BYTES as BATCH_PREFIX};

/// Bytes of the length that goes before every frame.
pub const PREFIX_BYTES: usize = 4;
/// A frame of nothing: whoever has nothing to say shows that it is there.
pub const KEEP_ALIVE: [u8; PREFIX_BYTES] = [0; PREFIX_BYTES];
/// Bytes of records that a sender gathers for one message; a single batch that is larger still goes.
pub const GATHERED_BYTES: usize = 16 << 20;
/// Bytes of the largest frame, without its length: a batch as large as the default of `socket.request.max.bytes` lets in, on top of
/// what was gathered, and a header.
pub const LARGEST_FRAME: usize = 128 << 20;
/// Bytes of the largest header. Decoding one takes memory in proportion to it, whatever it claims.
const LARGEST_HEADER: usize = 4 << 20;
/// Bytes of the header's length.
const HEADER_LENGTH: usize = 4;

/// The bytes of a message, length and all, in pieces to be written one after the other: those of the records are shared.
///
/// # Errors
/// It is larger than a frame may be.
pub fn encode(message: &PeerMessage) -> Result<Vec<Bytes>, String> {
    let lists = message.lists();
    let sizes: Vec<u64> = lists.iter().map(|list| list.iter().map(|b| b.size() as u64).sum()).collect();
    let head = postcard::to_extend(&(&sizes, message), vec![0; PREFIX_BYTES + HEADER_LENGTH]);
    let mut head = head.expect("plain values always encode");
    let header = head.len() - PREFIX_BYTES - HEADER_LENGTH;
    let rest = (HEADER_LENGTH + header) as u64 + sizes.iter().sum::<u64>();
    if header > LARGEST_HEADER || rest > LARGEST_FRAME as u64 {
        return Err(format!("a message of {rest} bytes, {header} of them header, is too large for a frame"));
    }
    head[..PREFIX_BYTES].copy_from_slice(&(rest as u32).to_be_bytes());
    head[PREFIX_BYTES..PREFIX_BYTES + HEADER_LENGTH].copy_from_slice(&(header as u32).to_be_bytes());
    Ok(pieces(head, lists.into_iter().flatten()))
}

/// The header and each batch's stamped prefix are pieces of one stretch of memory, between them lie the batches as they arrived.
fn pieces<'a>(mut head: Vec<u8>, batches: impl Iterator<Item = &'a Batch>) -> Vec<Bytes> {
    let mut end = head.len();
    let mut bodies = Vec::new();
    for batch in batches {
        head.extend_from_slice(&batch.prefix());
        bodies.push(batch.rest());
    }
    let head = Bytes::from(head);
    let mut out = Vec::with_capacity(2 * bodies.len() + 1);
    let mut from = 0;
    for body in bodies {
        end += BATCH_PREFIX;
        out.push(head.slice(from..end));
        out.push(body);
        from = end;
    }
    if from == 0 {
        out.push(head);
    }
    out
}

/// The length of the frame behind this prefix, which is to be no longer than `limit`. 0 is a keep-alive.
///
/// # Errors
/// It claims more.
pub fn length(prefix: [u8; PREFIX_BYTES], limit: usize) -> Result<usize, String> {
    let claimed = u32::from_be_bytes(prefix) as usize;
    if claimed > limit {
        return Err(format!("a frame claims {claimed} bytes, over the limit of {limit}"));
    }
    Ok(claimed)
}

/// Reads a frame without its length. The record batches are slices of it, each one checked down to its CRC.
///
/// # Errors
/// It is no frame of this protocol version, or a batch in it is damaged.
pub fn decode(mut frame: Bytes) -> Result<PeerMessage, String> {
    let header = take_header(&mut frame)?;
    let read = postcard::take_from_bytes(&header);
    let ((sizes, mut message), rest): ((Vec<u64>, PeerMessage), &[u8]) =
        read.map_err(|error| format!("the header of a message cannot be read: {error}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the message in its header", rest.len()));
    }
    let mut lists = message.lists_mut();
    if lists.len() != sizes.len() {
        return Err(format!(
            "a message with room for {} lists of batches comes with {}",
            lists.len(),
            sizes.len()
        ));
    }
    for (list, size) in lists.iter_mut().zip(sizes) {
        let size = usize::try_from(size).ok().filter(|size| *size <= frame.len());
        let size = size.ok_or_else(|| "a message claims more records than its frame has".to_owned())?;
        **list = batches(frame.split_to(size))?;
    }
    if !frame.is_empty() {
        return Err(format!("{} bytes of a frame belong to nothing", frame.len()));
    }
    Ok(message)
}

fn take_header(frame: &mut Bytes) -> Result<Bytes, String> {
    if frame.len() < HEADER_LENGTH {
        return Err(format!("a frame of {} bytes has no room for its header", frame.len()));
    }
    let claimed = frame.get_u32() as usize;
    if claimed > frame.len().min(LARGEST_HEADER) {
        return Err(format!("a header claims {claimed} bytes, of {} that the frame has", frame.len()));
    }
    Ok(frame.split_to(claimed))
}

fn batches(mut bytes: Bytes) -> Result<Vec<Batch>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let batch = Batch::take(&mut bytes).map_err(|error| error.to_string())?;
        batch.check_crc().map_err(|error| error.to_string())?;
        check_place(batch.header())?;
        out.push(batch);
    }
    Ok(out)
}

/// The place in the log lies outside the CRC.
fn check_place(header: &BatchHeader) -> Result<(), String> {
    let (base, delta) = (header.base_offset.0, header.last_offset_delta);
    let place_is_sane = base >= 0 && delta >= 0 && base.checked_add(i64::from(delta) + 1).is_some();
    if !place_is_sane || header.count < 0 {
        return Err(format!(
            "a batch with base offset {base}, last offset delta {delta} and {} records cannot be",
            header.count
        ));
    }
    Ok(())
}
