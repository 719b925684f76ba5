//! Dead files: Rust that no module declaration reaches is not compiled, and rots unseen.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{House, Source, is_name, places};

/// Rust files that cargo never compiles.
pub(crate) fn unreached(house: &House) -> Vec<String> {
    let files: BTreeMap<&str, &Source> = house.rust().map(|file| (file.path.as_str(), file)).collect();
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = files.keys().copied().filter(|path| is_root(path)).collect();
    while let Some(path) = next.pop() {
        if reached.insert(path) {
            let found = children(files[path]);
            next.extend(
                found.iter().filter_map(|child| files.get_key_value(child.as_str()).map(|(key, _)| *key)),
            );
        }
    }
    let dead = files.keys().filter(|path| !reached.contains(**path));
    dead.map(|path| format!("{path}: no `mod` reaches this file")).collect()
}

/// Whether cargo compiles this file on its own: a library, a binary, a test, an example, a fuzz target.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        [_, "build.rs"]
            | [_, "src", "lib.rs" | "main.rs"]
            | [_, "src", "bin", _]
            | [_, "src", "bin", _, "main.rs"]
            | [_, "tests" | "benches" | "examples" | "fuzz_targets", _]
            | [_, "tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// Every path that a `mod name;` of this file may mean.
fn children(file: &Source) -> Vec<String> {
    let (directory, stem) = file.path.rsplit_once('/').expect("every Rust file lies in a package");
    let owns_directory = matches!(stem, "mod.rs" | "lib.rs" | "main.rs") || is_root(&file.path);
    let home = if owns_directory {
        directory.to_string()
    } else {
        format!("{directory}/{}", stem.trim_end_matches(".rs"))
    };
    let mut out = Vec::new();
    for at in places(&file.code, "mod") {
        let rest = file.code[at + 3..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_ascii() && is_name(*c as u8)).collect();
        if rest[name.len()..].trim_start().starts_with(';') {
            out.push(format!("{home}/{name}.rs"));
            out.push(format!("{home}/{name}/mod.rs"));
        }
    }
    for (at, _) in file.text.match_indices("#[path = \"") {
        let value = file.text[at + 10..].split('"').next().expect("split gives one part at least");
        out.push(resolve(directory, value));
    }
    out
}

/// `value` seen from `directory`, with `..` taken away.
fn resolve(directory: &str, value: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').collect();
    for part in value.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_module_of_a_room_is_looked_for_where_cargo_looks() {
    let source =
        |path: &str| Source { path: path.into(), text: String::new(), code: "mod a;\nmod b { }".into() };
    assert_eq!(children(&source("core/src/log/mod.rs")), ["core/src/log/a.rs", "core/src/log/a/mod.rs"]);
    assert_eq!(children(&source("core/src/log.rs")), ["core/src/log/a.rs", "core/src/log/a/mod.rs"]);
    assert_eq!(resolve("a/b", "../c/d.rs"), "a/c/d.rs");
}
