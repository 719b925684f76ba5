//! What brokers say to one another, in which bytes, and how two of them find out whether they should talk at all.
//!
//! A stream goes one way: who has opened it speaks, and the other side only reads, but for the answer to the greeting and a
//! keep-alive now and then. So two brokers that talk have two streams, and each chooses what it speaks on its own.
//!
//! ```text
//! dialer    QPEER 1 | length  Hello |                 | frame | frame | keep-alive | frame ...
//! acceptor                          QPEER 1 | length  Welcome or Refused |      | keep-alive ...
//!
//! frame       u32 length of what follows | u32 length of the header | header, postcard | record batches, as they are
//! keep-alive  u32 0
//! ```
//!
//! All numbers outside of postcard are big-endian. That a message arrives is not promised: a stream that breaks loses what was
//! under way, and who waits for an answer asks again.
//!
//! # How this changes from release to release
//!
//! - The front ([`front`]), the greeting and its answer ([`hello`]) never change their shape: a broker of any release must be
//!   able to say why it does not talk to one of any other. Whatever else is to be told goes into messages.
//! - The shape of the frames and of every [`message::PeerMessage`] is the protocol version of [`hello::Hello`]. Any change to it
//!   is another version, also a variant that is new: postcard tells variants by their place and fields by their order. New variants
//!   go to the end, and the bytes of each are pinned in `tests/golden.rs`.
//! - A release reads a range of versions ([`hello::READS`]) and speaks one ([`hello::SPEAKS`]). A version is first read by a whole
//!   release and spoken by the next, so that a cluster can be upgraded broker by broker.

pub mod backoff;
pub mod frame;
pub mod front;
pub mod hello;
pub mod message;

#[cfg(test)]
mod tests;
