//! The name that a person probably meant: the nearest one by edit distance.

/// The name nearest to `wrong`, unless none is near: more than a third of its letters would have to change.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name longer than any config's is not a slip of the finger, and its distance is not worth the work.
    if wrong.is_empty() || wrong.len() > 128 {
        return None;
    }
    let (distance, name) =
        names.into_iter().map(|name| (distance(wrong, name), name)).min_by_key(|(d, _)| *d)?;
    (distance <= wrong.chars().count().div_ceil(3)).then_some(name)
}

/// What to say of a name that nobody knows. `what` is the sort of name: "topic config", "setting".
pub fn unknown<'a>(what: &str, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let shown: String = wrong.chars().take(128).collect();
    match nearest(wrong, names) {
        Some(name) => format!("Unknown {what} '{shown}'; did you mean '{name}'?"),
        None => format!("Unknown {what} '{shown}'"),
    }
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest, unknown};

    #[test]
    fn distance_counts_insertions_deletions_and_replacements() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["retention.ms", "retention.bytes", "segment.ms"];
        assert_eq!(nearest("retentoin.ms", names), Some("retention.ms"));
        assert_eq!(nearest("xyzzy", names), None);
        assert_eq!(nearest(&"x".repeat(5000), names), None);
        assert_eq!(
            unknown("topic config", "segmentms", names),
            "Unknown topic config 'segmentms'; did you mean 'segment.ms'?"
        );
    }
}
