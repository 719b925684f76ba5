//! A server of a test's own: free port, own data directory, killed and started at will.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::Process;

/// A running server. Dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Server {
    bootstrap: String,
    directory: PathBuf,
    process: Process,
}

impl Server {
    /// Starts a server with these `name=value` configs beside the defaults.
    ///
    /// With `TESTS_BOOTSTRAP=HOST:PORT` set, the running server there is used and the configs are its own
    /// business: so the stories can be told to any Kafka.
    pub fn start(configs: &[&str]) -> Server {
        let directory = directory("quipu-test");
        let address = free_address();
        let own =
            [format!("listeners=PLAINTEXT://{address}"), format!("log.dirs={}/data", directory.display())];
        let sets = own.into_iter().chain(configs.iter().map(|config| (*config).to_string()));
        let sets = sets.flat_map(|set| ["--set".to_string(), set]);
        let arguments = std::iter::once("serve".to_string()).chain(sets).collect();
        let process = Process::new(address, arguments, directory.join("server.log"));
        if let Ok(bootstrap) = std::env::var("TESTS_BOOTSTRAP") {
            return Server { bootstrap, directory, process };
        }
        fs::create_dir_all(&directory).expect("the temporary directory takes a new one");
        let mut server = Server { bootstrap: address.to_string(), directory, process };
        server.again();
        server
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts the server once more, on the same port and data; returns how long it took to accept connections.
    pub fn again(&mut self) -> Duration {
        self.process.start()
    }

    /// kill -9, and nothing else: no goodbye, no flush.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The end of what the server printed.
    pub fn log(&self) -> String {
        self.process.last_lines(40)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.end();
        if std::thread::panicking() {
            eprintln!("The server's last lines:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A directory that is not there yet, in the system's temporary one.
pub(crate) fn directory(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("{name}-{}-{number}", std::process::id()))
}

fn free_address() -> SocketAddr {
    let probe = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    probe.local_addr().expect("a bound socket has an address")
}
