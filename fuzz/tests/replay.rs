//! Every committed input through every target it was found for: seeds, and what once was a bug.

use std::fs;
use std::path::Path;

use quipu_fuzz::TARGETS;

/// Runs the inputs of one folder and answers how many there were. A folder that is not there has none.
fn replay(folder: &str, name: &str, target: quipu_fuzz::Target) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    let Ok(entries) = fs::read_dir(&folder) else { return 0 };
    let inputs = entries.map(|entry| entry.expect("a readable folder").path());
    inputs
        .inspect(|path| {
            let input = fs::read(path).expect("a readable input");
            // The name of the input is what a person needs first when a target panics.
            println!("{}", path.display());
            target(&input);
        })
        .count()
}

#[test]
fn every_target_has_seeds_and_stands_them() {
    for (name, target) in TARGETS {
        let seeds = replay("seeds", name, *target);
        assert!(seeds >= 10, "{name} has {seeds} seeds");
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    for (name, target) in TARGETS {
        replay("regressions", name, *target);
    }
}

#[test]
fn every_seed_survives_the_loss_of_its_end_and_the_change_of_any_byte() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        for entry in fs::read_dir(folder).expect("seeds") {
            let seed = fs::read(entry.expect("a seed").path()).expect("a readable seed");
            for at in 0..seed.len() {
                target(&seed[..at]);
                for byte in [0, 1, 0x7f, 0x80, 0xff, seed[at] ^ 1] {
                    let mut changed = seed.clone();
                    changed[at] = byte;
                    target(&changed);
                }
            }
        }
    }
}
