//! `quipu group`: list, describe, delete consumer groups, and move their offsets.

use clap::{Args, Subcommand};
use quipu_core::client::Target;
use quipu_core::ids::BrokerId;
use quipu_core::wire::ErrorCode;
use quipu_core::wire::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use quipu_core::wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use serde_json::{Value, json};

use super::group_view::GroupView;
use super::remote::{Failed, Format, Remote, put, told};
use super::reset::ResetArgs;
use super::table::table;

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Show all groups
    List(ListArgs),
    /// Show members, committed offsets and lag of a group
    Describe(OneArgs),
    /// Delete groups without members, and their offsets
    Delete(ManyArgs),
    /// Move the committed offsets of a group without members
    ResetOffsets(ResetArgs),
}

/// Flags of `quipu group list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu group describe`.
#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    /// The group
    group: String,
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `quipu group delete`.
#[derive(Args, Debug)]
pub(crate) struct ManyArgs {
    /// The groups
    #[arg(required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl GroupCommand {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        match self {
            GroupCommand::List(args) => list(args).await,
            GroupCommand::Describe(args) => describe(args).await,
            GroupCommand::Delete(args) => delete(args).await,
            GroupCommand::ResetOffsets(args) => args.run().await,
        }
    }
}

/// A group is known to its coordinator only, so every broker is asked.
async fn list(args: ListArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let none: Vec<String> = Vec::new();
    let brokers = cluster.metadata(Some(&none)).await?.brokers;
    let (mut groups, mut wrong) = (Vec::new(), Vec::new());
    for broker in brokers {
        let target = Target::Broker(BrokerId(broker.node_id));
        match cluster.ask::<ListGroupsResponse>(target, ListGroupsRequest::default()).await {
            Ok(r) if r.error_code.is_none() => groups.extend(r.groups),
            Ok(r) => wrong.push(format!("broker {}: {}", broker.node_id, told(r.error_code, None))),
            Err(Failed(reasons)) => {
                wrong.extend(reasons.into_iter().map(|why| format!("broker {}: {why}", broker.node_id)));
            }
        }
    }
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    match args.remote.format {
        Format::Json => {
            let one = |g: &quipu_core::wire::messages::list_groups::ListedGroup| json!({"group": g.group_id, "state": g.group_state, "type": g.group_type, "protocol": g.protocol_type});
            put(Value::from(groups.iter().map(one).collect::<Vec<_>>()));
        }
        Format::Text => {
            let row = |g: &quipu_core::wire::messages::list_groups::ListedGroup| {
                vec![g.group_id.clone(), g.group_state.clone(), g.group_type.clone(), g.protocol_type.clone()]
            };
            let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
            put(table(&["GROUP", "STATE", "TYPE", "PROTOCOL"], &rows).trim_end());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong)) }
}

async fn describe(args: OneArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let view = GroupView::look(&cluster, &args.group).await?;
    match args.remote.format {
        Format::Text => put(view.text().trim_end()),
        Format::Json => put(view.json()),
    }
    Ok(())
}

async fn delete(args: ManyArgs) -> Result<(), Failed> {
    let cluster = args.remote.open();
    let (mut gone, mut wrong) = (Vec::new(), Vec::new());
    for group in args.groups {
        let request = DeleteGroupsRequest { groups_names: vec![group.clone()] };
        let r: DeleteGroupsResponse = cluster.ask(Target::Group(group.clone()), request).await?;
        match r.results.first().map(|r| r.error_code) {
            Some(ErrorCode::NONE) => gone.push(group),
            Some(ErrorCode::NON_EMPTY_GROUP) => {
                wrong.push(format!(
                    "group {group} has members: stop them first; `quipu group describe {group}` shows them"
                ));
            }
            Some(code) => wrong.push(format!("group {group}: {}", told(code, None))),
            None => wrong.push(format!("group {group}: the broker says nothing about it")),
        }
    }
    match args.remote.format {
        Format::Json => put(json!({ "deleted": gone })),
        Format::Text => gone.iter().for_each(|group| put(format!("deleted group {group}"))),
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong)) }
}
