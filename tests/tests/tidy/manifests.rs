//! The packages' manifests: dependencies point down, and versions and lints are written once, in the root.

use crate::source::{House, Source};

/// The packages from the ground up, and which of them each may use in production code.
const LAYERS: [(&str, &[&str]); 7] = [
    ("core", &[]),
    ("net", &["quipu-core"]),
    ("server", &["quipu-core", "quipu-net"]),
    ("sim", &["quipu-core", "quipu-net"]),
    ("tests", &["quipu-core", "quipu-net", "quipu-sim", "quipu"]),
    ("fuzz", &["quipu-core"]),
    ("xtask", &["quipu-core"]),
];

fn manifest<'a>(house: &'a House, package: &str) -> &'a Source {
    let path = format!("{package}/Cargo.toml");
    house.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing"))
}

/// One dependency line: its number, its table and its text.
fn dependencies(file: &Source) -> Vec<(usize, String, String)> {
    let (mut table, mut out) = (String::new(), Vec::new());
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_string();
        } else if table.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            out.push((number + 1, table.clone(), line.to_string()));
        }
    }
    out
}

/// Quipu's packages used by one that lies below them or beside them.
pub(crate) fn upward_dependencies(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for (package, below) in LAYERS {
        let file = manifest(house, package);
        for (number, _, line) in dependencies(file) {
            let name = line.split(['=', '.', ' ']).next().expect("split gives one part at least");
            if name.starts_with("quipu") && !below.contains(&name) {
                out.push(format!("{}:{number}: {package} may not use {name}", file.path));
            }
        }
    }
    out
}

/// Versions, paths and lints that stand in a package's own manifest.
pub(crate) fn own_versions(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for (package, _) in LAYERS {
        let file = manifest(house, package);
        for (number, table, line) in dependencies(file) {
            // Only here may a version stand in a package: inheritance cannot rename, and the simulator's
            // tokio has to answer to the name `tokio`.
            let renamed =
                table == "target.'cfg(madsim)'.dependencies" && line.contains("package = \"madsim-");
            let inherited = line.contains("workspace = true");
            if !inherited && !renamed {
                out.push(format!("{}:{number}: take `{line}` from the workspace table", file.path));
            }
        }
        if !file.text.contains("[lints]\nworkspace = true") {
            out.push(format!("{}: take the lints from the workspace", file.path));
        }
    }
    let root = house.files.iter().find(|file| file.path == "Cargo.toml").expect("the root has a manifest");
    for (number, _, line) in dependencies(root) {
        if line.contains("git =") || line.contains("= \"*\"") {
            out.push(format!("Cargo.toml:{number}: only released versions: `{line}`"));
        }
    }
    out
}
