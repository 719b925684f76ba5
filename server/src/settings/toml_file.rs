//! Settings in TOML: dotted or quoted keys, tables flattened with dots between their names.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Given, Origin, line_of};

/// The settings of a TOML file.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Given>, String> {
    let table = DeTable::parse(text).map_err(|e| {
        let line = e.span().map_or(1, |span| line_of(text, span.start));
        let hint = "names that begin with another name, such as max.connections.per.ip, must be in quotes";
        format!("{}:{line}: {} ({hint})", path.display(), e.message().trim())
    })?;
    let mut out = Vec::new();
    flatten(table.get_ref(), "", &mut |name, value, at| {
        let line = line_of(text, at);
        let value = plain(value).map_err(|why| format!("{}:{line}: {name}: {why}", path.display()))?;
        out.push(Given { name, value, origin: Origin::Line(path.to_path_buf(), line) });
        Ok(())
    })?;
    Ok(out)
}

type Each<'a> = dyn FnMut(String, &DeValue<'_>, usize) -> Result<(), String> + 'a;

/// Calls `each` with every value that is no table. The parser bounds how deep tables lie in each other.
fn flatten(table: &DeTable<'_>, prefix: &str, each: &mut Each<'_>) -> Result<(), String> {
    for (key, value) in table {
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(inner, &name, each)?,
            other => each(name, other, key.span().start)?,
        }
    }
    Ok(())
}

/// The value as Kafka would read it from a properties file: a list is its words with commas between them.
fn plain(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => {
            let read = i128::from_str_radix(number.as_str(), number.radix());
            read.map(|n| n.to_string()).map_err(|_| "the number is too large".to_string())
        }
        DeValue::Float(number) => Ok(number.as_str().to_string()),
        DeValue::Boolean(yes) => Ok(yes.to_string()),
        DeValue::Array(items) => {
            let words: Result<Vec<String>, String> = items.iter().map(Spanned::get_ref).map(word).collect();
            Ok(words?.join(","))
        }
        DeValue::Datetime(_) => Err("a date is no setting".to_string()),
        DeValue::Table(_) => Err("a table is no setting".to_string()),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::Array(_) | DeValue::Table(_) => {
            Err("a list holds words or numbers, nothing else".to_string())
        }
        other => plain(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::read;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let mut all: Vec<_> =
            read(Path::new("q.toml"), text).unwrap().into_iter().map(|g| (g.name, g.value)).collect();
        all.sort();
        all
    }

    #[test]
    fn dotted_quoted_and_nested_keys_mean_the_same() {
        let expected = [("log.retention.ms".to_string(), "5".to_string())];
        assert_eq!(pairs("log.retention.ms = 5"), expected);
        assert_eq!(pairs("\"log.retention.ms\" = \"5\""), expected);
        assert_eq!(pairs("[log]\nretention.ms = 5"), expected);
        assert_eq!(pairs("[log.retention]\nms = 5"), expected);
        assert_eq!(pairs("log = { retention = { ms = 0x5 } }"), expected);
    }

    #[test]
    fn every_kind_of_value_becomes_its_text() {
        let text = "a = true\nb = -1\nc = 0.25\nd = [\"x\", 1]\ne = 1_000\n";
        let expected = [("a", "true"), ("b", "-1"), ("c", "0.25"), ("d", "x,1"), ("e", "1000")];
        assert_eq!(pairs(text), expected.map(|(n, v)| (n.to_string(), v.to_string())));
    }

    #[test]
    fn what_is_no_setting_is_told_with_its_line() {
        let told = |text: &str| read(Path::new("q.toml"), text).unwrap_err();
        assert_eq!(told("\na = 1979-05-27"), "q.toml:2: a: a date is no setting");
        assert!(told("a = [[1]]").contains("a list holds words"));
        let clash = told("max.connections = 5\nmax.connections.per.ip = 6\n");
        assert!(clash.starts_with("q.toml:2: ") && clash.contains("must be in quotes"), "{clash}");
    }
}
