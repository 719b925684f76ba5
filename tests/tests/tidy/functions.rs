//! Finds the functions of a Rust file: name, first line and length.

use crate::source::{is_name, line_of, places};

/// One function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`.
    pub(crate) line: usize,
    /// Lines from its `fn` to its closing brace.
    pub(crate) lines: usize,
    /// Whether it lies in a module of tests or has a `#[test]`-like attribute.
    pub(crate) test: bool,
}

/// Every function of blanked code, nested ones included.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let tests = code.find("#[cfg(test)]").unwrap_or(code.len());
    let mut out = Vec::new();
    for at in places(code, "fn") {
        let name: String =
            code[at + 2..].trim_start().chars().take_while(|c| c.is_ascii() && is_name(*c as u8)).collect();
        // `fn(u8) -> u8` is a type, and has no name.
        let (false, Some((open, close))) = (name.is_empty(), body(code, at)) else { continue };
        assert!(open < close, "a body ends after it starts");
        let line = line_of(code, at);
        let lines = line_of(code, close) - line + 1;
        out.push(Function { name, line, lines, test: at > tests || has_test_attribute(code, at) });
    }
    out
}

/// The braces of the body that follows a signature; none for a declaration that ends with `;`.
fn body(code: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = code.as_bytes();
    let mut brackets = 0i32;
    let mut at = from;
    let open = loop {
        match bytes.get(at)? {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b';' if brackets == 0 => return None,
            b'{' if brackets == 0 => break at,
            _ => {}
        }
        at += 1;
    };
    let mut depth = 0i32;
    for (step, byte) in bytes[open..].iter().enumerate() {
        depth += i32::from(*byte == b'{') - i32::from(*byte == b'}');
        if depth == 0 {
            return Some((open, open + step));
        }
    }
    None
}

fn has_test_attribute(code: &str, at: usize) -> bool {
    let start = code[..at].rfind(['}', ';']).map_or(0, |end| end + 1);
    code[start..at].contains("test]") || code[start..at].contains("test(")
}

#[test]
fn functions_are_measured_from_signature_to_closing_brace() {
    let code =
        "fn a(\n  x: [u8; 3],\n) {\n  if x { }\n}\ntrait T { fn b(); }\n#[test]\nfn c() { let f: fn(u8); }\n";
    let found = functions(code);
    let seen: Vec<(&str, usize, usize, bool)> =
        found.iter().map(|f| (f.name.as_str(), f.line, f.lines, f.test)).collect();
    assert_eq!(seen, [("a", 1, 5, false), ("c", 8, 1, true)]);
}
