//! Which broker of `quipu dev` gets which ports and which directory.

use std::io;
use std::net::TcpListener;
use std::path::Path;

use super::DevArgs;
use crate::listeners::Endpoint;

/// How far above the clients' ports those are at which brokers talk to one another.
const PEERS_ABOVE: u16 = 10_000;

/// All brokers.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) members: Vec<Member>,
    data_dir: String,
}

/// One broker.
#[derive(Debug)]
pub(super) struct Member {
    /// Its `node.id`.
    pub(super) id: u16,
    /// Where clients connect.
    clients: String,
    /// Where other brokers connect; `None` when there are none.
    peers: Option<String>,
    /// What `quipu` is started with.
    pub(super) arguments: Vec<String>,
}

impl Layout {
    /// Shares out ports and directories.
    pub(super) fn of(args: &DevArgs) -> Result<Layout, String> {
        let first = Endpoint::parse(&args.listen).map_err(|why| format!("--listen: {why}"))?;
        if first.is_wildcard() || first.port == 0 {
            return Err(format!(
                "--listen {}: give an address of this machine and a port, as in 127.0.0.1:9092",
                args.listen
            ));
        }
        let most = u16::MAX - PEERS_ABOVE - (args.nodes - 1);
        if first.port > most {
            return Err(format!(
                "--listen {}: brokers meet {PEERS_ABOVE} ports above, so choose a port up to {most}",
                args.listen
            ));
        }
        let data_dir = args.data_dir.to_str().ok_or("--data-dir must be UTF-8")?;
        let at = |id: u16, above: u16| {
            Endpoint { port: first.port + above + (id - 1), ..first.clone() }.bind_address()
        };
        let ids = 1..=args.nodes;
        let is_alone = args.nodes == 1;
        let voters: Vec<String> = ids.clone().map(|id| format!("{id}@{}", at(id, PEERS_ABOVE))).collect();
        let voters = (!is_alone).then(|| voters.join(","));
        let member = |id: u16| {
            let (clients, peers) = (at(id, 0), (!is_alone).then(|| at(id, PEERS_ABOVE)));
            let home = Path::new(data_dir).join(id.to_string()).to_string_lossy().into_owned();
            let arguments = arguments(args, (id, &clients), voters.as_deref(), home);
            Member { id, clients, peers, arguments }
        };
        Ok(Layout { members: ids.map(member).collect(), data_dir: data_dir.to_string() })
    }

    /// Sees that every port is free before anything is started. Between this and the start somebody else may still take one.
    pub(super) fn check_ports(&self) -> Result<(), String> {
        let mut held = Vec::new();
        for member in &self.members {
            let ports = [("clients", Some(&member.clients)), ("other brokers", member.peers.as_ref())];
            for (who, address) in ports {
                let Some(address) = address else { continue };
                match TcpListener::bind(address) {
                    Ok(listener) => held.push(listener),
                    Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                        return Err(format!(
                            "another process listens at {address}, where {who} are to connect to broker {}; stop it, or \
                             choose other ports with --listen: clients take {} from there on, brokers as many from \
                             {PEERS_ABOVE} above",
                            member.id,
                            self.members.len()
                        ));
                    }
                    Err(e) => {
                        return Err(format!("cannot listen at {address}: {e}; choose another with --listen"));
                    }
                }
            }
        }
        Ok(())
    }

    /// What there is, for a person.
    pub(super) fn summary(&self) -> String {
        let clients: Vec<&str> = self.members.iter().map(|member| member.clients.as_str()).collect();
        format!("brokers     {} (bootstrap.servers)\ndata        {}", clients.join(","), self.data_dir)
    }
}

impl Member {
    /// How a person starts it alone.
    pub(super) fn command(&self) -> String {
        let plain = |word: &String| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@=[]".contains(c);
            if word.chars().all(is_plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        let words: Vec<String> = self.arguments.iter().map(plain).collect();
        format!("quipu {}", words.join(" "))
    }
}

/// Everything that tells the brokers apart is a flag, which goes before what the environment says.
fn arguments(args: &DevArgs, (id, clients): (u16, &str), voters: Option<&str>, home: String) -> Vec<String> {
    let id = id.to_string();
    let own = [
        ("--node-id", Some(id.as_str())),
        ("--listen", Some(clients)),
        ("--advertise", Some(clients)),
        ("--data-dir", Some(home.as_str())),
        ("--voters", voters),
        ("--log-level", Some(args.log_level.as_str())),
    ];
    let own = own.iter().filter_map(|(flag, value)| Some([*flag, (*value)?]));
    let sets = args.set.iter().map(|set| ["--set", set.as_str()]);
    std::iter::once("serve").chain(own.chain(sets).flatten()).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Layout;
    use crate::cli::{Cli, Command};

    fn layout(flags: &[&str]) -> Result<Layout, String> {
        let Command::Dev(args) = Cli::parse_from([&["quipu", "dev"], flags].concat()).command else {
            panic!("dev was asked for")
        };
        Layout::of(&args)
    }

    #[test]
    fn ports_follow_one_another_and_every_broker_has_a_directory_of_its_own() {
        let layout = layout(&["--data-dir", "/d", "--set", "num.partitions=3"]).unwrap();
        let commands: Vec<String> = layout.members.iter().map(super::Member::command).collect();
        assert_eq!(commands.len(), 3);
        assert_eq!(
            commands[1],
            "quipu serve --node-id 2 --listen 127.0.0.1:9093 --advertise 127.0.0.1:9093 --data-dir /d/2 --voters \
             1@127.0.0.1:19092,2@127.0.0.1:19093,3@127.0.0.1:19094 --log-level info --set num.partitions=3"
        );
        assert!(layout.summary().contains("127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094"));
    }

    #[test]
    fn what_a_broker_is_started_with_is_what_serve_takes() {
        for flags in
            [&["--nodes", "1", "--data-dir", "/a b"][..], &["--nodes", "9", "--listen", "[::1]:7000"]]
        {
            for member in layout(flags).unwrap().members {
                let words = std::iter::once("quipu").chain(member.arguments.iter().map(String::as_str));
                let Command::Serve(args) = Cli::parse_from(words).command else { panic!("it serves") };
                crate::plan::Plan::read(&args, std::iter::empty()).unwrap();
                assert_eq!(args.voters.is_none(), member.peers.is_none());
            }
        }
        let alone = layout(&["--nodes", "1", "--data-dir", "/a b"]).unwrap();
        assert!(alone.members[0].command().contains("--data-dir '/a b/1'"));
    }

    #[test]
    fn an_address_without_ports_enough_is_told() {
        let told = |listen: &str| layout(&["--listen", listen]).unwrap_err();
        assert!(told("127.0.0.1:60000").contains("a port up to 55533"));
        assert!(layout(&["--listen", "127.0.0.1:55533"]).is_ok());
        assert!(told("127.0.0.1:0").contains("an address of this machine and a port"));
        assert!(told(":9092").contains("an address of this machine and a port"));
        assert!(told("9092").contains("has no port"));
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_whose_it_was_to_be() {
        // Nobody else is at this address: Linux gives a process all of 127.0.0.0/8.
        let [.., a, b] = std::process::id().to_be_bytes();
        let host = format!("127.{}.{b}.77", a.max(1));
        let layout = layout(&["--listen", &format!("{host}:9092")]).unwrap();
        assert_eq!(layout.check_ports(), Ok(()));
        for (port, words) in [
            (9093, "clients are to connect to broker 2"),
            (19094, "other brokers are to connect to broker 3"),
        ] {
            let _taken = std::net::TcpListener::bind((host.as_str(), port)).unwrap();
            let told = layout.check_ports().unwrap_err();
            assert!(told.contains(words) && told.contains("--listen"), "{told}");
        }
    }
}
