//! Prints the wire tables, one line a field in wire order: MESSAGE VERSION PATH TYPE NULL TAG.
//!
//! `cargo xtask wire-schema` runs this; a script that holds Kafka's message definitions can compare the two.

fn main() {
    for line in quipu_core::wire::schema_lines() {
        println!("{line}");
    }
}
