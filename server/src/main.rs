//! The `quipu` binary: the broker and its command line.

mod banner;
mod cli;
mod data_dir;
mod descriptors;
mod disk;
mod listeners;
mod logs;
mod plan;
#[cfg(test)]
mod scratch;
mod settings;

fn main() {}
