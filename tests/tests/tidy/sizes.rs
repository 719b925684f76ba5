//! How long a file and a function may be.

use crate::exceptions::{LONG_FILES, LONG_FUNCTIONS, Ratchet};
use crate::functions::{Function, functions};
use crate::source::{House, Source};

const FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 40;
/// A test tells a story from start to end: it may be longer, but still fits a screen.
const TEST_LINES: usize = 60;
/// No exception goes beyond this.
const HARD_FUNCTION_LINES: usize = 60;

/// Files longer than they may be, and exceptions that could shrink.
pub(crate) fn long_files(house: &House) -> Vec<String> {
    let mut seen = Vec::new();
    for file in house.rust() {
        seen.push((file.path.clone(), file.text.lines().count(), FILE_LINES));
    }
    judge(seen, LONG_FILES)
}

/// Functions longer than they may be, and exceptions that could shrink.
pub(crate) fn long_functions(house: &House) -> Vec<String> {
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for file in house.rust() {
        for function in functions(&file.code) {
            let limit = if is_test(file, &function) { TEST_LINES } else { FUNCTION_LINES };
            if function.lines > HARD_FUNCTION_LINES {
                let Function { name, line, lines, .. } = &function;
                out.push(format!("{}:{line}: `{name}` has {lines} lines; nothing may pass 60", file.path));
            } else {
                seen.push((format!("{}::{}", file.path, function.name), function.lines, limit));
            }
        }
    }
    out.extend(judge(seen, LONG_FUNCTIONS));
    out
}

fn is_test(file: &Source, function: &Function) -> bool {
    function.test || file.path.contains("/tests/") || file.path.ends_with("tests.rs")
}

/// Holds what was measured against its limit, and the exceptions against what was measured.
fn judge(mut seen: Vec<(String, usize, usize)>, exceptions: &[Ratchet]) -> Vec<String> {
    let mut out = Vec::new();
    // Of several functions with one name (one per impl) the longest counts.
    seen.sort();
    for (name, lines, limit) in &seen {
        let allowed = exceptions.iter().find(|(exception, ..)| exception == name);
        if lines > limit && allowed.is_none_or(|(_, most, _)| lines > most) {
            let limit = allowed.map_or(limit, |(_, most, _)| most);
            out.push(format!("{name} has {lines} lines, {limit} allowed: cut it"));
        }
    }
    for (name, most, reason) in exceptions {
        assert!(!reason.is_empty(), "{name}: an exception needs a reason");
        match seen.iter().rev().find(|(measured, ..)| measured == name) {
            None => out.push(format!("exceptions.rs: {name} is gone: remove its exception")),
            Some((_, lines, limit)) if lines <= limit => {
                out.push(format!("exceptions.rs: {name} has {lines} lines and needs no exception any more"));
            }
            Some((_, lines, _)) if lines < most => {
                out.push(format!("exceptions.rs: {name} has {lines} lines: lower its number from {most}"));
            }
            Some(_) => {}
        }
    }
    out
}

#[test]
fn an_exception_may_only_shrink_and_goes_when_it_is_not_needed() {
    let seen = vec![("a".to_string(), 44, 40), ("b".to_string(), 30, 40), ("c".to_string(), 41, 40)];
    let exceptions: &[Ratchet] = &[("a", 50, "why"), ("b", 42, "why"), ("d", 42, "why")];
    let out = judge(seen, exceptions);
    assert_eq!(out.len(), 4, "{out:?}");
    assert!(out[0].starts_with("c has 41 lines"), "{out:?}");
    assert!(out[1].contains("lower its number from 50"), "{out:?}");
    assert!(out[2].contains("needs no exception"), "{out:?}");
    assert!(out[3].contains("is gone"), "{out:?}");
}
