//! What `quipu doctor` says: what is wrong, what a client would see of it, and which setting to change.

use quipu_core::client::{Address, TopicPartition};
use quipu_core::wire::messages::metadata::MetadataResponse;

use super::doctor::Status;

/// Which setting says where a broker can be reached.
const SETTING: &str = "advertised.listeners (quipu serve --advertise)";

fn whose(addr: &Address, broker: Option<i32>) -> String {
    match broker {
        Some(id) => format!("broker {id} sends clients to {addr}, but"),
        None => format!("{addr}:"),
    }
}

/// A name that this machine does not know.
pub(crate) fn unresolved(addr: &Address, broker: Option<i32>, why: &str) -> String {
    let head = format!("{} {} cannot be resolved here ({why}).", whose(addr, broker), addr.host);
    match broker {
        Some(_) => format!(
            "{head} Set its {SETTING} to a name that clients can resolve, or add the name to their DNS"
        ),
        None => format!("{head} Is --bootstrap right?"),
    }
}

/// An address where nobody answers.
pub(crate) fn unreachable(addr: &Address, broker: Option<i32>, why: &str) -> String {
    let head = format!("{} {why}.", whose(addr, broker));
    match broker {
        Some(_) => format!(
            "{head} Clients connect to --bootstrap first and to this address next, so they fail here too. Set its \
             {SETTING} to where clients reach it: behind Docker or NAT that is the published host and port"
        ),
        None => format!(
            "{head} Is the broker running, and does it listen there (listeners, quipu serve --listen)?"
        ),
    }
}

/// An address that accepts connections and does not speak.
pub(crate) fn mute(addr: &Address, broker: Option<i32>, why: &str) -> String {
    let head =
        format!("{} it accepts connections and does not answer as Kafka ({why}).", whose(addr, broker));
    format!(
        "{head} Another service may listen there, or the listener wants TLS or SASL: see listener.security.protocol.map"
    )
}

/// Two addresses of two clusters.
pub(crate) fn another_cluster(addr: &Address, first: &str, other: &str) -> String {
    format!(
        "{addr} belongs to another cluster ({other}) than the first address ({first}): clients would write to either. \
         Two brokers share an address, or one is advertised under the other's"
    )
}

/// A cluster id, or words for none.
pub(crate) fn named(id: &Option<String>) -> String {
    id.clone().unwrap_or_else(|| "without an id".into())
}

/// Nobody leads the cluster.
pub(crate) fn no_controller() -> String {
    "there is no controller: topics cannot be made or changed, and no new leaders be found. Is a majority of the \
     controllers running?"
        .into()
}

/// Whether an address is one that reaches only the machine that uses it.
fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// An advertised address that cannot be right, or is right on this machine only.
pub(crate) fn suspicious(from: &Address, addr: &Address, broker: i32) -> Option<(Status, String)> {
    if addr.host.is_empty() || addr.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
        let text = format!(
            "broker {broker} advertises '{}', which means every address and leads nowhere: set its {SETTING} to one \
             that clients can reach",
            addr.host
        );
        return Some((Status::Bad, text));
    }
    if !is_loopback(&addr.host) {
        return None;
    }
    let advice = format!("Set its {SETTING} to the name or address that other machines know it by");
    if is_loopback(&from.host) {
        let text = format!(
            "only clients on this machine reach {addr}: others would connect to themselves. {advice}"
        );
        return Some((Status::Warning, text));
    }
    let text = format!(
        "you reached the cluster at {from}, and broker {broker} sends you to {addr}: that is your own machine. {advice}"
    );
    Some((Status::Bad, text))
}

/// Partitions without a leader, and partitions with replicas that are behind.
pub(crate) fn topic_health(metadata: &MetadataResponse) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
    let (mut leaderless, mut behind) = (Vec::new(), Vec::new());
    for topic in &metadata.topics {
        let name: std::sync::Arc<str> = topic.name.as_deref().unwrap_or_default().into();
        for part in &topic.partitions {
            let of = TopicPartition::new(name.clone(), part.partition_index);
            if part.leader_id < 0 {
                leaderless.push(of);
            } else if part.isr_nodes.len() < part.replica_nodes.len() {
                behind.push(of);
            }
        }
    }
    (leaderless, behind)
}

/// Some partitions have no leader.
pub(crate) fn leaderless(partitions: &[TopicPartition]) -> String {
    format!(
        "{} cannot be written or read, they have no leader: {}",
        counted(partitions),
        first_few(partitions)
    )
}

/// Some partitions have fewer in-sync replicas than replicas.
pub(crate) fn behind(partitions: &[TopicPartition]) -> String {
    format!("{} have replicas that are not in sync: {}", counted(partitions), first_few(partitions))
}

fn counted(partitions: &[TopicPartition]) -> String {
    format!("{} partition(s)", partitions.len())
}

fn first_few(partitions: &[TopicPartition]) -> String {
    let mut shown: Vec<String> = partitions.iter().take(5).map(TopicPartition::to_string).collect();
    if partitions.len() > shown.len() {
        shown.push("...".into());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn a_broker_that_advertises_localhost_to_another_machine_is_wrong_and_here_is_only_worth_a_warning() {
        let remote = suspicious(&addr("kafka.example:9092"), &addr("localhost:9092"), 1).unwrap();
        assert!(remote.0 == Status::Bad && remote.1.contains("advertised.listeners"), "{}", remote.1);
        let local = suspicious(&addr("127.0.0.1:9092"), &addr("localhost:9092"), 1).unwrap();
        assert_eq!(local.0, Status::Warning);
        assert_eq!(suspicious(&addr("kafka.example:9092"), &addr("b1.example:9092"), 1), None);
    }

    #[test]
    fn an_address_that_means_all_addresses_is_always_wrong() {
        for host in ["0.0.0.0:9092", "[::]:9092"] {
            assert_eq!(suspicious(&addr("127.0.0.1:9092"), &addr(host), 1).unwrap().0, Status::Bad);
        }
    }

    #[test]
    fn every_fault_of_an_advertised_address_names_the_setting() {
        let at = addr("b1.example:9092");
        for text in
            [unresolved(&at, Some(1), "no such name"), unreachable(&at, Some(1), "connection refused")]
        {
            assert!(text.contains("broker 1") && text.contains("advertised.listeners"), "{text}");
        }
        assert!(unreachable(&at, None, "connection refused").contains("listeners"));
    }
}
