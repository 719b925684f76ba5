//! CreateTopics, DeleteTopics, CreatePartitions, and topics made on first use.

use crate::broker::Broker;
use crate::broker::active::TOPICS_AT_ONCE;
use crate::broker::door::Caller;
use crate::broker::once::{keep_first, repeated};
use crate::broker::turn::Turn;
use crate::cluster::additions::Additions;
use crate::cluster::facts::Fact;
use crate::cluster::image::Configs;
use crate::cluster::names;
use crate::cluster::topics::{NewTopic, Refusal};
use crate::config::{describe_topic, validate_overrides};
use crate::ids::TopicId;
use crate::peer::message::ToController;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use crate::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

impl Broker {
    /// Handles CreateTopics.
    pub(super) fn create_topics(&mut self, turn: &mut Turn, to: Caller, mut request: CreateTopicsRequest) {
        let twice = repeated(request.topics.iter().map(|t| t.name.clone()));
        keep_first(&mut request.topics, |t| t.name.clone());
        let mut additions = Additions::default();
        let mut response = CreateTopicsResponse::default();
        for topic in &request.topics {
            let decided = if twice.contains(&topic.name) {
                Err(named_twice())
            } else {
                self.decide_topic(topic, &mut additions)
            };
            response.topics.push(self.created(&topic.name, decided, request.validate_only));
        }
        let facts = if request.validate_only { Vec::new() } else { additions.into_facts() };
        self.decide_and_answer(turn, facts, to, response.into());
    }

    fn decide_topic<'a>(
        &mut self,
        asked: &CreatableTopic,
        additions: &'a mut Additions,
    ) -> Result<&'a Fact, Refusal> {
        let mut configs = Configs::new();
        for config in &asked.configs {
            let Some(value) = &config.value else {
                return Err((
                    ErrorCode::INVALID_CONFIG,
                    format!("Null value not supported for topic configs: {}", config.name),
                ));
            };
            configs.insert(config.name.clone(), value.clone());
        }
        validate_overrides(&self.config, &configs).map_err(|why| (ErrorCode::INVALID_CONFIG, why))?;
        // In every version, as in Kafka: KIP-464 begins with 4, but clients of 3 ask in the same way.
        let defaults = asked.assignments.is_empty();
        let or_default = |given, default| if given == -1 && defaults { default } else { given };
        let topic = NewTopic {
            name: asked.name.clone(),
            partitions: or_default(asked.num_partitions, self.config.num_partitions),
            replication_factor: or_default(
                i32::from(asked.replication_factor),
                i32::from(self.default_factor()),
            ) as i16,
            assignments: asked
                .assignments
                .iter()
                .map(|a| (a.partition_index, a.broker_ids.clone()))
                .collect(),
            configs,
        };
        self.decide_new(topic, additions)
    }

    /// Decides a new topic against what is decided already, in this request too.
    fn decide_new<'a>(&mut self, topic: NewTopic, additions: &'a mut Additions) -> Result<&'a Fact, Refusal> {
        let id = self.draw_topic_id();
        additions.create(self.controller.draft(), topic, id)
    }

    /// An id that no topic has had: 128 bits drawn from this run's seed, and none of Kafka's reserved ones.
    fn draw_topic_id(&mut self) -> TopicId {
        loop {
            let bits = (u128::from(self.draw()) << 64) | u128::from(self.draw());
            let id = TopicId(bits.to_be_bytes());
            let reserved = id.is_zero() || id == TopicId::METADATA || id.to_string().starts_with('-');
            if !reserved && self.controller.draft().topic_by_id(id).is_none() {
                return id;
            }
        }
    }

    fn default_factor(&self) -> i16 {
        self.config.default_replication_factor
    }

    fn created(
        &self,
        name: &str,
        decided: Result<&Fact, Refusal>,
        validate_only: bool,
    ) -> CreatableTopicResult {
        let name = name.to_string();
        match decided {
            Err((error_code, why)) => CreatableTopicResult {
                name,
                error_code,
                error_message: Some(why),
                configs: Some(Vec::new()),
                ..Default::default()
            },
            Ok(Fact::TopicCreated { id, replicas, configs, .. }) => CreatableTopicResult {
                name,
                topic_id: if validate_only { TopicId::ZERO } else { *id },
                error_message: None,
                num_partitions: replicas.len() as i32,
                replication_factor: replicas.first().map_or(-1, |r| r.len() as i16),
                configs: Some(self.created_configs(configs)),
                ..Default::default()
            },
            Ok(other) => panic!("a topic was decided as {other:?}"),
        }
    }

    fn created_configs(&self, configs: &Configs) -> Vec<CreatableTopicConfigs> {
        let entries = describe_topic(&self.config, configs).into_iter();
        entries
            .map(|entry| CreatableTopicConfigs {
                name: entry.name.to_string(),
                value: entry.value,
                read_only: entry.read_only,
                config_source: entry.source.code(),
                is_sensitive: entry.sensitive,
            })
            .collect()
    }

    /// A topic that a client asked about and that may be made for it. Answers the code that the client gets meanwhile.
    pub(super) fn auto_create(&mut self, name: &str, additions: &mut Additions) -> ErrorCode {
        if name == names::GROUP_OFFSETS {
            return self
                .need_group_offsets(additions)
                .map_or_else(|(code, _)| code, |()| ErrorCode::LEADER_NOT_AVAILABLE);
        }
        if self.controller.draft().topic(name).is_some() {
            return ErrorCode::LEADER_NOT_AVAILABLE;
        }
        if self.wants_from_controller(name) {
            return ErrorCode::LEADER_NOT_AVAILABLE;
        }
        let topic = NewTopic {
            name: name.to_string(),
            partitions: self.config.num_partitions,
            replication_factor: self.default_factor().min(self.brokers_for_replicas()),
            assignments: Vec::new(),
            configs: Configs::new(),
        };
        match self.decide_new(topic, additions) {
            // What one request has no room for is made by the next: clients ask again.
            Ok(_) | Err((ErrorCode::POLICY_VIOLATION, _)) => ErrorCode::LEADER_NOT_AVAILABLE,
            Err((code, _)) => code,
        }
    }

    /// Notes a topic that the active controller is to make, if that is another broker.
    fn wants_from_controller(&mut self, name: &str) -> bool {
        let elsewhere = !self.is_alone() && self.active.is_none();
        if elsewhere {
            self.topics_wanted.insert(name.to_string());
        }
        elsewhere
    }

    /// Asks the active controller for the topics that were noted.
    pub(super) fn ask_for_topics(&mut self, turn: &mut Turn) {
        if !self.topics_wanted.is_empty() {
            let wanted = std::mem::take(&mut self.topics_wanted);
            // Clients ask again for what there is no room for.
            let names = wanted.into_iter().take(TOPICS_AT_ONCE).collect();
            self.tell_controller(turn, ToController::Topics(names));
        }
    }

    /// Sees to it that the topic of groups and offsets exists, or is on its way.
    pub(super) fn need_group_offsets(&mut self, additions: &mut Additions) -> Result<(), Refusal> {
        if additions.creates(names::GROUP_OFFSETS)
            || self.controller.draft().topic(names::GROUP_OFFSETS).is_some()
        {
            return Ok(());
        }
        if self.wants_from_controller(names::GROUP_OFFSETS) {
            return Ok(());
        }
        let groups = &self.config.groups;
        let topic = NewTopic {
            name: names::GROUP_OFFSETS.to_string(),
            partitions: groups.offsets_partitions,
            replication_factor: groups.offsets_replication_factor.min(self.brokers_for_replicas()),
            assignments: Vec::new(),
            configs: Configs::from([
                ("cleanup.policy".to_string(), "compact".to_string()),
                ("compression.type".to_string(), "producer".to_string()),
                ("segment.bytes".to_string(), groups.offsets_segment_bytes.to_string()),
            ]),
        };
        self.decide_new(topic, additions).map(|_| ())
    }

    /// Handles DeleteTopics.
    pub(super) fn delete_topics(&mut self, turn: &mut Turn, to: Caller, request: DeleteTopicsRequest) {
        let found: Vec<_> = request.topics.iter().map(|asked| self.decide_deletion(asked)).collect();
        let twice = repeated(found.iter().flatten().map(|(_, id)| *id));
        let mut facts = Vec::new();
        let mut response = DeleteTopicsResponse::default();
        for (asked, found) in request.topics.into_iter().zip(found) {
            response.responses.push(
                match found.and_then(|f| if twice.contains(&f.1) { Err(named_twice()) } else { Ok(f) }) {
                    Ok((name, topic_id)) => {
                        facts.push(Fact::TopicDeleted { id: topic_id });
                        DeletableTopicResult { name: Some(name), topic_id, ..Default::default() }
                    }
                    Err((error_code, why)) => DeletableTopicResult {
                        name: asked.name,
                        topic_id: asked.topic_id,
                        error_code,
                        error_message: Some(why),
                    },
                },
            );
        }
        self.decide_and_answer(turn, facts, to, response.into());
    }

    fn decide_deletion(&self, asked: &DeleteTopicState) -> Result<(String, TopicId), Refusal> {
        if !self.config.delete_topics {
            return Err((
                ErrorCode::TOPIC_DELETION_DISABLED,
                "Topic deletion is disabled (delete.topic.enable).".into(),
            ));
        }
        let image = self.controller.draft();
        let topic = match (&asked.name, asked.topic_id.is_zero()) {
            (Some(name), true) => image.topic(name).ok_or_else(|| {
                (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    format!("There is no topic '{}'.", name.escape_default()),
                )
            }),
            (None, false) => image.topic_by_id(asked.topic_id).ok_or_else(|| {
                (ErrorCode::UNKNOWN_TOPIC_ID, format!("There is no topic with id {}.", asked.topic_id))
            }),
            _ => Err((
                ErrorCode::INVALID_REQUEST,
                "Either the name or the id of a topic is needed, not both.".into(),
            )),
        }?;
        Ok((topic.name.clone(), topic.id))
    }

    /// Handles CreatePartitions.
    pub(super) fn create_partitions(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        mut request: CreatePartitionsRequest,
    ) {
        let twice = repeated(request.topics.iter().map(|t| t.name.clone()));
        keep_first(&mut request.topics, |t| t.name.clone());
        let mut additions = Additions::default();
        let mut response = CreatePartitionsResponse::default();
        for asked in request.topics {
            let decided = if twice.contains(&asked.name) {
                Err(named_twice())
            } else {
                self.decide_growth(&asked, &mut additions)
            };
            let (error_code, error_message) = match decided {
                Ok(()) => (ErrorCode::NONE, None),
                Err((code, why)) => (code, Some(why)),
            };
            response.results.push(CreatePartitionsTopicResult {
                name: asked.name,
                error_code,
                error_message,
            });
        }
        let facts = if request.validate_only { Vec::new() } else { additions.into_facts() };
        self.decide_and_answer(turn, facts, to, response.into());
    }

    fn decide_growth(&self, asked: &CreatePartitionsTopic, additions: &mut Additions) -> Result<(), Refusal> {
        let unknown = || {
            (
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!("There is no topic '{}'.", asked.name.escape_default()),
            )
        };
        let topic = self.controller.draft().topic(&asked.name).ok_or_else(unknown)?;
        if names::is_internal(&asked.name) {
            // Which group lives in which partition depends on how many there are.
            let why =
                format!("The number of partitions of {} is fixed once groups live in them.", asked.name);
            return Err((ErrorCode::INVALID_PARTITIONS, why));
        }
        let given: Option<Vec<Vec<i32>>> =
            asked.assignments.as_ref().map(|list| list.iter().map(|a| a.broker_ids.clone()).collect());
        additions.grow(self.controller.draft(), topic, asked.count, given.as_deref()).map(|_| ())
    }
}

fn named_twice() -> Refusal {
    (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".into())
}
