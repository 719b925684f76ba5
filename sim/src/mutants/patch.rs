//! One seeded bug: a patch, and what its head says of it.

use std::path::{Path, PathBuf};

/// A seeded bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its id in the list of historical bugs.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The claims that are meant to see it.
    pub checkers: Vec<String>,
    /// What a panic must say to count as seen by P1. None: any panic counts, if P1 is named at all.
    pub panics: Vec<String>,
    /// The files that it changes.
    pub files: Vec<PathBuf>,
    /// Where the patch is.
    pub path: PathBuf,
}

impl Mutant {
    /// Reads a patch. Its file is named after the id and the name; its head says which claims are meant to see it.
    pub fn parse(file_name: &str, text: &str) -> Result<Mutant, String> {
        let (id, name) = file_name.split_once('-').ok_or_else(|| format!("{file_name} has no id"))?;
        let head = text.lines().take_while(|line| !line.starts_with("diff "));
        let said = |line: &str, what: &str| {
            let line = line.trim_start_matches('#').trim();
            line.strip_prefix(what).map(|said| said.trim().to_string())
        };
        let checkers: Vec<String> = head
            .clone()
            .filter_map(|line| said(line, "checkers:"))
            .flat_map(|all| all.split_whitespace().map(str::to_string).collect::<Vec<_>>())
            .collect();
        let panics = head.filter_map(|line| said(line, "panic:")).collect();
        let files: Vec<PathBuf> =
            text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
        if checkers.is_empty() || files.is_empty() {
            return Err(format!("{file_name} names no checkers, or changes nothing"));
        }
        let (id, name, path) = (id.to_string(), name.to_string(), PathBuf::new());
        Ok(Mutant { id, name, checkers, panics, files, path })
    }

    /// Whether a claim that broke was meant to.
    pub fn intends(&self, claim: &str, story: &str) -> bool {
        let words = self.panics.is_empty() || self.panics.iter().any(|words| story.contains(words));
        self.checkers.iter().any(|checker| checker == claim) && (claim != "P1" || words)
    }
}

/// Every seeded bug there is, in order of id.
pub(super) fn all(root: &Path) -> Result<Vec<Mutant>, String> {
    let dir = root.join("sim/mutants");
    let dir = dir.canonicalize().map_err(|e| format!("{}: {e}", dir.display()))?;
    let entries = std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: {e}", dir.display()))?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".patch"))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mutant = Mutant::parse(name, &text)?;
        all.push(Mutant { path, ..mutant });
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    match all.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(format!("there are two patches with the id {}", pair[0].id)),
        None => Ok(all),
    }
}
