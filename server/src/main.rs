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
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Tool(tool) => tool.run(),
    }
}
