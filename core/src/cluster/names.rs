//! Which topic names are legal, and which of them would collide in metrics (Kafka: `Topic`).

/// Longest name of a topic.
pub const MAX_NAME: usize = 249;
/// The topic that holds groups and their offsets.
pub const GROUP_OFFSETS: &str = "__consumer_offsets";
/// The topic that holds transactional ids.
pub const TRANSACTION_STATE: &str = "__transaction_state";
/// The metadata log's name.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Whether a topic belongs to the broker itself.
pub fn is_internal(name: &str) -> bool {
    matches!(name, GROUP_OFFSETS | TRANSACTION_STATE)
}

/// Why a topic cannot have this name, if it cannot.
pub fn refuse(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("Topic name is invalid: the empty string is not allowed".into());
    }
    if name == "." || name == ".." {
        return Some("Topic name is invalid: '.' or '..' is not allowed".into());
    }
    if name.len() > MAX_NAME {
        return Some(format!(
            "Topic name is invalid: the length of '{}...' is longer than the max allowed length {MAX_NAME}",
            &shown(name)
        ));
    }
    if name.bytes().any(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))) {
        return Some(format!(
            "Topic name is invalid: '{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            shown(name)
        ));
    }
    (name == CLUSTER_METADATA)
        .then(|| format!("Topic name is invalid: '{name}' is reserved for the metadata log"))
}

/// The name as metrics show it, where another name could look the same: there `.` and `_` are one.
pub fn shown_ambiguously(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// A name from outside, cut and escaped for a message.
fn shown(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_or_empty_or_too_long_are_refused() {
        for bad in ["", ".", "..", "a/../../b", "a b", "a\0b", "ä", CLUSTER_METADATA, &"x".repeat(250)] {
            assert!(refuse(bad).is_some(), "{bad:?}");
        }
        for good in ["a", "a.b_c-D9", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(refuse(good), None, "{good:?}");
        }
    }

    #[test]
    fn a_dot_and_an_underscore_collide() {
        assert_eq!(shown_ambiguously("a.b"), shown_ambiguously("a_b"));
        assert_eq!(shown_ambiguously("a-b"), None);
    }
}
