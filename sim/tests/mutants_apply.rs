//! Every seeded bug can still be planted, so that a change of the code it is about does not go by it unseen.

use std::path::Path;

use quipu_sim::mutants;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

#[test]
fn every_seeded_bug_can_be_planted() {
    if let Err(why) = mutants::check_apply(root()) {
        panic!("seeded bugs are to be brought up to date:\n{why}");
    }
}

#[test]
fn a_commit_draws_the_same_three_bugs_every_time() {
    let drawn = mutants::draw_three(root(), "0123abc").expect("the list of seeded bugs");
    assert_eq!(drawn, mutants::draw_three(root(), "0123abc").expect("the same list"));
    let different: std::collections::BTreeSet<&String> = drawn.iter().collect();
    assert_eq!(different.len(), 3, "{drawn:?}");
}
