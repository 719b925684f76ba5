//! A cluster as its own answers describe it: brokers, active controller, metadata quorum. Older Kafkas leave parts of it unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use quipu_core::client::{Address, CallError, ClientSettings, Failure, Target};
use quipu_core::wire::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest};
use quipu_core::wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestPartition, DescribeQuorumRequestTopic,
    DescribeQuorumResponse, DescribeQuorumResponsePartition, ReplicaState,
};
use quipu_core::wire::messages::metadata::MetadataResponse;
use quipu_core::wire::{Request, Response};
use quipu_net::client::Kafka;
use tokio::task::JoinSet;

use super::remote::{Cluster, told};

/// How long answers are waited for at most, once a broker has answered at all: a quorum without a leader gives none.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many brokers are asked the same at once.
const ASKED_AT_ONCE: usize = 5;
/// The topic of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// DescribeCluster's endpoint type for brokers.
const BROKERS: i8 = 1;

/// A cluster.
#[derive(Debug)]
pub(crate) struct ClusterView {
    pub(crate) cluster_id: Option<String>,
    /// Who decides; unknown when nobody leads the quorum.
    pub(crate) active_controller: Option<i32>,
    /// By id, those that are registered and take no part among them, where the cluster tells of those.
    pub(crate) brokers: Vec<BrokerView>,
    pub(crate) quorum: Result<QuorumView, NoQuorum>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerView {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
    /// Whether it is registered and takes no part.
    pub(crate) fenced: bool,
}

/// The metadata quorum as its leader sees it.
#[derive(Clone, Debug)]
pub(crate) struct QuorumView {
    pub(crate) state: DescribeQuorumResponsePartition,
    /// Where each node is reached, as `NAME://HOST:PORT`.
    pub(crate) listeners: BTreeMap<i32, Vec<String>>,
}

/// Why nothing is known of the quorum.
#[derive(Clone, Debug)]
pub(crate) struct NoQuorum {
    /// Whether the cluster could not be asked: it is a Kafka before 3.3, or one with ZooKeeper.
    pub(crate) unsupported: bool,
    pub(crate) why: String,
}

impl ClusterView {
    /// Asks for what the metadata does not tell.
    pub(crate) async fn look(cluster: &Cluster, metadata: &MetadataResponse) -> ClusterView {
        let quorum = quorum(cluster, metadata).await;
        let active = match &quorum {
            Ok(quorum) => quorum.state.leader_id,
            // Kafka's brokers name the controller in their metadata only where ZooKeeper elects it; with KRaft it is any broker.
            Err(none) if none.unsupported => metadata.controller_id,
            Err(_) => -1,
        };
        let mut brokers = fenced(cluster, metadata).await;
        // A broker that has died is still listed for a while.
        let listed = metadata.brokers.iter().filter(|b| brokers.iter().all(|fenced| fenced.id != b.node_id));
        let alive = listed.map(|b| BrokerView {
            id: b.node_id,
            host: b.host.clone(),
            port: b.port,
            rack: b.rack.clone(),
            fenced: false,
        });
        let alive: Vec<BrokerView> = alive.collect();
        brokers.extend(alive);
        brokers.sort_by_key(|b| b.id);
        let active_controller = Some(active).filter(|id| *id >= 0);
        ClusterView { cluster_id: metadata.cluster_id.clone(), active_controller, brokers, quorum }
    }
}

impl BrokerView {
    /// Where clients reach it.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl QuorumView {
    /// All that the leader knows of, with what they are: `leader`, `follower` or `observer`.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (&'static str, &ReplicaState)> {
        let role =
            |r: &ReplicaState| if r.replica_id == self.state.leader_id { "leader" } else { "follower" };
        let voters = self.state.current_voters.iter().map(move |r| (role(r), r));
        voters.chain(self.state.observers.iter().map(|r| ("observer", r)))
    }

    fn leader(&self) -> Option<&ReplicaState> {
        self.state.current_voters.iter().find(|v| v.replica_id == self.state.leader_id)
    }

    /// How many records the leader has and this node has not; unknown of one that has not fetched.
    pub(crate) fn lag(&self, replica: &ReplicaState) -> Option<i64> {
        let end = self.leader().map_or(self.state.high_watermark, |leader| leader.log_end_offset);
        (replica.log_end_offset >= 0 && end >= 0).then(|| (end - replica.log_end_offset).max(0))
    }

    /// How long ago that was by the leader's clock, which is the one that the time is of.
    pub(crate) fn age_ms(&self, timestamp: i64) -> Option<i64> {
        let now = self.leader()?.last_fetch_timestamp;
        (timestamp >= 0 && now >= 0).then(|| (now - timestamp).max(0))
    }
}

/// The first good answer of some brokers, all asked at once: one that hangs must not keep the others from telling. Without a good
/// one, an answer that says why is worth more than none.
pub(crate) async fn first(
    cluster: &Cluster,
    metadata: &MetadataResponse,
    request: impl Into<Request>,
) -> Result<Response, CallError> {
    let (request, limit) = (request.into(), cluster.timeout.min(PATIENCE));
    let mut asked = JoinSet::new();
    for broker in metadata.brokers.iter().take(ASKED_AT_ONCE) {
        let Ok(port) = u16::try_from(broker.port) else { continue };
        asked.spawn(ask(Address { host: broker.host.clone(), port }, request.clone(), limit));
    }
    let mut best = Err(CallError::Failed(Failure::local("no broker answered")));
    while let Some(Ok(answer)) = asked.join_next().await {
        match &answer {
            Ok(Response::DescribeQuorum(r)) if r.error_code.is_err() => best = answer,
            Ok(_) => return answer,
            Err(_) if matches!(best, Ok(_) | Err(CallError::Unsupported(_))) => {}
            Err(_) => best = answer,
        }
    }
    best
}

/// Asks the broker at an address and no other: a client of its own knows none that hangs.
async fn ask(addr: Address, request: Request, limit: Duration) -> Result<Response, CallError> {
    let usual = ClientSettings::new(vec![addr]);
    let settings = ClientSettings { client_id: "quipu-cli".into(), auto_create_topics: false, ..usual };
    let (kafka, _events) = Kafka::open(settings);
    kafka.call(Target::Any, request, limit).await
}

async fn quorum(cluster: &Cluster, metadata: &MetadataResponse) -> Result<QuorumView, NoQuorum> {
    let partitions = vec![DescribeQuorumRequestPartition { partition_index: 0 }];
    let topics = vec![DescribeQuorumRequestTopic { topic_name: METADATA_TOPIC.into(), partitions }];
    let known = |why: String| NoQuorum { unsupported: false, why };
    match first(cluster, metadata, DescribeQuorumRequest { topics }).await {
        Ok(Response::DescribeQuorum(response)) => QuorumView::read(response).map_err(known),
        Ok(other) => Err(known(format!("the broker answered with {}, which was not asked", other.key()))),
        Err(CallError::Unsupported(why)) => Err(NoQuorum { unsupported: true, why }),
        Err(why) => Err(known(why.to_string())),
    }
}

impl QuorumView {
    fn read(response: DescribeQuorumResponse) -> Result<QuorumView, String> {
        if response.error_code.is_err() {
            return Err(told(response.error_code, response.error_message.as_deref()));
        }
        let state = response.topics.into_iter().flat_map(|t| t.partitions).next();
        let state = state.ok_or("the broker says nothing about the metadata quorum")?;
        if state.error_code.is_err() {
            return Err(told(state.error_code, state.error_message.as_deref()));
        }
        let address = |n: quipu_core::wire::messages::describe_quorum::DescribeQuorumResponseNode| {
            let all = n.listeners.into_iter().map(|at| format!("{}://{}:{}", at.name, at.host, at.port));
            (n.node_id, all.collect())
        };
        Ok(QuorumView { state, listeners: response.nodes.into_iter().map(address).collect() })
    }
}

/// The brokers that are registered and take no part. Kafkas before 4.0 do not tell of them, and some only tell who may know.
async fn fenced(cluster: &Cluster, metadata: &MetadataResponse) -> Vec<BrokerView> {
    let request =
        DescribeClusterRequest { endpoint_type: BROKERS, include_fenced_brokers: true, ..Default::default() };
    let broker = |b: DescribeClusterBroker| BrokerView {
        id: b.broker_id,
        host: b.host,
        port: b.port,
        rack: b.rack,
        fenced: true,
    };
    match first(cluster, metadata, request).await {
        Ok(Response::DescribeCluster(r)) => {
            r.brokers.into_iter().filter(|b| b.is_fenced).map(broker).collect()
        }
        _ => Vec::new(),
    }
}
