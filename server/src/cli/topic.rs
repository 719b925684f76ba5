//! `quipu topic`: create, list, describe and delete topics.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use quipu_core::client::{Target, TopicPartition};
use quipu_core::wire::ErrorCode;
use quipu_core::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use quipu_core::wire::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use quipu_core::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use quipu_core::wire::messages::metadata::MetadataResponseTopic;
use serde_json::{Value, json};

use super::offsets::{END, Offsets, START, offsets, questions, topic_of};
use super::remote::{Cluster, Failed, Format, Remote, put, told};
use super::table::{list, table};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Make a topic
    Create(CreateArgs),
    /// Show all topics
    List(ListArgs),
    /// Show partitions, leaders, replicas, offsets and changed configs of one topic, or of all
    Describe(DescribeArgs),
    /// Delete topics and everything in them
    Delete(DeleteArgs),
}

/// Flags of `quipu topic create`.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// The topic's name
    name: String,
    /// How many partitions [default: the broker's num.partitions]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas each has [default: the broker's default.replication.factor]
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A config of the topic; may be given more than once
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    config: Vec<(String, String)>,
    /// Succeed when the topic exists already
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu topic list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Show internal topics too
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu topic describe`.
#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// The topic; all when it is left out
    name: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu topic delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// The topics
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl TopicCommand {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        match self {
            TopicCommand::Create(args) => create(args).await,
            TopicCommand::List(args) => show_all(args).await,
            TopicCommand::Describe(args) => describe(args).await,
            TopicCommand::Delete(args) => delete(args).await,
        }
    }
}

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err(format!("'{text}' is not NAME=VALUE")),
    }
}

async fn create(args: CreateArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let config = |(name, value): (String, String)| CreatableTopicConfig { name, value: Some(value) };
    let topic = CreatableTopic {
        name: args.name.clone(),
        num_partitions: args.partitions.unwrap_or(-1),
        replication_factor: args.replication_factor.unwrap_or(-1),
        configs: args.config.into_iter().map(config).collect(),
        ..Default::default()
    };
    let timeout_ms = i32::try_from(cluster.timeout.as_millis()).unwrap_or(i32::MAX);
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms, ..Default::default() };
    let r: CreateTopicsResponse = cluster.ask(Target::Controller, request).await?;
    let made =
        r.topics.into_iter().next().ok_or_else(|| Failed::one("the broker says nothing about the topic"))?;
    let existed = made.error_code == ErrorCode::TOPIC_ALREADY_EXISTS && args.if_not_exists;
    if made.error_code.is_err() && !existed {
        let why = told(made.error_code, made.error_message.as_deref());
        return Err(Failed::one(format!("topic {}: {why}", args.name)));
    }
    match args.remote.format {
        Format::Json => {
            put(json!({"topic": args.name, "created": !existed, "topic_id": made.topic_id.to_string(),
                "partitions": made.num_partitions, "replication_factor": made.replication_factor}))
        }
        Format::Text if existed => put(format!("topic {} exists already", args.name)),
        Format::Text if made.num_partitions > 0 => put(format!(
            "created topic {}: {} partitions, replication factor {}",
            args.name, made.num_partitions, made.replication_factor
        )),
        Format::Text => put(format!("created topic {}", args.name)),
    }
    Ok(())
}

async fn show_all(args: ListArgs) -> Result<(), Failed> {
    let mut topics = args.remote.open().metadata(None).await?.topics;
    topics.retain(|t| args.internal || !t.is_internal);
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let replicas = |t: &MetadataResponseTopic| t.partitions.first().map_or(0, |p| p.replica_nodes.len());
    match args.remote.format {
        Format::Json => {
            let topic = |t: &MetadataResponseTopic| {
                json!({"topic": t.name, "topic_id": t.topic_id.to_string(), "partitions": t.partitions.len(),
                    "replication_factor": replicas(t), "internal": t.is_internal})
            };
            put(Value::from(topics.iter().map(topic).collect::<Vec<_>>()));
        }
        Format::Text => {
            let row = |t: &MetadataResponseTopic| {
                vec![
                    t.name.clone().unwrap_or_default(),
                    t.partitions.len().to_string(),
                    replicas(t).to_string(),
                ]
            };
            put(table(&["TOPIC", "PARTITIONS", "REPLICAS"], &topics.iter().map(row).collect::<Vec<_>>())
                .trim_end());
        }
    }
    Ok(())
}

async fn describe(args: DescribeArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let named = args.name.as_ref().map(std::slice::from_ref);
    let r = cluster.metadata(named).await?;
    let mut topics = Vec::new();
    match &args.name {
        Some(name) => topics.push(topic_of(&r, name)?.clone()),
        None => topics.extend(r.topics.iter().filter(|t| !t.is_internal).cloned()),
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut asked = (Vec::new(), Vec::new());
    for topic in &topics {
        asked.0.extend(questions(topic, START).0);
        asked.1.extend(questions(topic, END).0);
    }
    let (starts, ends) = (offsets(&cluster, &asked.0).await?, offsets(&cluster, &asked.1).await?);
    let configs = changed_configs(&cluster, &topics).await?;
    let mut all = Vec::new();
    for topic in &topics {
        let name = topic.name.clone().unwrap_or_default();
        let changed = configs.get(&name).cloned().unwrap_or_default();
        match args.remote.format {
            Format::Text => put(described(topic, &changed, &starts, &ends).trim_end()),
            Format::Json => all.push(described_json(topic, &changed, &starts, &ends)),
        }
    }
    if args.remote.format == Format::Json {
        put(Value::from(all));
    }
    Ok(())
}

/// Where a config comes from when somebody set it for the topic.
const SET_FOR_TOPIC: i8 = 1;
/// The resource type of topics.
const TOPIC: i8 = 2;

/// The configs that were set for each topic.
async fn changed_configs(
    cluster: &Cluster,
    topics: &[MetadataResponseTopic],
) -> Result<BTreeMap<String, Vec<(String, String)>>, Failed> {
    let resource = |t: &MetadataResponseTopic| DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: t.name.clone().unwrap_or_default(),
        configuration_keys: None,
    };
    let resources: Vec<_> = topics.iter().map(resource).collect();
    if resources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let request = DescribeConfigsRequest { resources, ..Default::default() };
    let r: DescribeConfigsResponse = cluster.ask(Target::Any, request).await?;
    let mut changed = BTreeMap::new();
    for result in r.results {
        let set = result.configs.into_iter().filter(|c| c.config_source == SET_FOR_TOPIC);
        let configs = set.map(|c| (c.name, c.value.unwrap_or_else(|| "(hidden)".into()))).collect();
        changed.insert(result.resource_name, configs);
    }
    Ok(changed)
}

fn offset_text(found: &Offsets, topic: &str, partition: i32) -> String {
    match found.get(&TopicPartition::new(topic, partition)) {
        Some(Ok(offset)) => offset.to_string(),
        Some(Err(code)) => code.to_string(),
        None => "-".into(),
    }
}

fn described(
    topic: &MetadataResponseTopic,
    changed: &[(String, String)],
    starts: &Offsets,
    ends: &Offsets,
) -> String {
    let name = topic.name.as_deref().unwrap_or_default();
    let mut partitions: Vec<_> = topic.partitions.iter().collect();
    partitions.sort_by_key(|p| p.partition_index);
    let row = |p: &&quipu_core::wire::messages::metadata::MetadataResponsePartition| {
        let leader = if p.leader_id < 0 { "none".to_string() } else { p.leader_id.to_string() };
        vec![
            p.partition_index.to_string(),
            leader,
            p.leader_epoch.to_string(),
            list(&p.replica_nodes),
            list(&p.isr_nodes),
            offset_text(starts, name, p.partition_index),
            offset_text(ends, name, p.partition_index),
        ]
    };
    let rows: Vec<Vec<String>> = partitions.iter().map(row).collect();
    let head = ["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END"];
    let mut out = format!("topic {name}  id {}  {} partitions\n", topic.topic_id, rows.len());
    for (name, value) in changed {
        out.push_str(&format!("  {name}={value}\n"));
    }
    out + &table(&head, &rows)
}

fn described_json(
    topic: &MetadataResponseTopic,
    changed: &[(String, String)],
    starts: &Offsets,
    ends: &Offsets,
) -> Value {
    let name = topic.name.as_deref().unwrap_or_default();
    let offset = |found: &Offsets, partition: i32| match found.get(&TopicPartition::new(name, partition)) {
        Some(Ok(offset)) => json!(offset),
        _ => Value::Null,
    };
    let partition = |p: &quipu_core::wire::messages::metadata::MetadataResponsePartition| {
        json!({"partition": p.partition_index, "leader": p.leader_id, "leader_epoch": p.leader_epoch,
            "replicas": p.replica_nodes, "isr": p.isr_nodes, "start_offset": offset(starts, p.partition_index),
            "end_offset": offset(ends, p.partition_index)})
    };
    let configs: BTreeMap<&String, &String> = changed.iter().map(|(name, value)| (name, value)).collect();
    json!({"topic": name, "topic_id": topic.topic_id.to_string(), "configs": configs,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>()})
}

async fn delete(args: DeleteArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let topic = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let timeout_ms = i32::try_from(cluster.timeout.as_millis()).unwrap_or(i32::MAX);
    let request = DeleteTopicsRequest {
        topics: args.names.iter().map(topic).collect(),
        timeout_ms,
        ..Default::default()
    };
    let r: DeleteTopicsResponse = cluster.ask(Target::Controller, request).await?;
    let (mut gone, mut wrong) = (Vec::new(), Vec::new());
    for result in r.responses {
        let name = result.name.unwrap_or_default();
        match result.error_code {
            ErrorCode::NONE => gone.push(name),
            code => wrong.push(format!("topic {name}: {}", told(code, result.error_message.as_deref()))),
        }
    }
    match args.remote.format {
        Format::Json => put(json!({ "deleted": gone })),
        Format::Text => gone.iter().for_each(|name| put(format!("deleted topic {name}"))),
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong)) }
}
