//! One seeded bug: a patch, and what its head says of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::claims;
use crate::plan::brokers::Brokers;
use crate::scenarios::Scenario;

/// What a head may say. What comes before `here` it must.
const KEYS: [&str; 10] =
    ["source", "cause", "symptom", "checkers", "here", "panic", "unseen", "brokers", "scenario", "sweep"];
/// How many of them every head has.
const NEEDED: usize = 4;

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
    /// Transcripts that come out otherwise with it.
    pub scenarios: Vec<String>,
    /// Nobody has seen it yet, as far as is known: a hole to be closed, which would fail whatever runs by chance.
    pub unseen: bool,
    /// Its transcripts alone see it: seeds were swept in vain.
    pub in_vain: bool,
    /// How many brokers the plans have that are to show it.
    pub brokers: Brokers,
    /// The files that it changes.
    pub files: Vec<PathBuf>,
    /// Where the patch is.
    pub path: PathBuf,
}

impl Mutant {
    /// Reads a patch. Its file is named after the id and the name; its head says which claims are meant to see it.
    pub fn read(path: &Path) -> Result<Mutant, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let path = path.to_path_buf();
        Ok(Mutant { path, ..Mutant::parse(stem, &text)? })
    }

    fn parse(stem: &str, text: &str) -> Result<Mutant, String> {
        let wrong = |what: String| format!("{stem}.patch: {what}");
        let (id, name) = stem.split_once('-').ok_or_else(|| wrong("call it ID-NAME.patch".into()))?;
        let mut said = head(text).map_err(wrong)?;
        if let Some(missing) = KEYS[..NEEDED].iter().find(|key| !said.contains_key(**key)) {
            return Err(wrong(format!("its head says nothing of `{missing}`: write `# {missing}: ..`")));
        }
        let checkers = words(&said, "checkers");
        let claims = claims::names();
        if let Some(unknown) = checkers.iter().find(|checker| !claims.contains(checker.as_str())) {
            let claims: Vec<&str> = claims.into_iter().collect();
            return Err(wrong(format!("there is no claim {unknown}, only {}", claims.join(" "))));
        }
        let files: Vec<PathBuf> =
            text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
        if checkers.is_empty() || files.is_empty() {
            return Err(wrong("it names no claim, or changes nothing".into()));
        }
        let scenarios = words(&said, "scenario");
        let (unseen, in_vain) = (said.contains_key("unseen"), said.contains_key("sweep"));
        if in_vain && (unseen || scenarios.is_empty()) {
            return Err(wrong("`sweep` is for what a transcript sees: name it as `scenario`".into()));
        }
        let panics = said.remove("panic").unwrap_or_default();
        let (id, name, path) = (id.to_string(), name.to_string(), PathBuf::new());
        let brokers = said.get("brokers").and_then(|all| all.first()).map(|word| word.parse().map_err(wrong));
        let brokers = brokers.transpose()?.unwrap_or_default();
        Ok(Mutant { id, name, checkers, panics, scenarios, unseen, in_vain, brokers, files, path })
    }

    /// Whether seeds are swept for it, where nobody asks for that: not if transcripts are played and no seed is known to show it.
    pub(super) fn is_swept(&self) -> bool {
        self.scenarios.is_empty() || !(self.unseen || self.in_vain)
    }

    /// Whether a claim that broke was meant to.
    pub fn intends(&self, claim: &str, story: &str) -> bool {
        let words = self.panics.is_empty() || self.panics.iter().any(|words| story.contains(words));
        self.checkers.iter().any(|checker| checker == claim) && (claim != "P1" || words)
    }
}

/// The words of all lines of a key.
fn words(said: &BTreeMap<&str, Vec<String>>, key: &str) -> Vec<String> {
    said.get(key).into_iter().flatten().flat_map(|all| all.split_whitespace()).map(str::to_string).collect()
}

/// What the lines before the first change say: `# key: text`, and more of the text in lines that are set in.
fn head(text: &str) -> Result<BTreeMap<&str, Vec<String>>, String> {
    let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut last = None;
    for line in text.lines().take_while(|line| !line.starts_with("diff ")) {
        let told = line.strip_prefix("# ").ok_or_else(|| format!("`{line}` does not begin with `# `"))?;
        let more = last.filter(|_| told.starts_with("  "));
        match (more, told.split_once(": ").filter(|(key, _)| KEYS.contains(key))) {
            (Some(key), _) => {
                let text = said.get_mut(key).and_then(|all| all.last_mut()).expect("it was said before");
                text.push(' ');
                text.push_str(told.trim());
            }
            (None, Some((key, text))) => {
                said.entry(key).or_default().push(text.trim().to_string());
                last = Some(key);
            }
            (None, None) => return Err(format!("`{line}` begins with none of {}", KEYS.join(", "))),
        }
    }
    Ok(said)
}

/// Every seeded bug there is, in order of id.
pub(super) fn all(root: &Path) -> Result<Vec<Mutant>, String> {
    let dir = root.join("sim/mutants");
    let unreadable = |e: std::io::Error| format!("{}: {e}", dir.display());
    let dir = dir.canonicalize().map_err(unreadable)?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ends| ends == "patch") {
            let mutant = Mutant::read(&path)?;
            for name in &mutant.scenarios {
                Scenario::named(root, name).map_err(|why| format!("{}: {why}", path.display()))?;
            }
            all.push(mutant);
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    match all.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(format!("there are two patches with the id {}", pair[0].id)),
        None => Ok(all),
    }
}

#[cfg(test)]
pub(super) mod for_tests {
    use super::*;

    /// One that these claims are meant to see.
    pub(in crate::mutants) fn meant(id: &str, checkers: &[&str]) -> Mutant {
        let head = "# source: x\n# cause: x\n# symptom: x\n";
        let change = "diff --git a/x b/x\n--- a/x\n+++ b/x\n";
        let text = format!("{head}# checkers: {}\n{change}", checkers.join(" "));
        Mutant::parse(&format!("{id}-a-name"), &text).expect("a seeded bug")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# source: a list\n# cause: a slip,\n#   and haste\n# symptom: none: yet\n";
    const CHANGE: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n";

    fn parse(head: &str, change: &str) -> Result<Mutant, String> {
        Mutant::parse("C01-a-name", &format!("{head}{change}"))
    }

    #[test]
    fn a_head_says_which_claims_are_meant_and_what_a_panic_must_say() {
        let told = format!("{HEAD}# checkers: S1 P1\n# panic: at the end\n");
        let m = parse(&told, CHANGE).expect("a seeded bug");
        assert_eq!((m.id.as_str(), m.name.as_str(), m.files.len()), ("C01", "a-name", 1));
        assert!(m.intends("S1", "") && m.intends("P1", "it ended at the end"));
        assert!(!m.intends("S2", "") && !m.intends("P1", "index out of bounds"));
        let any =
            parse(&format!("{HEAD}# checkers: P1\n# unseen: in 9 seeds\n"), CHANGE).expect("a seeded bug");
        assert!(any.unseen && !m.unseen && m.brokers == Brokers::One);
        let three = parse(&format!("{HEAD}# checkers: P1\n# brokers: 3\n"), CHANGE).expect("a seeded bug");
        assert_eq!(three.brokers, Brokers::Three);
        assert!(any.intends("P1", "whatever it says"));
    }

    #[test]
    fn a_head_says_which_transcripts_see_it_and_whether_seeds_are_swept_for_it() {
        let told =
            |more: &str| parse(&format!("{HEAD}# checkers: S1\n{more}"), CHANGE).expect("a seeded bug");
        let both = told("# scenario: figure-8 vote\n# scenario: commit\n");
        assert_eq!(both.scenarios, ["figure-8", "vote", "commit"]);
        assert!(both.is_swept() && !both.in_vain && !both.unseen);
        let alone = told("# scenario: figure-8\n# sweep: not in 1,000 seeds, it takes five\n");
        assert!(alone.in_vain && !alone.is_swept() && !alone.unseen);
        // Somebody who names one that nobody has seen wants to know; whoever plays a transcript knows by that.
        assert!(told("# unseen: not in 9 seeds\n").is_swept());
        assert!(!told("# unseen: not in 9 seeds\n# scenario: vote\n").is_swept());
    }

    #[test]
    fn a_head_that_lacks_something_or_names_what_is_not_there_is_refused() {
        let refused = |head: &str, change: &str, why: &str| {
            let told = parse(head, change).expect_err(why);
            assert!(told.contains(why), "{told}");
        };
        refused(HEAD, CHANGE, "nothing of `checkers`");
        refused(&format!("{HEAD}# checkers: S1 S99\n"), CHANGE, "no claim S99");
        refused(&format!("{HEAD}# checkers: \n"), CHANGE, "names no claim");
        refused(&format!("{HEAD}# checkers: S1\n"), "", "changes nothing");
        refused(&format!("{HEAD}# chekers: S1\n"), CHANGE, "begins with none of");
        refused(&format!("{HEAD}# checkers: S1\n# brokers: 4\n"), CHANGE, "4 brokers");
        let vain = "# sweep: not in 9 seeds\n";
        refused(&format!("{HEAD}# checkers: S1\n{vain}"), CHANGE, "name it as `scenario`");
        refused(
            &format!("{HEAD}# checkers: S1\n# scenario: x\n# unseen: y\n{vain}"),
            CHANGE,
            "`sweep` is for",
        );
        refused("source: a list\n", CHANGE, "does not begin with `# `");
        assert!(Mutant::parse("nameless", CHANGE).is_err_and(|why| why.contains("ID-NAME.patch")));
    }
}
