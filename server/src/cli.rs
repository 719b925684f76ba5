//! The command line: its commands and flags, with the defaults that `--help` shows.

mod advice;
mod cluster;
mod cluster_view;
mod consume;
mod doctor;
mod group;
mod group_view;
mod health;
mod moment;
mod offsets;
mod produce;
mod remote;
mod reset;
mod shape;
mod table;
mod tools;
mod topic;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dev::DevArgs;

/// A replicated commit log that speaks Kafka's protocol.
#[derive(Debug, Parser)]
#[command(name = "quipu", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker.
    Serve(ServeArgs),
    /// Run a cluster on this machine, to try things out: several brokers, ended together.
    Dev(DevArgs),
    /// What talks to a cluster.
    #[command(flatten)]
    Tool(tools::Tool),
}

/// Flags of `quipu serve`. A flag goes before the environment, the environment before the file, the file before the default.
#[derive(Args, Debug, Default)]
#[command(
    after_help = "Every broker config of Kafka can be set: with --set, in the file, or in the environment, where \
                        log.retention.ms is QUIPU_LOG_RETENTION_MS. Quipu's own begin with quipu."
)]
pub(crate) struct ServeArgs {
    /// Where the records are kept; made if it is missing [default: ./quipu-data] [env: QUIPU_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where clients connect [default: 127.0.0.1:9092] [env: QUIPU_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// The address that clients are told to connect to [default: that of --listen] [env: QUIPU_ADVERTISE]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) advertise: Option<String>,

    /// This broker's id in its cluster [default: 1] [env: QUIPU_NODE_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) node_id: Option<u32>,

    /// Where other brokers connect [default: this broker's address in --voters] [env: QUIPU_PEER_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer_listen: Option<String>,

    /// Where other brokers reach one that is not among the voters [default: that of --peer-listen] [env: QUIPU_PEER_ADVERTISE]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer_advertise: Option<String>,

    /// The brokers that elect the controller, alike for all; others take part without a vote [default: this broker alone] [env: QUIPU_VOTERS]
    #[arg(long, value_name = "ID@HOST:PORT,...")]
    pub(crate) voters: Option<String>,

    /// Start without a usable recovery point: read every log whole, and cut it at a bad batch of its last segment
    #[arg(long)]
    pub(crate) rescan: bool,

    /// A file of settings: TOML, or Kafka's server.properties
    #[arg(long, value_name = "FILE", env = "QUIPU_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Set one config by its name; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// What is logged: error, warn, info, debug, trace, or by part, as in info,quipu_net=debug
    #[arg(long, value_name = "LEVEL", env = "QUIPU_LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,

    /// How it is logged [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT", env = "QUIPU_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Stop in order when standard input ends, as for a signal: for whoever starts a broker and may itself be killed
    #[arg(long, hide = true)]
    pub(crate) stop_at_eof: bool,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_the_defaults() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        for shown in ["./quipu-data", "127.0.0.1:9092", "[default: 1]", "[default: info]", "QUIPU_DATA_DIR"] {
            assert!(help.contains(shown), "{shown} is not in\n{help}");
        }
    }

    #[test]
    fn set_may_be_given_more_than_once() {
        let cli = Cli::parse_from(["quipu", "serve", "--set", "a=1", "--set", "b=2", "--node-id", "3"]);
        let Command::Serve(args) = cli.command else { panic!("serve was asked for") };
        assert_eq!(args.set, ["a=1", "b=2"]);
        assert_eq!(args.node_id, Some(3));
    }
}
