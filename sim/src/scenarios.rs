//! Transcripts: each file of tests/scenarios says what is done to one broker and everything that happened, each of
//! tests/scenarios/cluster what is done to several and what of it is worth telling.
//!
//! A file has a heading, then blocks: lines of commands, `----`, and what happened. Played again, it must come out as it is written.

mod cluster;
mod commands;
mod departure;
mod given;
mod requests;
mod shown;
mod stage;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub use departure::Departure;

use cluster::Cluster;
use stage::Stage;

/// Where transcripts are, under the root of the sources: of several brokers, and of one.
const PLACES: [(&str, Cast); 2] =
    [("tests/scenarios/cluster", Cast::Cluster), ("tests/scenarios", Cast::Alone)];

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// One broker.
    Alone,
    /// Several.
    Cluster,
}

/// A transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it is called: its file without the ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// Who plays it.
    pub cast: Cast,
}

impl Scenario {
    /// The one that is called so. `root` is the root of the sources. The error tells where it should be.
    pub fn named(root: &Path, name: &str) -> Result<Scenario, String> {
        let mut places = PLACES.iter().map(|(dir, cast)| (root.join(dir).join(format!("{name}.txt")), *cast));
        let there = places.find(|(path, _)| path.is_file());
        let Some((path, cast)) = there else {
            let dirs = PLACES.map(|(dir, _)| dir).join(" or ");
            return Err(format!("there is no transcript {name}.txt in {dirs}"));
        };
        Scenario::read(path, cast)
    }

    /// All of one kind, in order of name.
    pub fn all(root: &Path, cast: Cast) -> Result<Vec<Scenario>, String> {
        let mut all = Vec::new();
        for (dir, _) in PLACES.iter().filter(|(_, of)| *of == cast) {
            let dir = root.join(dir);
            let unreadable = |e: std::io::Error| format!("{}: {e}", dir.display());
            for entry in fs::read_dir(&dir).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if path.extension().is_some_and(|ends| ends == "txt") {
                    all.push(Scenario::read(path, cast)?);
                }
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn read(path: PathBuf, cast: Cast) -> Result<Scenario, String> {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Scenario { name, path, text, cast })
    }

    /// Plays it: its text with what happens now in place of what happened. `heard` is told of every line as it is done. It
    /// does not come to its end where a claim breaks or something panics.
    pub fn play(&self, heard: impl FnMut(&str)) -> Result<String, Departure> {
        let played = || match self.cast {
            Cast::Alone => {
                let mut stage = Stage::default();
                play(&self.text, heard, |line| stage.perform(line))
            }
            Cast::Cluster => {
                let mut cluster = Cluster::new(0, Vec::new());
                play(&self.text, heard, |line| cluster.perform(line))
            }
        };
        catch_unwind(AssertUnwindSafe(played)).map_err(Departure::of_panic)
    }

    /// Plays it: where it does not come out as it is written. `None`: it does.
    pub fn departure(&self, heard: impl FnMut(&str)) -> Option<Departure> {
        match self.play(heard) {
            Ok(now) => Departure::between(&self.text, &now),
            Err(departure) => Some(departure),
        }
    }
}

fn play(text: &str, mut heard: impl FnMut(&str), mut perform: impl FnMut(&str) -> Vec<String>) -> String {
    let mut out = String::new();
    let mut commands: Vec<&str> = Vec::new();
    let mut recorded = false;
    for line in text.lines() {
        match line {
            "----" => {
                out.push_str("----\n");
                for command in commands.drain(..) {
                    heard(command);
                    for told in perform(command) {
                        heard(&format!("    {told}"));
                        out.push_str(&format!("{told}\n"));
                    }
                }
                recorded = true;
            }
            // What happened then ends with an empty line.
            "" => {
                out.push('\n');
                recorded = false;
            }
            _ if recorded => {}
            comment if comment.starts_with('#') => out.push_str(&format!("{comment}\n")),
            command => {
                commands.push(command);
                out.push_str(&format!("{command}\n"));
            }
        }
    }
    out
}
