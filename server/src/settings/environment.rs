//! Settings from the environment: `QUIPU_LOG_RETENTION_MS` is `log.retention.ms`.

use std::ffi::OsString;

use quipu_core::config::broker_table::broker_def;

use super::{Given, Origin};

const PREFIX: &str = "QUIPU_";

/// Variables that stand for a flag of their own, and the config that the flag sets.
const FLAGS: &[(&str, &str)] = &[
    ("DATA_DIR", "log.dirs"),
    ("LISTEN", "listeners"),
    ("ADVERTISE", "advertised.listeners"),
    ("PEER_LISTEN", "quipu.peer.listen"),
    ("PEER_ADVERTISE", "quipu.peer.advertised"),
    ("VOTERS", "quipu.voters"),
];

/// Variables that the command line reads, and those of the other commands of this binary.
const NOT_SETTINGS: &[&str] = &["CONFIG", "LOG_LEVEL", "LOG_FORMAT", "BOOTSTRAP"];

/// The settings among these variables. A name that is no config's is told of when the layers are merged.
pub(crate) fn from_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Given>, String> {
    let mut out = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let rest = &name[PREFIX.len()..];
        if NOT_SETTINGS.contains(&rest) {
            continue;
        }
        let value = value.into_string().map_err(|_| format!("environment variable {name} is not UTF-8"))?;
        out.push(Given { name: config(rest), value, origin: Origin::Variable(name.to_string()) });
    }
    // The environment has no order of its own; messages should have one.
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// The config that a variable means: `QUIPU_DURABILITY` is `quipu.durability`.
fn config(rest: &str) -> String {
    if let Some((_, name)) = FLAGS.iter().find(|(flag, _)| *flag == rest) {
        return (*name).to_string();
    }
    let name = rest.to_ascii_lowercase().replace('_', ".");
    let own = format!("quipu.{name}");
    if broker_def(&name).is_none() && broker_def(&own).is_some() { own } else { name }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::from_environment;
    use crate::settings::merge;

    fn read(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = pairs.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        from_environment(variables).unwrap().into_iter().map(|g| (g.name, g.value)).collect()
    }

    #[test]
    fn an_underscore_is_a_dot() {
        assert_eq!(read(&[("QUIPU_LOG_RETENTION_MS", "5")]), [("log.retention.ms".into(), "5".into())]);
        assert_eq!(read(&[("QUIPU_DURABILITY", "none")]), [("quipu.durability".into(), "none".into())]);
        assert_eq!(read(&[("QUIPU_QUIPU_DURABILITY", "none")]), [("quipu.durability".into(), "none".into())]);
        assert_eq!(read(&[("QUIPU_DATA_DIR", "/d")]), [("log.dirs".into(), "/d".into())]);
    }

    #[test]
    fn what_is_not_ours_or_no_setting_is_left_alone() {
        assert_eq!(read(&[("PATH", "/bin"), ("QUIPU_CONFIG", "x"), ("QUIPUS", "1"), ("KAFKA_X", "1")]), []);
    }

    #[test]
    fn a_misspelt_variable_is_told_by_its_own_name() {
        let variables = [(OsString::from("QUIPU_LOG_RETENSION_MS"), OsString::from("5"))];
        let told = merge(&[from_environment(variables.into_iter()).unwrap()]).unwrap_err();
        assert_eq!(
            told,
            ["environment variable QUIPU_LOG_RETENSION_MS: Unknown broker config 'log.retension.ms'; \
              did you mean 'log.retention.ms'?"]
        );
        let binary = [(OsString::from("QUIPU_LISTEN"), OsString::from_vec(vec![0xff]))];
        assert!(from_environment(binary.into_iter()).unwrap_err().contains("not UTF-8"));
    }
}
