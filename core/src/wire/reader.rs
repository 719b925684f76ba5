//! Reads Kafka's primitive types from a frame: bounded, without copying byte fields, without a panic.

use bytes::Bytes;

use crate::wire::fault::{Fault, WireError};

/// Longest string that Kafka's protocol can carry, in bytes.
pub(crate) const MAX_STRING: usize = i16::MAX as usize;

/// The unread rest of a frame. Byte fields come out as slices that share the frame's memory.
pub(crate) struct Reader<'a> {
    frame: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a Bytes) -> Reader<'a> {
        Reader { frame, rest: frame }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        match self.rest.split_at_checked(bytes) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(Fault::Truncated { wanted: bytes, left: self.rest.len() }),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(Fault::Truncated { wanted: N, left: self.rest.len() }),
        }
    }

    /// An unsigned variable-length integer of at most 32 bits. Padding with zeros is legal within five bytes, as in Kafka.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u32, Fault> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                return Err(Fault::Varint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Varint)
    }

    /// The length of a string: `None` for null.
    #[inline]
    pub(crate) fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, Fault> {
        let length = if flexible {
            i64::from(self.uvarint()?) - 1
        } else {
            i64::from(i16::from_be_bytes(self.array()?))
        };
        let length = checked_length(length)?;
        match length {
            Some(length) if length > MAX_STRING => Err(Fault::BadLength(length as i64)),
            length => Ok(length),
        }
    }

    /// The length of a bytes or records field, or the count of an array: `None` for null.
    #[inline]
    pub(crate) fn length(&mut self, flexible: bool) -> Result<Option<usize>, Fault> {
        checked_length(if flexible {
            i64::from(self.uvarint()?) - 1
        } else {
            i64::from(i32::from_be_bytes(self.array()?))
        })
    }

    /// A slice that shares the frame's memory.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Bytes, Fault> {
        let taken = self.take(length)?;
        Ok(self.frame.slice_ref(taken))
    }

    pub(crate) fn string(&mut self, length: usize) -> Result<String, Fault> {
        let taken = self.take(length)?;
        match std::str::from_utf8(taken) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Fault::NotUtf8),
        }
    }

    /// The tagged fields at the end of a structure. `known` reads a tag that this version has and says whether it did;
    /// every other tag is skipped and forgotten.
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        let count = self.uvarint()?;
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let mut inside = Reader { frame: self.frame, rest: self.take(size)? };
            if known(tag, &mut inside)? && inside.left() > 0 {
                return Err(Fault::Trailing(inside.left()).into());
            }
        }
        Ok(())
    }

    /// Fails when anything is left behind the message.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing(self.rest.len())) }
    }
}

fn checked_length(length: i64) -> Result<Option<usize>, Fault> {
    match length {
        -1 => Ok(None),
        0.. => usize::try_from(length).map(Some).map_err(|_| Fault::BadLength(length)),
        _ => Err(Fault::BadLength(length)),
    }
}
