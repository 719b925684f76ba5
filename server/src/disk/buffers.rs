//! Buffers for large reads, used again: the kernel's first touch of fresh memory costs more than the read itself.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Smaller reads get memory of their own.
const POOLED_FROM_BYTES: usize = 64 << 10;
/// Larger ones too: what is kept must stay small.
const POOLED_UP_TO_BYTES: usize = 2 << 20;
/// Buffers kept for the next read.
const KEPT: usize = 8;

/// The buffers that nobody uses at the moment; the one used last goes first, for it is still in the processor's cache.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of at least `len` bytes, with anything in it.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        if !(POOLED_FROM_BYTES..=POOLED_UP_TO_BYTES).contains(&len) {
            return vec![0; len];
        }
        self.lock().pop().unwrap_or_else(|| vec![0; POOLED_UP_TO_BYTES])
    }

    /// The first `len` bytes of a buffer; the last holder of them gives it back.
    pub(super) fn share(&self, mut buffer: Vec<u8>, len: usize) -> Bytes {
        if buffer.len() != POOLED_UP_TO_BYTES {
            buffer.truncate(len);
            return Bytes::from(buffer);
        }
        Bytes::from_owner(Lent { buffer, len, home: self.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    buffer: Vec<u8>,
    len: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut kept = self.home.lock();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back_once_nobody_holds_its_bytes() {
        let buffers = Buffers::default();
        let mut first = buffers.take(1 << 20);
        first[..100].fill(7);
        let at = first.as_ptr();
        let bytes = buffers.share(first, 100);
        assert_eq!(bytes.len(), 100);
        let slice = bytes.slice(10..20);
        drop(bytes);
        let other = buffers.take(1 << 20);
        assert_ne!(other.as_ptr(), at, "a slice still holds it");
        assert_eq!(slice, [7; 10][..]);
        drop(slice);
        let again = buffers.take(1 << 20);
        assert_eq!(again.as_ptr(), at);
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        let buffers = Buffers::default();
        let lent: Vec<Bytes> = (0..50).map(|_| buffers.share(buffers.take(POOLED_FROM_BYTES), 1)).collect();
        drop(lent);
        assert_eq!(buffers.lock().len(), KEPT);
    }
}
