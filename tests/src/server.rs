//! A `quipu serve` process of a test's own: free port, own data directory, killed and started at will.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it accepts connections.
const START: Duration = Duration::from_secs(30);

/// A running server. Dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Server {
    bootstrap: String,
    directory: PathBuf,
    configs: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with these `name=value` configs beside the defaults.
    ///
    /// With `TESTS_BOOTSTRAP=HOST:PORT` set, the running server there is used and the configs are its own
    /// business: so the stories can be told to any Kafka.
    pub fn start(configs: &[&str]) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("quipu-test-{}-{number}", std::process::id()));
        let configs = configs.iter().map(|config| (*config).to_string()).collect();
        if let Ok(bootstrap) = std::env::var("TESTS_BOOTSTRAP") {
            return Server { bootstrap, directory, configs, child: None };
        }
        fs::create_dir_all(&directory).expect("the temporary directory takes a new one");
        let bootstrap = format!("127.0.0.1:{}", free_port());
        let mut server = Server { bootstrap, directory, configs, child: None };
        server.again();
        server
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts the server once more, on the same port and data; returns how long it took to accept connections.
    pub fn again(&mut self) -> Duration {
        assert!(self.child.is_none(), "the server runs already");
        let log =
            File::options().create(true).append(true).open(self.log_path()).expect("the log can be opened");
        let mut command = Command::new(binary());
        let data = self.directory.join("data");
        command.args(["serve", "--set", &format!("listeners=PLAINTEXT://{}", self.bootstrap)]);
        command.args(["--set", &format!("log.dirs={}", data.display())]);
        for config in &self.configs {
            command.args(["--set", config]);
        }
        let errors = log.try_clone().expect("the log's handle can be doubled");
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", binary().display())));
        self.wait_until_open(started);
        started.elapsed()
    }

    fn wait_until_open(&mut self, started: Instant) {
        while TcpStream::connect(&self.bootstrap).is_err() {
            let ended = self.child.as_mut().expect("just started").try_wait().expect("a child can be asked");
            if let Some(status) = ended {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            assert!(started.elapsed() < START, "no connection after {START:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9, and nothing else: no goodbye, no flush.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// The end of what the server printed.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(file) = File::open(self.log_path()) {
            // Whatever can be read helps whoever reads the failure.
            let _ = BufReader::new(file).read_to_string(&mut text);
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The test is over either way; what is left is only to be tidy.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("The server's last lines:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    probe.local_addr().expect("a bound socket has an address").port()
}

/// The binary under test: `TESTS_SERVER`, or the one that a build beside this test makes.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("TESTS_SERVER") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// `cargo test` does not build the binaries of other packages, so this does.
fn build() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status =
        Command::new(cargo).args(["build", "--quiet", "-p", "quipu"]).status().expect("cargo starts");
    assert!(status.success(), "the server does not build");
    let test = std::env::current_exe().expect("a test knows where it lies");
    // target/debug/deps/test-0123 -> target/debug/quipu
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    profile.join("quipu")
}
