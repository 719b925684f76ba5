//! Record batches as checkers read them: by Kafka's documentation, without the code they check.

/// Bytes of a header.
pub const HEADER: usize = 61;

/// What a batch's header says, and a hash of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Offset of the first record.
    pub base: i64,
    /// Offset after the last one.
    pub next: i64,
    /// Bytes in the log.
    pub size: u64,
    /// Leader epoch.
    pub epoch: i32,
    /// Producer id, or -1.
    pub producer: i64,
    /// Producer epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub sequence: i32,
    /// Records.
    pub count: i32,
    /// The largest timestamp.
    pub max_timestamp: i64,
    /// Of all bytes but the leader epoch's.
    pub hash: u64,
}

/// The batch that bytes begin with; `None` when there is no whole one.
pub fn read(bytes: &[u8]) -> Option<Written> {
    let i64_at = |at: usize| bytes.get(at..at + 8).map(|b| i64::from_be_bytes(b.try_into().expect("eight")));
    let i32_at = |at: usize| bytes.get(at..at + 4).map(|b| i32::from_be_bytes(b.try_into().expect("four")));
    let i16_at = |at: usize| bytes.get(at..at + 2).map(|b| i16::from_be_bytes(b.try_into().expect("two")));
    let size = usize::try_from(i32_at(8)?).ok()?.checked_add(12).filter(|size| *size >= HEADER)?;
    let whole = bytes.get(..size)?;
    if whole[16] != 2 {
        return None;
    }
    let base = i64_at(0)?;
    Some(Written {
        base,
        next: base + i64::from(i32_at(23)?) + 1,
        size: size as u64,
        epoch: i32_at(12)?,
        producer: i64_at(43)?,
        producer_epoch: i16_at(51)?,
        sequence: i32_at(53)?,
        count: i32_at(57)?,
        max_timestamp: i64_at(35)?,
        hash: hash(&whole[..12]) ^ hash(&whole[16..]).rotate_left(1),
    })
}

/// All whole batches that bytes begin with.
pub fn read_all(bytes: &[u8]) -> Vec<Written> {
    let mut at = 0;
    std::iter::from_fn(|| {
        let batch = read(bytes.get(at..)?)?;
        at += batch.size as usize;
        Some(batch)
    })
    .collect()
}

/// Whether the checksum of every whole batch that bytes begin with is right. It covers all but the first 21 bytes of each.
pub fn are_sound(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(batch) = read(rest) {
        let (whole, after) = rest.split_at(batch.size as usize);
        if whole[17..21] != crc32c(&whole[21..]).to_be_bytes() {
            return false;
        }
        rest = after;
    }
    true
}

/// CRC-32C, a bit at a time: only damaged disks are looked at so closely.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// A hash of bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(29);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_of_a_producer_id_is_seen() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        let mut batch = vec![0; HEADER + 4];
        batch[11] = (HEADER + 4 - 12) as u8;
        batch[16] = 2;
        let crc = crc32c(&batch[21..]).to_be_bytes();
        batch[17..21].copy_from_slice(&crc);
        let two = [batch.clone(), batch.clone()].concat();
        assert!(are_sound(&two) && are_sound(&two[..100]), "what is cut off is no batch");
        batch[46] ^= 1;
        assert!(!are_sound(&[two, batch].concat()));
    }
}
