//! The message tables as text, one line a field, for comparison with Kafka's message definitions.

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
