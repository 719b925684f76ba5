//! Where brokers meet: who votes, where each is reached, and what is wrong with what was said of it.

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::settings::Settings;
use super::value::words;
use crate::ids::BrokerId;

const ADVERTISED: &str = "quipu.peer.advertised";
const LISTEN: &str = "quipu.peer.listen";

/// `id@host:port`.
pub(super) fn voter(word: &str) -> Option<(BrokerId, String)> {
    let (id, address) = word.split_once('@')?;
    let id = id.trim().parse().ok().filter(|id| *id >= 0 && is_address(address))?;
    Some((BrokerId(id), address.to_string()))
}

/// Whether it is `host:port` and can be dialled.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether nobody can dial the host: it stands for all addresses of the machine.
fn is_any_host(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    ["", "0.0.0.0", "[::]", "::"].contains(&host)
}

fn given<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings.get(name).filter(|value| !value.is_empty())
}

/// Where other brokers reach this one: see [`BrokerConfig::peer_address`].
pub(super) fn peer_address(
    settings: &Settings,
    node: BrokerId,
    voters: &BTreeMap<BrokerId, String>,
) -> Option<String> {
    if voters.is_empty() {
        return None;
    }
    let told = || given(settings, ADVERTISED).or_else(|| given(settings, LISTEN)).map(str::to_string);
    voters.get(&node).cloned().or_else(told)
}

/// What is wrong with who votes and where this broker is reached, one sentence each.
pub(super) fn check(config: &BrokerConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    let named = words(config.settings().get("quipu.voters").unwrap_or_default()).count();
    if named != config.voters.len() {
        return vec!["quipu.voters (--voters) must be a list of id@host:port, each id once".to_string()];
    }
    wrong.extend(check_own(config).err());
    let mut addresses = BTreeMap::new();
    for (id, address) in &config.voters {
        if let Some(other) = addresses.insert(address, id) {
            wrong.push(format!(
                "quipu.voters (--voters) gives brokers {other} and {id} the same address, {address}"
            ));
        }
    }
    wrong
}

/// Whether others can reach this one, and only where it says.
fn check_own(config: &BrokerConfig) -> Result<(), String> {
    let id = config.node_id;
    match given(config.settings(), ADVERTISED) {
        Some(_) if config.is_voter() => Err(format!(
            "quipu.peer.advertised (--peer-advertise) is for a broker that is not among the voters: others look for broker {id} \
             where quipu.voters (--voters) says"
        )),
        Some(_) if config.is_alone() => Err(
            "quipu.peer.advertised (--peer-advertise) is for a broker that joins others: name those that elect the controller in \
             quipu.voters (--voters)"
                .to_string(),
        ),
        _ if config.is_alone() || config.is_voter() => Ok(()),
        advertised => check_observer(config, advertised),
    }
}

/// Whether others can reach this one, which is not among the voters.
fn check_observer(config: &BrokerConfig, advertised: Option<&str>) -> Result<(), String> {
    let id = config.node_id;
    let Some(listen) = given(config.settings(), LISTEN) else {
        let voters: Vec<String> = config.voters.keys().map(ToString::to_string).collect();
        return Err(format!(
            "broker {id} (node.id) is not among the voters ({}), so the others must be told where to reach it: set --peer-listen \
             (quipu.peer.listen); if it is to vote, quipu.voters (--voters) must name it",
            voters.join(", ")
        ));
    };
    let (name, reached) = match advertised {
        Some(address) => ("quipu.peer.advertised (--peer-advertise)", address),
        None => ("quipu.peer.listen (--peer-listen)", listen),
    };
    if is_any_host(reached) {
        return Err(format!(
            "{name}: {reached} is no address that other brokers can connect to: set --peer-advertise (quipu.peer.advertised) to \
             HOST:PORT where they reach broker {id}"
        ));
    }
    if !is_address(reached) {
        return Err(format!("{name}: {reached} must be HOST:PORT, where other brokers reach broker {id}"));
    }
    match config.voters.iter().find(|(_, address)| *address == reached) {
        Some((other, _)) => {
            Err(format!("{name}: {reached} is the address of broker {other} in quipu.voters (--voters)"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{BrokerConfig, Settings};

    const THREE: &str = "1@a:9192,2@b:9192,3@c:9192";

    fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
        let mut settings = Settings::new();
        pairs.iter().for_each(|(name, value)| settings.set(name, value).unwrap());
        BrokerConfig::new(settings)
    }

    fn told(id: &str, voters: &str) -> String {
        config(&[("node.id", id), ("quipu.voters", voters)]).check().join("; ")
    }

    #[test]
    fn voters_are_each_named_once_with_an_address_of_its_own() {
        for good in ["", "2@a:9192", "1@a:9192,2@b:9192,3@[::1]:9192", " 1@a:9192, 2@a:9193 "] {
            assert_eq!(told("2", good), "", "{good}");
        }
        for no_list in ["2", "2@a", "2@:9192", "2@a:0", "2@a:99999", "-2@a:9192", "x@a:9192", "2@a:1,2@b:1"] {
            assert!(told("2", no_list).contains("a list of id@host:port, each id once"), "{no_list}");
        }
        let same = told("2", "1@a:9192,2@b:9192,3@b:9192");
        assert!(same.contains("brokers 2 and 3 the same address, b:9192"), "{same}");
    }

    #[test]
    fn a_broker_that_is_no_voter_says_where_others_reach_it() {
        let four =
            |more: &[(&str, &str)]| config(&[&[("node.id", "4"), ("quipu.voters", THREE)], more].concat());
        let why = told("4", THREE);
        assert!(why.contains("broker 4 (node.id) is not among the voters (1, 2, 3)"), "{why}");
        assert!(why.contains("--peer-listen") && why.contains("must name it"), "{why}");
        let listens = four(&[("quipu.peer.listen", "d:9192")]);
        assert_eq!((listens.check().join("; "), listens.is_voter()), (String::new(), false));
        assert_eq!(listens.peer_address.as_deref(), Some("d:9192"));
        for any in ["0.0.0.0:9192", ":9192", "[::]:9192"] {
            let why = four(&[("quipu.peer.listen", any)]).check().join("; ");
            assert!(why.contains("--peer-advertise"), "{why}");
        }
        let both = [("quipu.peer.listen", "0.0.0.0:9192"), ("quipu.peer.advertised", "d:9292")];
        assert_eq!(four(&both).check(), Vec::<String>::new());
        assert_eq!(four(&both).peer_address.as_deref(), Some("d:9292"));
        let why = four(&[("quipu.peer.listen", "d:0")]).check().join("; ");
        assert!(why.contains("must be HOST:PORT"), "{why}");
        let why = four(&[("quipu.peer.listen", "b:9192")]).check().join("; ");
        assert!(why.contains("the address of broker 2"), "{why}");
    }

    #[test]
    fn a_voter_is_where_all_look_for_it_and_a_broker_alone_is_nowhere() {
        let voter = [("node.id", "2"), ("quipu.voters", THREE), ("quipu.peer.listen", "0.0.0.0:9192")];
        let voter = config(&voter);
        assert_eq!((voter.check(), voter.is_voter()), (vec![], true));
        assert_eq!(voter.peer_address.as_deref(), Some("b:9192"));
        let twice = [("node.id", "2"), ("quipu.voters", THREE), ("quipu.peer.advertised", "x:9192")];
        assert!(config(&twice).check().join("; ").contains("not among the voters"));
        let alone = config(&[("quipu.peer.advertised", "x:9192")]);
        assert!(alone.check().join("; ").contains("joins others") && alone.peer_address.is_none());
        assert!(alone.is_alone() && !config(&[("quipu.voters", "1@a:9192")]).is_alone());
    }
}
