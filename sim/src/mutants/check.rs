//! Whether each seeded bug still compiles: those that change different files are planted together and type-checked at once.
//!
//! Each is made for the sources as they are, so what compiles together compiles alone; only if it does not is each looked at alone.

use std::collections::BTreeSet;
use std::path::Path;

use super::patch::Mutant;
use super::workshop::Workshop;

/// Type-checks the sources with each of these bugs. Answers with what is wrong, each sentence with the bug's name in it.
pub fn check_types(mutants: &[Mutant], workshop: &Workshop, jobs: usize) -> Vec<String> {
    wrong(mutants, |together| workshop.check(together, jobs))
}

fn wrong(mutants: &[Mutant], check: impl Fn(&[&Mutant]) -> Result<(), String>) -> Vec<String> {
    let alone =
        |mutant: &Mutant| check(&[mutant]).err().map(|why| format!("{}-{}: {why}", mutant.id, mutant.name));
    let mut wrong = Vec::new();
    for group in groups(mutants) {
        if check(&group).is_ok() {
            continue;
        }
        wrong.extend(group.into_iter().filter_map(alone));
    }
    wrong
}

/// As few groups as come of putting each bug into the first whose files it does not touch.
fn groups(mutants: &[Mutant]) -> Vec<Vec<&Mutant>> {
    let mut groups: Vec<(BTreeSet<&Path>, Vec<&Mutant>)> = Vec::new();
    for mutant in mutants {
        let files: BTreeSet<&Path> = mutant.files.iter().map(AsRef::as_ref).collect();
        match groups.iter_mut().find(|(taken, _)| taken.is_disjoint(&files)) {
            Some((taken, group)) => {
                taken.extend(files);
                group.push(mutant);
            }
            None => groups.push((files, vec![mutant])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::patch::for_tests::meant;
    use std::cell::RefCell;

    fn touching(id: &str, files: &[&str]) -> Mutant {
        Mutant { files: files.iter().map(Into::into).collect(), ..meant(id, &["S1"]) }
    }

    #[test]
    fn what_touches_different_files_is_checked_together_and_the_culprit_is_named() {
        let all = [
            touching("A1", &["a"]),
            touching("A2", &["a", "b"]),
            touching("A3", &["c"]),
            touching("A4", &["b"]),
        ];
        let asked = RefCell::new(Vec::new());
        let told = wrong(&all, |together| {
            let ids: Vec<&str> = together.iter().map(|mutant| mutant.id.as_str()).collect();
            asked.borrow_mut().push(ids.concat());
            if ids.contains(&"A3") { Err("x.rs:1: error: no".to_string()) } else { Ok(()) }
        });
        assert_eq!(told, ["A3-a-name: x.rs:1: error: no"]);
        assert_eq!(asked.into_inner(), ["A1A3A4", "A1", "A3", "A4", "A2"]);
    }
}
