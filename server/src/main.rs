//! The `quipu` binary: the broker and its command line.

mod banner;
mod cli;
mod descriptors;
mod disk;
mod home;
mod listeners;
mod logs;
mod plan;
#[cfg(test)]
mod scratch;
mod settings;

fn main() {}
