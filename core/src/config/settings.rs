//! What was set for this broker, by whom: the file and the flags, or an alteration while it runs.

use std::collections::BTreeMap;

use super::broker_table::{broker_configs, broker_def};
use super::def::{ConfigDef, Effect};
use super::describe::Source;
use super::nearest::unknown;
use super::value::{boolean, validate};

/// The settings of a broker. Every value in here is valid for its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    fixed: BTreeMap<&'static str, String>,
    cluster: BTreeMap<&'static str, String>,
    broker: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Nothing is set: all defaults.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// Sets a config as the file, the environment or a flag does. The error says what is wrong with the name or value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let def = known(name)?;
        validate(def, value)?;
        self.fixed.insert(def.name, value.trim().to_string());
        Ok(())
    }

    /// Replaces what was altered while the cluster runs: for all brokers and for this one. What is not valid, or cannot be
    /// altered, is left out and told of.
    pub fn set_dynamic(
        &mut self,
        cluster: &BTreeMap<String, String>,
        broker: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        self.cluster = accepted(cluster, &mut wrong);
        self.broker = accepted(broker, &mut wrong);
        wrong
    }

    /// What is set for a name, the most specific first, with where it comes from.
    pub fn layers(&self, name: &str) -> impl Iterator<Item = (&str, Source)> {
        let layers = [
            (&self.broker, Source::DynamicBroker),
            (&self.cluster, Source::DynamicDefaultBroker),
            (&self.fixed, Source::StaticBroker),
        ];
        let name = name.to_string();
        layers
            .into_iter()
            .filter_map(move |(layer, source)| Some((layer.get(name.as_str())?.as_str(), source)))
    }

    /// What is set for a name, if anything.
    pub fn get(&self, name: &str) -> Option<&str> {
        [&self.broker, &self.cluster, &self.fixed]
            .into_iter()
            .find_map(|layer| layer.get(name))
            .map(String::as_str)
    }

    /// What the config comes to: set, or from a synonym that is set, or from the defaults. `None` is null.
    pub fn effective(&self, def: &ConfigDef) -> Option<String> {
        if let Some(value) = self.get(def.name) {
            return Some(value.to_string());
        }
        for synonym in def.synonyms {
            if let Some(value) = self.get(synonym.name) {
                return Some(scaled(value, synonym.scale));
            }
        }
        def.default.map(str::to_string).or_else(|| self.default_of_synonyms(def))
    }

    fn default_of_synonyms(&self, def: &ConfigDef) -> Option<String> {
        let row = |name: &str| broker_def(name).and_then(|row| row.default);
        def.synonyms.iter().find_map(|s| row(s.name).map(|value| scaled(value, s.scale)))
    }

    /// The names that are set in the file, the environment or a flag.
    pub fn fixed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.fixed.iter().map(|(name, value)| (*name, value.as_str()))
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| panic!("the broker config {name} has no default"))
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        let def = broker_def(name).unwrap_or_else(|| panic!("no broker config is called {name}"));
        self.effective(def)
    }

    /// A number: values are checked when they are set, and defaults by a test.
    pub(super) fn number<N: TryFrom<i64>>(&self, name: &str) -> N {
        let number = self.text(name).parse::<i64>().ok().and_then(|n| N::try_from(n).ok());
        number.unwrap_or_else(|| panic!("the broker config {name} passed its checks and does not fit"))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        boolean(&self.text(name))
            .unwrap_or_else(|| panic!("the broker config {name} passed its checks and is no boolean"))
    }
}

/// A value in another unit. What is below zero means forever, or none, in every unit.
pub(super) fn scaled(value: &str, scale: i64) -> String {
    match value.parse::<i64>() {
        Ok(number) if scale != 1 && number >= 0 => number.saturating_mul(scale).to_string(),
        _ => value.to_string(),
    }
}

fn known(name: &str) -> Result<&'static ConfigDef, String> {
    broker_def(name).ok_or_else(|| unknown("broker config", name, broker_configs().map(|def| def.name)))
}

fn accepted(layer: &BTreeMap<String, String>, wrong: &mut Vec<String>) -> BTreeMap<&'static str, String> {
    let mut out = BTreeMap::new();
    for (name, value) in layer {
        match alterable(name).and_then(|def| validate(def, value).map(|()| def)) {
            Ok(def) => drop(out.insert(def.name, value.trim().to_string())),
            Err(why) => wrong.push(why),
        }
    }
    out
}

/// The config with that name, if it can be altered while the broker runs.
pub(super) fn alterable(name: &str) -> Result<&'static ConfigDef, String> {
    let def = known(name)?;
    match def.effect {
        Effect::Live | Effect::Ignored => Ok(def),
        Effect::AtStart => Err(format!(
            "Cannot update {name} while the broker runs: it is read at the start; set it in the file, or with --set"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Settings;
    use crate::config::broker_table::broker_def;

    fn effective(settings: &Settings, name: &str) -> Option<String> {
        settings.effective(broker_def(name).unwrap())
    }

    #[test]
    fn the_most_precise_synonym_that_is_set_wins() {
        let mut settings = Settings::new();
        assert_eq!(effective(&settings, "log.retention.ms").as_deref(), Some("604800000"));
        settings.set("log.retention.hours", "2").unwrap();
        assert_eq!(effective(&settings, "log.retention.ms").as_deref(), Some("7200000"));
        settings.set("log.retention.minutes", "3").unwrap();
        assert_eq!(effective(&settings, "log.retention.ms").as_deref(), Some("180000"));
        settings.set("log.retention.minutes", "-1").unwrap();
        assert_eq!(effective(&settings, "log.retention.ms").as_deref(), Some("-1"));
        settings.set("log.retention.ms", " 5 ").unwrap();
        assert_eq!(effective(&settings, "log.retention.ms").as_deref(), Some("5"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let told = Settings::new().set("log.retension.ms", "1").unwrap_err();
        assert_eq!(told, "Unknown broker config 'log.retension.ms'; did you mean 'log.retention.ms'?");
    }

    #[test]
    fn dynamic_values_go_before_fixed_ones_and_bad_ones_are_told() {
        let mut settings = Settings::new();
        settings.set("num.partitions", "3").unwrap();
        let all = BTreeMap::from([
            ("num.partitions".to_string(), "4".to_string()),
            ("nonsense".into(), "1".into()),
        ]);
        let mine =
            BTreeMap::from([("num.partitions".to_string(), "5".to_string()), ("node.id".into(), "9".into())]);
        let wrong = settings.set_dynamic(&all, &BTreeMap::new());
        assert_eq!(settings.get("num.partitions"), Some("4"));
        assert_eq!(wrong.len(), 1);
        let wrong = settings.set_dynamic(&all, &mine);
        assert_eq!(settings.get("num.partitions"), Some("5"));
        assert!(wrong.iter().any(|w| w.contains("node.id")), "{wrong:?}");
    }
}
