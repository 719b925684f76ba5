//! `quipu cluster`: what the cluster is made of, and what is wrong with it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use quipu_core::ids::TopicId;
use quipu_core::wire::messages::describe_quorum::ReplicaState;
use serde_json::{Value, json};

use super::cluster_view::{BrokerView, ClusterView, QuorumView};
use super::health::{Finding, Health, configs};
use super::remote::{Failed, Format, Remote, put};
use super::table::table;

/// The exit code of `quipu cluster health` when something is wrong. When the cluster cannot be asked it is 1, as for all commands, and
/// 2 for wrong flags.
const UNHEALTHY: u8 = 3;

/// What to tell of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the brokers, the active controller and the metadata quorum
    Info(OverviewArgs),
    /// Find partitions, brokers and voters of the metadata quorum that are not well
    Health(HealthArgs),
}

/// Flags of `quipu cluster info`.
#[derive(Args, Debug)]
pub(crate) struct OverviewArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu cluster health`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 all is well (notes do not count), 3 something is not, 1 the cluster could not be \
                        asked, 2 wrong flags."
)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    remote: Remote,
}

impl ClusterCommand {
    /// Does it.
    pub(crate) async fn run(self) -> Result<ExitCode, Failed> {
        match self {
            ClusterCommand::Info(args) => info(args).await.map(|()| ExitCode::SUCCESS),
            ClusterCommand::Health(args) => health(args).await,
        }
    }
}

async fn info(args: OverviewArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let none: Vec<String> = Vec::new();
    let metadata = cluster.metadata(Some(&none)).await?;
    let view = ClusterView::look(&cluster, &metadata).await;
    match args.remote.format {
        Format::Json => put(told_json(&view)),
        Format::Text => put(told(&view).trim_end()),
    }
    Ok(())
}

async fn health(args: HealthArgs) -> Result<ExitCode, Failed> {
    let cluster = args.remote.open();
    let metadata = cluster.metadata(None).await?;
    let view = ClusterView::look(&cluster, &metadata).await;
    let required = configs(&cluster, &metadata).await?;
    let health = Health::of(&view, &metadata, &required);
    match args.remote.format {
        Format::Json => put(health_json(&health)),
        Format::Text => {
            let line = |f: &Finding| put(format!("{}  {}", if f.bad { "BAD " } else { "note" }, f.text));
            health.findings.iter().for_each(line);
            put(&health.verdict);
        }
    }
    Ok(if health.is_well() { ExitCode::SUCCESS } else { ExitCode::from(UNHEALTHY) })
}

fn told(view: &ClusterView) -> String {
    let id = view.cluster_id.as_deref().unwrap_or("unknown");
    let active = view.active_controller.map_or("unknown".to_string(), |id| id.to_string());
    let quorum = match &view.quorum {
        Ok(quorum) => format!(
            "leader {} in epoch {}, high watermark {}",
            quorum.state.leader_id, quorum.state.leader_epoch, quorum.state.high_watermark
        ),
        Err(none) => format!("not known: {}", none.why),
    };
    let mut out =
        format!("cluster id         {id}\nactive controller  {active}\nmetadata quorum    {quorum}\n\n");
    let row = |b: &BrokerView| {
        let state = if b.fenced { "down or starting (fenced)" } else { "active" };
        let rack = b.rack.clone().unwrap_or_else(|| "-".into());
        vec![b.id.to_string(), b.address(), rack, state.into()]
    };
    let rows: Vec<Vec<String>> = view.brokers.iter().map(row).collect();
    out += &table(&["BROKER", "ADDRESS", "RACK", "STATE"], &rows);
    if let Ok(quorum) = &view.quorum {
        let head = ["NODE", "ROLE", "END", "LAG", "LAST FETCH", "CAUGHT UP", "DIRECTORY"];
        let rows: Vec<Vec<String>> =
            quorum.replicas().map(|(role, replica)| quorum_row(quorum, role, replica)).collect();
        out += "\n";
        out += &table(&head, &rows);
    }
    out
}

fn quorum_row(quorum: &QuorumView, role: &str, replica: &ReplicaState) -> Vec<String> {
    let ago = |at: i64| match quorum.age_ms(at) {
        Some(ms) => format!("{:.1} s ago", ms as f64 / 1000.0),
        None if replica.log_end_offset < 0 => "never".into(),
        None => "-".into(),
    };
    let number = |n: Option<i64>| n.map_or("-".to_string(), |n| n.to_string());
    let (fetched, caught_up) = match role {
        "leader" => ("-".to_string(), "-".to_string()),
        _ => (ago(replica.last_fetch_timestamp), ago(replica.last_caught_up_timestamp)),
    };
    let end = Some(replica.log_end_offset).filter(|end| *end >= 0);
    let directory = directory(replica).unwrap_or_else(|| "-".into());
    let node = replica.replica_id.to_string();
    vec![node, role.into(), number(end), number(quorum.lag(replica)), fetched, caught_up, directory]
}

/// A directory's id as Kafka's tools write it.
fn directory(replica: &ReplicaState) -> Option<String> {
    let id = TopicId(replica.replica_directory_id);
    (!id.is_zero()).then(|| id.to_string())
}

fn told_json(view: &ClusterView) -> Value {
    let broker = |b: &BrokerView| json!({"broker": b.id, "host": b.host, "port": b.port, "rack": b.rack, "fenced": b.fenced});
    let quorum = view.quorum.as_ref().ok().map(quorum_json);
    json!({"cluster_id": view.cluster_id, "active_controller": view.active_controller,
        "brokers": view.brokers.iter().map(broker).collect::<Vec<_>>(), "quorum": quorum,
        "quorum_error": view.quorum.as_ref().err().map(|none| &none.why)})
}

fn quorum_json(quorum: &QuorumView) -> Value {
    let known = |n: i64| Some(n).filter(|n| *n >= 0);
    let replica = |(role, r): (&str, &ReplicaState)| {
        json!({"node": r.replica_id, "role": role, "directory_id": directory(r), "end_offset": known(r.log_end_offset),
            "lag": quorum.lag(r), "last_fetch_timestamp": known(r.last_fetch_timestamp),
            "last_caught_up_timestamp": known(r.last_caught_up_timestamp),
            "listeners": quorum.listeners.get(&r.replica_id).cloned().unwrap_or_default()})
    };
    json!({"leader": quorum.state.leader_id, "leader_epoch": quorum.state.leader_epoch,
        "high_watermark": quorum.state.high_watermark, "replicas": quorum.replicas().map(replica).collect::<Vec<_>>()})
}

fn health_json(health: &Health) -> Value {
    let finding = |f: &Finding| {
        let partitions = f.partitions.iter().map(|(t, p)| json!({"topic": t, "partition": p}));
        json!({"kind": f.kind, "partitions": partitions.collect::<Vec<_>>(), "nodes": f.nodes, "text": f.text})
    };
    let all = |bad: bool| health.findings.iter().filter(|f| f.bad == bad).map(finding).collect::<Vec<_>>();
    json!({"healthy": health.is_well(), "problems": all(true), "notes": all(false), "text": health.verdict})
}
