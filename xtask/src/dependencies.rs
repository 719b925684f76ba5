//! The dependency check: licences, sources, crates we keep out, and crates that come twice into the binary.
//!
//! It reads `cargo metadata` itself, so that it needs no tool that a fresh machine lacks. Security advisories are
//! not part of it: their database cannot be reached from where the tests must run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::licences::acceptable;
use crate::process::{cargo, output};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates that no package of ours may name, and why. Others may bring them along.
const NOT_DIRECTLY: [(&str, &str); 7] = [
    ("ahash", "its hasher differs between runs"),
    ("fastrand", "a global generator that no seed reaches"),
    ("getrandom", "entropy comes in as a seed"),
    ("hashbrown", "its order differs between runs"),
    ("rand", "entropy comes in as a seed"),
    ("lazy_static", "std has LazyLock"),
    ("async-trait", "the traits of the shell are plain"),
];

/// Crates that may not reach the production binary at all, and why.
const NOT_SHIPPED: [(&str, &str); 6] = [
    ("madsim", "the simulator stays out of production"),
    ("madsim-tokio", "the simulator stays out of production"),
    ("proptest", "for tests alone"),
    ("kafka-protocol", "for tests alone"),
    ("rdkafka", "for tests alone"),
    ("openssl-sys", "no C library that the machine must bring"),
];

/// Crates that the binary holds in two versions, with the reason. The list may only shrink.
const TWICE: [(&str, &str); 1] =
    [("embedded-io", "behind weak features of postcard: cargo resolves both versions and builds neither")];

/// Checks the whole graph; the error lists every offence.
pub(crate) fn check() -> Result<String, String> {
    let all = metadata(&[])?;
    // Seen from this machine, and without `--cfg madsim`: what a release build really links.
    let platform = output(crate::process::command("rustc", &["-vV"]))?;
    let host = platform.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let here = metadata(&["--filter-platform", host])?;
    let mut wrong = Vec::new();
    let packages = array(&all, "packages")?;
    for package in packages {
        judge(package, &mut wrong);
    }
    let shipped = shipped(&here)?;
    for (name, versions) in &shipped {
        if let Some((_, why)) = NOT_SHIPPED.iter().find(|(banned, _)| banned == name) {
            wrong.push(format!("{name} reaches the binary: {why}"));
        }
        if versions.len() > 1 && !TWICE.iter().any(|(known, _)| known == name) {
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            wrong.push(format!("{name} comes into the binary as {}", versions.join(" and ")));
        }
    }
    for (name, _) in TWICE.iter().filter(|(name, _)| shipped.get(*name).is_none_or(|found| found.len() < 2)) {
        wrong.push(format!("{name} comes only once now: take it off the list TWICE"));
    }
    if wrong.is_empty() {
        let (all, shipped) = (packages.len(), shipped.len());
        Ok(format!(
            "{all} packages checked; {shipped} of them reach the binary (advisories are not checked here)"
        ))
    } else {
        Err(format!("{} offence(s):\n  {}", wrong.len(), wrong.join("\n  ")))
    }
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let args = [&["metadata", "--format-version", "1", "--locked"], more].concat();
    serde_json::from_str(&output(cargo(&args))?)
        .map_err(|error| format!("cargo metadata cannot be read: {error}"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    value[key].as_array().ok_or_else(|| format!("cargo metadata has no `{key}`"))
}

/// Source and licence of one package; for our own, what it names directly.
fn judge(package: &Value, wrong: &mut Vec<String>) {
    let name = package["name"].as_str().unwrap_or("?");
    let version = package["version"].as_str().unwrap_or("?");
    match package["license"].as_str().map(acceptable) {
        Some(Ok(true)) => {}
        Some(Ok(false)) => {
            wrong.push(format!("{name} {version}: licence {} is not accepted", package["license"]))
        }
        Some(Err(why)) => wrong.push(format!("{name} {version}: {why}")),
        None => wrong.push(format!("{name} {version} names no licence")),
    }
    match package["source"].as_str() {
        Some(REGISTRY) => {}
        Some(other) => wrong.push(format!("{name} {version} comes from {other}, not from crates.io")),
        None => {
            for dependency in package["dependencies"].as_array().into_iter().flatten() {
                let used = dependency["name"].as_str().unwrap_or("?");
                if let Some((_, why)) = NOT_DIRECTLY.iter().find(|(banned, _)| *banned == used) {
                    wrong.push(format!("{name} names {used}: {why}"));
                }
            }
        }
    }
}

/// Every crate linked into the binary `quipu`, with its versions: normal edges only, no macro or build crates' own trees.
fn shipped(metadata: &Value) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let packages: BTreeMap<&str, &Value> = array(metadata, "packages")?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes = array(&metadata["resolve"], "nodes")?;
    let edges: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let start = packages
        .iter()
        .find(|(_, package)| package["name"] == "quipu")
        .ok_or("no package is called quipu")?;
    let (mut next, mut seen) = (vec![*start.0], BTreeSet::new());
    while let Some(id) = next.pop() {
        let linked = packages.get(id).is_some_and(|package| !is_macro(package));
        if linked && seen.insert(id) {
            let dependencies = edges.get(id).and_then(|node| node["deps"].as_array());
            next.extend(
                dependencies
                    .into_iter()
                    .flatten()
                    .filter(|edge| is_normal(edge))
                    .filter_map(|e| e["pkg"].as_str()),
            );
        }
    }
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in seen.iter().filter_map(|id| packages.get(id)) {
        let text = |key: &str| package[key].as_str().unwrap_or("?").to_string();
        out.entry(text("name")).or_default().insert(text("version"));
    }
    Ok(out)
}

fn is_normal(edge: &Value) -> bool {
    edge["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array();
    targets
        .into_iter()
        .flatten()
        .any(|target| target["kind"].as_array().is_some_and(|k| k.contains(&"proc-macro".into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offences(package: Value) -> usize {
        let mut wrong = Vec::new();
        judge(&package, &mut wrong);
        wrong.len()
    }

    #[test]
    fn a_package_needs_an_accepted_licence_and_the_one_registry() {
        assert_eq!(offences(json!({"name": "a", "version": "1", "license": "MIT", "source": REGISTRY})), 0);
        assert_eq!(
            offences(json!({"name": "a", "version": "1", "license": "GPL-3.0", "source": REGISTRY})),
            1
        );
        assert_eq!(offences(json!({"name": "a", "version": "1", "source": "git+https://x"})), 2);
    }

    #[test]
    fn our_own_packages_may_not_name_a_banned_crate() {
        let ours = json!({"name": "quipu", "version": "1", "license": "MIT", "source": null, "dependencies": [{"name": "rand"}]});
        assert_eq!(offences(ours), 1);
    }

    #[test]
    fn only_what_normal_edges_reach_is_shipped() {
        let kinds = |kind: Value| json!([{ "kind": kind }]);
        let graph = json!({
            "packages": [
                {"id": "q", "name": "quipu", "version": "1", "targets": []},
                {"id": "a", "name": "a", "version": "1", "targets": []},
                {"id": "a2", "name": "a", "version": "2", "targets": []},
                {"id": "d", "name": "d", "version": "1", "targets": []},
                {"id": "m", "name": "m", "version": "1", "targets": [{"kind": ["proc-macro"]}]},
            ],
            "resolve": {"nodes": [
                {"id": "q", "deps": [
                    {"pkg": "a", "dep_kinds": kinds(Value::Null)},
                    {"pkg": "a2", "dep_kinds": kinds(Value::Null)},
                    {"pkg": "m", "dep_kinds": kinds(Value::Null)},
                    {"pkg": "d", "dep_kinds": kinds("dev".into())},
                ]},
            ]},
        });
        let found = shipped(&graph).expect("the graph is whole");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "quipu"]);
        assert_eq!(found["a"].len(), 2);
    }
}
