//! Where bugs are planted: a copy of the sources under `target`, built again and again with the same build directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::patch::Mutant;

/// The program that is built: it plays transcripts, and runs seeds until a claim breaks that is meant to.
const PROGRAM: &str = "until_broken";

/// A copy of the sources, as they are.
pub struct Workshop {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

impl Workshop {
    /// Copies the sources into `place`: what is committed or might be, as it is in the working tree. A copy that is there
    /// already is only brought up to date, so that no more is built anew than has changed.
    pub fn open(root: &Path, place: &Path) -> Result<Workshop, String> {
        let root = absolute(root)?;
        std::fs::create_dir_all(place).map_err(|e| format!("{}: {e}", place.display()))?;
        let place = absolute(place)?;
        let workshop = Workshop { tree: place.join("tree"), target: place.join("build"), root };
        let names = workshop.sources()?;
        workshop.clear(&workshop.tree, &names)?;
        names.iter().try_for_each(|name| workshop.restore(name))?;
        Ok(workshop)
    }

    /// The root of the sources that it is a copy of.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn sources(&self) -> Result<BTreeSet<PathBuf>, String> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .map_err(|e| format!("git ls-files: {e}"))?;
        if !listed.status.success() {
            let why = String::from_utf8_lossy(&listed.stderr).trim().to_string();
            return Err(format!("git does not list the sources in {}: {why}", self.root.display()));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        Ok(names.filter(|name| self.root.join(name).is_file()).collect())
    }

    /// Takes away what is no longer among the sources.
    fn clear(&self, dir: &Path, names: &BTreeSet<PathBuf>) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
        if !dir.exists() {
            return Ok(());
        }
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.strip_prefix(&self.tree).expect("it lies in the copy");
            if path.is_dir() {
                self.clear(&path, names)?;
            } else if !names.contains(name) {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Puts a file back as it is in the sources.
    fn restore(&self, name: &Path) -> Result<(), String> {
        let (from, to) = (self.root.join(name), self.tree.join(name));
        let contents = std::fs::read(&from).map_err(|e| format!("{}: {e}", from.display()))?;
        if std::fs::read(&to).is_ok_and(|there| there == contents) {
            return Ok(());
        }
        let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
        // Written, not copied: the build goes by when a file was changed.
        made.and_then(|()| std::fs::write(&to, contents)).map_err(|e| format!("{}: {e}", to.display()))
    }

    /// Plants a bug. A patch that changes nothing proves nothing, and is refused.
    pub fn plant(&self, mutant: &Mutant) -> Result<(), String> {
        apply(&self.tree, mutant, false)?;
        let read = |dir: &Path, name: &Path| std::fs::read(dir.join(name)).ok();
        let same = |name: &&PathBuf| read(&self.root, name) == read(&self.tree, name);
        match mutant.files.iter().find(same) {
            None => Ok(()),
            Some(name) => {
                Err(format!("{}-{} was applied, and {} is as it was", mutant.id, mutant.name, name.display()))
            }
        }
    }

    /// Takes a bug out again.
    pub fn uproot(&self, mutant: &Mutant) -> Result<(), String> {
        mutant.files.iter().try_for_each(|name| self.restore(name))
    }

    /// Plants a bug, builds, and takes the bug out again. Answers where the program is.
    pub(super) fn build(&self, mutant: &Mutant, jobs: usize) -> Result<PathBuf, String> {
        let built = self.plant(mutant).and_then(|()| self.compile(jobs));
        self.uproot(mutant)?;
        built
    }

    /// Plants bugs that touch different files, type-checks the sources, and takes the bugs out again.
    pub(super) fn check(&self, mutants: &[&Mutant], jobs: usize) -> Result<(), String> {
        let planted = mutants.iter().try_for_each(|mutant| self.plant(mutant));
        let checked = planted.and_then(|()| self.cargo("check", jobs));
        mutants.iter().try_for_each(|mutant| self.uproot(mutant))?;
        checked
    }

    fn compile(&self, jobs: usize) -> Result<PathBuf, String> {
        self.cargo("build", jobs)?;
        Ok(self.target.join("sim/examples").join(PROGRAM))
    }

    /// `cargo build` or `cargo check`. The error is the compiler's first.
    fn cargo(&self, verb: &str, jobs: usize) -> Result<(), String> {
        let built = Command::new("cargo")
            .args([verb, "--quiet", "--locked", "--message-format", "short"])
            .args(["--profile", "sim", "-p", "quipu-sim", "--example", PROGRAM])
            .args(["--jobs", &jobs.to_string()])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            // Small units: a bug changes few of them.
            .env("CARGO_PROFILE_SIM_CODEGEN_UNITS", "256")
            .output()
            .map_err(|e| format!("cargo {verb}: {e}"))?;
        if built.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        let first = said.lines().find(|line| line.contains("error")).or(said.lines().last());
        Err(format!("it does not build: {}", first.unwrap_or("cargo does not say why")))
    }
}

/// Whether a patch can be applied to the sources.
pub(super) fn applies(root: &Path, mutant: &Mutant) -> Result<(), String> {
    apply(&absolute(root)?, mutant, true)
}

/// What git is told of directories, and cargo, must not depend on where they are started.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))
}

fn apply(dir: &Path, mutant: &Mutant, only_check: bool) -> Result<(), String> {
    let mut git = Command::new("git");
    git.arg("apply").args(only_check.then_some("--check")).arg(&mutant.path).current_dir(dir);
    if let Some(above) = dir.parent() {
        // Inside a repository only paths of that repository would count.
        git.env("GIT_CEILING_DIRECTORIES", above);
    }
    let done = git.output().map_err(|e| format!("git apply: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr).trim().replace('\n', "; ");
    Err(format!("{}-{} cannot be applied: {why}", mutant.id, mutant.name))
}
