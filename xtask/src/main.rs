//! One command for everything a developer or CI does.

fn main() {}
