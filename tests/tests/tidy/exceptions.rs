//! What may break a rule, why, and by how much at most.

/// Name, the most lines it may have, and the reason. The number may only shrink.
pub(crate) type Ratchet = (&'static str, usize, &'static str);

/// Files over 450 lines.
pub(crate) const LONG_FILES: &[Ratchet] = &[];

/// Functions over 40 lines (tests over 60), as `path::name`. None may pass 60.
pub(crate) const LONG_FUNCTIONS: &[Ratchet] = &[];

/// Imports between rooms of one floor: from, to, reason.
pub(crate) const IMPORTS_ON_ONE_FLOOR: &[(&str, &str, &str)] = &[
    ("producer", "record", "the producer state is judged from a batch header; record knows nothing of it"),
    ("config", "record", "compression.type is one of record's codecs; record takes its rules as values"),
    ("wire", "storage", "the records of an answer may still lie on disk, as a range that storage names"),
];

/// Files that hold unsafe code, with the reason. Everything in them is a call that std does not offer.
pub(crate) const UNSAFE_FILES: &[(&str, &str)] = &[(
    "tests/tests/wire_memory.rs",
    "a counting allocator measures what decoding allocates, and GlobalAlloc is an unsafe trait",
)];

/// Type and file names that use a word we avoid, since Kafka's users know them so.
pub(crate) const FIELD_TERMS: &[&str] = &[];

/// Where Kafka gave the names: the structures of its messages are spelt as in its protocol guide.
pub(crate) const KAFKAS_NAMES: &str = "core/src/wire/messages/";
