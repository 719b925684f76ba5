//! The `quipu` binary: the broker and its command line.

mod banner;
mod cli;
mod descriptors;
mod dev;
mod disk;
mod home;
mod listeners;
mod logs;
mod plan;
#[cfg(test)]
mod scratch;
mod serve;
mod settings;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

use crate::cli::{Cli, Command};

/// A request's memory is taken by the thread that reads it and given back by the lane that wrote it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Tool(tool) => tool.run(),
    }
}
