//! What all commands that talk to a cluster have in common: where it is, how to answer, and how long to try.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use quipu_core::client::{Address, CallError, ClientSettings, Event, Failure, Target};
use quipu_core::wire::messages::metadata::MetadataResponse;
use quipu_core::wire::{ErrorCode, Request, Response};
use quipu_net::client::{Events, Kafka};

/// The flags of every command that talks to a cluster. It need not be Quipu's: any Kafka will do.
#[derive(Args, Clone, Debug)]
pub(crate) struct Remote {
    /// Brokers to begin with; the rest of the cluster is found through them
    #[arg(
        short = 'b',
        long,
        value_name = "HOST:PORT,...",
        env = "QUIPU_BOOTSTRAP",
        default_value = "127.0.0.1:9092",
        value_delimiter = ','
    )]
    pub(crate) bootstrap: Vec<Address>,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// How many seconds to try
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Why a command failed: one line for each thing that a person should know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) Vec<String>);

impl Failed {
    /// One reason.
    pub(crate) fn one(why: impl Into<String>) -> Failed {
        Failed(vec![why.into()])
    }
}

impl From<String> for Failed {
    fn from(why: String) -> Failed {
        Failed::one(why)
    }
}

/// Runs a command to its end, with its exit code. Its errors go to standard error, and their exit code is 1.
pub(crate) fn run(command: impl Future<Output = Result<ExitCode, Failed>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command) {
        Ok(code) => code,
        Err(Failed(reasons)) => {
            for reason in reasons {
                eprintln!("error: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Writes a line of a result. When nobody reads any more there is nobody to tell.
pub(crate) fn put(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Remote {
    /// Settings for a client of this cluster.
    pub(crate) fn settings(&self) -> ClientSettings {
        let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let usual = ClientSettings::new(self.bootstrap.clone());
        ClientSettings {
            client_id: "quipu-cli".into(),
            seed: u64::from(std::process::id()),
            request_timeout_ms: timeout_ms.min(usual.request_timeout_ms),
            connect_timeout_ms: timeout_ms.min(usual.connect_timeout_ms),
            unknown_topic_timeout_ms: timeout_ms.min(usual.unknown_topic_timeout_ms),
            auto_create_topics: false,
            ..usual
        }
    }

    /// A client of this cluster that says on standard error which brokers it cannot reach.
    pub(crate) fn open(&self) -> Cluster {
        self.open_with(self.settings())
    }

    /// The same, with other settings.
    pub(crate) fn open_with(&self, settings: ClientSettings) -> Cluster {
        let (kafka, events) = Kafka::open(settings);
        tokio::spawn(complain(events));
        Cluster { kafka, timeout: self.timeout }
    }
}

/// A cluster that is being talked to.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) kafka: Kafka,
    pub(crate) timeout: Duration,
}

impl Cluster {
    /// One request and its answer, of the same kind.
    pub(crate) async fn ask<R>(&self, target: Target, request: impl Into<Request>) -> Result<R, Failed>
    where
        Response: Answer<R>,
    {
        let response =
            self.kafka.call(target, request, self.timeout).await.map_err(|e| Failed::one(words(&e)))?;
        let key = response.key();
        response
            .into_answer()
            .ok_or_else(|| Failed::one(format!("the broker answered with {key}, which was not asked")))
    }

    /// Metadata of these topics, or of all.
    pub(crate) async fn metadata(&self, topics: Option<&[String]>) -> Result<MetadataResponse, Failed> {
        let r: MetadataResponse = self.ask(Target::Any, quipu_core::client::metadata_of(topics)).await?;
        match r.error_code {
            ErrorCode::NONE => Ok(r),
            code => Err(Failed::one(format!("metadata: {}", told(code, None)))),
        }
    }
}

/// Takes the answer of one kind out of any.
pub(crate) trait Answer<R> {
    /// The answer, if it is of that kind.
    fn into_answer(self) -> Option<R>;
}

macro_rules! answers {
    ($($name:ident: $module:ident::$type:ident,)*) => {$(
        impl Answer<quipu_core::wire::messages::$module::$type> for Response {
            fn into_answer(self) -> Option<quipu_core::wire::messages::$module::$type> {
                match self {
                    Response::$name(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    ApiVersions: api_versions::ApiVersionsResponse,
    Metadata: metadata::MetadataResponse,
    CreateTopics: create_topics::CreateTopicsResponse,
    DeleteTopics: delete_topics::DeleteTopicsResponse,
    DescribeConfigs: describe_configs::DescribeConfigsResponse,
    ListOffsets: list_offsets::ListOffsetsResponse,
    ListGroups: list_groups::ListGroupsResponse,
    DescribeGroups: describe_groups::DescribeGroupsResponse,
    DeleteGroups: delete_groups::DeleteGroupsResponse,
    OffsetFetch: offset_fetch::OffsetFetchResponse,
    OffsetCommit: offset_commit::OffsetCommitResponse,
}

/// An error code with the broker's own words, or with ours when it sent none.
pub(crate) fn told(code: ErrorCode, message: Option<&str>) -> String {
    let message = message.filter(|m| !m.is_empty()).unwrap_or(code.message());
    format!("{code}: {message}")
}

/// What went wrong with a call, and what to do about it.
pub(crate) fn words(error: &CallError) -> String {
    let hint = match error {
        CallError::Failed(Failure { text, .. }) if text.contains("closed the connection") => {
            " (does this listener want TLS or SASL? this client speaks neither yet)"
        }
        CallError::Failed(Failure { code: ErrorCode::NONE, .. }) => " (is --bootstrap right?)",
        _ => "",
    };
    format!("{error}{hint}")
}

/// Says each reason why a broker cannot be reached once.
async fn complain(mut events: Events) {
    let mut said = BTreeSet::new();
    while let Some(event) = events.next().await {
        if let Event::Unreachable { addr, why } = event {
            complain_once(&mut said, &addr, &why);
        }
    }
}

/// Says on standard error why a broker cannot be reached, unless that was said before.
pub(crate) fn complain_once(said: &mut BTreeSet<String>, addr: &Address, why: &str) {
    let line = format!("cannot reach {addr}: {why}");
    if said.insert(line.clone()) {
        eprintln!("warning: {line}; trying again");
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| *d >= Duration::from_millis(1) && *d <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("{text} seconds: must lie between 0.001 and 86400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_seconds_and_has_bounds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "ten", "-1", "0", "NaN", "inf", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
