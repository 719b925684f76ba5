//! The zigzag varints that records are made of (Kafka: `ByteUtils.readVarint`, `readVarlong`).

/// Why a varint cannot be read.
pub(super) const CUT: &str = "it is cut short";
/// Why a varint is none.
pub(super) const TOO_LARGE: &str = "a varint does not fit its type";

/// Takes one byte off `bytes`.
#[inline]
pub(super) fn take_u8(bytes: &mut &[u8]) -> Result<u8, &'static str> {
    let (first, rest) = bytes.split_first().ok_or(CUT)?;
    *bytes = rest;
    Ok(*first)
}

/// Takes a 32-bit varint off `bytes`: at most five bytes, no bits beyond the type.
#[inline]
pub(super) fn take_i32(bytes: &mut &[u8]) -> Result<i32, &'static str> {
    let n = u32::try_from(take_unsigned(bytes, 5)?).map_err(|_| TOO_LARGE)?;
    Ok((n >> 1) as i32 ^ -((n & 1) as i32))
}

/// Takes a 64-bit varint off `bytes`: at most ten bytes, no bits beyond the type.
#[inline]
pub(super) fn take_i64(bytes: &mut &[u8]) -> Result<i64, &'static str> {
    let n = take_unsigned(bytes, 10)?;
    Ok((n >> 1) as i64 ^ -((n & 1) as i64))
}

#[inline]
fn take_unsigned(bytes: &mut &[u8], most: usize) -> Result<u64, &'static str> {
    match *bytes {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first))
        }
        // Lengths and deltas of ordinary records have two bytes.
        [first, second, rest @ ..] if *second < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
        }
        _ => take_long(bytes, most),
    }
}

#[cold]
fn take_long(bytes: &mut &[u8], most: usize) -> Result<u64, &'static str> {
    let mut n = 0;
    for i in 0..most {
        let byte = *bytes.get(i).ok_or(CUT)?;
        let seven = u64::from(byte & 0x7f);
        // Only the tenth byte of ten can lose bits.
        if i == 9 && seven > 1 {
            return Err(TOO_LARGE);
        }
        n |= seven << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(n);
        }
    }
    Err(TOO_LARGE)
}

/// Appends a varint. The bytes of an `i32` and of an `i64` of the same value are the same.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut n = zigzag(value);
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes [`put`] appends.
pub(super) fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_and_has_the_size_it_was_said_to_have() {
        let edges = (0..64).flat_map(|shift| [1i64 << shift, (1i64 << shift).wrapping_sub(1)]);
        for value in edges.flat_map(|n| [n, n.wrapping_neg()]) {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out.len(), size(value), "{value}");
            assert_eq!(take_i64(&mut &out[..]), Ok(value));
            let narrow = take_i32(&mut &out[..]);
            assert_eq!(narrow.ok(), i32::try_from(value).ok(), "{value}");
        }
    }

    #[test]
    fn a_varint_with_more_bytes_or_bits_than_its_type_is_refused() {
        assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), Err(TOO_LARGE));
        assert_eq!(take_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), Err(TOO_LARGE));
        assert_eq!(take_i64(&mut &[0xff; 11][..]), Err(TOO_LARGE));
        assert_eq!(
            take_i64(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]),
            Err(TOO_LARGE)
        );
        assert_eq!(take_i32(&mut &[0x80][..]), Err(CUT));
        assert_eq!(take_i32(&mut &[][..]), Err(CUT));
    }

    #[test]
    fn known_values_have_the_bytes_of_kafkas_zigzag() {
        for (value, bytes) in [(0, &[0][..]), (-1, &[1]), (63, &[0x7e]), (-64, &[0x7f]), (64, &[0x80, 1])] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
        }
    }
}
