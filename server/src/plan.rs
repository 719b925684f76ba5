//! What `quipu serve` is to do, once all settings are read and agree with each other.

mod peers;

use std::ffi::OsString;
use std::path::PathBuf;

use quipu_core::config::value::words;
use quipu_core::config::{BrokerConfig, Settings};

use crate::cli::ServeArgs;
use crate::listeners::Endpoint;
use crate::settings::{Given, Origin, from_environment, from_file, from_sets, merge};

/// A broker as it is to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its configs.
    pub(crate) config: BrokerConfig,
    /// Where its records are.
    pub(crate) data_dir: PathBuf,
    /// Where clients connect; at least one.
    pub(crate) listeners: Vec<Door>,
    /// Where other brokers connect, if it has any.
    pub(crate) peer_listen: Option<Endpoint>,
}

/// An address to listen at, and the one that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// Where to listen.
    pub(crate) listen: Endpoint,
    /// What clients are told; port 0 stands for the port listened at.
    pub(crate) advertised: Endpoint,
}

impl Plan {
    /// Reads the settings from all their places. The errors are for people, one line each.
    pub(crate) fn read(
        args: &ServeArgs,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Plan, Vec<String>> {
        let one = |why: String| vec![why];
        let file = args.config.as_deref().map(from_file).transpose().map_err(one)?.unwrap_or_default();
        let environment = from_environment(environment).map_err(one)?;
        let sets = from_sets(&args.set).map_err(one)?;
        let flags = flags(args).map_err(one)?;
        Plan::of(merge(&[file, environment, sets, flags])?)
    }

    /// What these settings come to.
    pub(crate) fn of(settings: Settings) -> Result<Plan, Vec<String>> {
        let config = BrokerConfig::new(settings);
        let mut wrong = config.check();
        wrong.extend(peers::roles(config.settings()).err());
        let data_dir = data_dir(config.settings()).map_err(|why| wrong.push(why));
        let listeners = doors(config.settings()).map_err(|why| wrong.push(why));
        let peer_listen = peers::listen(&config).map_err(|why| wrong.push(why));
        if let (Ok(listeners), Ok(Some(peer_listen))) = (&listeners, &peer_listen) {
            wrong.extend(peers::apart(peer_listen, listeners).err());
        }
        match (data_dir, listeners, peer_listen) {
            (Ok(data_dir), Ok(listeners), Ok(peer_listen)) if wrong.is_empty() => {
                Ok(Plan { config, data_dir, listeners, peer_listen })
            }
            _ => Err(wrong),
        }
    }
}

/// The flags that stand for a config.
fn flags(args: &ServeArgs) -> Result<Vec<Given>, String> {
    let data_dir = match &args.data_dir {
        Some(path) => Some(path.to_str().ok_or("--data-dir must be UTF-8")?.to_string()),
        None => None,
    };
    let all = [
        ("--data-dir", "log.dirs", data_dir),
        ("--listen", "listeners", args.listen.clone()),
        ("--advertise", "advertised.listeners", args.advertise.clone()),
        ("--node-id", "node.id", args.node_id.map(|id| id.to_string())),
        ("--peer-listen", "quipu.peer.listen", args.peer_listen.clone()),
        ("--peer-advertise", "quipu.peer.advertised", args.peer_advertise.clone()),
        ("--voters", "quipu.voters", args.voters.clone()),
    ];
    let given = all.into_iter().filter_map(|(flag, name, value)| {
        Some(Given { name: name.to_string(), value: value?, origin: Origin::Flag(flag) })
    });
    Ok(given.collect())
}

/// `log.dirs` goes before `log.dir`, as in Kafka.
fn data_dir(settings: &Settings) -> Result<PathBuf, String> {
    let listed: Vec<&str> = words(settings.get("log.dirs").unwrap_or_default()).collect();
    match listed.as_slice() {
        [] => Ok(PathBuf::from(settings.get("log.dir").unwrap_or("./quipu-data"))),
        [one] => Ok(PathBuf::from(one)),
        several => Err(format!(
            "log.dirs names {} directories; this version keeps its records in one",
            several.len()
        )),
    }
}

fn doors(settings: &Settings) -> Result<Vec<Door>, String> {
    let controllers: Vec<String> = words(settings.get("controller.listener.names").unwrap_or_default())
        .map(str::to_ascii_uppercase)
        .collect();
    let listed = |name: &str, value: &str| {
        let parse = |word: &str| Endpoint::parse(word).map_err(|why| format!("{name}: {why}"));
        words(value).map(parse).collect::<Result<Vec<Endpoint>, String>>()
    };
    let mut listen = listed("listeners", settings.get("listeners").unwrap_or("127.0.0.1:9092"))?;
    // Kafka's controllers have listeners of their own; here there is nobody to connect to them.
    listen.retain(|endpoint| !controllers.contains(&endpoint.name));
    if listen.is_empty() {
        return Err("listeners names no address for clients".to_string());
    }
    let told = with_ports(settings.get("advertised.listeners").unwrap_or_default());
    let told = listed("advertised.listeners", &told)?;
    let protocols = settings.get("listener.security.protocol.map").unwrap_or_default();
    listen.iter().try_for_each(|endpoint| plaintext(endpoint, protocols))?;
    let single = listen.len() == 1;
    listen.into_iter().map(|endpoint| door(endpoint, &told, single)).collect()
}

/// Gives the port 0, the port listened at, to addresses without one.
fn with_ports(value: &str) -> String {
    let one = |word: &str| {
        let host = word.split_once("://").map_or(word, |(_, host)| host);
        let bare = if host.ends_with(']') { true } else { !host.contains(':') };
        if bare { format!("{word}:0") } else { word.to_string() }
    };
    words(value).map(one).collect::<Vec<_>>().join(",")
}

/// There is no TLS and no SASL in this version: a listener that would need them must not come up without.
fn plaintext(endpoint: &Endpoint, protocols: &str) -> Result<(), String> {
    let mapped = words(protocols).filter_map(|pair| pair.split_once(':'));
    let protocol = mapped
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(&endpoint.name))
        .map(|(_, protocol)| protocol.trim().to_ascii_uppercase())
        .last()
        .unwrap_or_else(|| endpoint.name.clone());
    if protocol == "PLAINTEXT" {
        return Ok(());
    }
    Err(format!(
        "listener {}://{endpoint}: its security protocol is {protocol}, and this version has PLAINTEXT only (map other \
         names to it with listener.security.protocol.map)",
        endpoint.name
    ))
}

fn door(listen: Endpoint, told: &[Endpoint], single: bool) -> Result<Door, String> {
    let named = told.iter().find(|endpoint| endpoint.name == listen.name);
    let named = named.or_else(|| told.first().filter(|_| single && told.len() == 1));
    let advertised = match named {
        Some(endpoint) => endpoint.clone(),
        None => Endpoint { port: 0, ..listen.clone() },
    };
    if advertised.is_wildcard() {
        return Err(format!(
            "the broker would tell its clients to connect to '{}', which is no address of a machine; set --advertise \
             (advertised.listeners) to the host name or address under which clients reach {}://{listen}",
            advertised.host, listen.name
        ));
    }
    Ok(Door { listen, advertised })
}

#[cfg(test)]
mod tests;
