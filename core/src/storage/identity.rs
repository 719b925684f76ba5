//! Whose log directory it is: `meta.properties`, in the form Kafka's users know, with a checksum line at its end.

use bytes::Bytes;

use super::error::StorageError;
use super::ops::Identity;
use super::{frame, names};
use crate::disk::Disk;
use crate::ids::base64;
use crate::record::batch::crc32c;

/// The version of the data format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What a new directory is to be called, and what one that is there must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshIdentity {
    /// The cluster it must belong to; `None` takes the directory's own, or `new_cluster_id` if it is new.
    pub cluster_id: Option<String>,
    /// The cluster id of a new directory when none was asked for.
    pub new_cluster_id: String,
    /// The broker it must belong to.
    pub node_id: i32,
    /// The id of a new directory; one that is there keeps its own.
    pub directory_id: [u8; 16],
}

impl FreshIdentity {
    /// The identity of a directory that has none yet.
    pub(crate) fn make(&self) -> Identity {
        Identity {
            format: FORMAT,
            cluster_id: self.cluster_id.clone().unwrap_or_else(|| self.new_cluster_id.clone()),
            node_id: self.node_id,
            directory_id: self.directory_id,
        }
    }

    /// Whether a directory is the one that is wanted.
    pub(crate) fn check(&self, found: &Identity) -> Result<(), StorageError> {
        if found.node_id != self.node_id {
            return Err(StorageError::Refused(format!(
                "this log directory belongs to the broker with node.id {}, not to node.id {}: set node.id={} or use \
                 another directory",
                found.node_id, self.node_id, found.node_id
            )));
        }
        match &self.cluster_id {
            Some(wanted) if *wanted != found.cluster_id => Err(StorageError::Refused(format!(
                "this log directory belongs to the cluster {}, not to {wanted}: use another directory, or the cluster \
                 id of this one",
                found.cluster_id
            ))),
            _ => Ok(()),
        }
    }
}

/// Reads the identity; `None` when the directory has none yet.
pub(crate) fn load<D: Disk>(disk: &D) -> Result<Option<Identity>, StorageError> {
    match frame::read_whole(disk, names::IDENTITY)? {
        None => Ok(None),
        Some(bytes) => parse(&bytes).map(Some).map_err(|why| {
            StorageError::Refused(format!(
                "{} cannot be used: {why}. Restore it from a copy, or use another log directory",
                names::IDENTITY
            ))
        }),
    }
}

/// Writes the identity, durably.
pub(crate) fn save<D: Disk>(disk: &D, identity: &Identity) -> Result<(), StorageError> {
    frame::replace(disk, names::IDENTITY, Bytes::from(format(identity)), true)?;
    Ok(disk.sync(&[], &[""])?)
}

fn format(identity: &Identity) -> String {
    let body = format!(
        "# Whose log directory this is. Made by the first start; do not edit.\nversion={}\ncluster.id={}\nnode.id={}\n\
         directory.id={}\n",
        identity.format,
        identity.cluster_id,
        identity.node_id,
        base64::encode16(&identity.directory_id)
    );
    let crc = crc32c(body.as_bytes());
    format!("{body}crc32c={crc:08x}\n")
}

fn parse(bytes: &[u8]) -> Result<Identity, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_string())?;
    let field = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.ok_or_else(|| format!("it has no line {key}="))
    };
    let number = |key: &str| field(key)?.parse::<i64>().map_err(|_| format!("its {key} is no number"));
    let format = number("version")?;
    if format != i64::from(FORMAT) {
        return Err(format!("its data format is version {format}, this program knows only version {FORMAT}"));
    }
    let sum = u32::from_str_radix(field("crc32c")?, 16).map_err(|_| "its crc32c is no number".to_string())?;
    let body = text.find("crc32c=").map_or("", |at| &text[..at]);
    if crc32c(body.as_bytes()) != sum {
        return Err("its checksum does not match: it was edited or is damaged".to_string());
    }
    Ok(Identity {
        format: FORMAT,
        cluster_id: field("cluster.id")?.to_string(),
        node_id: i32::try_from(number("node.id")?).map_err(|_| "its node.id is too large".to_string())?,
        directory_id: base64::decode16(field("directory.id")?).ok_or("its directory.id is no id")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Identity {
        Identity { format: FORMAT, cluster_id: "abc".into(), node_id: 3, directory_id: [9; 16] }
    }

    #[test]
    fn an_identity_reads_back_and_an_edited_one_is_refused() {
        let text = format(&sample());
        assert_eq!(parse(text.as_bytes()), Ok(sample()));
        let edited = text.replace("node.id=3", "node.id=4");
        assert!(parse(edited.as_bytes()).unwrap_err().contains("checksum"));
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        let newer = format(&Identity { format: 2, ..sample() });
        assert!(
            parse(newer.as_bytes()).unwrap_err().contains("version 2, this program knows only version 1")
        );
    }

    #[test]
    fn another_broker_or_cluster_is_refused_with_what_to_do() {
        let fresh = FreshIdentity {
            cluster_id: Some("abc".into()),
            new_cluster_id: "new".into(),
            node_id: 3,
            directory_id: [1; 16],
        };
        assert_eq!(fresh.check(&sample()), Ok(()));
        let other = Identity { node_id: 5, ..sample() };
        assert!(fresh.check(&other).unwrap_err().to_string().contains("set node.id=5"));
        let other = Identity { cluster_id: "xyz".into(), ..sample() };
        assert!(fresh.check(&other).unwrap_err().to_string().contains("cluster xyz, not to abc"));
    }
}
