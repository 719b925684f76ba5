//! Runs one command: shows what it prints as it prints it, counts the tests it reports, ends it at its limit.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What test runners said of themselves, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that were ignored or skipped.
    pub(crate) skipped: usize,
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Reads a closing line: libtest's `test result: ..`, or `checks: ..` of our own scripts.
    fn read(line: &str) -> Option<Tally> {
        let counts = line.strip_prefix("test result: ").or_else(|| line.strip_prefix("checks: "))?;
        let number = |word: &str| {
            let mut words = counts.split([' ', ';', ',', '.']).filter(|part| !part.is_empty()).peekable();
            while let Some(part) = words.next() {
                if words.peek() == Some(&word) {
                    return part.parse().unwrap_or(0);
                }
            }
            0
        };
        let skipped = number("ignored") + number("skipped");
        Some(Tally { passed: number("passed"), failed: number("failed"), skipped })
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_path_buf()
}

/// cargo itself, as the developer runs it, in the root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), args)
}

/// A command in the root, with nothing on standard input.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    // What cargo sets for xtask must not leak into the builds it starts.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end or to the limit. The error says how it ended.
pub(crate) fn run(mut command: Command, limit: Duration) -> (Tally, Result<(), String>) {
    let name = name_of(&command);
    let mut child = match command.stdout(Stdio::piped()).process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return (Tally::default(), Err(format!("cannot start {name}: {error}"))),
    };
    let (done, ended) = mpsc::channel::<()>();
    let group = child.id();
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            // The group, so that servers and browsers a script started end with it.
            let _ = Command::new("kill").args(["-9", "--", &format!("-{group}")]).status();
        }
        late
    });
    let mut tally = Tally::default();
    let output = child.stdout.take().expect("standard output is piped");
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.add(Tally::read(&line).unwrap_or_default());
    }
    let status = child.wait();
    drop(done);
    let late = watch.join().expect("the watch does not panic");
    (tally, verdict(&name, late, limit, status))
}

fn verdict(
    name: &str,
    late: bool,
    limit: Duration,
    status: std::io::Result<std::process::ExitStatus>,
) -> Result<(), String> {
    match status {
        _ if late => Err(format!("{name} was still running after {} s and was ended", limit.as_secs())),
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("cannot wait for {name}: {error}")),
    }
}

/// What a command prints on standard output, when it succeeds.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let name = name_of(&command);
    let out =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if !out.status.success() {
        return Err(format!("{name} ended with {}", out.status));
    }
    String::from_utf8(out.stdout).map_err(|error| format!("{name} printed bytes that are not text: {error}"))
}

fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether `program` can be started here.
pub(crate) fn exists(program: &str, args: &[&str]) -> bool {
    let quiet = command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Whether this run is CI's, where nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_test_runners_are_counted() {
        let libtest =
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(Tally::read(libtest), Some(Tally { passed: 12, failed: 0, skipped: 3 }));
        let ours = "checks: 7 passed, 2 failed, 1 skipped";
        assert_eq!(Tally::read(ours), Some(Tally { passed: 7, failed: 2, skipped: 1 }));
        assert_eq!(Tally::read("running 7 tests"), None);
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children_and_reported() {
        let started = std::time::Instant::now();
        let hangs = command("sh", &["-c", "sleep 30 & sleep 30"]);
        let (_, result) = run(hangs, Duration::from_millis(200));
        assert!(result.is_err_and(|error| error.contains("still running")));
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_command_that_fails_or_does_not_exist_is_reported() {
        assert!(run(command("false", &[]), Duration::from_secs(5)).1.is_err());
        assert!(run(command("no-such-program", &[]), Duration::from_secs(5)).1.is_err());
    }
}
