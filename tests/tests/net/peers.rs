//! Brokers talk with one another, and with nobody else.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use quipu_core::ids::BrokerId;
use quipu_core::peer::hello::{Hello, Me, Reception};
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body};
use quipu_core::record::Batch;
use quipu_core::wire::messages::api_versions::ApiVersionsRequest;
use quipu_net::peer::PeerLimits;

use crate::client::Client;
use crate::peer::{Broker, Stranger, batch, bytes, introduce, me, number, numbered, records};
use crate::server::Server;

/// A broker 2 that would listen to broker 1, and the port at which that one does not answer.
fn listening(change: impl FnOnce(&mut PeerLimits)) -> (Broker, TcpListener) {
    let (broker, mute) = (Broker::start_with(2, change), mute());
    broker.know(&[(BrokerId(1), mute.local_addr().unwrap())]);
    (broker, mute)
}

/// A port that takes connections and never answers.
fn mute() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn two_brokers_hear_one_another_and_records_come_as_they_were() {
    let (a, b) = (Broker::start(1, "A"), Broker::start(2, "A"));
    introduce(&a, &b);
    let sent = vec![batch(10, b"small"), batch(11, &vec![7; 5 << 20]), batch(12, b"")];
    a.send(b.id, records(1, sent.clone()));
    b.send(a.id, numbered(2));
    let (from, message) = b.hear();
    assert_eq!((from, number(&message)), (a.id, 1));
    let PeerMessage::Quorum(message) = message else { panic!("not of the quorum: {message:?}") };
    let Body::Answer(Answer::Records { batches, .. }) = message.body else { panic!("other words") };
    let whole = |batches: &[Batch]| batches.iter().map(Batch::to_bytes).collect::<Vec<_>>();
    assert!(whole(&batches) == whole(&sent), "the same bytes");
    let (from, message) = a.hear();
    assert_eq!((from, number(&message)), (b.id, 2));
}

#[test]
fn many_messages_come_in_their_order() {
    let (a, b) = (Broker::start_with(1, |limits| limits.queue_messages = 10_000), Broker::start(2, "A"));
    introduce(&a, &b);
    (0..5000).for_each(|n| a.send(b.id, numbered(n)));
    let heard: Vec<u64> = (0..5000).map(|_| number(&b.hear().1)).collect();
    assert!(heard.iter().copied().eq(0..5000), "{heard:?}");
    assert_eq!((a.counts().sent, a.counts().dropped, a.counts().linked), (5000, 0, 1));
}

#[test]
fn a_broker_of_another_cluster_is_refused_with_words_and_never_heard() {
    let (a, b) = (Broker::start(1, "A"), Broker::start(2, "B"));
    introduce(&a, &b);
    a.send(b.id, numbered(1));
    for (broker, other) in [(&a, &b), (&b, &a)] {
        broker.wait_until("it is told why", |broker| {
            broker.link(other.id).trouble.is_some_and(|why| why.contains("\"A\"") && why.contains("\"B\""))
        });
        broker.wait_until("it was tried again", |broker| broker.counts().refused > 2);
        assert!(!broker.link(other.id).is_up);
        assert_eq!((broker.counts().accepted, broker.counts().received), (0, 0));
    }
    assert!(b.has_heard_nothing());
    assert_eq!(a.link(b.id).waiting, 1, "it waits for the broker that was meant");
}

#[test]
fn a_greeting_that_is_not_meant_for_this_broker_is_refused_with_words() {
    let (broker, _mute) = listening(|_| {});
    let good = me(1, "A").hello(BrokerId(2));
    for (hello, words) in [
        (Hello { protocol: 99, ..good.clone() }, "version 99"),
        (Hello { to: BrokerId(3), ..good.clone() }, "looks for broker 3"),
        (Hello { from: BrokerId(4), ..good.clone() }, "knows no broker 4"),
        (Hello { from: BrokerId(2), ..good.clone() }, "node.id=2"),
    ] {
        let mut stranger = Stranger::connect(broker.address);
        stranger.say(&hello.to_bytes());
        let Reception::Refused(why) = stranger.reception() else { panic!("{words}: it was welcome") };
        assert!(why.contains(words), "{words}: {why}");
        assert!(stranger.is_closed());
    }
    assert_eq!((broker.counts().refused, broker.counts().accepted), (4, 0));
}

#[test]
fn clients_and_browsers_that_come_to_the_brokers_port_are_turned_away() {
    let (broker, _mute) = listening(|_| {});
    let mut kafka = Client::connect(broker.address);
    kafka.send(ApiVersionsRequest::default(), 3);
    assert!(kafka.is_closed());
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0x16, 3, 1, 0, 200, 1, 0], b"QPEER\x02......"]
    {
        let mut stranger = Stranger::connect(broker.address);
        stranger.say(bytes);
        assert!(stranger.is_closed());
    }
    let mut huge = Stranger::connect(broker.address);
    huge.say(b"QPEER\x01\x7f\xff\xff\xff");
    assert!(huge.is_closed(), "nobody has so much to say before it is welcome");
    broker.wait_until("all are refused", |broker| broker.counts().refused == 5);
    assert_eq!((broker.counts().accepted, broker.counts().received), (0, 0));
}

#[test]
fn a_broker_that_dials_a_port_for_clients_is_told_so() {
    let (server, broker) = (Server::start(|_| {}), Broker::start(2, "A"));
    broker.know(&[(BrokerId(1), server.address)]);
    broker.wait_until("it is told", |broker| {
        let trouble = broker.link(BrokerId(1)).trouble;
        trouble.is_some_and(|why| why.contains("port for clients") && why.contains("quipu.voters"))
    });
}

#[test]
fn a_link_comes_back_when_the_other_broker_does() {
    let (a, b) = (Broker::start(1, "A"), Broker::start(2, "A"));
    introduce(&a, &b);
    a.send(b.id, numbered(1));
    assert_eq!(number(&b.hear().1), 1);
    let address = b.address;
    drop(b);
    a.wait_until("the link is lost", |a| !a.link(BrokerId(2)).is_up);
    assert_eq!(a.parts_from(), BrokerId(2), "the link broke");
    assert_eq!(a.misses(), BrokerId(2), "its host refuses the connection");
    a.send(BrokerId(2), numbered(2));
    let b = Broker::start_at(address, me(2, "A"), |_| {});
    introduce(&a, &b);
    assert_eq!(number(&b.hear().1), 2, "what was sent meanwhile has waited");
    a.wait_until("it is up", |a| a.link(b.id).is_up);
    assert_eq!(a.link(b.id).trouble, None);
    b.send(a.id, numbered(3));
    assert_eq!(number(&a.hear().1), 3);
}

#[test]
fn a_full_queue_drops_the_oldest_and_stays_bounded() {
    let a = Broker::start_with(1, |limits| (limits.queue_messages, limits.queue_bytes) = (10, 100_000));
    let b = Broker::start(2, "A");
    let mute = mute();
    a.know(&[(b.id, mute.local_addr().unwrap())]);
    b.know(&[(a.id, a.address)]);
    (1..=500).for_each(|n| a.send(b.id, numbered(n)));
    let status = a.link(b.id);
    assert_eq!((status.waiting, status.dropped), (10, 490));
    for n in 501..=600 {
        a.send(b.id, records(n, vec![batch(0, &[1; 30_000])]));
        assert!(a.link(b.id).waiting_bytes <= 100_000);
    }
    assert_eq!(a.link(b.id).waiting, 3);
    a.know(&[(b.id, b.address)]);
    let heard: Vec<u64> = (0..3).map(|_| number(&b.hear().1)).collect();
    assert_eq!(heard, [598, 599, 600], "the newest, also when the address was another");
    assert_eq!(a.counts().dropped, 597);
    a.send(BrokerId(77), numbered(1));
    assert_eq!(a.counts().dropped, 598, "nobody knows where broker 77 is");
}

#[test]
fn a_newer_connection_of_a_broker_takes_the_place_of_the_older() {
    let (broker, _mute) = listening(|_| {});
    let (mut older, _) = Stranger::greet(1, &broker);
    older.say(&bytes(&numbered(1)));
    assert_eq!(number(&broker.hear().1), 1);
    let (mut newer, reception) = Stranger::greet(1, &broker);
    assert!(matches!(reception, Reception::Welcome(_)));
    assert!(older.is_closed());
    newer.say(&bytes(&numbered(2)));
    assert_eq!(number(&broker.hear().1), 2);
    assert_eq!(broker.counts().accepted, 2);
}

#[test]
fn two_brokers_with_one_node_id_are_noticed_and_a_restart_is_not_taken_for_that() {
    let (broker, _mute) = listening(|_| {});
    let mut held = Vec::new();
    for (incarnation, doubled) in [(5, 0), (6, 0), (6, 0), (7, 0), (6, 1), (7, 2)] {
        let mut stranger = Stranger::connect(broker.address);
        stranger.say(&Hello { incarnation, ..me(1, "A").hello(broker.id) }.to_bytes());
        assert!(matches!(stranger.reception(), Reception::Welcome(_)));
        stranger.say(&bytes(&numbered(1)));
        // It has been counted before it is heard.
        broker.hear();
        assert_eq!(broker.counts().doubled, doubled, "{incarnation}");
        held.push(stranger);
    }
}

#[test]
fn a_damaged_frame_ends_the_connection_after_what_came_before_it() {
    let (broker, _mute) = listening(|_| {});
    let mut damaged = bytes(&records(2, vec![batch(0, b"some value")])).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    for bad in [damaged, vec![0xff; 8], vec![0, 0, 0, 1, 0], b"\0\0\0\x04\0\0\0\0".to_vec()] {
        let (mut stranger, _) = Stranger::greet(1, &broker);
        stranger.say(&[&bytes(&numbered(1))[..], &bad].concat());
        assert_eq!(number(&broker.hear().1), 1);
        assert!(stranger.is_closed(), "{bad:?}");
    }
    broker.wait_until("all are counted", |broker| broker.counts().cut == 4);
    assert!(broker.has_heard_nothing());
}

#[test]
fn who_does_not_greet_holds_no_place_for_long() {
    let (broker, _mute) =
        listening(|limits| (limits.unfinished, limits.handshake) = (2, Duration::from_millis(300)));
    let silent: Vec<Stranger> = (0..20).map(|_| Stranger::connect(broker.address)).collect();
    assert!(silent.into_iter().all(|mut stranger| stranger.is_closed()));
    broker.wait_until("all are refused", |broker| broker.counts().refused == 20);
    let (_stranger, reception) = Stranger::greet(1, &broker);
    assert!(matches!(reception, Reception::Welcome(_)), "the places are free again");
}

#[test]
fn a_connection_that_falls_silent_is_closed() {
    let (broker, _mute) = listening(|limits| limits.silence = Duration::from_millis(200));
    let (mut stranger, _) = Stranger::greet(1, &broker);
    assert!(stranger.is_closed());
    broker.wait_until("it is counted", |broker| broker.counts().cut == 1);
}

#[test]
fn keep_alives_go_both_ways_over_an_idle_link() {
    let quick = |limits: &mut PeerLimits| limits.keep_alive = Duration::from_millis(10);
    let (a, b) = (Broker::start_with(1, quick), Broker::start_with(2, quick));
    introduce(&a, &b);
    b.wait_until("keep-alives come", |b| b.counts().bytes_in >= 80);
    assert_eq!((b.counts().accepted, b.counts().received, a.counts().linked), (1, 0, 1));
}

#[test]
fn a_link_whose_other_end_is_gone_without_a_word_is_given_up_and_opened_anew() {
    let (broker, listener) = listening(|limits| {
        (limits.keep_alive, limits.unanswered) = (Duration::from_millis(20), Duration::from_millis(300));
    });
    let mut held = Vec::new();
    for life in 1..=3 {
        let mut stranger = Stranger::over(listener.accept().unwrap().0);
        assert_eq!(Hello::read(&stranger.greeting()), Ok(me(2, "A").hello(BrokerId(1))));
        stranger.say(&Reception::Welcome(me(1, "A").welcome()).to_bytes());
        broker.wait_until("it is up", |broker| broker.counts().linked == life);
        // Still open, but it says nothing.
        held.push(stranger);
    }
}

#[test]
fn a_broker_that_left_is_heard_no_more_and_the_cluster_may_be_learnt_late() {
    let newborn = Me { cluster: None, ..me(2, "A") };
    let (a, b) = (Broker::start(1, "A"), Broker::start_at("127.0.0.1:0".parse().unwrap(), newborn, |_| {}));
    introduce(&a, &b);
    a.send(b.id, numbered(1));
    assert_eq!(number(&b.hear().1), 1);
    b.learn("A");
    a.wait_until("the link is new", |a| a.counts().linked == 2);
    a.send(b.id, numbered(2));
    assert_eq!(number(&b.hear().1), 2, "of the same cluster");
    b.know(&[]);
    a.wait_until("it is refused", |a| {
        a.link(b.id).trouble.is_some_and(|why| why.contains("knows no broker 1"))
    });
    assert!(b.peers().links().is_empty());
    b.learn("B");
    b.know(&[(a.id, a.address)]);
    a.wait_until("it is refused", |a| a.link(b.id).trouble.is_some_and(|why| why.contains("\"B\"")));
}

#[test]
fn what_a_broker_says_last_is_heard_before_its_links_end() {
    let (a, b) = (Broker::start_with(1, |limits| limits.queue_messages = 10_000), Broker::start(2, "A"));
    introduce(&a, &b);
    a.send(b.id, numbered(0));
    assert_eq!(number(&b.hear().1), 0);
    (1..=2000).for_each(|n| a.send(b.id, records(n, vec![batch(0, &[1; 1000])])));
    a.drain();
    assert_eq!((a.link(b.id).waiting, a.counts().sent), (0, 2001));
    drop(a);
    assert!((1..=2000).all(|n| number(&b.hear().1) == n));
}

#[test]
fn a_broker_that_is_not_known_is_answered_where_it_says_it_is_for_as_long_as_it_speaks() {
    let (broker, _mute) = listening(|limits| limits.guests = 1);
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |id: i32| Me { address: Some(door.local_addr().unwrap().to_string()), ..me(id, "A") };
    let speak = |id: i32| {
        let mut stranger = Stranger::connect(broker.address);
        stranger.say(&at(id).hello(broker.id).to_bytes());
        let reception = stranger.reception();
        (stranger, reception)
    };
    let (voice, reception) = speak(9);
    assert!(matches!(reception, Reception::Welcome(_)), "{reception:?}");
    let mut link = Stranger::over(door.accept().unwrap().0);
    assert_eq!(Hello::read(&link.greeting()), Ok(me(2, "A").hello(BrokerId(9))));
    link.say(&Reception::Welcome(at(9).welcome()).to_bytes());
    broker.send(BrokerId(9), numbered(5));
    let mut said = vec![0; bytes(&numbered(5)).len()];
    link.0.read_exact(&mut said).unwrap();
    assert_eq!(said, bytes(&numbered(5)));
    // The others are where they were: that says nothing of it.
    broker.know(&[(BrokerId(1), door.local_addr().unwrap())]);
    assert!(broker.link(BrokerId(9)).is_up);
    let (_, reception) = speak(8);
    let Reception::Refused(why) = reception else { panic!("one too many was taken in") };
    assert!(why.contains("has taken in 1 others"), "{why}");
    drop(voice);
    broker.wait_until("it is forgotten", |broker| !broker.peers().links().contains_key(&BrokerId(9)));
    assert!(link.is_closed());
}

#[test]
fn a_broker_that_was_taken_in_keeps_its_link_once_it_is_known() {
    let (broker, _mute) = listening(|_| {});
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    let newcomer = Me { address: Some(address.to_string()), ..me(9, "A") };
    let mut voice = Stranger::connect(broker.address);
    voice.say(&newcomer.hello(broker.id).to_bytes());
    assert!(matches!(voice.reception(), Reception::Welcome(_)));
    let mut link = Stranger::over(door.accept().unwrap().0);
    link.greeting();
    link.say(&Reception::Welcome(newcomer.welcome()).to_bytes());
    broker.wait_until("it is up", |broker| broker.link(BrokerId(9)).is_up);
    broker.know(&[(BrokerId(9), address)]);
    drop(voice);
    // Whoever greets next is heard after that one was forgotten.
    let (_other, reception) = Stranger::greet(9, &broker);
    assert!(matches!(reception, Reception::Welcome(_)));
    assert!(broker.link(BrokerId(9)).is_up, "it is the same link");
    assert_eq!(broker.counts().linked, 1);
}
