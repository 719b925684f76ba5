//! Every seeded bug can still be planted, so that a change of the code it is about does not go by it unseen; and the
//! workshop plants what it is given, takes it out again, and refuses what changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use quipu_sim::mutants::{self, Mutant, Workshop};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

#[test]
fn every_seeded_bug_has_a_whole_head_and_can_be_planted() {
    // Reading them is the first half: a head that lacks something or names a claim that is not there is an error.
    if let Err(why) = mutants::check_apply(root()) {
        panic!("seeded bugs are to be brought up to date:\n{why}");
    }
}

#[test]
fn those_that_are_named_are_found_and_others_are_not() {
    let named = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        mutants::named(root(), &ids).map(|all| all.into_iter().map(|m| m.id).collect::<Vec<_>>())
    };
    assert_eq!(named(&["F02", "C01"]).expect("both are there"), ["C01", "F02"]);
    assert!(named(&[]).expect("the list of seeded bugs").len() >= 22);
    assert!(named(&["C01", "X99"]).is_err_and(|why| why.contains("no seeded bug X99; there are A01")));
}

#[test]
fn a_commit_draws_the_same_three_bugs_every_time_and_another_draws_others() {
    let draw = |by: &str| mutants::drawn(root(), 3, by).expect("the list of seeded bugs");
    let ids = |all: Vec<Mutant>| all.into_iter().map(|m| m.id).collect::<BTreeSet<_>>();
    assert_eq!(draw("0123abc"), draw("0123abc"));
    assert_eq!(ids(draw("0123abc")).len(), 3);
    let over_time: BTreeSet<String> = (0..300).flat_map(|n| ids(draw(&format!("commit {n}")))).collect();
    let mut seen = mutants::named(root(), &[]).expect("all");
    seen.retain(|mutant| !mutant.unseen);
    assert_eq!(over_time, ids(seen), "each that somebody has seen before has its turn");
    assert_eq!(mutants::drawn(root(), 1_000, "x").expect("all").len(), over_time.len());
}

/// Sources of one file, and a place for a workshop beside them.
struct Bench {
    sources: PathBuf,
    place: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let (sources, place) = (dir.join("sources"), dir.join("place"));
        std::fs::create_dir_all(sources.join("src")).expect("a directory of its own");
        let made = Command::new("git").args(["init", "--quiet"]).current_dir(&sources).status();
        assert!(made.expect("git is there").success());
        let bench = Bench { sources, place };
        bench.write("src/a.rs", "one\ntwo\nthree\n");
        bench
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.sources.join(name), text).expect("it can be written");
    }

    fn open(&self) -> Workshop {
        Workshop::open(&self.sources, &self.place).expect("the sources can be copied")
    }

    fn planted(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.place.join("tree").join(name)).ok()
    }

    /// A patch that makes this line of `src/a.rs` another one.
    fn patch(&self, from: &str, to: &str) -> Mutant {
        let head = "# source: x\n# cause: x\n# symptom: x\n# checkers: S1\n";
        let change =
            format!("--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,3 +1,3 @@\n one\n-{from}\n+{to}\n three\n");
        let path = self.place.join("X01-a-bug.patch");
        std::fs::write(&path, format!("{head}diff --git a/src/a.rs b/src/a.rs\n{change}")).expect("a patch");
        Mutant::read(&path).expect("a seeded bug")
    }
}

#[test]
fn a_head_that_names_a_transcript_that_is_not_there_is_refused() {
    let bench = Bench::new("mutants-transcripts");
    let head = "# source: x\n# cause: x\n# symptom: x\n# checkers: S1\n# scenario: figure-9\n";
    let change = "diff --git a/src/a.rs b/src/a.rs\n--- a/src/a.rs\n+++ b/src/a.rs\n";
    for dir in ["sim/mutants", "tests/scenarios"] {
        std::fs::create_dir_all(bench.sources.join(dir)).expect("a directory");
    }
    bench.write("sim/mutants/X01-a-bug.patch", &format!("{head}{change}"));
    let named = || mutants::named(&bench.sources, &[]);
    assert!(named().is_err_and(|why| why.contains("X01-a-bug.patch: there is no transcript figure-9.txt")));
    bench.write("tests/scenarios/figure-9.txt", "start\n");
    assert_eq!(named().expect("it is there now").len(), 1);
}

#[test]
fn a_bug_is_planted_in_the_copy_alone_and_taken_out_again() {
    let bench = Bench::new("mutants-planted");
    let workshop = bench.open();
    let bug = bench.patch("two", "2");
    workshop.plant(&bug).expect("it applies");
    assert_eq!(bench.planted("src/a.rs").as_deref(), Some("one\n2\nthree\n"));
    assert_eq!(
        std::fs::read_to_string(bench.sources.join("src/a.rs")).expect("it is there"),
        "one\ntwo\nthree\n"
    );
    workshop.uproot(&bug).expect("it is taken out");
    assert_eq!(bench.planted("src/a.rs").as_deref(), Some("one\ntwo\nthree\n"));
}

#[test]
fn a_patch_that_changes_nothing_or_does_not_fit_is_refused() {
    let bench = Bench::new("mutants-refused");
    let workshop = bench.open();
    assert!(
        workshop.plant(&bench.patch("two", "two")).is_err_and(|why| why.contains("src/a.rs is as it was"))
    );
    assert!(workshop.plant(&bench.patch("four", "4")).is_err_and(|why| why.contains("cannot be applied")));
}

#[test]
fn a_copy_is_brought_up_to_date_and_what_has_not_changed_is_not_touched() {
    let bench = Bench::new("mutants-again");
    bench.write("src/b.rs", "old\n");
    bench.write("src/c.rs", "gone\n");
    // Somebody stopped the run in which this was planted.
    bench.open().plant(&bench.patch("two", "2")).expect("it applies");
    bench.write("src/b.rs", "new\n");
    std::fs::remove_file(bench.sources.join("src/c.rs")).expect("it was there");
    bench.open();
    assert_eq!(bench.planted("src/a.rs").as_deref(), Some("one\ntwo\nthree\n"));
    assert_eq!(bench.planted("src/b.rs").as_deref(), Some("new\n"));
    assert_eq!(bench.planted("src/c.rs"), None);
    let changed = || std::fs::metadata(bench.place.join("tree/src/b.rs")).and_then(|m| m.modified()).ok();
    let before = changed();
    bench.open();
    assert_eq!(changed(), before);
}
