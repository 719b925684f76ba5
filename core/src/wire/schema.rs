//! The message tables as text, one line a field, for comparison with Kafka's message definitions.

use crate::wire::api::{self, ApiKey};
use crate::wire::consumer_protocol;
use crate::wire::field::{At, Field};
use crate::wire::messages::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::messages::header::{RequestHeader, ResponseHeader};

/// Every field of every message in every version that is accepted or sent, one a line and in wire order:
/// `MESSAGE VERSION PATH TYPE NULL TAG`, with the names joined by dots, `[]` behind arrays, `-` for what does not apply.
pub fn schema_lines() -> Vec<String> {
    let mut lines = Vec::new();
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            let (request, response) = api::rows(key, version);
            lines.extend(request.finish(&format!("{key}Request"), version));
            lines.extend(response.finish(&format!("{key}Response"), version));
        }
    }
    for version in 1..=2 {
        lines.extend(plain::<RequestHeader>("RequestHeader", version));
        lines.extend(plain::<ResponseHeader>("ResponseHeader", version - 1));
    }
    for version in 0..=consumer_protocol::NEWEST {
        lines.extend(plain::<ConsumerProtocolSubscription>("ConsumerProtocolSubscription", version));
        lines.extend(plain::<ConsumerProtocolAssignment>("ConsumerProtocolAssignment", version));
    }
    lines
}

fn plain<T: Field>(name: &str, version: i16) -> Vec<String> {
    let mut rows = Rows::default();
    T::rows(&mut rows, At::new(version, false));
    rows.finish(name, version)
}

/// Lines of one message at one version, under construction.
#[derive(Default)]
pub(crate) struct Rows {
    prefix: String,
    lines: Vec<String>,
}

/// One field in one version.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) array: bool,
    pub(crate) nullable: bool,
    pub(crate) tag: Option<u32>,
}

impl Rows {
    /// Adds a field, then, through `inside`, the fields of its structure.
    pub(crate) fn field(&mut self, row: &Row, inside: impl FnOnce(&mut Rows)) {
        let (outer, brackets) = (self.prefix.len(), if row.array { "[]" } else { "" });
        let path = format!("{}{}{brackets}", self.prefix, row.name.strip_prefix("r#").unwrap_or(row.name));
        let null = if row.nullable { "null" } else { "-" };
        let tag = row.tag.map_or("-".to_owned(), |tag| tag.to_string());
        self.lines.push(format!("{path} {brackets}{} {null} {tag}", row.kind));
        self.prefix = path + ".";
        inside(self);
        self.prefix.truncate(outer);
    }

    /// Finished lines, each beginning with the message's name and version.
    pub(crate) fn finish(self, message: &str, version: i16) -> Vec<String> {
        if self.lines.is_empty() {
            return vec![format!("{message} {version} -")];
        }
        self.lines.into_iter().map(|line| format!("{message} {version} {line}")).collect()
    }
}
