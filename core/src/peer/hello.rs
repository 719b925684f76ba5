//! The greeting of two brokers, and who is refused.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::BrokerId;
use crate::peer::front::FRONT;

/// The version of frames and messages that this release speaks.
pub const SPEAKS: u16 = 2;
/// The versions that it reads.
pub const READS: RangeInclusive<u16> = 2..=2;
/// Bytes of the longest greeting or answer to one, without its length: whoever has not been welcomed gets no more memory.
pub const LONGEST_GREETING: usize = 4096;
/// Bytes of the longest address: a name in DNS, and a port.
const LONGEST_ADDRESS: usize = 262;
/// Characters of a refusal that are sent and shown.
const LONGEST_REFUSAL: usize = 800;

/// Who a broker is among its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Its cluster, once it knows.
    pub cluster: Option<String>,
    /// Its `node.id`.
    pub id: BrokerId,
    /// Its log directory's id: made with the directory.
    pub directory: [u8; 16],
    /// Which of its lives this is: no two have the same.
    pub incarnation: u64,
    /// Where others reach it, as `host:port`; `None` if it is not known.
    pub address: Option<String>,
}

/// What the broker that opens a stream says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of what follows.
    pub protocol: u16,
    /// The speaker's cluster; a node that has not joined one yet does not know.
    pub cluster: Option<String>,
    /// The speaker.
    pub from: BrokerId,
    /// The id of its log directory.
    pub directory: [u8; 16],
    /// Which of its lives this is.
    pub incarnation: u64,
    /// Whom it wants to talk to.
    pub to: BrokerId,
    /// Where the speaker is answered, as `host:port`: who hears of it for the first time has no other way to know.
    pub address: Option<String>,
}

/// What the broker that was greeted says of itself, if it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Its cluster, if it knows.
    pub cluster: Option<String>,
    /// Who it is.
    pub from: BrokerId,
    /// The id of its log directory.
    pub directory: [u8; 16],
    /// Which of its lives this is.
    pub incarnation: u64,
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reception {
    /// Go on.
    Welcome(Welcome),
    /// Nothing that follows is read, for this reason.
    Refused(String),
}

impl Me {
    /// How this broker greets another one.
    pub fn hello(&self, to: BrokerId) -> Hello {
        Hello {
            protocol: SPEAKS,
            cluster: self.cluster.clone(),
            from: self.id,
            directory: self.directory,
            incarnation: self.incarnation,
            to,
            address: self.address.clone(),
        }
    }

    /// How it answers a greeting that [`judge`] finds good.
    pub fn welcome(&self) -> Welcome {
        Welcome {
            cluster: self.cluster.clone(),
            from: self.id,
            directory: self.directory,
            incarnation: self.incarnation,
        }
    }
}

/// Whether a broker that greets may talk to this one. `expected` are all others that this one has an address of; of any other, an address
/// to answer it at is needed.
///
/// # Errors
/// Why not, for people on both sides, with the setting to look at.
pub fn judge(hello: &Hello, me: &Me, expected: &BTreeSet<BrokerId>) -> Result<(), String> {
    let (from, id) = (hello.from, me.id);
    if !READS.contains(&hello.protocol) {
        return Err(other_version(hello.protocol));
    }
    one_cluster((from, &hello.cluster), (id, &me.cluster))?;
    if hello.to != id {
        return Err(format!(
            "broker {from} looks for broker {} at this address, but here is broker {id}: compare the addresses in \
             quipu.voters with each broker's node.id and quipu.peer.listen",
            hello.to
        ));
    }
    if from == id && hello.incarnation == me.incarnation {
        return Err(format!("broker {id} has called itself: an address in quipu.voters is its own"));
    }
    if from == id {
        return Err(format!("two brokers have node.id={id}: give one of them another"));
    }
    match &hello.address {
        _ if expected.contains(&from) => Ok(()),
        Some(address) if is_address(address) => Ok(()),
        _ => {
            let known: Vec<String> = expected.iter().map(ToString::to_string).collect();
            Err(format!(
                "broker {id} knows no broker {from}, only [{}], and is not told where to answer it: look at quipu.voters of broker \
                 {id}, and at node.id, quipu.peer.advertised and quipu.peer.listen of the other",
                known.join(", ")
            ))
        }
    }
}

/// Whether it can be dialled, and is short enough to be kept.
fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    text.len() <= LONGEST_ADDRESS
        && !text.contains(char::is_whitespace)
        && parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
}

fn other_version(version: u16) -> String {
    format!(
        "the other broker speaks version {version} of the brokers' protocol, this one reads {} to {}: upgrade the older one first",
        READS.start(),
        READS.end()
    )
}

/// Whether the broker that answered is the one that was meant.
///
/// # Errors
/// Why it is not, with the setting to look at.
pub fn judge_welcome(welcome: &Welcome, me: &Me, to: BrokerId) -> Result<(), String> {
    one_cluster((me.id, &me.cluster), (welcome.from, &welcome.cluster))?;
    if welcome.from != to {
        return Err(format!(
            "broker {} answers where broker {to} should: compare the addresses in quipu.voters with each broker's node.id",
            welcome.from
        ));
    }
    Ok(())
}

fn one_cluster(a: (BrokerId, &Option<String>), b: (BrokerId, &Option<String>)) -> Result<(), String> {
    match (a.1, b.1) {
        (Some(one), Some(other)) if one != other => Err(format!(
            "broker {} belongs to cluster {one:?}, broker {} to cluster {other:?}: look at quipu.voters of both. A broker that \
             is to join a cluster begins with an empty data directory",
            a.0, b.0
        )),
        _ => Ok(()),
    }
}

impl Hello {
    /// The first bytes of a stream: the front, and this.
    pub fn to_bytes(&self) -> Vec<u8> {
        greeting(self)
    }

    /// Reads a greeting: what follows the front and the length.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn read(bytes: &[u8]) -> Result<Hello, String> {
        match postcard::take_from_bytes::<u16>(bytes) {
            Ok((version, _)) if !READS.contains(&version) => Err(other_version(version)),
            _ => whole(bytes),
        }
    }
}

impl Reception {
    /// A refusal, cut to what may be sent.
    pub fn refused(why: &str) -> Reception {
        Reception::Refused(why.chars().take(LONGEST_REFUSAL).collect())
    }

    /// The first bytes of the answer: the front, and this.
    pub fn to_bytes(&self) -> Vec<u8> {
        greeting(self)
    }

    /// Reads an answer to a greeting: what follows the front and the length. Words of a refusal are made fit to be shown.
    ///
    /// # Errors
    /// It is none.
    pub fn read(bytes: &[u8]) -> Result<Reception, String> {
        Ok(match whole(bytes)? {
            Reception::Refused(why) => {
                let plain = |c: char| if c.is_control() { ' ' } else { c };
                Reception::Refused(why.chars().take(LONGEST_REFUSAL).map(plain).collect())
            }
            welcome @ Reception::Welcome(_) => welcome,
        })
    }
}

fn greeting(value: &impl Serialize) -> Vec<u8> {
    let mut out = FRONT.to_vec();
    out.extend([0; 4]);
    let mut out = postcard::to_extend(value, out).expect("plain values always encode");
    let length = (out.len() - FRONT.len() - 4) as u32;
    out[FRONT.len()..FRONT.len() + 4].copy_from_slice(&length.to_be_bytes());
    out
}

fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("the greeting is followed by {} bytes", rest.len())),
        Err(error) => Err(format!("the greeting cannot be read: {error}")),
    }
}
