//! The links between brokers on madsim: two of them talk, are cut off from one another, and talk again; one dies and comes back.
#![cfg(madsim)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle};
use quipu_core::ids::{BrokerId, LeaderEpoch, Offset};
use quipu_core::peer::hello::Me;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Message};
use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_net::peer::{Heard, PeerLimits, PeerOptions, Peers};
use tokio::time::sleep;

/// What each broker has heard of the other: the number of each message.
type Numbers = Arc<Mutex<BTreeMap<BrokerId, Vec<u64>>>>;

/// How often each says something.
const BEAT: Duration = Duration::from_millis(50);
const CUT: Duration = Duration::from_secs(30);
/// Within which everything must be as before: the waits between attempts, an attempt under way, and some.
const RECOVERY: Duration = Duration::from_secs(10);

#[madsim::test]
async fn brokers_talk_again_when_a_cut_has_healed_and_when_one_of_them_was_killed() {
    let (world, heard) = (Handle::current(), Numbers::default());
    // Numbers of a later life are higher: no message may come twice.
    let lives = Arc::new(Mutex::new(0));
    let nodes: Vec<NodeHandle> = [1, 2].map(|id| node(&world, id, &heard, &lives)).into();
    sleep(RECOVERY).await;
    assert_both_hear(&heard, "from the start").await;

    let net = NetSim::current();
    net.clog_node(nodes[0].id());
    sleep(RECOVERY).await;
    let before = heard.lock().unwrap().clone();
    sleep(CUT).await;
    assert_eq!(*heard.lock().unwrap(), before, "nothing passes a cut");
    net.unclog_node(nodes[0].id());
    sleep(RECOVERY).await;
    assert_both_hear(&heard, "after the cut").await;

    world.kill(nodes[1].id());
    sleep(CUT).await;
    world.restart(nodes[1].id());
    sleep(RECOVERY).await;
    assert_both_hear(&heard, "after the restart").await;

    for (id, numbers) in heard.lock().unwrap().iter() {
        let once: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(once.len(), numbers.len(), "broker {id} has heard something twice");
    }
}

/// Both hear what is said now, a good part of it at least.
async fn assert_both_hear(heard: &Numbers, when: &str) {
    let counts = || [1, 2].map(|id| heard.lock().unwrap().get(&BrokerId(id)).map_or(0, Vec::len));
    let before = counts();
    sleep(BEAT * 40).await;
    let after = counts();
    assert!(
        before.iter().zip(after).all(|(before, after)| after >= before + 20),
        "{when}: {before:?} {after:?}"
    );
}

fn node(world: &Handle, id: i32, heard: &Numbers, lives: &Arc<Mutex<u64>>) -> NodeHandle {
    let (heard, lives) = (Arc::clone(heard), Arc::clone(lives));
    let machine =
        world.create_node().name(format!("broker {id}")).ip(format!("10.0.0.{id}").parse().unwrap());
    machine.init(move || talk(BrokerId(id), Arc::clone(&heard), Arc::clone(&lives))).build()
}

/// Lives, and says something at every beat, until it is killed.
async fn talk(id: BrokerId, heard: Numbers, lives: Arc<Mutex<u64>>) {
    let life = {
        let mut lives = lives.lock().unwrap();
        *lives += 1;
        *lives
    };
    let me = Me {
        cluster: Some("A".to_owned()),
        id,
        directory: [id.0 as u8; 16],
        incarnation: life,
        address: None,
    };
    let other = BrokerId(3 - id.0);
    let options = PeerOptions {
        me,
        listen: SocketAddr::from(([0, 0, 0, 0], 9093)),
        addresses: BTreeMap::from([(other, format!("10.0.0.{}:9093", other.0))]),
        seed: life,
        limits: PeerLimits::default(),
    };
    let deliver = move |from, said| {
        assert_eq!(from, other);
        let Heard::Said(messages) = said else { return };
        heard.lock().unwrap().entry(id).or_default().extend(messages.iter().map(number));
    };
    let peers = Peers::start(options, deliver).await.expect("an address of its own");
    for beat in 0.. {
        peers.send(other, say(life * 1_000_000 + beat));
        sleep(BEAT).await;
    }
}

/// A message with a record batch that has its number.
fn say(number: u64) -> PeerMessage {
    let mut batch = BatchBuilder::new();
    batch.push(Timestamp(1_600_000_000_000), None, Some(number.to_string().as_bytes()));
    let body = Body::Answer(Answer::Records { batches: vec![batch.build()], high: Offset(0) });
    PeerMessage::Quorum(Message { correlation: number, epoch: LeaderEpoch(1), body })
}

/// The number, which the batch must have too.
fn number(message: &PeerMessage) -> u64 {
    let PeerMessage::Quorum(message) = message else { panic!("not of the quorum: {message:?}") };
    let Body::Answer(Answer::Records { batches, .. }) = &message.body else { panic!("other words") };
    let value = message.correlation.to_string();
    assert!(batches[0].body().windows(value.len()).any(|bytes| bytes == value.as_bytes()));
    message.correlation
}
