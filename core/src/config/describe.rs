//! Configs as DescribeConfigs shows them: value, where it comes from, and what would apply without it.

use super::broker::BrokerConfig;
use super::broker_table::{broker_configs, broker_def};
use super::def::{ConfigDef, Effect, Kind};
use super::settings::Settings;
use super::topic::TopicOverrides;
use super::topic_table::TOPIC_CONFIGS;

/// Where a value comes from (Kafka: `DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The topic's own config.
    Topic,
    /// Altered for this broker while it runs.
    DynamicBroker,
    /// Altered for all brokers while they run.
    DynamicDefaultBroker,
    /// The file, the environment or a flag.
    StaticBroker,
    /// Nobody set it.
    Default,
}

impl Source {
    /// The number on the wire.
    pub fn code(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::DynamicBroker => 2,
            Source::DynamicDefaultBroker => 3,
            Source::StaticBroker => 4,
            Source::Default => 5,
        }
    }
}

/// One config as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: &'static str,
    /// Its value; `None` is null, and what a sensitive config shows.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// It cannot be altered while the broker runs.
    pub read_only: bool,
    /// Its value is secret.
    pub sensitive: bool,
    /// Its type.
    pub kind: Kind,
    /// One line for people.
    pub doc: &'static str,
    /// All that gives it a value, the one in force first: name, value, where from. Values are in the unit of their name.
    pub synonyms: Vec<(&'static str, Option<String>, Source)>,
}

/// Every config of a topic with these overrides, by name.
pub fn describe_topic(broker: &BrokerConfig, overrides: &TopicOverrides) -> Vec<ConfigEntry> {
    let shown = TOPIC_CONFIGS.iter().filter(|def| !def.hidden || overrides.contains_key(def.name));
    shown.map(|def| topic_entry(broker, def, overrides.get(def.name))).collect()
}

/// Every config of the broker: by name, those with effect before those without.
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    broker_configs().filter(|def| !def.hidden).map(|def| broker_entry(broker.settings(), def)).collect()
}

fn topic_entry(broker: &BrokerConfig, def: &'static ConfigDef, own: Option<&String>) -> ConfigEntry {
    let settings = broker.settings();
    let mut synonyms: Vec<_> =
        own.map(|value| (def.name, Some(value.clone()), Source::Topic)).into_iter().collect();
    synonyms.extend(def.synonyms.iter().flat_map(|synonym| layers(settings, synonym.name)));
    if let Some((name, value)) = default_of(def) {
        synonyms.push((name, Some(value), Source::Default));
    }
    let value = own.cloned().or_else(|| settings.effective(def));
    entry(def, value, synonyms, false)
}

fn broker_entry(settings: &Settings, def: &'static ConfigDef) -> ConfigEntry {
    let mut synonyms: Vec<_> = layers(settings, def.name).collect();
    synonyms.extend(def.synonyms.iter().flat_map(|synonym| layers(settings, synonym.name)));
    if let Some((name, value)) = default_of(def) {
        synonyms.push((name, Some(value), Source::Default));
    }
    entry(def, settings.effective(def), synonyms, def.effect == Effect::AtStart)
}

fn entry(
    def: &'static ConfigDef,
    value: Option<String>,
    mut synonyms: Vec<(&'static str, Option<String>, Source)>,
    read_only: bool,
) -> ConfigEntry {
    let source = synonyms.first().map_or(Source::Default, |(_, _, source)| *source);
    let sensitive = def.is_sensitive();
    if sensitive {
        synonyms.iter_mut().for_each(|(_, value, _)| *value = None);
    }
    let value = value.filter(|_| !sensitive);
    ConfigEntry {
        name: def.name,
        value,
        source,
        read_only,
        sensitive,
        kind: def.kind,
        doc: def.doc,
        synonyms,
    }
}

type Layer = (&'static str, Option<String>, Source);

fn layers(settings: &Settings, name: &'static str) -> impl Iterator<Item = Layer> {
    settings.layers(name).map(move |(value, source)| (name, Some(value.to_string()), source))
}

/// The default in force, under the name of the table row that has it: a synonym's, where there is one (as Kafka shows it).
fn default_of(def: &ConfigDef) -> Option<(&'static str, String)> {
    let of_synonym =
        def.synonyms.iter().find_map(|s| Some((s.name, broker_def(s.name)?.default?.to_string())));
    of_synonym.or_else(|| Some((def.name, def.default?.to_string())))
}

#[cfg(test)]
mod tests {
    use super::{ConfigEntry, Source, describe_broker, describe_topic};
    use crate::config::topic_table::TOPIC_CONFIGS;
    use crate::config::{BrokerConfig, Settings, TopicOverrides};

    fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
        entries.iter().find(|e| e.name == name).unwrap()
    }

    fn broker() -> BrokerConfig {
        let mut settings = Settings::new();
        settings.set("log.retention.hours", "24").unwrap();
        settings.set("ssl.key.password", "secret").unwrap();
        BrokerConfig::new(settings)
    }

    #[test]
    fn all_topic_configs_are_described_with_their_sources() {
        let overrides = TopicOverrides::from([("retention.ms".to_string(), "5".to_string())]);
        let entries = describe_topic(&broker(), &overrides);
        assert_eq!(entries.len(), TOPIC_CONFIGS.iter().filter(|def| !def.hidden).count());
        let own = find(&entries, "retention.ms");
        assert_eq!((own.value.as_deref(), own.source), (Some("5"), Source::Topic));
        let chain: Vec<_> = own.synonyms.iter().map(|(n, v, s)| (*n, v.as_deref().unwrap(), *s)).collect();
        assert_eq!(
            chain,
            [
                ("retention.ms", "5", Source::Topic),
                ("log.retention.hours", "24", Source::StaticBroker),
                ("log.retention.hours", "168", Source::Default)
            ]
        );
        let inherited = describe_topic(&broker(), &TopicOverrides::new());
        let inherited = find(&inherited, "retention.ms");
        assert_eq!((inherited.value.as_deref(), inherited.source), (Some("86400000"), Source::StaticBroker));
        assert_eq!(find(&entries, "segment.bytes").source, Source::Default);
    }

    #[test]
    fn a_sensitive_value_is_null_wherever_it_is_shown() {
        let entries = describe_broker(&broker());
        let secret = find(&entries, "ssl.key.password");
        assert!(secret.sensitive && secret.value.is_none());
        assert!(secret.synonyms.iter().all(|(_, value, _)| value.is_none()));
        assert_eq!(secret.source, Source::StaticBroker);
    }

    #[test]
    fn what_is_read_at_the_start_is_read_only() {
        let entries = describe_broker(&broker());
        assert!(find(&entries, "node.id").read_only);
        assert!(!find(&entries, "num.partitions").read_only);
        let hours = find(&entries, "log.retention.ms");
        assert_eq!((hours.value.as_deref(), hours.source), (Some("86400000"), Source::StaticBroker));
    }

    #[test]
    fn a_hidden_config_is_shown_where_it_is_set() {
        let set = TopicOverrides::from([("internal.segment.bytes".to_string(), "100".to_string())]);
        assert_eq!(
            find(&describe_topic(&broker(), &set), "internal.segment.bytes").value.as_deref(),
            Some("100")
        );
        let unset = describe_topic(&broker(), &TopicOverrides::new());
        assert!(unset.iter().all(|e| e.name != "internal.segment.bytes"));
    }
}
