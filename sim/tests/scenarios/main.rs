//! Scenarios: each file of tests/scenarios says what is done to one broker and everything that happened, each of
//! tests/scenarios/cluster what is done to several and what of it is worth telling.
//!
//! A file has a heading, then blocks: lines of commands, `----`, and what happened. With `SCENARIOS_REWRITE=1` the test writes
//! what happens now into the files; the difference is then read like any other.

mod cluster;
mod commands;
mod given;
mod requests;
mod shown;
mod stage;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cluster::Cluster;
use stage::Stage;

/// Plays a file: its text with what happens now in place of what happened.
fn play(text: &str, mut perform: impl FnMut(&str) -> Vec<String>) -> String {
    let mut out = String::new();
    let mut commands: Vec<&str> = Vec::new();
    let mut recorded = false;
    for line in text.lines() {
        match line {
            "----" => {
                out.push_str("----\n");
                for command in commands.drain(..) {
                    // Read only where a test fails: how far it came.
                    println!("{command}");
                    for told in perform(command) {
                        println!("    {told}");
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

fn files(of: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(of);
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

/// Plays files, and says where what happens now is not what happened; or writes it there.
fn compare(files: &[PathBuf], play: impl Fn(&str) -> String) {
    let wrong: Vec<String> = files.iter().filter_map(|path| differs(path, &play).err()).collect();
    assert!(wrong.is_empty(), "{} of {} scenarios:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

/// What is other in one file. One that cannot be played to its end does not keep the rest from it.
fn differs(path: &Path, play: impl Fn(&str) -> String) -> Result<(), String> {
    println!("{}", path.display());
    let name = path.file_name().unwrap_or_default().display();
    let wrote = fs::read_to_string(path).expect("a scenario");
    let now = catch_unwind(AssertUnwindSafe(|| play(&wrote))).map_err(|why| {
        let text = why.downcast_ref::<String>().map(String::as_str);
        let text = text.or(why.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        format!("{name}: {text}")
    })?;
    if std::env::var_os("SCENARIOS_REWRITE").is_some() {
        fs::write(path, &now).expect("the scenario can be written");
        return Ok(());
    }
    match wrote.lines().zip(now.lines()).enumerate().find(|(_, (was, is))| was != is) {
        Some((line, (was, is))) => Err(format!("{name}:{}: it was\n  {was}\nand is now\n  {is}", line + 1)),
        None if wrote.lines().count() != now.lines().count() => Err(format!("{name}: another end")),
        None => Ok(()),
    }
}

fn alone(text: &str) -> String {
    let mut stage = Stage::default();
    play(text, |line| stage.perform(line))
}

fn among(text: &str) -> String {
    let mut cluster = Cluster::new(0, Vec::new());
    play(text, |line| cluster.perform(line))
}

#[test]
fn every_scenario_happens_as_it_is_written() {
    let files = files("scenarios");
    assert!(files.len() >= 4, "there are scenarios to play");
    compare(&files, alone);
}

#[test]
fn every_scenario_of_several_brokers_happens_as_it_is_written() {
    let files = files("scenarios/cluster");
    assert!(files.len() >= 29, "there are scenarios to play");
    compare(&files, among);
}

#[test]
fn a_scenario_that_goes_otherwise_is_seen() {
    let text = "start\n----\nit sleeps\n\n";
    assert_ne!(alone(text), text);
    let text = "cluster 3\n----\n1 | leads everything\n\n";
    assert_ne!(among(text), text);
}
