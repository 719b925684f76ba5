//! DescribeConfigs, IncrementalAlterConfigs and AlterConfigs: configs of topics, of this broker, and of all brokers.

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::once::{keep_first, repeated};
use crate::broker::turn::Turn;
use crate::cluster::additions::MAX_PARTITIONS;
use crate::cluster::elections::{elect_leaderless, settle_eligible};
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::image::Configs;
use crate::cluster::topics::Refusal;
use crate::cluster::view::View;
use crate::config::{
    AlterOp, BrokerConfig, ConfigEntry, Settings, alter_broker, alter_topic, describe_broker, describe_topic,
    validate_overrides,
};
use crate::ids::BrokerId;
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::messages::incremental_alter_configs as incremental;

/// How many replicas must be in sync.
const MIN_ISR: &str = "min.insync.replicas";
/// Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// What has configs: its type and its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Resource(i8, String);

/// What became of the alterations of one resource.
type Outcome = (Resource, ErrorCode, Option<String>);

/// One alteration: the name, what to do, and the value it is done with.
type Alteration = (String, AlterOp, Option<String>);

impl Broker {
    /// Handles DescribeConfigs.
    pub(super) fn describe_configs(&mut self, turn: &mut Turn, to: Caller, request: DescribeConfigsRequest) {
        let show = (request.include_synonyms, request.include_documentation);
        let results = request.resources.into_iter().map(|r| self.describe_resource(r, show)).collect();
        turn.reply(to, DescribeConfigsResponse { throttle_time_ms: 0, results }.into());
    }

    fn describe_resource(&self, asked: DescribeConfigsResource, show: (bool, bool)) -> DescribeConfigsResult {
        let described = self.config_entries(asked.resource_type, &asked.resource_name);
        let (error_code, error_message, entries) = match described {
            Ok(entries) => (ErrorCode::NONE, None, entries),
            Err((code, why)) => (code, Some(why), Vec::new()),
        };
        let wanted = |entry: &ConfigEntry| match &asked.configuration_keys {
            Some(keys) if !keys.is_empty() => keys.iter().any(|k| k == entry.name),
            _ => true,
        };
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: asked.resource_type,
            resource_name: asked.resource_name,
            configs: entries.into_iter().filter(wanted).map(|e| described_config(e, show)).collect(),
        }
    }

    fn config_entries(&self, kind: i8, name: &str) -> Result<Vec<ConfigEntry>, Refusal> {
        match self.owner(kind, name)? {
            ConfigOwner::Topic(id) => {
                let topic = self.controller.image().topic_by_id(id);
                Ok(topic.map(|t| describe_topic(&self.config, &t.configs)).unwrap_or_default())
            }
            ConfigOwner::Broker(_) => Ok(describe_broker(&self.config)),
            // The default of all brokers shows only what was altered for all of them.
            ConfigOwner::Cluster => {
                let altered = self.dynamic_configs(ConfigOwner::Cluster);
                let (config, _) = BrokerConfig::new(Settings::new()).altered(&altered, &Configs::new());
                let set = describe_broker(&config).into_iter().filter(|e| altered.contains_key(e.name));
                Ok(set.collect())
            }
        }
    }

    fn owner(&self, kind: i8, name: &str) -> Result<ConfigOwner, Refusal> {
        match kind {
            TOPIC => self.controller.image().topic(name).map(|t| ConfigOwner::Topic(t.id)).ok_or_else(|| {
                (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    format!("There is no topic '{}'.", name.escape_default()),
                )
            }),
            BROKER if name.is_empty() => Ok(ConfigOwner::Cluster),
            BROKER if name.parse() == Ok(self.me.0) => Ok(ConfigOwner::Broker(self.me)),
            // As the active controller it decides for the others too.
            BROKER if self.active.is_some() && self.other_broker(name).is_some() => {
                Ok(ConfigOwner::Broker(self.other_broker(name).unwrap_or(self.me)))
            }
            BROKER => {
                let why = format!(
                    "This broker is {}; configs of broker '{}' are not known here.",
                    self.me,
                    name.escape_default()
                );
                Err((ErrorCode::INVALID_REQUEST, why))
            }
            other => Err((
                ErrorCode::INVALID_REQUEST,
                format!("There are no configs of resource type {other} here."),
            )),
        }
    }

    fn other_broker(&self, name: &str) -> Option<BrokerId> {
        let id = BrokerId(name.parse().ok()?);
        self.controller.draft().brokers().contains_key(&id).then_some(id)
    }

    /// Handles IncrementalAlterConfigs (KIP-339).
    pub(super) fn incremental_alter_configs(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: incremental::IncrementalAlterConfigsRequest,
    ) {
        let resources = request.resources.into_iter().map(|r| {
            let asked = r.configs.into_iter().map(|c| Ok((c.name, operation(c.config_operation)?, c.value)));
            (Resource(r.resource_type, r.resource_name), asked.collect())
        });
        let (decided, facts) = self.decide_resources(resources.collect(), false);
        let responses = decided
            .into_iter()
            .map(|(Resource(resource_type, resource_name), error_code, error_message)| {
                incremental::AlterConfigsResourceResponse {
                    error_code,
                    error_message,
                    resource_type,
                    resource_name,
                }
            })
            .collect();
        let response = incremental::IncrementalAlterConfigsResponse { responses, ..Default::default() };
        let facts = if request.validate_only { Vec::new() } else { self.with_what_follows(facts) };
        self.decide_and_answer(turn, facts, to, response.into());
    }

    /// Handles AlterConfigs: what is not named goes back to its default.
    pub(super) fn alter_configs(&mut self, turn: &mut Turn, to: Caller, request: AlterConfigsRequest) {
        let resources = request.resources.into_iter().map(|r| {
            let asked = r.configs.into_iter().map(|c| Ok((c.name, AlterOp::Set, c.value)));
            (Resource(r.resource_type, r.resource_name), asked.collect())
        });
        let (decided, facts) = self.decide_resources(resources.collect(), true);
        let responses = decided
            .into_iter()
            .map(|(Resource(resource_type, resource_name), error_code, error_message)| {
                AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name }
            })
            .collect();
        let response = AlterConfigsResponse { responses, ..Default::default() };
        let facts = if request.validate_only { Vec::new() } else { self.with_what_follows(facts) };
        self.decide_and_answer(turn, facts, to, response.into());
    }

    /// Altered configs, and with them what follows for partitions: with a lower `min.insync.replicas` leaders commit without the
    /// replicas that were eligible until now, and nobody must elect those any more; where unclean elections are allowed now,
    /// somebody may lead (KIP-966).
    fn with_what_follows(&self, mut facts: Vec<Fact>) -> Vec<Fact> {
        let of_leaders =
            |fact: &Fact| matches!(fact, Fact::ConfigSet { name, .. } if matters_to_leaders(name));
        if self.is_alone() || !facts.iter().any(of_leaders) {
            return facts;
        }
        let mut after = self.controller.draft().clone();
        facts.iter().for_each(|fact| after.apply(fact));
        let common = after.broker_configs(ConfigOwner::Cluster).cloned().unwrap_or_default();
        let config = self.config.altered(&common, &Configs::new()).0;
        let settled = settle_eligible(&View { image: &after, config: &config });
        settled.iter().for_each(|fact| after.apply(fact));
        facts.extend(settled);
        facts.extend(elect_leaderless(&View { image: &after, config: &config }, MAX_PARTITIONS));
        facts
    }

    /// Decides the alterations of each resource by itself; one that is named twice is refused (Kafka: `ControllerApis`).
    fn decide_resources(
        &self,
        mut asked: Vec<(Resource, Result<Vec<Alteration>, Refusal>)>,
        replace: bool,
    ) -> (Vec<Outcome>, Vec<Fact>) {
        let twice = repeated(asked.iter().map(|(resource, _)| resource.clone()));
        keep_first(&mut asked, |(resource, _)| resource.clone());
        let mut facts = Vec::new();
        let decided = asked.into_iter().map(|(resource, alterations)| {
            let decided = if twice.contains(&resource) {
                Err((ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.".into()))
            } else {
                self.decide_alterations(&resource, alterations, replace)
            };
            match decided {
                Ok(more) => {
                    facts.extend(more);
                    (resource, ErrorCode::NONE, None)
                }
                Err((code, why)) => (resource, code, Some(why)),
            }
        });
        (decided.collect(), facts)
    }

    /// What the alterations of one resource come to: all of them or none.
    fn decide_alterations(
        &self,
        Resource(kind, name): &Resource,
        alterations: Result<Vec<Alteration>, Refusal>,
        replace: bool,
    ) -> Result<Vec<Fact>, Refusal> {
        let (owner, alterations) = (self.owner(*kind, name)?, alterations?);
        let invalid = |why: String| (ErrorCode::INVALID_CONFIG, why);
        if let Some(twice) = repeated(alterations.iter().map(|(name, ..)| name)).first() {
            return Err((
                ErrorCode::INVALID_REQUEST,
                format!("The config '{}' is named twice.", twice.escape_default()),
            ));
        }
        let before = self.configs_of(owner);
        let mut after = if replace { Configs::new() } else { before.clone() };
        for (name, op, value) in &alterations {
            let op = (*op, value.as_deref());
            match owner {
                ConfigOwner::Topic(_) => alter_topic(&self.config, &mut after, name, op),
                _ => alter_broker(&self.config, &mut after, name, op),
            }
            .map_err(invalid)?;
        }
        match owner {
            ConfigOwner::Topic(_) => validate_overrides(&self.config, &after).map_err(invalid)?,
            // The active controller decides by one value who may lead, and leaders must not commit by another (KIP-966).
            ConfigOwner::Broker(_) if !self.is_alone() && after.contains_key(MIN_ISR) => {
                return Err(invalid(format!(
                    "{MIN_ISR} cannot be altered for one broker of a cluster; alter it for all of them, or for a topic"
                )));
            }
            ConfigOwner::Broker(_) | ConfigOwner::Cluster => {}
        }
        Ok(difference(owner, &before, &after))
    }

    /// The configs that a resource has set, with decisions that are under way.
    fn configs_of(&self, owner: ConfigOwner) -> Configs {
        let draft = self.controller.draft();
        match owner {
            ConfigOwner::Topic(id) => draft.topic_by_id(id).map(|t| t.configs.clone()).unwrap_or_default(),
            other => draft.broker_configs(other).cloned().unwrap_or_default(),
        }
    }
}

fn matters_to_leaders(config: &str) -> bool {
    matches!(config, MIN_ISR | "unclean.leader.election.enable")
}

fn difference(of: ConfigOwner, before: &Configs, after: &Configs) -> Vec<Fact> {
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let set = set.map(|(name, value)| Fact::ConfigSet { of, name: name.clone(), value: Some(value.clone()) });
    let unset = before.keys().filter(|name| !after.contains_key(*name));
    let unset = unset.map(|name| Fact::ConfigSet { of, name: name.clone(), value: None });
    set.chain(unset).collect()
}

fn operation(code: i8) -> Result<AlterOp, Refusal> {
    AlterOp::from_code(code)
        .ok_or_else(|| (ErrorCode::INVALID_REQUEST, format!("There is no config operation {code}.")))
}

fn described_config(
    entry: ConfigEntry,
    (synonyms, documentation): (bool, bool),
) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): (&'static str, Option<String>, crate::config::Source)| {
        DescribeConfigsSynonym { name: name.to_string(), value, source: source.code() }
    };
    DescribeConfigsResourceResult {
        name: entry.name.to_string(),
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.sensitive,
        synonyms: if synonyms { entry.synonyms.into_iter().map(synonym).collect() } else { Vec::new() },
        config_type: entry.kind.code(),
        documentation: documentation.then(|| entry.doc.to_string()),
    }
}
