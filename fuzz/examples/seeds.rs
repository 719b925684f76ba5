//! Writes the committed seeds anew: `cargo run -p quipu-fuzz --example seeds`.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quipu_core::ids::{BrokerId, LeaderEpoch, Offset};
use quipu_core::peer::frame as peer_frame;
use quipu_core::peer::front::FRONT;
use quipu_core::peer::hello::{Me, Reception};
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Fetch, Message, Question, Refusal, Tip, Vote};
use quipu_core::quorum::voters::Voter;
use quipu_core::record::{BatchBuilder, Codec};
use quipu_core::time::Timestamp;
use quipu_core::wire::{ApiKey, decode_request, decode_response};

fn main() {
    for (key, key_index) in ApiKey::ALL.iter().zip(0..) {
        let versions = key.accepted();
        for version in [*versions.start(), *versions.end()] {
            let name = format!("{}-{version}", key.name());
            if let Some(frame) = (0..3).filter_map(|fill| request(*key, version, fill)).max_by_key(Vec::len) {
                write("frame", &name, &frame);
            }
            if let Some(frame) = (0..3).filter_map(|fill| response(*key, version, fill)).max_by_key(Vec::len)
            {
                let choice = [key_index, (version - versions.start()) as u8];
                write("response", &name, &[&choice[..], &frame].concat());
            }
        }
    }
    batches();
    peers();
}

/// The shortest request of that version whose body has only bytes of that value: zeros give empty arrays in the older
/// versions, ones in the newer, twos give arrays and texts of one element.
fn request(key: ApiKey, version: i16, fill: u8) -> Option<Vec<u8>> {
    let head = [&(key as i16).to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0, 1, b'c']].concat();
    let whole = |body: usize| [&head[..], &vec![fill; body]].concat();
    (0..200).map(whole).find(|frame| decode_request(&Bytes::copy_from_slice(frame)).is_ok())
}

fn response(key: ApiKey, version: i16, fill: u8) -> Option<Vec<u8>> {
    let whole = |body: usize| [&[0, 0, 0, 7][..], &vec![fill; body]].concat();
    let reads = |frame: &Vec<u8>| decode_response(key, version, &Bytes::copy_from_slice(frame)).is_ok();
    (0..200).map(whole).find(reads)
}

fn batches() {
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for (codec, form) in codecs.into_iter().zip(2..) {
        let mut builder = BatchBuilder::new().compression(codec, None);
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
        builder.push_with_headers(Timestamp(1_700_000_000_000), Some(b"k"), Some(b"vvvvvvvvvv"), &headers);
        builder.push(Timestamp(-1), None, None);
        let batch = builder.build();
        // As it is, sealed by the target, the codec's frame alone, and the plain records for the target to wrap.
        for (kind, form) in [("plain", 0), ("sealed", 1)] {
            let rules = [0, 1, 5, 8];
            for rule in rules {
                write(
                    "batch",
                    &format!("{codec}-{kind}-{rule}"),
                    &[&[form, rule], &batch.to_bytes()[..]].concat(),
                );
            }
        }
        write("batch", &format!("{codec}-body"), &[&[7, 0], &batch.body()[..]].concat());
        let mut plain = BatchBuilder::new();
        plain.push(Timestamp(5), Some(b"k"), Some(b"v"));
        plain.push(Timestamp(6), None, Some(b"v"));
        write("batch", &format!("{codec}-wrapped"), &[&[form, 0, 2], &plain.build().body()[..]].concat());
    }
}

fn peers() {
    let voter = Voter { id: BrokerId(3), directory: [7; 16] };
    let tip = Tip { epoch: LeaderEpoch(4), end: Offset(1000) };
    let mut batch = BatchBuilder::new();
    batch.push(Timestamp(5), Some(b"k"), Some(b"v"));
    let batch = batch.build();
    let batches = vec![batch.clone(), batch.clone()];
    let bodies = [
        ("vote", Body::Question(Question::Vote(Vote { pre: true, candidate: voter, tip }))),
        ("begin", Body::Question(Question::Begin)),
        ("end", Body::Question(Question::End { successors: vec![BrokerId(2), BrokerId(1)] })),
        ("fetch", Body::Question(Question::Fetch(Fetch { by: voter, tip, flushed: Offset(9) }))),
        ("voted", Body::Answer(Answer::Vote { by: voter, granted: true, leader: Some(BrokerId(1)) })),
        ("records", Body::Answer(Answer::Records { batches, high: Offset(12) })),
        ("diverging", Body::Answer(Answer::Diverging(tip))),
        ("refused", Body::Answer(Answer::Refused { why: Refusal::NotLeader, leader: None })),
        ("heard", Body::Answer(Answer::Heard)),
        ("flushed", Body::Flushed(Offset(12))),
    ];
    for (name, body) in bodies {
        let message = PeerMessage::Quorum(Message { correlation: 300, epoch: LeaderEpoch(5), body });
        let bytes = peer_frame::encode(&message).expect("it is small").concat();
        write("peer", name, &[&[0], &bytes[peer_frame::PREFIX_BYTES..]].concat());
    }
    write("peer", "batch", &[&[1], &batch.to_bytes()[..]].concat());
    let (id, cluster) = (BrokerId(1), Some("A".to_owned()));
    let me = Me { cluster, id, directory: [7; 16], incarnation: 9, address: None };
    let greeting = |bytes: Vec<u8>| bytes[FRONT.len() + peer_frame::PREFIX_BYTES..].to_vec();
    write("peer", "hello", &[&[2][..], &greeting(me.hello(BrokerId(2)).to_bytes())].concat());
    write("peer", "welcome", &[&[3][..], &greeting(Reception::Welcome(me.welcome()).to_bytes())].concat());
    write("peer", "unwelcome", &[&[3][..], &greeting(Reception::refused("no").to_bytes())].concat());
    write("peer", "front", &[&[4][..], &FRONT].concat());
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("a folder for seeds");
    fs::write(folder.join(name), bytes).expect("a seed");
}
