//! What a broker says when it is ready: who it is and where, one line each.

use std::fmt::Write as _;
use std::path::Path;

use quipu_core::config::Durability;

/// What the banner tells.
#[derive(Debug)]
pub(crate) struct Banner<'a> {
    /// The cluster's id.
    pub(crate) cluster_id: &'a str,
    /// `node.id`.
    pub(crate) node_id: i32,
    /// Each address listened at, with the one that clients are told.
    pub(crate) listeners: &'a [(String, String)],
    /// Where other brokers connect.
    pub(crate) peers: Option<String>,
    /// The data directory.
    pub(crate) data_dir: &'a Path,
    /// When records count as stored.
    pub(crate) durability: Durability,
}

impl Banner<'_> {
    /// The banner, with an end of line after each line.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:<11} {value}");
        };
        line("quipu", env!("CARGO_PKG_VERSION"));
        line("cluster", self.cluster_id);
        line("broker", &self.node_id.to_string());
        for (listen, advertised) in self.listeners {
            line("listening", listen);
            line("advertised", advertised);
        }
        if let Some(peers) = &self.peers {
            line("peers", peers);
        }
        line("data", &self.data_dir.display().to_string());
        line("durability", durability(self.durability));
        out
    }
}

fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Synced => "synced: records are acknowledged once they are on disk",
        Durability::None => "none: records are acknowledged at once; a crash loses the last ones",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Banner, Durability};

    #[test]
    fn the_banner_tells_each_thing_on_a_line_of_its_own() {
        let listeners = [("127.0.0.1:9092".to_string(), "localhost:9092".to_string())];
        let banner = Banner {
            cluster_id: "c1",
            node_id: 1,
            listeners: &listeners,
            peers: Some("127.0.0.1:19092".to_string()),
            data_dir: Path::new("/data"),
            durability: Durability::Synced,
        };
        let expected = format!(
            "quipu       {}\ncluster     c1\nbroker      1\nlistening   127.0.0.1:9092\n\
             advertised  localhost:9092\npeers       127.0.0.1:19092\ndata        /data\n\
             durability  synced: records are acknowledged once they are on disk\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(banner.text(), expected);
    }
}
