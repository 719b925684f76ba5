//! The commands that talk to a cluster, Quipu's or any Kafka's.

use std::process::ExitCode;

use clap::Subcommand;

use super::cluster::ClusterCommand;
use super::consume::ConsumeArgs;
use super::doctor::DoctorArgs;
use super::group::GroupCommand;
use super::produce::ProduceArgs;
use super::remote::{Failed, run};
use super::topic::TopicCommand;

/// The commands that talk to a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Make, show and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Write lines of standard input or a file as records
    Produce(ProduceArgs),
    /// Read records
    Consume(ConsumeArgs),
    /// Show and change consumer groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Show what the cluster is made of, and what is wrong with it
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Find out why clients cannot connect, and which setting to change
    Doctor(DoctorArgs),
}

impl Tool {
    /// Runs it to its end.
    pub(crate) fn run(self) -> ExitCode {
        run(self.act())
    }

    async fn act(self) -> Result<ExitCode, Failed> {
        match self {
            Tool::Topic(command) => command.run().await?,
            Tool::Produce(args) => args.run().await?,
            Tool::Consume(args) => args.run().await?,
            Tool::Group(command) => command.run().await?,
            Tool::Doctor(args) => args.run().await?,
            // Only this one tells more by its exit code than whether it failed.
            Tool::Cluster(command) => return command.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}
