//! Where this broker meets the others of its cluster, if it has any, and what is wrong with what was said of them.

use std::collections::BTreeSet;

use quipu_core::config::value::words;
use quipu_core::config::{BrokerConfig, Settings};

use super::Door;
use crate::listeners::Endpoint;

/// What Kafka calls the voters. It names ports of controllers, where a protocol is spoken that Quipu has not.
const KAFKAS: [&str; 2] = ["controller.quorum.voters", "controller.quorum.bootstrap.servers"];

/// Where other brokers are to connect: `quipu.peer.listen`, else the address that `quipu.voters` has for this one. `None` when it is
/// alone, or not told where it is reached. The configs have been checked by themselves.
pub(super) fn listen(config: &BrokerConfig) -> Result<Option<Endpoint>, String> {
    kafkas_names(config)?;
    let given = config.settings().get("quipu.peer.listen").filter(|address| !address.is_empty());
    if config.is_alone() {
        return match given {
            Some(_) => Err("quipu.peer.listen (--peer-listen) is for other brokers, and no others are named: name those that elect \
                            the controller in quipu.voters (--voters), or leave it out"
                .to_string()),
            None => Ok(None),
        };
    }
    let Some(own) = &config.peer_address else { return Ok(None) };
    let (name, address) = match given {
        Some(address) => ("quipu.peer.listen (--peer-listen)", address),
        None => ("quipu.voters (--voters)", own.as_str()),
    };
    let listen = Endpoint::parse(address).map_err(|why| format!("{name}: {why}"))?;
    if listen.port == 0 {
        return Err(format!(
            "{name}: other brokers look for this one at {own}; port 0 would be another each time"
        ));
    }
    Ok(Some(listen))
}

/// Kafka's names for voters may stand in a file beside Quipu's, but must not speak of others that nobody would hear of.
fn kafkas_names(config: &BrokerConfig) -> Result<(), String> {
    let [voters, servers] = KAFKAS.map(|name| words(config.settings().get(name).unwrap_or_default()));
    let own = config.node_id.to_string();
    let known: BTreeSet<String> = config.voters.keys().map(ToString::to_string).chain([own]).collect();
    let strangers: Vec<&str> =
        voters.map(|word| word.split('@').next().unwrap_or(word)).filter(|id| !known.contains(*id)).collect();
    let wrong = if !strangers.is_empty() {
        format!("{} names brokers ({}) that quipu.voters does not", KAFKAS[0], strangers.join(", "))
    } else {
        match servers.count() {
            count if count > 1 && config.voters.is_empty() => format!("{} names {count} servers", KAFKAS[1]),
            _ => return Ok(()),
        }
    };
    Err(format!(
        "{wrong}: brokers of Quipu talk to one another at ports of their own, so name them all with these in quipu.voters \
         (--voters id@host:port,...), and leave Kafka's name out"
    ))
}

/// Clients and brokers cannot come to one port.
pub(super) fn apart(peers: &Endpoint, doors: &[Door]) -> Result<(), String> {
    let same_host = |one: &Endpoint| one.host == peers.host || one.is_wildcard() || peers.is_wildcard();
    match doors.iter().find(|door| door.listen.port == peers.port && same_host(&door.listen)) {
        None => Ok(()),
        Some(door) => Err(format!(
            "clients are to connect to {} and other brokers to {peers}: these must be two ports (listeners, --listen; \
             quipu.peer.listen, --peer-listen; quipu.voters, --voters)",
            door.listen
        )),
    }
}

/// A process of Quipu is always a broker.
pub(super) fn roles(settings: &Settings) -> Result<(), String> {
    match settings.get("process.roles") {
        Some(roles) if words(roles).all(|role| role != "broker") && !roles.is_empty() => Err(format!(
            "process.roles={roles}: a process of Quipu is always a broker; leave it out or add broker"
        )),
        _ => Ok(()),
    }
}
