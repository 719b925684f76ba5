//! Why a batch is refused, in the words and with the codes that Kafka's clients know.

use std::fmt;

/// A batch that is not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which error.
    pub kind: RefusedKind,
    /// What is wrong, for the person who runs the client.
    pub message: String,
    /// The records at fault by index within the batch (KIP-467): the Java client fails only these. Empty when
    /// the batch as a whole is at fault.
    pub record_errors: Vec<(i32, Option<String>)>,
}

impl Refused {
    /// A batch that is at fault as a whole.
    pub fn batch(kind: RefusedKind, message: impl Into<String>) -> Refused {
        Refused { kind, message: message.into(), record_errors: Vec::new() }
    }

    /// The error code for the answer: [`RefusedKind::code`].
    pub fn code(&self) -> i16 {
        self.kind.code()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The error codes with which batches are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusedKind {
    /// CORRUPT_MESSAGE: the checksum or the length does not fit the bytes; sending it again may help.
    CorruptMessage,
    /// MESSAGE_TOO_LARGE: the Java client splits such a batch and sends the parts.
    MessageTooLarge,
    /// INVALID_TIMESTAMP: out of the topic's bounds, or of a type that is the broker's to set.
    InvalidTimestamp,
    /// UNSUPPORTED_COMPRESSION_TYPE: no such codec, or not in that version of the request.
    UnsupportedCompressionType,
    /// INVALID_RECORD: anything else that the format or the topic forbids.
    InvalidRecord,
}

impl RefusedKind {
    /// Kafka's number for it (`org.apache.kafka.common.protocol.Errors`).
    pub fn code(self) -> i16 {
        match self {
            RefusedKind::CorruptMessage => 2,
            RefusedKind::MessageTooLarge => 10,
            RefusedKind::InvalidTimestamp => 32,
            RefusedKind::UnsupportedCompressionType => 76,
            RefusedKind::InvalidRecord => 87,
        }
    }
}
