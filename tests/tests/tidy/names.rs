//! Names that may not stand where they stand: the outside world in core, tokio in net, leftovers, vague names.

use crate::exceptions::{FIELD_TERMS, KAFKAS_NAMES, UNSAFE_FILES};
use crate::source::{House, Source, is_name, places};

/// What core may never name, and what to do instead.
const FORBIDDEN: [(&str, &str); 23] = [
    ("std::time::Instant", "time comes in as `Now`"),
    ("std::time::{", "import `Duration` alone, so that it is seen that nothing else comes along"),
    ("Instant::now", "time comes in as `Now`"),
    ("SystemTime", "time comes in as `Now`"),
    ("std::thread", "the shell owns threads"),
    ("thread_local", "the machine has no hidden state"),
    ("std::fs", "files are reached through `disk::Disk`"),
    ("std::net", "the shell owns sockets"),
    ("std::env", "configuration comes in as a value"),
    ("std::process", "the machine ends nothing"),
    ("tokio", "the shell owns the runtime"),
    ("async", "the machine is synchronous"),
    ("rand", "randomness is a hash of seed and place"),
    ("getrandom", "randomness is a hash of seed and place"),
    ("fastrand", "randomness is a hash of seed and place"),
    ("HashMap", "its order differs between runs: use BTreeMap"),
    ("HashSet", "its order differs between runs: use BTreeSet"),
    ("RandomState", "it differs between runs"),
    ("println", "the machine speaks through effects"),
    ("eprintln", "the machine speaks through effects"),
    ("tracing", "the machine speaks through effects"),
    ("Mutex", "one owner, no locks"),
    ("static mut", "the machine has no hidden state"),
];

/// Uses of the outside world in core. Tests inside core keep the same rule.
pub(crate) fn forbidden_in_core(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust_in("core/src/") {
        for (name, instead) in FORBIDDEN {
            for at in places(&file.code, name).filter(|at| !is_own_name(file, *at)) {
                out.push(format!("{}: core may not name `{name}`: {instead}", file.at(at)));
            }
        }
    }
    out
}

/// A field or method that only shares the word, such as `self.rand` or `fn async_`.
fn is_own_name(file: &Source, at: usize) -> bool {
    file.code[..at].ends_with('.')
}

/// tokio named anywhere in net but in `rt.rs`, so that madsim can take its place there.
pub(crate) fn runtime_in_net(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust_in("net/src/").filter(|file| file.path != "net/src/rt.rs") {
        for name in
            ["tokio", "madsim", "std::thread", "std::fs", "std::net::TcpStream", "std::net::TcpListener"]
        {
            for at in places(&file.code, name).filter(|at| !in_cfg(file, *at)) {
                out.push(format!("{}: `{name}` may stand only in net/src/rt.rs", file.at(at)));
            }
        }
    }
    out
}

/// `cfg(madsim)` asks which world we are in; it does not reach into it.
fn in_cfg(file: &Source, at: usize) -> bool {
    let line_start = file.code[..at].rfind('\n').map_or(0, |end| end + 1);
    file.code[line_start..at].contains("cfg")
}

/// `select!` whose branches are polled in random order: such a run cannot be repeated.
pub(crate) fn unbiased_selects(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust() {
        for at in places(&file.code, "select").filter(|at| file.code[at + 6..].starts_with('!')) {
            let body = file.code[at + 7..].trim_start().trim_start_matches(['{', '(']);
            if !body.trim_start().starts_with("biased;") {
                out.push(format!("{}: start this select! with `biased;`", file.at(at)));
            }
        }
    }
    out
}

/// `unsafe` outside the listed files, and listed files that have none.
pub(crate) fn unsafe_code(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust() {
        let listed = UNSAFE_FILES.iter().any(|(path, _)| *path == file.path);
        let first = places(&file.code, "unsafe").next();
        match first {
            Some(at) if !listed => {
                out.push(format!("{}: unsafe code, and no reason in exceptions.rs", file.at(at)))
            }
            None if listed => out.push(format!("exceptions.rs: {} has no unsafe code any more", file.path)),
            _ => {}
        }
    }
    let core = house.files.iter().find(|file| file.path == "core/src/lib.rs").expect("core has a root");
    if !core.code.contains("#![forbid(unsafe_code)]") {
        out.push("core/src/lib.rs: say #![forbid(unsafe_code)]".into());
    }
    out
}

/// What was left for later, and lints switched off without a word.
pub(crate) fn leftovers(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust() {
        for name in ["todo", "unimplemented", "dbg"] {
            for at in places(&file.code, name).filter(|at| file.code[at + name.len()..].starts_with('!')) {
                out.push(format!("{}: `{name}!` was left here", file.at(at)));
            }
        }
        for attribute in ["allow(", "expect(", "ignore"] {
            for (at, _) in file.code.match_indices(attribute).filter(|(at, _)| is_attribute(&file.code, *at))
            {
                if !has_reason(file, at) {
                    out.push(format!("{}: say why (a comment, or `reason = ..`)", file.at(at)));
                }
            }
        }
    }
    out
}

fn is_attribute(code: &str, at: usize) -> bool {
    code[..at].ends_with("#[") || code[..at].ends_with("#![")
}

/// A reason in the attribute, or a comment on its line or the line above.
fn has_reason(file: &Source, at: usize) -> bool {
    let end = file.code[at..].find(']').map_or(file.code.len(), |end| at + end);
    let line_end = file.text[end..].find('\n').map_or(file.text.len(), |found| end + found);
    let line_start = file.text[..at].rfind('\n').map_or(0, |found| found + 1);
    let above = file.text[..line_start].trim_end().rsplit('\n').next().unwrap_or("");
    let inside = &file.text[at..end];
    inside.contains("reason")
        || inside.contains('"')
        || file.text[end..line_end].contains("//")
        || above.contains("//")
}

/// Words that say nothing about the thing they name.
const VAGUE: [&str; 10] =
    ["manager", "handler", "util", "utils", "helper", "helpers", "common", "data", "info", "impl"];

/// Files and types named with a word that says nothing.
pub(crate) fn vague_names(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust().filter(|file| !file.path.starts_with(KAFKAS_NAMES)) {
        let stem = file.path.rsplit('/').next().expect("a path has a last part").trim_end_matches(".rs");
        judge_name(stem, &file.path, &mut out);
        for keyword in ["struct", "enum", "trait", "type", "mod"] {
            for at in places(&file.code, keyword) {
                let rest = file.code[at + keyword.len()..].trim_start();
                let name: String = rest.chars().take_while(|c| c.is_ascii() && is_name(*c as u8)).collect();
                judge_name(&name, &file.at(at), &mut out);
            }
        }
    }
    out
}

fn judge_name(name: &str, place: &str, out: &mut Vec<String>) {
    if FIELD_TERMS.contains(&name) {
        return;
    }
    if let Some(word) = words(name).into_iter().find(|word| VAGUE.contains(&word.as_str())) {
        out.push(format!("{place}: `{name}`: `{word}` says nothing; name what it is"));
    }
}

/// The words of a CamelCase or snake_case name, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for c in name.chars() {
        if (c == '_' || c.is_uppercase()) && !out.last().is_some_and(String::is_empty) {
            out.push(String::new());
        }
        if c != '_' {
            out.last_mut().expect("never empty").extend(c.to_lowercase());
        }
    }
    out
}

/// A house of one file.
#[cfg(test)]
fn house_with(path: &str, text: &str) -> House {
    House {
        files: vec![Source { path: path.into(), text: text.into(), code: crate::source::code_only(text) }],
    }
}

#[test]
fn each_rule_sees_its_offence_and_leaves_the_innocent_alone() {
    let core =
        "use std::collections::HashMap; // HashSet\nlet a = std::time::Duration::ZERO; let s = \"tokio\";";
    assert_eq!(forbidden_in_core(&house_with("core/src/x.rs", core)).len(), 1);
    let net = "use tokio::net;\n#[cfg(madsim)]\nfn f() {}";
    assert_eq!(runtime_in_net(&house_with("net/src/x.rs", net)).len(), 1);
    assert_eq!(runtime_in_net(&house_with("net/src/rt.rs", net)).len(), 0);
    let selects = "select! { biased; a = b => c }\ntokio::select! { a = b => c }";
    assert_eq!(unbiased_selects(&house_with("net/src/x.rs", selects)).len(), 1);
    let lints = "#[allow(dead_code)]\nfn a() {}\n// A reason.\n#[allow(dead_code)]\nfn b() { todo!() }";
    assert_eq!(leftovers(&house_with("net/src/x.rs", lints)).len(), 2);
    let types = "struct OffsetManager; struct GroupMetadata; fn data() {}";
    assert_eq!(vague_names(&house_with("net/src/x.rs", types)).len(), 1);
}

#[test]
fn names_are_split_into_words() {
    assert_eq!(words("GroupMetadata"), ["group", "metadata"]);
    assert_eq!(words("log_dir_info"), ["log", "dir", "info"]);
}
