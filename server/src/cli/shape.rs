//! How one consumed record is written: kcat's `-f` formats, kcat's JSON envelope, or the bare value.

use quipu_core::client::{Fetched, TopicPartition};
use serde_json::{Map, Value, json};

/// A shape for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A format.
    Format(Vec<Piece>),
    /// One JSON object a line, as kcat's `-J`.
    Json,
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes as they are.
    Plain(Vec<u8>),
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%k`
    Key,
    /// `%K`: the key's length, -1 for none.
    KeyLength,
    /// `%s`
    Value,
    /// `%S`: the value's length, -1 for none.
    ValueLength,
    /// `%T`: milliseconds since 1970, -1 for none.
    Timestamp,
    /// `%h`: `name=value,name=value`.
    Headers,
    /// `%n`: how many records have been written, this one included.
    Number,
}

/// What `--help` says about formats.
pub(crate) const HELP: &str = "Formats (-f) as in kcat: %t topic, %p partition, %o offset, %T timestamp in ms, %k key, \
     %s value, %h headers, %K and %S lengths of key and value (-1 for none), %n how many so far, %% a percent sign; \
     \\n \\r \\t \\\\ \\0 \\xHH";

/// Reads a format.
pub(crate) fn parse(text: &str) -> Result<Shape, String> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => {
                let name = rest.next().ok_or("the format ends after a %")?;
                if name == '%' {
                    plain.push(b'%');
                    continue;
                }
                let piece = piece(name).ok_or_else(|| format!("%{name} is no format; {HELP}"))?;
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                }
                pieces.push(piece);
            }
            '\\' => plain.push(escaped(&mut rest)?),
            c => plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    Ok(Shape::Format(pieces))
}

fn piece(name: char) -> Option<Piece> {
    Some(match name {
        't' => Piece::Topic,
        'p' => Piece::Partition,
        'o' => Piece::Offset,
        'k' => Piece::Key,
        'K' => Piece::KeyLength,
        's' => Piece::Value,
        'S' => Piece::ValueLength,
        'T' => Piece::Timestamp,
        'h' => Piece::Headers,
        'n' => Piece::Number,
        _ => return None,
    })
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no byte in hexadecimal"))
        }
        Some(other) => Err(format!("\\{other} is no escape; {HELP}")),
        None => Err("the format ends after a \\".into()),
    }
}

impl Shape {
    /// The value and a line end: what is written unless something else is asked for.
    pub(crate) fn plain() -> Shape {
        Shape::Format(vec![Piece::Value, Piece::Plain(vec![b'\n'])])
    }

    /// Writes a record, the `number`th.
    pub(crate) fn write(&self, out: &mut Vec<u8>, of: &TopicPartition, fetched: &Fetched, number: u64) {
        match self {
            Shape::Format(pieces) => pieces.iter().for_each(|piece| piece.write(out, of, fetched, number)),
            Shape::Json => {
                out.extend_from_slice(envelope(of, fetched).to_string().as_bytes());
                out.push(b'\n');
            }
        }
    }
}

impl Piece {
    fn write(&self, out: &mut Vec<u8>, of: &TopicPartition, fetched: &Fetched, number: u64) {
        let record = &fetched.record;
        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(-1, |b| b.len() as i64).to_string();
        match self {
            Piece::Plain(bytes) => out.extend_from_slice(bytes),
            Piece::Topic => out.extend_from_slice(of.topic.as_bytes()),
            Piece::Partition => out.extend_from_slice(of.partition.to_string().as_bytes()),
            Piece::Offset => out.extend_from_slice(record.offset.to_string().as_bytes()),
            Piece::Key => out.extend_from_slice(record.key.as_deref().unwrap_or_default()),
            Piece::KeyLength => out.extend_from_slice(length(&record.key).as_bytes()),
            Piece::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
            Piece::ValueLength => out.extend_from_slice(length(&record.value).as_bytes()),
            Piece::Timestamp => out.extend_from_slice(record.timestamp.0.to_string().as_bytes()),
            Piece::Number => out.extend_from_slice(number.to_string().as_bytes()),
            Piece::Headers => {
                for (i, header) in record.headers.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    out.extend_from_slice(&header.key);
                    out.push(b'=');
                    out.extend_from_slice(header.value.as_deref().unwrap_or(b"NULL"));
                }
            }
        }
    }
}

/// kcat's envelope. What is not text stands in base64 under another name, so that nothing is lost.
fn envelope(of: &TopicPartition, fetched: &Fetched) -> Value {
    let record = &fetched.record;
    let kind = if fetched.append_time { "logappend" } else { "create" };
    let mut object = Map::new();
    object.insert("topic".into(), json!(&*of.topic));
    object.insert("partition".into(), json!(of.partition));
    object.insert("offset".into(), json!(record.offset.0));
    object.insert("tstype".into(), json!(if record.timestamp.0 < 0 { "unknown" } else { kind }));
    object.insert("ts".into(), json!(record.timestamp.0));
    object.insert("leader_epoch".into(), json!(fetched.leader_epoch.0));
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers =
        record.headers.iter().flat_map(|h| [json!(lossy(&h.key)), json!(h.value.as_deref().map(lossy))]);
    object.insert("headers".into(), Value::from(headers.collect::<Vec<_>>()));
    field(&mut object, "key", record.key.as_deref());
    field(&mut object, "payload", record.value.as_deref());
    Value::from(object)
}

fn field(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|b| (std::str::from_utf8(b), b)) {
        None => object.insert(name.into(), Value::Null),
        Some((Ok(text), _)) => object.insert(name.into(), json!(text)),
        Some((Err(_), bytes)) => object.insert(format!("{name}_base64"), json!(base64(bytes))),
    };
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let six = (bits >> (18 - 6 * i)) & 63;
            out.push(if i <= three.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::ids::{LeaderEpoch, Offset};
    use quipu_core::record::{Record, RecordHeader};
    use quipu_core::time::Timestamp;

    use super::*;

    fn record(value: &'static [u8]) -> Fetched {
        let header = |key: &'static str, value: &'static [u8]| RecordHeader {
            key: Bytes::from_static(key.as_bytes()),
            value: Some(Bytes::from_static(value)),
        };
        let record = Record {
            offset: Offset(7),
            timestamp: Timestamp(1000),
            key: None,
            value: Some(Bytes::from_static(value)),
            headers: vec![header("a", b"1"), header("a", b"2")],
        };
        Fetched { record, append_time: false, leader_epoch: LeaderEpoch(3) }
    }

    fn shown(format: &str) -> String {
        let mut out = Vec::new();
        parse(format).unwrap().write(&mut out, &TopicPartition::new("t", 2), &record(b"v\xc3\xa9"), 5);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formats_are_those_of_kcat() {
        assert_eq!(
            shown("%t[%p] at %o, %T: key %k (%K) value %s (%S) %h #%n"),
            "t[2] at 7, 1000: key  (-1) value vé (3) a=1,a=2 #5"
        );
        assert_eq!(shown("100%%\\t\\x41é\\n"), "100%\tAé\n");
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for bad in ["%", "%z", "\\", "\\q", "\\xg1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_envelope_is_kcats_and_loses_no_bytes() {
        let of = TopicPartition::new("t", 2);
        let text = envelope(&of, &record(b"v"));
        assert_eq!(
            (&text["payload"], &text["key"], &text["headers"]),
            (&json!("v"), &Value::Null, &json!(["a", "1", "a", "2"]))
        );
        let binary = envelope(&of, &record(b"\xff\x00\x01\x02"));
        assert_eq!(binary["payload_base64"], json!("/wABAg=="));
    }

    #[test]
    fn base64_pads_to_fours() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
