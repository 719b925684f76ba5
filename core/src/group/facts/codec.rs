//! The few primitive types that facts are made of: big-endian integers, short and compact strings and bytes.

use bytes::Bytes;

use crate::time::Timestamp;

/// The longest string that the classic encoding can hold.
pub(crate) const STRING_MAX: usize = i16::MAX as usize;

/// The bytes end before the value does, or do not hold what they claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

/// Writes the classic (not flexible) encoding.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(version: i16) -> Writer {
        Writer(version.to_be_bytes().to_vec())
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// The caller has checked the length; only our own mistake can bring a longer string here.
    pub(super) fn string(&mut self, value: &str) {
        assert!(value.len() <= STRING_MAX, "a fact cannot hold a string of {} bytes", value.len());
        self.0.extend_from_slice(&(value.len() as i16).to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.0.extend_from_slice(&(-1i16).to_be_bytes()),
        }
    }

    pub(super) fn bytes(&mut self, value: &Bytes) {
        assert!(i32::try_from(value.len()).is_ok(), "a fact cannot hold {} bytes", value.len());
        self.i32(value.len() as i32);
        self.0.extend_from_slice(value);
    }

    pub(super) fn done(self) -> Bytes {
        Bytes::from(self.0)
    }
}

/// Reads both encodings. Nothing it returns shares memory with what it reads.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, flexible: false }
    }

    pub(super) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Cut> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        self.take(N)?.try_into().map_err(|_| Cut)
    }

    pub(super) fn version(&mut self) -> Result<i16, Cut> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Cut> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Cut> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A timestamp of which -1 says that there is none.
    pub(super) fn timestamp(&mut self) -> Result<Option<Timestamp>, Cut> {
        let value = self.i64()?;
        Ok((value != -1).then_some(Timestamp(value)))
    }

    pub(super) fn string(&mut self) -> Result<String, Cut> {
        self.nullable_string()?.ok_or(Cut)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, Cut> {
        let len = if self.flexible { self.compact()? } else { i64::from(i16::from_be_bytes(self.array()?)) };
        if len < 0 {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(len).map_err(|_| Cut)?)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Cut)?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Cut> {
        let len = if self.flexible { self.compact()? } else { i64::from(self.i32()?) };
        let len = usize::try_from(len).map_err(|_| Cut)?;
        Ok(Bytes::copy_from_slice(self.take(len)?))
    }

    /// The length of an array. Every element is at least one byte, so a larger count is a lie.
    pub(super) fn count(&mut self) -> Result<usize, Cut> {
        let count = if self.flexible { self.compact()? } else { i64::from(self.i32()?) };
        let count = usize::try_from(count).map_err(|_| Cut)?;
        if count > self.rest.len() { Err(Cut) } else { Ok(count) }
    }

    /// Skips the tagged fields that end a struct of a flexible version.
    pub(super) fn end_of_struct(&mut self) -> Result<(), Cut> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(size as usize)?;
        }
        Ok(())
    }

    /// A compact length: one more than the length, 0 for null.
    fn compact(&mut self) -> Result<i64, Cut> {
        Ok(i64::from(self.varint()?) - 1)
    }

    fn varint(&mut self) -> Result<u32, Cut> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                return Err(Cut);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Cut)
    }
}
