//! Clients that are not librdkafka, each in a process of its own, which write to a topic of their own and read it in a group.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kafka::until;
use crate::ledger::Ledger;
use crate::scene::Scene;
use crate::server::directory;
use crate::story::log;

/// The names by which tests/clients/run knows them.
const NAMES: [&str; 2] = ["java", "franz-go"];

/// Between the rounds of a client, each of which is five records to every partition: 300 records a second.
const PAUSE_MS: &str = "100";

/// How long a client may take until it writes and reads; a JVM on a busy machine takes its time.
const BEGINNING: Duration = Duration::from_secs(120);

/// How long a client may take to bring out and read all that it has, and to leave its group.
const END: Duration = Duration::from_secs(300);

/// How tests/clients/run says that a runtime is missing.
const SKIPPED: i32 = 3;

/// A client, and what starts it but for its own arguments.
#[derive(Clone, Debug)]
pub struct Installed {
    name: &'static str,
    words: Vec<String>,
}

/// All that are installed here. Dropped, they are killed; what they logged is kept when the test fails.
#[derive(Debug)]
pub struct Foreign {
    directory: PathBuf,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    name: &'static str,
    scene: Scene,
    child: Child,
    ledger: Arc<Mutex<Ledger>>,
    watch: Option<JoinHandle<()>>,
    errors: PathBuf,
    /// How many commits it had told when a member was last replaced.
    commits: usize,
}

/// Installs and builds the clients, once for each of their versions. One whose runtime is missing is left out, and
/// the reason printed; with CI set the runner fails instead, and so does this.
pub fn install() -> Vec<Installed> {
    NAMES.iter().filter_map(|name| installed(name)).collect()
}

fn installed(name: &'static str) -> Option<Installed> {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/run");
    let asked = Command::new("python3").arg(runner).args(["--print-chaos", name]).output();
    let (why, skipped) = match &asked {
        Ok(output) if output.status.success() => {
            let words = String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect();
            return Some(Installed { name, words });
        }
        Ok(output) => (
            String::from_utf8_lossy(&output.stderr).trim().to_string(),
            output.status.code() == Some(SKIPPED),
        ),
        Err(error) => (format!("python3: {error}"), std::env::var_os("CI").is_none()),
    };
    assert!(skipped, "{name} cannot be installed: {why}");
    println!("chaos: goes on without {name}: {why}");
    None
}

impl Foreign {
    /// Starts each with a topic of so many partitions, replicated three times, and a group of its own; waits until
    /// each writes to and reads from every partition.
    pub fn start(bootstrap: &str, partitions: usize, clients: Vec<Installed>) -> Foreign {
        let directory = directory("quipu-foreign");
        fs::create_dir_all(&directory).expect("the temporary directory takes a new one");
        let start = |client: &Installed| {
            let scene = Scene::open(bootstrap, &format!("chaos-{}", client.name), (partitions, 3));
            Client::start(client, scene, &directory)
        };
        let mut foreign =
            Foreign { clients: clients.iter().map(start).collect(), directory: directory.clone() };
        for client in &mut foreign.clients {
            until(&format!("{} writes and reads everywhere", client.name), BEGINNING, || {
                client.faultless();
                client.ledger().begun()
            });
        }
        foreign
    }

    /// A strike is over: panics when a client saw what may not be. A member of each group that has come so far as to
    /// commit makes place for another, which asks where the group had stopped.
    pub fn over(&mut self) {
        for client in &mut self.clients {
            client.faultless();
            client.replace_a_member();
        }
    }

    /// Lets each client end in order, and holds what it was told against its topic's log; prints what was proved.
    pub fn finish(mut self) {
        self.clients.iter_mut().for_each(Client::ask_to_end);
        self.clients.iter_mut().for_each(Client::finish);
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for client in &mut self.clients {
            let _ = client.child.kill();
            let _ = client.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("\nWhat the clients logged is kept in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Client {
    fn start(installed: &Installed, scene: Scene, directory: &Path) -> Client {
        let Installed { name, words } = installed;
        let errors = directory.join(format!("{name}.log"));
        let log = File::create(&errors).expect("the log can be made");
        let partitions = scene.partitions.to_string();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args([&scene.bootstrap, &scene.topic, &scene.group, &partitions]);
        command.arg(PAUSE_MS).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let output = child.stdout.take().expect("its output is a pipe");
        let copy = File::create(directory.join(format!("{name}.lines"))).expect("a file can be made");
        let ledger = Arc::new(Mutex::new(Ledger::new(scene.partitions)));
        let shared = Arc::clone(&ledger);
        let watch = Some(std::thread::spawn(move || watch(output, copy, &shared)));
        Client { name, scene, child, ledger, watch, errors, commits: 0 }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with the lock")
    }

    fn faultless(&mut self) {
        let ended = self.child.try_wait().expect("a child can be asked");
        if let Some(status) = ended {
            panic!("{} has ended by itself: {status}; it logged {}", self.name, self.errors.display());
        }
        // The watch must not find the lock poisoned: it goes on while the panic is told.
        let faults = self.ledger().faults_of_a_writer();
        self.none(&faults, &[]);
    }

    /// Panics with the first of what the client saw and of what its log holds, if there is anything.
    fn none(&self, seen: &[String], held: &[String]) {
        let first = |faults: &[String]| faults[..faults.len().min(5)].to_vec();
        assert!(
            seen.is_empty() && held.is_empty(),
            "{}: {} faults, the first: {:#?}; its log has {}, the first: {:#?}",
            self.name,
            seen.len(),
            first(seen),
            held.len(),
            first(held)
        );
    }

    fn replace_a_member(&mut self) {
        let commits = self.ledger().totals().1;
        if std::mem::replace(&mut self.commits, commits) == commits {
            return;
        }
        let input = self.child.stdin.as_mut().expect("it was not asked to end");
        input.write_all(b"again\n").unwrap_or_else(|error| panic!("{} does not listen: {error}", self.name));
    }

    fn ask_to_end(&mut self) {
        drop(self.child.stdin.take());
    }

    fn finish(&mut self) {
        let status = self.ended();
        self.watch.take().expect("it is watched").join().expect("the watch ends well");
        let Scene { bootstrap, topic, partitions, .. } = &self.scene;
        let ledger = self.ledger();
        // Both at once: what the client saw explains what the log holds.
        let against = |partition| ledger.against(partition, &log(bootstrap, topic, partition));
        let held: Vec<String> = (0..*partitions).flat_map(against).collect();
        self.none(ledger.faults(), &held);
        let (totals, commits) = ledger.totals();
        assert!(status.success(), "{} ended with {status}; it logged {}", self.name, self.errors.display());
        assert!(commits > 0, "{}: no commit was acknowledged: resuming was not tested", self.name);
        println!("chaos: {}: {totals}: 0 lost, 0 doubled, 0 reordered", self.name);
    }

    fn ended(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(asked.elapsed() < END, "{} runs {END:?} after it was asked to end", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Takes a client's lines until its output ends, and keeps them for whoever reads a failure.
fn watch(output: ChildStdout, mut copy: File, ledger: &Mutex<Ledger>) {
    let started = Instant::now();
    for line in BufReader::new(output).lines() {
        let line = line.expect("a client writes text");
        writeln!(copy, "{:9.3} {line}", started.elapsed().as_secs_f64()).expect("the lines can be kept");
        ledger.lock().expect("nobody panics with the lock").take(&line);
    }
}
