//! Which broker coordinates which consumer group.

use std::collections::BTreeMap;

use crate::ids::BrokerId;
use crate::time::Instant;
use crate::wire::Response;
use crate::wire::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::door::{Address, Failure};
use super::net::{AskId, Done, Net, Owner};

/// FindCoordinator's key type for consumer groups.
const GROUP: i8 = 0;

/// The coordinators that are known or looked for.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    groups: BTreeMap<String, Search>,
}

#[derive(Debug, Default)]
struct Search {
    found: Option<BrokerId>,
    asking: Option<AskId>,
    not_before: Instant,
    attempts: u32,
    failure: Option<Failure>,
}

impl Coordinators {
    /// The coordinator of a group, looked for when it is not known.
    pub(crate) fn of(&mut self, net: &mut Net, group: &str) -> Option<BrokerId> {
        let search = self.groups.entry(group.to_string()).or_default();
        if search.found.is_none() && search.asking.is_none() && net.due(search.not_before) {
            let request = FindCoordinatorRequest {
                key_type: GROUP,
                coordinator_keys: vec![group.to_string()],
                ..Default::default()
            };
            let peer = net.any();
            search.asking = Some(net.ask_main(peer, Owner::Coordinators, request.into()));
        }
        search.found
    }

    /// The broker we took for the coordinator is not, or cannot be reached.
    pub(crate) fn doubt(&mut self, group: &str) {
        if let Some(search) = self.groups.get_mut(group) {
            search.found = None;
        }
    }

    /// Why the search for a group's coordinator has no result so far.
    pub(crate) fn trouble(&self, group: &str) -> Option<&Failure> {
        self.groups.get(group).and_then(|s| s.failure.as_ref())
    }

    pub(crate) fn answered(&mut self, net: &mut Net, done: Done) {
        let Some((group, search)) = self.groups.iter_mut().find(|(_, s)| s.asking == Some(done.ask)) else {
            return;
        };
        search.asking = None;
        let found = match done.result {
            Ok(Response::FindCoordinator(r)) => read(r, group),
            Ok(_) => Err(Failure::local("a broker answered FindCoordinator with something else")),
            Err(lost) => Err(Failure::local(lost.text())),
        };
        match found {
            Ok((id, addr)) => {
                net.add_address(id, addr);
                *search = Search { found: Some(id), ..Search::default() };
            }
            Err(failure) => {
                search.failure = Some(failure);
                search.not_before = net.retry_at(search.attempts);
                search.attempts = search.attempts.saturating_add(1);
            }
        }
    }
}

fn read(r: FindCoordinatorResponse, group: &str) -> Result<(BrokerId, Address), Failure> {
    // Old versions do not repeat the key: only one was asked for.
    let Some(found) = r.coordinators.into_iter().find(|c| c.key == group || c.key.is_empty()) else {
        return Err(Failure::local(format!("a broker answered for another group than {group}")));
    };
    if found.error_code.is_err() {
        return Err(Failure::broker(found.error_code, format_args!("coordinator of group {group}")));
    }
    match u16::try_from(found.port) {
        Ok(port) if found.node_id >= 0 => Ok((BrokerId(found.node_id), Address { host: found.host, port })),
        _ => Err(Failure::local(format!("group {group} has no coordinator at the moment"))),
    }
}
