//! `quipu doctor`: connects as a client would, to every address that clients are sent to, and says which setting is wrong.

use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

use clap::Args;
use quipu_core::client::{Address, ClientSettings, Target};
use quipu_core::wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use quipu_core::wire::messages::metadata::{MetadataResponse, MetadataResponseBroker};
use quipu_net::client::{Kafka, dial};
use serde_json::{Value, json};

use super::advice;
use super::remote::{Answer, Failed, Format, Remote, put, words};

/// Flags of `quipu doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    remote: Remote,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    /// Worth knowing; nothing fails for it now.
    Warning,
    Bad,
}

/// The checks so far.
struct Examination {
    format: Format,
    timeout: Duration,
    findings: Vec<Value>,
    bad: usize,
}

/// One round trip is measured so many times.
const PINGS: usize = 5;

impl DoctorArgs {
    /// Does it. Fails when any check does.
    pub(crate) async fn run(self) -> Result<(), Failed> {
        let mut exam = Examination {
            format: self.remote.format,
            timeout: self.remote.timeout,
            findings: Vec::new(),
            bad: 0,
        };
        let mut seen: Option<(Address, MetadataResponse)> = None;
        for addr in &self.remote.bootstrap {
            exam.headline(&format!("bootstrap server {addr}"));
            if let Some(metadata) = exam.visit(addr, None).await {
                exam.same_cluster(addr, &metadata, seen.as_ref().map(|(_, m)| m));
                seen.get_or_insert((addr.clone(), metadata));
            }
        }
        if let Some((from, metadata)) = seen {
            exam.cluster(&metadata);
            for broker in &metadata.brokers {
                exam.broker(&from, broker, &metadata).await;
            }
        }
        exam.verdict()
    }
}

impl Examination {
    fn headline(&self, text: &str) {
        if self.format == Format::Text {
            put(text);
        }
    }

    fn note(&mut self, status: Status, check: &str, text: impl Into<String>) {
        let text = text.into();
        let (mark, name) = match status {
            Status::Good => ("ok  ", "ok"),
            Status::Warning => ("warn", "warning"),
            Status::Bad => ("FAIL", "failed"),
        };
        self.bad += usize::from(status == Status::Bad);
        if self.format == Format::Text {
            put(format!("  {mark}  {text}"));
        }
        self.findings.push(json!({"check": check, "status": name, "text": text}));
    }

    /// Resolves, dials, and talks to one address; the metadata it answers with, if it comes so far. `broker`: whose
    /// advertised address it is.
    async fn visit(&mut self, addr: &Address, broker: Option<i32>) -> Option<MetadataResponse> {
        match resolve(addr).await {
            Ok(found) if found == addr.host || addr.host.parse::<std::net::IpAddr>().is_ok() => {}
            Ok(found) => self.note(Status::Good, "resolve", format!("{} is {found}", addr.host)),
            Err(why) => {
                self.note(Status::Bad, "resolve", advice::unresolved(addr, broker, &why));
                return None;
            }
        }
        match dial(addr, self.timeout.min(Duration::from_secs(5))).await {
            Ok(took) => {
                self.note(Status::Good, "connect", format!("{addr} accepts connections ({})", ms(took)))
            }
            Err(why) => {
                self.note(Status::Bad, "connect", advice::unreachable(addr, broker, &why));
                return None;
            }
        }
        self.talk(addr, broker).await
    }

    async fn talk(&mut self, addr: &Address, broker: Option<i32>) -> Option<MetadataResponse> {
        let usual = ClientSettings::new(vec![addr.clone()]);
        let settings =
            ClientSettings { client_id: "quipu-doctor".into(), auto_create_topics: false, ..usual };
        let (kafka, _events) = Kafka::open(settings);
        let limit = self.timeout.min(Duration::from_secs(5));
        let versions: ApiVersionsResponse = match ask(&kafka, hello(), limit).await {
            Ok(versions) => versions,
            Err(why) => {
                self.note(Status::Bad, "protocol", advice::mute(addr, broker, &why));
                return None;
            }
        };
        if versions.error_code.is_err() {
            let why = versions.error_code.to_string();
            self.note(Status::Bad, "protocol", advice::mute(addr, broker, &why));
            return None;
        }
        let mut trips = Vec::new();
        for _ in 0..PINGS {
            let begun = Instant::now();
            let pong: Result<ApiVersionsResponse, String> = ask(&kafka, hello(), limit).await;
            trips.extend(pong.ok().map(|_| begun.elapsed()));
        }
        trips.sort_unstable();
        let trip = trips.get(trips.len() / 2).map_or("unknown".to_string(), |t| ms(*t));
        let count = versions.api_keys.len();
        self.note(
            Status::Good,
            "protocol",
            format!("it speaks Kafka's protocol: {count} APIs, round trip {trip}"),
        );
        match ask(&kafka, quipu_core::client::metadata_of(None), limit).await {
            Ok(metadata) => Some(metadata),
            Err(why) => {
                self.note(Status::Bad, "metadata", format!("it does not answer a metadata request: {why}"));
                None
            }
        }
    }

    /// Two addresses that a client may use must lead to one cluster.
    fn same_cluster(&mut self, addr: &Address, new: &MetadataResponse, first: Option<&MetadataResponse>) {
        match (first.map(|m| &m.cluster_id), &new.cluster_id) {
            (None, _) => {}
            (Some(first), id) if first == id => {}
            (Some(first), id) => {
                let (first, id) = (advice::named(first), advice::named(id));
                self.note(Status::Bad, "cluster", advice::another_cluster(addr, &first, &id));
            }
        }
    }

    /// Checks that need no connection: what the cluster says of itself.
    fn cluster(&mut self, metadata: &MetadataResponse) {
        self.headline("cluster");
        match metadata.cluster_id.as_deref() {
            Some(id) if !id.is_empty() => self.note(Status::Good, "cluster", format!("cluster id {id}")),
            _ => {
                self.note(Status::Warning, "cluster", "it has no cluster id: some clients and tools need one")
            }
        }
        if metadata.brokers.is_empty() {
            self.note(Status::Bad, "brokers", "it names no brokers: clients cannot go anywhere from here");
        }
        let ids: Vec<i32> = metadata.brokers.iter().map(|b| b.node_id).collect();
        match metadata.controller_id {
            id if ids.contains(&id) => {
                self.note(Status::Good, "controller", format!("the controller is broker {id}"))
            }
            id if id < 0 => self.note(Status::Bad, "controller", advice::no_controller()),
            id => {
                let text = format!("the controller is broker {id}, which is not among the brokers {ids:?}");
                self.note(Status::Bad, "controller", text);
            }
        }
        let (leaderless, behind) = advice::topic_health(metadata);
        match leaderless.as_slice() {
            [] => self.note(
                Status::Good,
                "leaders",
                format!("all partitions of {} topics have a leader", metadata.topics.len()),
            ),
            some => self.note(Status::Bad, "leaders", advice::leaderless(some)),
        }
        if !behind.is_empty() {
            self.note(Status::Warning, "replicas", advice::behind(&behind));
        }
    }

    /// Goes where clients are sent for one broker.
    async fn broker(&mut self, from: &Address, broker: &MetadataResponseBroker, cluster: &MetadataResponse) {
        let id = broker.node_id;
        self.headline(&format!("broker {id}, advertised as {}:{}", broker.host, broker.port));
        let Some(addr) = u16::try_from(broker.port)
            .ok()
            .filter(|p| *p > 0)
            .map(|port| Address { host: broker.host.clone(), port })
        else {
            let text = format!("{} is no port; set advertised.listeners of broker {id}", broker.port);
            return self.note(Status::Bad, "advertised", text);
        };
        if let Some((status, text)) = advice::suspicious(from, &addr, id) {
            self.note(status, "advertised", text);
            if status == Status::Bad {
                return;
            }
        }
        if addr == *from {
            return self.note(Status::Good, "advertised", "the address that was just examined");
        }
        if let Some(metadata) = self.visit(&addr, Some(id)).await {
            self.same_cluster(&addr, &metadata, Some(cluster));
        }
    }

    fn verdict(self) -> Result<(), Failed> {
        if self.format == Format::Json {
            put(json!({"ok": self.bad == 0, "checks": self.findings}));
        }
        match self.bad {
            0 => {
                if self.format == Format::Text {
                    put("everything a client needs works from here");
                }
                Ok(())
            }
            1 => Err(Failed::one("one check failed")),
            n => Err(Failed::one(format!("{n} checks failed"))),
        }
    }
}

async fn ask<R>(
    kafka: &Kafka,
    request: impl Into<quipu_core::wire::Request>,
    limit: Duration,
) -> Result<R, String>
where
    quipu_core::wire::Response: Answer<R>,
{
    let response = kafka.call(Target::Any, request, limit).await.map_err(|e| words(&e))?;
    response.into_answer().ok_or_else(|| "another answer than asked for".to_string())
}

/// A question that costs a broker nothing.
fn hello() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "quipu-doctor".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// The addresses of a name, as this machine sees them.
async fn resolve(addr: &Address) -> Result<String, String> {
    let wanted = (addr.host.clone(), addr.port);
    let found =
        tokio::task::spawn_blocking(move || wanted.to_socket_addrs().map(|all| all.collect::<Vec<_>>()))
            .await;
    match found {
        Ok(Ok(all)) if !all.is_empty() => {
            let mut shown: Vec<String> = all.iter().map(|a| a.ip().to_string()).collect();
            shown.dedup();
            Ok(shown.join(", "))
        }
        Ok(Ok(_)) => Err("the name has no address".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(failed) => Err(failed.to_string()),
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
