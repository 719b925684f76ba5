//! What an IncrementalAlterConfigs operation makes of the value that is there (KIP-339).

use super::broker::BrokerConfig;
use super::def::{ConfigDef, Kind};
use super::settings::alterable;
use super::topic::{TopicOverrides, known};
use super::value::{validate, words};

/// An operation on one config (Kafka: `AlterConfigOp.OpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterOp {
    /// Sets the value.
    Set,
    /// Back to what applies without it.
    Delete,
    /// Adds words to a list, those that are not in it.
    Append,
    /// Takes words out of a list.
    Subtract,
}

impl AlterOp {
    /// The operation with that number on the wire.
    pub fn from_code(code: i8) -> Option<AlterOp> {
        match code {
            0 => Some(AlterOp::Set),
            1 => Some(AlterOp::Delete),
            2 => Some(AlterOp::Append),
            3 => Some(AlterOp::Subtract),
            _ => None,
        }
    }
}

/// Alters one config of a topic in its overrides, checked by itself. Check the result with
/// [`validate_overrides`](super::validate_overrides) once all operations are in. The error is for INVALID_CONFIG.
pub fn alter_topic(
    broker: &BrokerConfig,
    overrides: &mut TopicOverrides,
    name: &str,
    op: (AlterOp, Option<&str>),
) -> Result<(), String> {
    let def = known(name)?;
    let current =
        overrides.get(name).cloned().or_else(|| broker.settings().effective(def)).unwrap_or_default();
    keep(overrides, def, decide(def, &current, op)?);
    Ok(())
}

/// Alters one config of the broker in its dynamic settings (for all brokers, or for this one), if it can be altered.
pub fn alter_broker(
    broker: &BrokerConfig,
    dynamic: &mut TopicOverrides,
    name: &str,
    op: (AlterOp, Option<&str>),
) -> Result<(), String> {
    let def = alterable(name)?;
    let current = dynamic.get(name).cloned().or_else(|| broker.settings().effective(def)).unwrap_or_default();
    keep(dynamic, def, decide(def, &current, op)?);
    Ok(())
}

fn keep(values: &mut TopicOverrides, def: &ConfigDef, value: Option<String>) {
    match value {
        Some(value) => drop(values.insert(def.name.to_string(), value)),
        None => drop(values.remove(def.name)),
    }
}

/// The new value; `None` removes it.
fn decide(def: &ConfigDef, current: &str, op: (AlterOp, Option<&str>)) -> Result<Option<String>, String> {
    let (op, value) = op;
    if op == AlterOp::Delete {
        return Ok(None);
    }
    let value =
        value.ok_or_else(|| format!("The value of {} must not be null, but to delete it", def.name))?.trim();
    let new = match op {
        AlterOp::Append | AlterOp::Subtract if def.kind != Kind::List => {
            return Err(format!(
                "{} is no list: it can be set and deleted, not appended to or subtracted from",
                def.name
            ));
        }
        AlterOp::Append => appended(current, value),
        AlterOp::Subtract => subtracted(current, value),
        AlterOp::Set | AlterOp::Delete => value.to_string(),
    };
    validate(def, &new)?;
    Ok(Some(new))
}

fn appended(current: &str, value: &str) -> String {
    let mut list: Vec<&str> = words(current).collect();
    for word in words(value) {
        if !list.contains(&word) {
            list.push(word);
        }
    }
    list.join(",")
}

fn subtracted(current: &str, value: &str) -> String {
    let gone: Vec<&str> = words(value).collect();
    words(current).filter(|word| !gone.contains(word)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{AlterOp, alter_broker, alter_topic};
    use crate::config::{BrokerConfig, TopicConfig, TopicOverrides};

    fn altered(name: &str, ops: &[(AlterOp, Option<&str>)]) -> Result<Option<String>, String> {
        let mut overrides = TopicOverrides::new();
        ops.iter().try_for_each(|op| alter_topic(&BrokerConfig::default(), &mut overrides, name, *op))?;
        Ok(overrides.get(name).cloned())
    }

    #[test]
    fn appending_starts_from_what_is_in_force() {
        let append = (AlterOp::Append, Some("compact"));
        assert_eq!(altered("cleanup.policy", &[append, append]), Ok(Some("delete,compact".to_string())));
        let subtract = (AlterOp::Subtract, Some("delete"));
        assert_eq!(altered("cleanup.policy", &[append, subtract]), Ok(Some("compact".to_string())));
    }

    #[test]
    fn deleting_goes_back_to_the_default() {
        let ops = [(AlterOp::Set, Some("5")), (AlterOp::Delete, None)];
        assert_eq!(altered("retention.ms", &ops), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(altered("retention.ms", &[(AlterOp::Append, Some("5"))]).unwrap_err().contains("is no list"));
        assert!(altered("retention.ms", &[(AlterOp::Set, None)]).unwrap_err().contains("must not be null"));
        assert!(
            altered("cleanup.policy", &[(AlterOp::Append, Some("shred"))]).unwrap_err().contains("shred")
        );
        assert!(altered("retenton.ms", &[(AlterOp::Delete, None)]).unwrap_err().contains("did you mean"));
    }

    #[test]
    fn an_alteration_of_the_broker_has_effect_on_its_topics() {
        let broker = BrokerConfig::default();
        let mut dynamic = TopicOverrides::new();
        alter_broker(&broker, &mut dynamic, "log.retention.ms", (AlterOp::Set, Some("9"))).unwrap();
        let (broker, wrong) = broker.altered(&dynamic, &TopicOverrides::new());
        assert!(wrong.is_empty());
        assert_eq!(TopicConfig::resolve(&broker, &TopicOverrides::new()).retention_ms, Some(9));
        let told = alter_broker(&broker, &mut dynamic, "node.id", (AlterOp::Set, Some("9"))).unwrap_err();
        assert!(told.contains("read at the start"), "{told}");
    }
}
