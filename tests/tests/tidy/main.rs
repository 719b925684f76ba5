//! The house checks itself: who may import whom, what core may never name, how long files and functions may grow.
//!
//! Every rule answers with a list of offences, each a sentence that begins with `path:line`. The numbers in
//! `exceptions.rs` are ratchets: they may shrink, never grow, and an exception no longer needed must go.

mod dead;
mod exceptions;
mod floors;
mod functions;
mod manifests;
mod names;
mod sizes;
mod source;
mod text;

use source::House;

/// Fails with every offence on its own line.
fn none(offences: Vec<String>) {
    assert!(offences.is_empty(), "{} offence(s):\n  {}\n", offences.len(), offences.join("\n  "));
}

#[test]
fn a_room_of_core_imports_only_from_lower_floors() {
    none(floors::offences(&House::read()));
}

#[test]
fn crates_depend_downwards_only() {
    none(manifests::upward_dependencies(&House::read()));
}

#[test]
fn core_names_no_clock_thread_file_socket_runtime_rng_or_hash_map() {
    none(names::forbidden_in_core(&House::read()));
}

#[test]
fn net_names_tokio_only_in_its_one_door() {
    none(names::runtime_in_net(&House::read()));
}

#[test]
fn every_select_is_biased() {
    none(names::unbiased_selects(&House::read()));
}

#[test]
fn unsafe_code_stands_only_where_a_reason_is_written() {
    none(names::unsafe_code(&House::read()));
}

#[test]
fn nothing_is_left_to_do_and_every_relaxed_lint_has_a_reason() {
    none(names::leftovers(&House::read()));
}

#[test]
fn files_and_types_have_names_that_say_what_they_are() {
    none(names::vague_names(&House::read()));
}

#[test]
fn no_file_is_longer_than_450_lines() {
    none(sizes::long_files(&House::read()));
}

#[test]
fn no_function_is_longer_than_40_lines() {
    none(sizes::long_functions(&House::read()));
}

#[test]
fn every_file_opens_with_its_caption() {
    none(text::missing_captions(&House::read()));
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    none(text::machine_paths(&House::read()));
}

#[test]
fn every_rust_file_is_reached_by_a_module_declaration() {
    none(dead::unreached(&House::read()));
}

#[test]
fn dependencies_and_lints_come_only_from_the_workspace_table() {
    none(manifests::own_versions(&House::read()));
}
