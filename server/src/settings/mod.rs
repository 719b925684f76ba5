//! Where the broker's settings come from: flags before the environment, the environment before the file, then defaults.

mod environment;
mod properties;
mod toml_file;

use std::fmt;
use std::path::{Path, PathBuf};

use quipu_core::config::Settings;

pub(crate) use environment::from_environment;

/// One setting and where somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The config's name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
    /// Where it was found, for error messages.
    pub(crate) origin: Origin,
}

/// Where a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On the command line: the flag.
    Flag(&'static str),
    /// In the environment: the variable.
    Variable(String),
    /// In a file: which, and the line, counted from 1.
    Line(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Line(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// Lays the layers over each other, the weakest first. All that is wrong is told at once.
pub(crate) fn merge(layers: &[Vec<Given>]) -> Result<Settings, Vec<String>> {
    let mut settings = Settings::new();
    let mut wrong = Vec::new();
    for given in layers.iter().flatten() {
        if let Err(why) = settings.set(&given.name, &given.value) {
            wrong.push(format!("{}: {why}", given.origin));
        }
    }
    if wrong.is_empty() { Ok(settings) } else { Err(wrong) }
}

/// Reads a settings file: TOML, or Java properties as Kafka's `server.properties`. The name's ending decides; a file
/// without either ending is TOML if it can be read so.
pub(crate) fn from_file(path: &Path) -> Result<Vec<Given>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("cannot read the config file {}: {e}", path.display()))?;
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("properties") => properties::read(path, &text),
        Some("toml") => toml_file::read(path, &text),
        _ => toml_file::read(path, &text).or_else(|_| properties::read(path, &text)),
    }
}

/// The settings of `--set name=value`.
pub(crate) fn from_sets(sets: &[String]) -> Result<Vec<Given>, String> {
    let read = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok(Given { name: name.trim().into(), value: value.trim().into(), origin: Origin::Flag("--set") })
        }
        _ => Err(format!("--set {text}: expected name=value")),
    };
    sets.iter().map(read).collect()
}

/// The line that a byte of a text is in, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Given, Origin, from_file, from_sets, merge};
    use crate::scratch::Scratch;

    fn given(name: &str, value: &str, origin: Origin) -> Given {
        Given { name: name.into(), value: value.into(), origin }
    }

    #[test]
    fn a_stronger_layer_wins() {
        let file = vec![given("num.partitions", "2", Origin::Line("f".into(), 1))];
        let environment = vec![given("num.partitions", "3", Origin::Variable("QUIPU_NUM_PARTITIONS".into()))];
        let flags = from_sets(&["num.partitions = 4".into()]).unwrap();
        let settings = merge(&[file.clone(), environment.clone(), flags]).unwrap();
        assert_eq!(settings.get("num.partitions"), Some("4"));
        assert_eq!(merge(&[file.clone(), environment]).unwrap().get("num.partitions"), Some("3"));
        assert_eq!(merge(&[file]).unwrap().get("num.partitions"), Some("2"));
    }

    #[test]
    fn all_that_is_wrong_is_told_with_where_it_stands() {
        let file = vec![given("log.retension.ms", "1", Origin::Line("server.properties".into(), 7))];
        let environment =
            vec![given("num.partitions", "many", Origin::Variable("QUIPU_NUM_PARTITIONS".into()))];
        let told = merge(&[file, environment]).unwrap_err();
        assert_eq!(
            told[0],
            "server.properties:7: Unknown broker config 'log.retension.ms'; did you mean 'log.retention.ms'?"
        );
        assert!(
            told[1].starts_with("environment variable QUIPU_NUM_PARTITIONS: Invalid value many"),
            "{told:?}"
        );
    }

    #[test]
    fn a_flag_without_a_value_is_told() {
        assert_eq!(
            from_sets(&["num.partitions".into()]).unwrap_err(),
            "--set num.partitions: expected name=value"
        );
        assert!(from_sets(&["=1".into()]).is_err());
        assert_eq!(from_sets(&["a=b=c".into()]).unwrap()[0].value, "b=c");
    }

    #[test]
    fn the_ending_of_a_file_or_else_its_contents_decide_how_it_is_read() {
        let scratch = Scratch::new("settings");
        let read = |name: &str, text: &str| {
            let path = scratch.path().join(name);
            std::fs::write(&path, text).unwrap();
            from_file(&path).unwrap().into_iter().map(|g| (g.name, g.value)).collect::<Vec<_>>()
        };
        let expected = [("log.dirs".to_string(), "/var/quipu".to_string())];
        assert_eq!(read("a.toml", "log.dirs = \"/var/quipu\""), expected);
        assert_eq!(read("a.properties", "log.dirs=/var/quipu"), expected);
        assert_eq!(read("conf", "log.dirs=/var/quipu"), expected);
        assert_eq!(read("conf", "log.dirs=\"/var/quipu\""), expected);
        assert!(from_file(Path::new("/nowhere/x.toml")).unwrap_err().contains("cannot read the config file"));
    }
}
