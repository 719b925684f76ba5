//! Transcripts that are played with a seeded bug: on both sides of the pipe between the runner and what it has built.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::patch::Mutant;
use super::pipe;
use crate::scenarios::{Departure, Scenario};

/// In how long a transcript must come to its end, which takes moments: one that a bug keeps from ending is no proof of anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// A transcript was played. A line of the pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Played {
    pub(super) name: String,
    pub(super) departure: Option<Departure>,
}

/// In the program: plays the transcripts that are meant to see a bug, as they are under this root of sources.
pub fn perform(mutant: &Mutant, root: &Path) -> Result<(), String> {
    // Where a panic strikes tells whose it is.
    crate::panics::keep_quiet();
    for name in &mutant.scenarios {
        let departure = Scenario::named(root, name)?.departure(|_| {});
        // Nobody listens any more: nothing is left to do.
        if !pipe::tell(&Played { name: name.clone(), departure }) {
            break;
        }
    }
    Ok(())
}

/// In the runner: starts the program and listens. What was played before something went wrong counts, so both are told.
pub(super) fn play(program: &Path, mutant: &Mutant, root: &Path) -> (Vec<Played>, Result<(), String>) {
    let mut command = Command::new(program);
    command.arg(&mutant.path).arg("scenarios").arg(root);
    let mut played = Vec::new();
    let ended = pipe::listen(command, PATIENCE, |one| played.push(one));
    (played, ended.map_err(|why| format!("in a transcript, {why}")))
}
