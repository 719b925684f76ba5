//! A hundred thousand frames that nobody should send: the broker judges each, and its memory stays where it was.

use std::io::{Read, Write};

use bytes::Bytes;
use quipu_core::wire::messages::api_versions::ApiVersionsRequest;
use quipu_core::wire::messages::find_coordinator::FindCoordinatorRequest;
use quipu_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use quipu_core::wire::messages::metadata::MetadataRequest;
use quipu_core::wire::{ApiKey, Request};

use crate::client::{self, Client};
use crate::server::Server;

const FRAMES: u64 = 100_000;
const WARM_UP: u64 = 10_000;
/// What memory may grow by after the warm-up: allocator slack, not something kept for each frame.
const GROWTH_BYTES: u64 = 32 << 20;
const FRAMES_A_CONNECTION: usize = 4;
const THREADS: u64 = 4;

#[test]
fn a_hundred_thousand_random_frames_neither_crash_the_broker_nor_fill_its_memory() {
    let server = Server::start(|_| {});
    let mut honest = Client::connect(server.address);
    honest.create_topic("t");
    storm(&server, WARM_UP);
    let before = resident_bytes();
    storm(&server, FRAMES);
    let after = resident_bytes();
    assert_eq!(honest.produce("t", b"still here"), honest.produce("t", b"and here") - 1);
    server.wait_until("only the honest client is left", |counts| counts.connections_open == 1);
    server.wait_until("what they took from the budget was given back", |_| server.queued_bytes() == 0);
    let grown = after.saturating_sub(before);
    assert!(grown <= GROWTH_BYTES, "{FRAMES} frames made {before} bytes grow by {grown}");
}

/// Sends frames until the broker has judged that many: answered them, or closed the connection over them.
fn storm(server: &Server, frames: u64) {
    let judged = || server.counts().requests + server.counts().connections_cut;
    let target = judged() + frames;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ (frames + thread + 1));
                while judged() < target {
                    send_some(server, &mut chance);
                }
            });
        }
    });
}

fn send_some(server: &Server, chance: &mut Chance) {
    let mut client = Client::connect(server.address);
    for _ in 0..FRAMES_A_CONNECTION {
        let frame = bad_frame(&mut client, chance);
        if client.socket.write_all(&frame).is_err() {
            return;
        }
    }
    client.close_writing();
    let _ = client.socket.read_to_end(&mut Vec::new());
}

fn bad_frame(client: &mut Client, chance: &mut Chance) -> Vec<u8> {
    match chance.below(8) {
        0 => chance.bytes(64),
        1 => framed(&chance.bytes(300)),
        2 => {
            framed(&[&header(chance.next() as i16, chance.below(20) as i16)[..], &chance.bytes(200)].concat())
        }
        3 => {
            let (key, version) = known(chance);
            framed(&[&header(key, version)[..], &chance.bytes(200)].concat())
        }
        4 => {
            let (key, version) = known(chance);
            let counts = [0x7f, 0xff, 0xff, 0xff].repeat(1 + chance.below(6));
            framed(&[&header(key, version)[..], &[0, 0], &counts].concat())
        }
        5 => {
            let good = good_request(client, chance);
            let cut = 8 + chance.below(good.len() - 12);
            framed(&good[4..4 + cut])
        }
        6 => {
            let mut changed = good_request(client, chance).to_vec();
            for _ in 0..=chance.below(3) {
                let at = 12 + chance.below(changed.len() - 12);
                changed[at] = chance.next() as u8;
            }
            changed
        }
        _ => good_request(client, chance).to_vec(),
    }
}

/// A request that changes nothing but, perhaps, the end of the one topic there is.
fn good_request(client: &mut Client, chance: &mut Chance) -> Bytes {
    let request: Request = match chance.below(6) {
        0 => MetadataRequest { allow_auto_topic_creation: false, ..Default::default() }.into(),
        1 => client::fetch("t", 0, 0).into(),
        2 => client::produce("t", b"a value that is sent in good order", 1).into(),
        3 => FindCoordinatorRequest { coordinator_keys: vec!["g".to_owned()], ..Default::default() }.into(),
        4 => {
            let partitions = vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }];
            let topics = vec![ListOffsetsTopic { name: "t".to_owned(), partitions }];
            ListOffsetsRequest { topics, ..Default::default() }.into()
        }
        _ => ApiVersionsRequest {
            client_software_name: "storm".to_owned(),
            client_software_version: "1".to_owned(),
        }
        .into(),
    };
    let version = match request.key() {
        ApiKey::ApiVersions => 3,
        ApiKey::FindCoordinator => 4,
        ApiKey::ListOffsets => 6,
        _ => 9,
    };
    client.encode(request, version)
}

fn known(chance: &mut Chance) -> (i16, i16) {
    // Requests that make topics or groups would leave something behind when they happen to be good.
    let keys =
        [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::ApiVersions, ApiKey::DescribeGroups];
    let key = keys[chance.below(keys.len())];
    let versions = key.accepted();
    let span = (versions.end() - versions.start()) as usize + 1;
    (key.number(), versions.start() + chance.below(span) as i16)
}

fn header(key: i16, version: i16) -> [u8; 8] {
    let mut header = [0; 8];
    header[..2].copy_from_slice(&key.to_be_bytes());
    header[2..4].copy_from_slice(&version.to_be_bytes());
    header
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

/// Memory of this process that is really there, in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// xorshift64*: the same frames in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..1 + self.below(most)).map(|_| self.next() as u8).collect()
    }
}
