//! Three voters, and a broker that joins them later without a vote: real processes, and librdkafka.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use quipu_tests::kafka::{PATIENCE, Record, config, read, send_all, unique, until};
use quipu_tests::server::Server;
use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// Brokers that elect the controller.
const VOTERS: [i32; 3] = [1, 2, 3];
/// The one that joins them.
const FOURTH: i32 = 4;

/// Four addresses for brokers among themselves, in the order of their ids.
fn peer_addresses() -> Vec<String> {
    // Held until all are found, so that none is found twice.
    let held: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("it is bound").to_string()).collect()
}

fn start(id: i32, peers: &[String]) -> Server {
    let own = &peers[id as usize - 1];
    let voters: Vec<String> = VOTERS.iter().map(|id| format!("{id}@{}", peers[*id as usize - 1])).collect();
    Server::start(&[
        &format!("node.id={id}"),
        &format!("quipu.voters={}", voters.join(",")),
        &format!("quipu.peer.listen={own}"),
    ])
}

/// What one broker says of who takes part, and of who leads each partition of a topic and is in sync with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    brokers: Vec<i32>,
    partitions: BTreeMap<i32, (i32, Vec<i32>)>,
}

type Admin = AdminClient<DefaultClientContext>;

fn admin(of: &Server) -> Admin {
    config(of.bootstrap(), &[]).create().expect("the admin client's configs are right")
}

fn view(of: &Admin, topic: &str) -> View {
    let Ok(told) = of.inner().fetch_metadata(None, Duration::from_secs(5)) else { return View::default() };
    let mut brokers: Vec<i32> = told.brokers().iter().map(|broker| broker.id()).collect();
    brokers.sort_unstable();
    let topics = told.topics().iter().filter(|found| found.name() == topic);
    let partition = |p: &rdkafka::metadata::MetadataPartition| {
        let mut isr = p.isr().to_vec();
        isr.sort_unstable();
        (p.id(), (p.leader(), isr))
    };
    View { brokers, partitions: topics.flat_map(|topic| topic.partitions()).map(partition).collect() }
}

fn create(at: &Admin, topic: &str, on: &[&[i32]]) {
    let new = NewTopic::new(topic, on.len() as i32, TopicReplication::Variable(on));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let made = runtime.expect("a runtime can be made").block_on(at.create_topics([&new], &options));
    assert_eq!(made.expect("the server answers"), [Ok(topic.to_string())]);
}

#[test]
fn a_broker_that_joins_without_a_vote_keeps_leads_and_serves_records_whoever_of_the_voters_dies() {
    let peers = peer_addresses();
    let mut voters: Vec<Server> = VOTERS.iter().map(|id| start(*id, &peers)).collect();
    let of_first = admin(&voters[0]);
    until("three brokers are a cluster", PATIENCE, || view(&of_first, "").brokers == VOTERS);
    let mut fourth = start(FOURTH, &peers);
    until("the fourth has joined", PATIENCE, || view(&of_first, "").brokers == [1, 2, 3, FOURTH]);

    // It takes what the active controller decides, as any broker does.
    let (topic, at_fourth) = (unique("observer"), admin(&fourth));
    create(&at_fourth, &topic, &[&[FOURTH, 1, 2], &[1, FOURTH, 3]]);
    let leads =
        |view: &View, leaders: [i32; 2]| view.partitions.values().map(|(leader, _)| *leader).eq(leaders);
    until("it leads", PATIENCE, || leads(&view(&at_fourth, &topic), [FOURTH, 1]));
    let numbered = |from: usize| -> Vec<Record> {
        (from..from + 40).map(|n| Record::of(n as i32 % 2, format!("{n}"))).collect()
    };
    let send = |from: usize| {
        let told = send_all(fourth.bootstrap(), &topic, &[("acks", "all")], &numbered(from));
        assert!(told.iter().all(Result::is_ok), "{told:?}");
    };
    send(0);

    voters[0].kill();
    let is_without_first = |view: &View| {
        view.brokers == [2, 3, FOURTH]
            && view.partitions.values().all(|(leader, isr)| isr.contains(leader) && !isr.contains(&1))
    };
    until("others have followed a dead voter", PATIENCE, || is_without_first(&view(&at_fourth, &topic)));
    send(40);
    voters[0].again();
    let is_whole = |view: &View| view.partitions.values().all(|(_, isr)| isr.len() == 3);
    until("the voter is back in sync", PATIENCE, || is_whole(&view(&at_fourth, &topic)));

    fourth.kill();
    let at_second = admin(&voters[1]);
    until("others have followed the fourth", PATIENCE, || {
        let now = view(&at_second, &topic);
        now.brokers == VOTERS && now.partitions.values().all(|(leader, _)| VOTERS.contains(leader))
    });
    fourth.again();
    until("it is back in sync", PATIENCE, || is_whole(&view(&at_second, &topic)));
    for partition in 0..2 {
        let found = read(fourth.bootstrap(), &topic, partition, Offset::Beginning, 40);
        let values: Vec<String> = found
            .into_iter()
            .filter_map(|(_, record)| String::from_utf8(record.value.unwrap_or_default()).ok())
            .collect();
        let sent: Vec<String> = (0..80).filter(|n| n % 2 == partition).map(|n| n.to_string()).collect();
        assert_eq!(values, sent, "partition {partition}");
    }
}
