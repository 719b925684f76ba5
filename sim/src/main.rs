//! `quipu-sim`: simulated clusters, many seeds of them, and the claims that must hold in each.

use std::process::ExitCode;

use clap::Parser;
use quipu_sim::command::Command;

/// Runs simulated clusters: brokers, clients, network, clocks and disks drawn from one seed.
#[derive(Parser)]
#[command(name = "quipu-sim", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Args::parse().command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("quipu-sim: {why}");
            ExitCode::from(2)
        }
    }
}
