//! Where frames are written: one reused buffer for fields, with record bytes spliced in and never copied.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::fault::Fault;
use crate::wire::reader::MAX_STRING;

/// One or more length-prefixed frames under construction, in order.
///
/// Fields go into one buffer; a record chunk is only noted with the position where it belongs. [`Out::take`] cuts the
/// buffer at those positions. The buffer's memory is used again once the chunks taken from it have been dropped.
#[derive(Debug, Default)]
pub struct Out {
    fields: BytesMut,
    spliced: Vec<(usize, Bytes)>,
}

/// A position to return to when a frame cannot be finished.
#[derive(Clone, Copy)]
pub(crate) struct FrameStart {
    fields: usize,
    spliced: usize,
}

impl Out {
    /// An empty output.
    pub fn new() -> Out {
        Out::default()
    }

    /// Bytes waiting in all, spliced ones included.
    pub fn len(&self) -> usize {
        self.fields.len() + self.spliced.iter().map(|(_, chunk)| chunk.len()).sum::<usize>()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.spliced.is_empty()
    }

    /// Moves everything written so far to the end of `chunks`: write these one after the other.
    pub fn take(&mut self, chunks: &mut Vec<Bytes>) {
        let mut cut = 0;
        for (position, chunk) in self.spliced.drain(..) {
            if position > cut {
                chunks.push(self.fields.split_to(position - cut).freeze());
                cut = position;
            }
            if !chunk.is_empty() {
                chunks.push(chunk);
            }
        }
        if !self.fields.is_empty() {
            chunks.push(self.fields.split().freeze());
        }
    }

    /// Everything written so far as one piece: copies, so for tests and small frames only.
    pub fn take_joined(&mut self) -> Bytes {
        let mut chunks = Vec::new();
        self.take(&mut chunks);
        match chunks.len() {
            1 => chunks.remove(0),
            _ => chunks.concat().into(),
        }
    }

    /// Begins a frame with a gap for its length.
    pub(crate) fn begin_frame(&mut self) -> FrameStart {
        let start = FrameStart { fields: self.fields.len(), spliced: self.spliced.len() };
        self.fields.put_i32(0);
        start
    }

    /// Fills the gap.
    pub(crate) fn end_frame(&mut self, start: FrameStart) -> Result<(), Fault> {
        let spliced: usize = self.spliced[start.spliced..].iter().map(|(_, chunk)| chunk.len()).sum();
        let length = self.fields.len() - start.fields - 4 + spliced;
        let prefix = i32::try_from(length).map_err(|_| Fault::TooLong(length))?;
        self.fields[start.fields..start.fields + 4].copy_from_slice(&prefix.to_be_bytes());
        Ok(())
    }

    /// Forgets an unfinished frame.
    pub(crate) fn drop_frame(&mut self, start: FrameStart) {
        self.fields.truncate(start.fields);
        self.spliced.truncate(start.spliced);
    }

    /// Puts record bytes here, by reference.
    pub(crate) fn splice(&mut self, chunk: Bytes) {
        self.spliced.push((self.fields.len(), chunk));
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.fields.put_slice(bytes);
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.fields.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.fields.put_u8(value as u8);
    }

    /// The length of a string; `None` for null.
    pub(crate) fn string_length(&mut self, flexible: bool, length: Option<usize>) -> Result<(), Fault> {
        if let Some(length) = length.filter(|l| *l > MAX_STRING) {
            return Err(Fault::TooLong(length));
        }
        if flexible {
            self.uvarint(length.map_or(0, |l| l as u32 + 1));
        } else {
            self.fields.put_i16(length.map_or(-1, |l| l as i16));
        }
        Ok(())
    }

    /// The length of a bytes or records field, or the count of an array; `None` for null.
    pub(crate) fn length(&mut self, flexible: bool, length: Option<usize>) -> Result<(), Fault> {
        if let Some(length) = length.filter(|l| *l > i32::MAX as usize) {
            return Err(Fault::TooLong(length));
        }
        if flexible {
            self.uvarint(length.map_or(0, |l| l as u32 + 1));
        } else {
            self.fields.put_i32(length.map_or(-1, |l| l as i32));
        }
        Ok(())
    }

    /// Writes one tagged field: tag, size, contents. The contents are written first, then moved to make room for the size.
    pub(crate) fn tagged<E>(
        &mut self,
        tag: u32,
        contents: impl FnOnce(&mut Out) -> Result<(), E>,
    ) -> Result<(), E> {
        self.uvarint(tag);
        let (from, spliced) = (self.fields.len(), self.spliced.len());
        contents(self)?;
        assert_eq!(spliced, self.spliced.len(), "no tagged field of Kafka's protocol carries records");
        let end = self.fields.len();
        self.uvarint((end - from) as u32);
        self.fields[from..].rotate_left(end - from);
        Ok(())
    }
}
