//! What can be wrong with a message on the wire, and in which field of which message.

use std::fmt;

/// Why bytes are not the message they should be, or why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside a field.
    Truncated {
        /// Bytes that the field needs.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length or count below -1, or a string longer than 32767 bytes.
    BadLength(i64),
    /// An array claims more elements than the rest of the frame can hold.
    TooMany {
        /// Elements claimed.
        count: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A variable-length integer that goes on after 32 bits.
    Varint,
    /// A string that is not UTF-8.
    NotUtf8,
    /// Null where this version has no null.
    Null,
    /// A nullable structure whose marker is neither -1 nor 1.
    BadMarker(i8),
    /// Bytes are left over behind the message, or behind a tagged field's contents within its size.
    Trailing(usize),
    /// Only when writing: a field is set that this version lacks and that must not be dropped
    /// (Kafka's `UnsupportedVersionException`).
    NotInVersion(i16),
    /// Only when writing: too long for its length field.
    TooLong(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Truncated { wanted, left } => write!(f, "needs {wanted} bytes but {left} are left"),
            Fault::BadLength(length) => write!(f, "has the impossible length {length}"),
            Fault::TooMany { count, left } => write!(f, "claims {count} elements but {left} bytes are left"),
            Fault::Varint => f.write_str("has a variable-length integer of more than 32 bits"),
            Fault::NotUtf8 => f.write_str("is not UTF-8"),
            Fault::Null => f.write_str("is null but must not be in this version"),
            Fault::BadMarker(marker) => write!(f, "has the null marker {marker}, neither -1 nor 1"),
            Fault::Trailing(bytes) => write!(f, "is followed by {bytes} bytes that belong to nothing"),
            Fault::NotInVersion(version) => write!(f, "is set but version {version} has no such field"),
            Fault::TooLong(bytes) => write!(f, "is {bytes} bytes long, too long for its length field"),
        }
    }
}

/// A [`Fault`] and where it is: the structure and the field within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// What is wrong.
    pub fault: Fault,
    /// The message, or the structure within it (`TopicProduceData`). Empty while unknown.
    pub message: &'static str,
    /// The field (`partition_data`). Empty when it is the message as a whole.
    pub field: &'static str,
}

impl WireError {
    /// Names the place, unless a place further inside has been named before.
    #[must_use]
    pub fn at(mut self, message: &'static str, field: &'static str) -> WireError {
        if self.message.is_empty() {
            self.message = message;
            self.field = field;
        }
        self
    }
}

impl From<Fault> for WireError {
    fn from(fault: Fault) -> WireError {
        WireError { fault, message: "", field: "" }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message, self.field) {
            ("", _) => write!(f, "the message {}", self.fault),
            (message, "") => write!(f, "{message} {}", self.fault),
            (message, field) => write!(f, "{message}.{field} {}", self.fault),
        }
    }
}

impl std::error::Error for WireError {}
