//! Where bugs are planted: a copy of the sources under `target`, built again and again with the same build directory.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::patch::Mutant;

/// The program that is built: it runs seeds until a claim breaks.
const PROGRAM: &str = "until_broken";
/// How long a seed may take, about: one that a bug keeps from ending is no proof of anything.
const SEED_SECONDS: u64 = 30;

/// A copy of the sources, as they are.
pub(super) struct Workshop {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

/// A claim that broke.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Found {
    pub(super) seed: u64,
    pub(super) claim: String,
    pub(super) story: String,
}

impl Workshop {
    /// Copies the sources: what is committed or might be, as it is in the working tree.
    pub(super) fn open(root: &Path) -> Result<Workshop, String> {
        let root = absolute(root)?;
        let place = root.join("target/mutants");
        let workshop = Workshop { tree: place.join("tree"), target: place.join("build"), root };
        if workshop.tree.exists() {
            std::fs::remove_dir_all(&workshop.tree).map_err(|e| format!("{}: {e}", place.display()))?;
        }
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&workshop.root)
            .output()
            .map_err(|e| format!("git ls-files: {e}"))?;
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names = names.split('\0').map(Path::new).filter(|name| workshop.root.join(name).is_file());
        names.map(|name| workshop.restore(name)).collect::<Result<Vec<()>, String>>()?;
        Ok(workshop)
    }

    /// Puts a file back as it is in the sources.
    fn restore(&self, name: &Path) -> Result<(), String> {
        let (from, to) = (self.root.join(name), self.tree.join(name));
        let contents = std::fs::read(&from).map_err(|e| format!("{}: {e}", from.display()))?;
        let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
        // Written, not copied: the build goes by when a file was changed.
        made.and_then(|()| std::fs::write(&to, contents)).map_err(|e| format!("{}: {e}", to.display()))
    }

    /// A patch that changed nothing proves nothing: a file that it is about must not be as in the sources.
    fn is_planted(&self, mutant: &Mutant) -> Result<(), String> {
        let read = |dir: &Path, name: &Path| std::fs::read(dir.join(name)).ok();
        let same = |name: &PathBuf| read(&self.root, name) == read(&self.tree, name);
        match mutant.files.iter().any(same) {
            true => Err(format!("{}-{} was applied and changed nothing", mutant.id, mutant.name)),
            false => Ok(()),
        }
    }

    /// Plants a bug, builds, and takes the bug out again. Answers where the program is.
    pub(super) fn build(&self, mutant: &Mutant) -> Result<PathBuf, String> {
        apply(&self.tree, mutant, false)?;
        self.is_planted(mutant)?;
        let built = Command::new("cargo")
            .args(["build", "--quiet", "--locked", "--profile", "sim", "-p", "quipu-sim"])
            .args(["--example", PROGRAM])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .output()
            .map_err(|e| format!("cargo build: {e}"))?;
        mutant.files.iter().map(|name| self.restore(name)).collect::<Result<Vec<()>, String>>()?;
        if !built.status.success() {
            let errors = String::from_utf8_lossy(&built.stderr).into_owned();
            let errors: Vec<&str> = errors.lines().filter(|l| l.contains("error")).take(5).collect();
            return Err(format!("it does not build: {}", errors.join("; ")));
        }
        Ok(self.target.join("sim/examples").join(PROGRAM))
    }
}

/// Whether a patch can be applied to the sources.
pub(super) fn applies(root: &Path, mutant: &Mutant) -> Result<(), String> {
    apply(&absolute(root)?, mutant, true)
}

/// What git is told of directories, and cargo, must not depend on where they are started.
fn absolute(root: &Path) -> Result<PathBuf, String> {
    root.canonicalize().map_err(|e| format!("{}: {e}", root.display()))
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

/// Runs seeds, so many at once. Answers the first in which a claim broke.
pub(super) fn search(program: &Path, seeds: Range<u64>, jobs: u64) -> Result<Option<Found>, String> {
    let jobs = jobs.max(1);
    let seconds = SEED_SECONDS * ((seeds.end - seeds.start) / jobs + 2);
    let until = Instant::now() + Duration::from_secs(seconds);
    let start = |job: u64| {
        Command::new(program)
            .args([seeds.start + job, seeds.end, jobs].map(|n| n.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))
    };
    let mut children = Vec::new();
    for job in 0..jobs {
        children.push(start(job)?);
    }
    let results: Vec<Result<Option<Found>, String>> =
        children.iter_mut().map(|child| finish(child, until)).collect();
    let found: Vec<Option<Found>> = results.into_iter().collect::<Result<_, _>>()?;
    Ok(found.into_iter().flatten().min_by_key(|found| found.seed))
}

/// Waits for a run of seeds, but not for ever.
fn finish(child: &mut Child, until: Instant) -> Result<Option<Found>, String> {
    let failed = |e: std::io::Error| format!("a run of seeds: {e}");
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() >= until => {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                return Err("a seed does not come to its end".to_string());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut told = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut told).map_err(failed)?;
    match told.trim() {
        "" if status.success() => Ok(None),
        "" => Err(format!("a run of seeds ended with {status}")),
        told => serde_json::from_str(told).map(Some).map_err(|e| format!("{told}: {e}")),
    }
}
