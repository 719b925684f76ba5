//! Scenarios: each file of tests/scenarios says what is done to one broker and everything that happened.
//!
//! A file has a heading, then blocks: lines of commands, `----`, and what happened. With `SCENARIOS_REWRITE=1` the test writes
//! what happens now into the files; the difference is then read like any other.

mod commands;
mod shown;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use stage::Stage;

/// Plays a file: its text with what happens now in place of what happened.
fn play(text: &str) -> String {
    let mut stage = Stage::default();
    let mut out = String::new();
    let mut commands: Vec<&str> = Vec::new();
    let mut recorded = false;
    for line in text.lines() {
        match line {
            "----" => {
                out.push_str("----\n");
                for command in commands.drain(..) {
                    stage.perform(command).iter().for_each(|told| out.push_str(&format!("{told}\n")));
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

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_happens_as_it_is_written() {
    let files = files();
    assert!(files.len() >= 4, "there are scenarios to play");
    for path in files {
        let wrote = fs::read_to_string(&path).expect("a scenario");
        let now = play(&wrote);
        if std::env::var_os("SCENARIOS_REWRITE").is_some() {
            fs::write(&path, &now).expect("the scenario can be written");
        } else if let Some((line, (was, is))) =
            wrote.lines().zip(now.lines()).enumerate().find(|(_, (was, is))| was != is)
        {
            panic!("{}:{}: it was\n  {was}\nand is now\n  {is}", path.display(), line + 1);
        } else {
            assert_eq!(wrote.lines().count(), now.lines().count(), "{}: another end", path.display());
        }
    }
}

#[test]
fn a_scenario_that_goes_otherwise_is_seen() {
    let text = "start\n----\nit sleeps\n\n";
    assert_ne!(play(text), text);
}
