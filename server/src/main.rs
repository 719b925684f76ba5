//! The `quipu` binary: the broker and its command line.

fn main() {}
