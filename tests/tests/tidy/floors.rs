//! The floors of core: a room imports only from rooms below it.

use crate::exceptions::IMPORTS_ON_ONE_FLOOR;
use crate::source::{House, Source, is_name, places};

/// The rooms of core, lowest floor first.
const FLOORS: [&[&str]; 9] = [
    &["ids", "mix", "time"],
    &["caller", "record", "disk", "producer", "config"],
    &["wire", "storage"],
    &["log", "client", "coordinator"],
    &["replica", "cluster", "group", "txn"],
    &["quorum"],
    &["peer"],
    &["broker"],
    &["exchange"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Imports that point up or sideways, rooms without a floor, and paths that climb out of their room.
pub(crate) fn offences(house: &House) -> Vec<String> {
    let mut out = Vec::new();
    for file in house.rust_in("core/src/").filter(|file| file.path != "core/src/lib.rs") {
        let inside = file.path.trim_start_matches("core/src/").trim_end_matches(".rs");
        let room = inside.split('/').next().expect("a path has a first part");
        match floor(room) {
            Some(own) => check(file, room, own, &mut out),
            None => out.push(format!("{}: the room `{room}` has no floor in FLOORS", file.path)),
        }
        climbs(file, inside, &mut out);
    }
    out
}

fn check(file: &Source, room: &str, own: usize, out: &mut Vec<String>) {
    for (at, named) in rooms_named(&file.code) {
        let allowed = named == room
            || floor(&named).is_some_and(|other| other < own)
            || IMPORTS_ON_ONE_FLOOR.iter().any(|(from, to, _)| *from == room && *to == named);
        if !allowed {
            let where_to =
                floor(&named).map_or("no floor".to_string(), |other| format!("floor {}", other + 1));
            let place = file.at(at);
            out.push(format!("{place}: `{room}` (floor {}) names `{named}` ({where_to})", own + 1));
        }
    }
}

/// Every room named as `crate::room`, also inside `crate::{..}`, with its place.
fn rooms_named(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in places(code, "crate") {
        let Some(rest) = code[at + 5..].strip_prefix("::") else { continue };
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group).into_iter().map(|head| (at, head))),
            None => found.push((at, name_at(rest))),
        }
    }
    found
}

/// The first names of a `{a::b, c::{d, e}}` group whose opening brace is already read.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut expect, mut out) = (0, true, Vec::new());
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => expect = true,
            _ if expect && is_name(byte) => {
                out.push(name_at(&group[at..]));
                expect = false;
            }
            _ => {}
        }
    }
    out
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii() && is_name(*c as u8)).collect()
}

/// `super::super::..` that reaches the crate's root, where the floors could be walked around.
fn climbs(file: &Source, inside: &str, out: &mut Vec<String>) {
    let depth = inside.split('/').filter(|part| *part != "mod").count();
    for at in places(&file.code, "super").filter(|at| !file.code[..*at].ends_with("super::")) {
        let steps = file.code[at..].split("::").take_while(|part| *part == "super").count();
        let inner = usize::from(file.code[..at].contains("mod tests {"));
        if steps >= depth + inner {
            out.push(format!("{}: `super` climbs to the crate's root; name the room instead", file.at(at)));
        }
    }
}

#[test]
fn grouped_and_nested_imports_are_seen() {
    let code = "use crate::{ids::{A, B}, wire, log::x::Y};\nlet z = crate::broker::f();";
    let rooms: Vec<String> = rooms_named(code).into_iter().map(|(_, room)| room).collect();
    assert_eq!(rooms, ["ids", "wire", "log", "broker"]);
}
