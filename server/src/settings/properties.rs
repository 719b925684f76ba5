//! Java properties, as Kafka's `server.properties` is written (`java.util.Properties.load`).

use std::path::Path;

use super::{Given, Origin};

/// The settings of a properties file. Later ones replace earlier ones, as in Java.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Given>, String> {
    let mut out = Vec::new();
    for (number, line) in logical_lines(text) {
        let (name, value) = split(&line);
        let place = |why: String| format!("{}:{number}: {why}", path.display());
        let name = unescape(name).map_err(place)?;
        let value = unescape(value).map_err(place)?;
        out.push(Given { name, value, origin: Origin::Line(path.to_path_buf(), number) });
    }
    Ok(out)
}

/// Lines with their numbers, without comments and empty ones; a backslash at the end goes on with the next line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if !open && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let continued = line.len() - line.trim_end_matches('\\').len();
        let goes_on = continued % 2 == 1;
        let kept = if goes_on { &line[..line.len() - 1] } else { line };
        match out.last_mut().filter(|_| open) {
            Some((_, begun)) => begun.push_str(kept),
            None => out.push((index + 1, kept.to_string())),
        }
        open = goes_on;
    }
    out
}

/// Name and value: parted by the first `=`, `:` or blank that no backslash precedes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !escaped && (c == '=' || c == ':' || c.is_whitespace()) {
            let value = line[at..].trim_start();
            let value = value.strip_prefix(['=', ':']).unwrap_or(value);
            return (&line[..at], value.trim_start());
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let c = code.and_then(char::from_u32);
                out.push(c.ok_or_else(|| format!("\\u{digits} is no character"))?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::read;
    use crate::settings::Origin;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(Path::new("p"), text).unwrap().into_iter().map(|g| (g.name, g.value)).collect()
    }

    fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn names_and_values_are_parted_as_java_does() {
        let text = "a=1\n  b : 2\nc 3\nd=\ne\n f\\ g = x=y\n";
        let expected = owned(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", ""), ("f g", "x=y")]);
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn comments_are_left_out_and_lines_go_on_after_a_backslash() {
        let text = "# one\n! two\n\nlisteners=PLAINTEXT://a:1,\\\n   PLAINTEXT://b:2\r\npath=C:\\\\x\\\\\nz=\\u00e9\\t\n";
        let expected =
            owned(&[("listeners", "PLAINTEXT://a:1,PLAINTEXT://b:2"), ("path", "C:\\x\\"), ("z", "é\t")]);
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn the_line_is_known_and_a_bad_escape_is_told_with_it() {
        let given = read(Path::new("p"), "# c\na=1\n").unwrap();
        assert_eq!(given[0].origin, Origin::Line("p".into(), 2));
        assert_eq!(read(Path::new("p"), "\nx=\\u12").unwrap_err(), "p:2: \\u12 is no character");
    }
}
