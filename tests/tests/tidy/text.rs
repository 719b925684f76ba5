//! What any text of the repository must have, and may not have.

use crate::source::House;

/// Rust files whose first line is no caption.
pub(crate) fn missing_captions(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust() {
        let first = file.text.lines().next().unwrap_or("");
        // `cfg` of a whole file has to stand first; the caption follows it.
        let caption = if first.starts_with("#![") { file.text.lines().nth(1).unwrap_or("") } else { first };
        let sentence = caption.strip_prefix("//! ").unwrap_or("");
        if sentence.len() < 15 {
            out.push(format!(
                "{}:1: open with a `//!` sentence that could be its caption in a drawing",
                file.path
            ));
        }
    }
    out
}

/// Absolute paths that exist on one machine only. Assembled here, so that this file does not hold them.
pub(crate) fn machine_paths(house: &House) -> Vec<String> {
    let roots = [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"]].map(|parts| parts.concat());
    let mut out = Vec::new();
    for file in &house.files {
        for root in &roots {
            for (at, _) in file.text.match_indices(root.as_str()) {
                let before = file.text[..at].chars().next_back().unwrap_or(' ');
                if !before.is_alphanumeric() && !matches!(before, '.' | '-' | '_' | '/' | '}' | '*') {
                    out.push(format!("{}: `{root}` is a path of one machine", file.at(at)));
                }
            }
        }
    }
    out
}
