//! Reading and judging one value of a config, with messages as Kafka words them.

use super::def::{ConfigDef, Kind, Valid};
use super::throttle::ThrottledReplicas;

/// The words of a list: separated by commas, trimmed, without empty ones.
pub fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A boolean as Kafka reads it: `true` or `false` in any case.
pub fn boolean(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Judges a value. The error names the config, the value and what would be accepted.
pub fn validate(def: &ConfigDef, value: &str) -> Result<(), String> {
    let text = value.trim();
    check(def, text).map_err(|why| {
        let shown = if def.is_sensitive() { "[hidden]" } else { text };
        format!("Invalid value {shown} for configuration {}: {why}", def.name)
    })
}

fn check(def: &ConfigDef, text: &str) -> Result<(), String> {
    if let Some((_, why)) = def.refused.iter().find(|(refused, _)| text.eq_ignore_ascii_case(refused)) {
        return Err(format!("Not supported: {why}"));
    }
    match def.kind {
        Kind::Boolean => {
            boolean(text).map(|_| ()).ok_or_else(|| "Expected value to be either true or false".to_string())
        }
        Kind::Short => whole(text, i64::from(i16::MIN), i64::from(i16::MAX), "SHORT", def.valid),
        Kind::Int => whole(text, i64::from(i32::MIN), i64::from(i32::MAX), "INT", def.valid),
        Kind::Long => whole(text, i64::MIN, i64::MAX, "LONG", def.valid),
        Kind::Double => fraction(text, def.valid),
        Kind::String | Kind::Class | Kind::Password => string(text, def.valid),
        Kind::List => list(def, text),
    }
}

fn whole(text: &str, low: i64, high: i64, kind: &str, valid: Valid) -> Result<(), String> {
    let number = text
        .parse::<i64>()
        .ok()
        .filter(|n| (low..=high).contains(n))
        .ok_or_else(|| format!("Not a number of type {kind}{}", range(valid)))?;
    let inside = match valid {
        Valid::AtLeast(least) => number >= least,
        Valid::Between(from, to) => (from..=to).contains(&number),
        Valid::MinusOneOr(from, to) => number == -1 || (from..=to).contains(&number),
        _ => true,
    };
    if inside { Ok(()) } else { Err(format!("Value{}", range(valid))) }
}

/// What may be said of the allowed numbers, as the end of a sentence.
fn range(valid: Valid) -> String {
    match valid {
        Valid::AtLeast(least) => format!(" must be at least {least}"),
        Valid::Between(from, to) => format!(" must be between {from} and {to}"),
        Valid::MinusOneOr(from, to) => format!(" must be -1 or between {from} and {to}"),
        Valid::Fraction => " must be between 0 and 1".to_string(),
        _ => String::new(),
    }
}

fn fraction(text: &str, valid: Valid) -> Result<(), String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or("Not a number of type DOUBLE")?;
    let inside = valid != Valid::Fraction || (0.0..=1.0).contains(&number);
    if inside { Ok(()) } else { Err(format!("Value{}", range(valid))) }
}

fn string(text: &str, valid: Valid) -> Result<(), String> {
    match valid {
        Valid::OneOf(words) if !words.contains(&text) => {
            Err(format!("String must be one of: {}", words.join(", ")))
        }
        Valid::NonEmpty if text.is_empty() => Err("String must be non-empty".to_string()),
        _ => Ok(()),
    }
}

fn list(def: &ConfigDef, text: &str) -> Result<(), String> {
    match def.valid {
        Valid::ListOf(allowed) => list_of(text, allowed),
        Valid::ThrottledReplicas if ThrottledReplicas::parse(text).is_none() => Err(format!(
            "{} must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            def.name
        )),
        Valid::NonEmpty if words(text).next().is_none() => Err("The list must not be empty".to_string()),
        _ => Ok(()),
    }
}

fn list_of(text: &str, allowed: &[&str]) -> Result<(), String> {
    let mut seen: Vec<&str> = Vec::new();
    for word in words(text) {
        if !allowed.contains(&word) {
            return Err(format!("'{word}' is none of: {}", allowed.join(", ")));
        }
        if seen.contains(&word) {
            return Err(format!("'{word}' is there twice"));
        }
        seen.push(word);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::topic_table::topic_def;
    use super::validate;

    fn check(name: &str, value: &str) -> String {
        validate(topic_def(name).unwrap(), value).err().unwrap_or_default()
    }

    #[test]
    fn a_value_out_of_range_is_told_with_the_range() {
        assert_eq!(
            check("retention.ms", "-5"),
            "Invalid value -5 for configuration retention.ms: Value must be at least -1"
        );
        assert_eq!(
            check("min.cleanable.dirty.ratio", "1.5"),
            "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be between 0 and 1"
        );
        assert!(check("compression.gzip.level", "0").ends_with("must be -1 or between 1 and 9"));
        assert_eq!(check("compression.gzip.level", "-1"), "");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_with_the_type() {
        assert!(check("retention.ms", "soon").contains("Not a number of type LONG"));
        assert!(check("segment.bytes", "2147483648").contains("Not a number of type INT"));
        assert!(check("preallocate", "yes").contains("either true or false"));
        assert!(check("min.cleanable.dirty.ratio", "NaN").contains("DOUBLE"));
        assert_eq!(check("preallocate", "TRUE"), "");
    }

    #[test]
    fn words_that_are_not_allowed_are_named() {
        assert!(check("cleanup.policy", "delete,shred").contains("'shred' is none of: compact, delete"));
        assert!(check("cleanup.policy", "delete,delete").contains("twice"));
        assert_eq!(check("cleanup.policy", "compact, delete"), "");
        assert!(
            check("compression.type", "brotli").contains("uncompressed, zstd, lz4, snappy, gzip, producer")
        );
        assert_eq!(check("leader.replication.throttled.replicas", "0:1,1:2"), "");
        assert_eq!(check("leader.replication.throttled.replicas", "*"), "");
        assert!(check("leader.replication.throttled.replicas", "0-1").contains("[partitionId]:[brokerId]"));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_the_reason() {
        assert!(check("remote.storage.enable", "True").contains("no tiered storage"));
        assert_eq!(check("remote.storage.enable", "false"), "");
    }
}
