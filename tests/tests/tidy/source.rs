//! The house as text: every file that is ours, and Rust code with its comments and strings blanked out.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours.
const SKIPPED: [&str; 9] = [
    "target",
    ".git",
    "node_modules",
    "__pycache__",
    ".cache",
    "quipu-data",
    "corpus",
    "artifacts",
    "coverage",
];

/// One file of the repository.
pub(crate) struct Source {
    /// Its path from the root, with `/` between parts.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// For Rust, the same text with comments, strings and character literals turned to blanks; else empty.
    pub(crate) code: String,
}

impl Source {
    fn new(path: String, text: String) -> Source {
        let code = if path.ends_with(".rs") { code_only(&text) } else { String::new() };
        Source { path, text, code }
    }

    /// `path:line` of a byte position.
    pub(crate) fn at(&self, position: usize) -> String {
        format!("{}:{}", self.path, line_of(&self.text, position))
    }

    /// Whether this is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Every text file of the repository, in order of path.
pub(crate) struct House {
    /// The files.
    pub(crate) files: Vec<Source>,
}

impl House {
    /// Reads the repository this test was built in.
    pub(crate) fn read() -> House {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests package lies in the root");
        let mut paths = Vec::new();
        collect(root, &mut paths);
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            // What is not text (golden bytes, say) has no style to check.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let name = path.strip_prefix(root).expect("collected below the root");
            files.push(Source::new(name.to_string_lossy().replace('\\', "/"), text));
        }
        assert!(files.len() > 20, "the walk found {} files: it looked in the wrong place", files.len());
        House { files }
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// The Rust files below a directory such as `core/src/`.
    pub(crate) fn rust_in<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a Source> {
        self.rust().filter(move |file| file.path.starts_with(directory))
    }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let entry = entry.expect("a directory entry can be read");
        let name = entry.file_name();
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            collect(&entry.path(), paths);
        } else if kind.is_file() && name != "Cargo.lock" && name != ".git" {
            paths.push(entry.path());
        }
    }
}

/// The number of the line, from 1, that a byte position lies in.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    text[..position].bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// Blanks comments, strings and character literals; every other byte and every line end stays in its place.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = blank_end(bytes, at);
        for byte in out[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("only whole runs are blanked")
}

/// The end of the comment or literal that starts at `at`; `at` itself when none does.
fn blank_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let after_name = at > 0 && is_name(bytes[at - 1]);
    if rest.starts_with(b"//") {
        at + find(rest, b"\n").unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        block_comment_end(bytes, at)
    } else if rest[0] == b'"' {
        string_end(bytes, at)
    } else if !after_name && (rest[0] == b'r' || rest.starts_with(b"br")) {
        raw_string_end(bytes, at)
    } else if rest[0] == b'\'' {
        character_end(bytes, at)
    } else {
        at
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_string_end(bytes: &[u8], start: usize) -> usize {
    let open = start + bytes[start..].iter().take_while(|byte| matches!(byte, b'r' | b'b')).count();
    let hashes = bytes[open..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(open + hashes) != Some(&b'"') {
        return start;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = open + hashes + 1;
    find(&bytes[body..], &close).map_or(bytes.len(), |found| body + found + close.len())
}

/// The end of a character literal; a lifetime is none.
fn character_end(bytes: &[u8], start: usize) -> usize {
    if bytes.get(start + 1) == Some(&b'\\') {
        return (start + 3..bytes.len()).find(|at| bytes[*at] == b'\'').map_or(bytes.len(), |at| at + 1);
    }
    let width = std::str::from_utf8(&bytes[start + 1..bytes.len().min(start + 5)])
        .unwrap_or_else(|error| {
            let sound = &bytes[start + 1..start + 1 + error.valid_up_to()];
            std::str::from_utf8(sound).expect("cut at a character's end")
        })
        .chars()
        .next()
        .map_or(0, char::len_utf8);
    if width > 0 && bytes.get(start + 1 + width) == Some(&b'\'') { start + width + 2 } else { start }
}

/// Where `wanted` first lies in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Whether a byte can stand in an identifier.
pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Every place where `name` stands in `code` as a whole path: not as part of a longer identifier.
pub(crate) fn places<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name).map(|(at, _)| at).filter(move |at| {
        let before = *at > 0 && is_name(code.as_bytes()[at - 1]);
        let after = code.as_bytes().get(at + name.len()).is_some_and(|byte| is_name(*byte));
        !before && !after
    })
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lifetimes_are_not() {
    let text =
        "let a = \"// {\"; // }\n/* { /* x */ } */ let b: &'a str = r#\"\"{\"#; let c = '{'; let d = '\\'';";
    let code = code_only(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains(['{', '}']), "{code}");
    assert!(code.contains("let a =") && code.contains("&'a str") && code.contains("let d ="), "{code}");
}
