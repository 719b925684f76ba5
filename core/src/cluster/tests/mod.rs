//! A small cluster for the tests of decisions: brokers with runs and disks, and every fact folded in as it is decided.

mod random;

use crate::cluster::brokers::{Endpoint, PeerAddress};
use crate::cluster::facts::Fact;
use crate::cluster::image::MetadataImage;
use crate::cluster::lifecycle::{Heartbeat, Standing, fence, heartbeat};
use crate::cluster::liveness::Liveness;
use crate::cluster::membership::{RegistrationRequest, register};
use crate::cluster::partition::PartitionState;
use crate::cluster::topics::Refusal;
use crate::cluster::view::View;
use crate::config::BrokerConfig;
use crate::ids::{BrokerId, Offset, TopicId};
use crate::time::Instant;
use crate::wire::error::ErrorCode;

/// `broker.session.timeout.ms` in these tests.
pub(super) const SESSION_MS: i64 = 9000;

/// The controller's side of a cluster.
pub(super) struct Stage {
    pub(super) image: MetadataImage,
    pub(super) config: BrokerConfig,
    pub(super) liveness: Liveness,
    pub(super) now: Instant,
    /// Every fact so far: the metadata log.
    pub(super) log: Vec<Fact>,
    topics: u8,
}

/// A request of a run of a broker on some disk.
pub(super) fn request(broker: i32, run: u64, disk: u8) -> RegistrationRequest {
    RegistrationRequest {
        cluster_id: "c".into(),
        broker: BrokerId(broker),
        incarnation: run,
        directory: [disk; 16],
        endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 9092 }],
        peer: PeerAddress { host: "h".into(), port: 9093 },
        rack: None,
        lost_tail: false,
    }
}

/// Numbers of brokers.
pub(super) fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(BrokerId).collect()
}

/// The code of a refusal, or NONE.
pub(super) fn code<T>(result: Result<T, Refusal>) -> ErrorCode {
    result.err().map_or(ErrorCode::NONE, |(code, _)| code)
}

/// Leader, ISR and eligible leader replicas.
pub(super) fn parts(state: &PartitionState) -> (Option<i32>, Vec<i32>, Vec<i32>) {
    let numbers = |list: &[BrokerId]| list.iter().map(|b| b.0).collect();
    (state.leader.map(|l| l.0), numbers(&state.isr), numbers(&state.elr))
}

impl Stage {
    /// A cluster of these brokers, all of them active: run 1 of each, on the disk with its number.
    pub(super) fn new(brokers: &[i32]) -> Stage {
        let image = MetadataImage::default();
        let mut stage = Stage {
            liveness: Liveness::new(&image, SESSION_MS, Instant(0)),
            image,
            config: BrokerConfig::default(),
            now: Instant(0),
            log: Vec::new(),
            topics: 0,
        };
        for broker in brokers {
            assert_eq!(stage.register(request(*broker, 1, *broker as u8)), ErrorCode::NONE);
            assert_eq!(stage.beat(*broker, 1), Standing::Active);
        }
        stage
    }

    pub(super) fn view(&self) -> View<'_> {
        View { image: &self.image, config: &self.config }
    }

    /// The metadata offset after the last fact.
    pub(super) fn end(&self) -> Offset {
        Offset(self.log.len() as i64)
    }

    pub(super) fn fold(&mut self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            self.image.apply(&fact);
            self.log.push(fact);
        }
    }

    /// A topic with these replicas.
    pub(super) fn topic(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) {
        self.topics += 1;
        self.fold([Fact::TopicCreated {
            id: TopicId([self.topics; 16]),
            name: name.into(),
            replicas: replicas.iter().map(|r| ids(r)).collect(),
            configs: configs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        }]);
    }

    pub(super) fn state(&self, topic: &str, partition: usize) -> &PartitionState {
        &self.image.topic(topic).unwrap().partitions[partition]
    }

    pub(super) fn register(&mut self, request: RegistrationRequest) -> ErrorCode {
        let at = (self.now, self.end());
        let view = View { image: &self.image, config: &self.config };
        match register(&view, &mut self.liveness, &request, at) {
            Ok(facts) => {
                self.fold(facts);
                ErrorCode::NONE
            }
            Err((code, _)) => code,
        }
    }

    /// A heartbeat, as the test wants it.
    pub(super) fn heartbeat(&mut self, beat: Heartbeat) -> Result<Standing, Refusal> {
        let at = (self.now, self.end());
        let view = View { image: &self.image, config: &self.config };
        let (standing, facts) = heartbeat(&view, &mut self.liveness, beat, at)?;
        self.fold(facts);
        Ok(standing)
    }

    /// A heartbeat of a run that has applied everything and wants nothing.
    pub(super) fn beat(&mut self, broker: i32, run: u64) -> Standing {
        let applied = self.end();
        self.heartbeat(Heartbeat { applied, ..quiet(broker, run) }).unwrap()
    }

    /// Fences whatever run of a broker is registered.
    pub(super) fn fence(&mut self, broker: i32) {
        let run = self.image.brokers()[&BrokerId(broker)].incarnation;
        let facts = fence(&self.view(), BrokerId(broker), run);
        self.fold(facts);
    }
}

/// A heartbeat that has applied nothing and wants nothing.
pub(super) fn quiet(broker: i32, run: u64) -> Heartbeat {
    Heartbeat {
        broker: BrokerId(broker),
        incarnation: run,
        applied: Offset(0),
        wants_fence: false,
        wants_stop: false,
    }
}
