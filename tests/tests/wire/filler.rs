//! Makes the bytes of random messages from the schema alone, without the codec under test.

use quipu_core::wire::schema_lines;

/// A field of a message in one version.
pub(crate) struct Node {
    kind: String,
    array: bool,
    nullable: bool,
    tag: Option<u32>,
    inside: Vec<Node>,
}

/// The fields of one message in one version, in wire order.
pub(crate) fn fields(message: &str, version: i16) -> Vec<Node> {
    let prefix = format!("{message} {version} ");
    let lines = schema_lines();
    let mut root: Vec<Node> = Vec::new();
    let mut count = 0;
    for row in lines.iter().filter_map(|line| line.strip_prefix(&prefix)) {
        let columns: Vec<&str> = row.split(' ').collect();
        count += 1;
        let [path, kind, null, tag] = columns[..] else { continue };
        let mut level = &mut root;
        for _ in path.matches('.') {
            level = &mut level.last_mut().unwrap().inside;
        }
        level.push(Node {
            kind: kind.trim_start_matches("[]").to_owned(),
            array: kind.starts_with("[]"),
            nullable: null == "null",
            tag: tag.parse().ok(),
            inside: Vec::new(),
        });
    }
    assert!(count > 0, "the schema has no {message} {version}");
    root
}

/// Numbers that depend on nothing but the seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

/// Bytes of one random message.
pub(crate) struct Filler {
    pub(crate) dice: Dice,
    pub(crate) flexible: bool,
    /// Whether records may be null: our encoder never writes a fetch answer so.
    pub(crate) null_records: bool,
    /// Whether tagged fields are set: out of their versions we refuse them, as Kafka does, and `kafka-protocol` drops them.
    pub(crate) tagged: bool,
}

impl Filler {
    pub(crate) fn structure(&mut self, fields: &[Node], out: &mut Vec<u8>) {
        for node in fields.iter().filter(|node| node.tag.is_none()) {
            self.field(node, out);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for node in fields {
            if let Some(tag) = node.tag.filter(|_| self.tagged && self.dice.below(2) == 0) {
                let mut contents = Vec::new();
                self.field(node, &mut contents);
                tagged.push((tag, contents));
            }
        }
        uvarint(tagged.len(), out);
        for (tag, contents) in tagged {
            uvarint(tag as usize, out);
            uvarint(contents.len(), out);
            out.extend(contents);
        }
    }

    fn field(&mut self, node: &Node, out: &mut Vec<u8>) {
        let null = node.nullable && self.dice.below(4) == 0 && (node.kind != "records" || self.null_records);
        if node.array {
            let count = self.dice.below(4) as usize;
            self.length((!null).then_some(count), 4, out);
            for _ in 0..if null { 0 } else { count } {
                self.value(node, out);
            }
        } else if null {
            match node.kind.as_str() {
                "struct" => out.push(0xff),
                "string" => self.length(None, 2, out),
                _ => self.length(None, 4, out),
            }
        } else {
            if node.nullable && node.kind == "struct" {
                out.push(1);
            }
            self.value(node, out);
        }
    }

    fn value(&mut self, node: &Node, out: &mut Vec<u8>) {
        match node.kind.as_str() {
            "bool" => out.push(self.dice.below(2) as u8),
            "int8" => self.raw(1, out),
            "int16" | "uint16" => self.raw(2, out),
            "int32" | "uint32" => self.raw(4, out),
            "int64" => self.raw(8, out),
            "uuid" => self.raw(16, out),
            "string" => {
                let text: String = (0..self.dice.below(9)).map(|_| self.letter()).collect();
                self.length(Some(text.len()), 2, out);
                out.extend(text.as_bytes());
            }
            "bytes" | "records" => {
                let length = self.dice.below(40) as usize;
                self.length(Some(length), 4, out);
                self.raw(length, out);
            }
            "struct" => self.structure(&node.inside, out),
            other => panic!("no values of type {other}"),
        }
    }

    fn letter(&mut self) -> char {
        let letters = ['a', 'Z', '0', '.', '-', '_', 'é', '諸', '🪢', '\0'];
        letters[self.dice.below(letters.len() as u64) as usize]
    }

    /// Small and large numbers alike: one byte in two is 0 or 255.
    fn raw(&mut self, bytes: usize, out: &mut Vec<u8>) {
        for _ in 0..bytes {
            let byte = match self.dice.below(4) {
                0 => 0,
                1 => 0xff,
                _ => self.dice.roll() as u8,
            };
            out.push(byte);
        }
    }

    fn length(&mut self, length: Option<usize>, fixed: usize, out: &mut Vec<u8>) {
        if self.flexible {
            return uvarint(length.map_or(0, |l| l + 1), out);
        }
        let whole = length.map_or(-1, |l| l as i32).to_be_bytes();
        out.extend(&whole[4 - fixed..]);
    }
}

fn uvarint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
