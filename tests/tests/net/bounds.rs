//! Bounds hold: a client that goes beyond one is slowed down or cut off, and memory does not grow.

use std::io::Write;
use std::time::Duration;

use quipu_core::wire::messages::metadata::MetadataRequest;

use crate::client::{self, Client};
use crate::server::Server;

const MIB: usize = 1 << 20;

#[test]
fn an_address_gets_only_so_many_connections() {
    let server = Server::start(|limits| limits.connections_per_ip = 3);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(server.address)).collect();
    for client in &mut clients {
        client.call(MetadataRequest::default(), 9);
    }
    assert!(Client::connect(server.address).is_closed());
    clients.pop();
    server.wait_until("the third has gone", |counts| counts.connections_open == 2);
    Client::connect(server.address).call(MetadataRequest::default(), 9);
    assert_eq!(server.counts().connections_refused, 1);
}

#[test]
fn requests_together_take_no_more_than_their_budget_and_all_get_through() {
    let server = Server::start(|limits| limits.queued_bytes = MIB);
    Client::connect(server.address).create_topic("t");
    let value = vec![5; 600 * 1024];
    let mut clients: Vec<(Client, Vec<u8>)> = (0..8)
        .map(|_| {
            let mut client = Client::connect(server.address);
            let bytes = client.encode(client::produce("t", &value, 1), 9).to_vec();
            client.socket.set_nonblocking(false).unwrap();
            client.socket.write_all(&bytes[..100]).unwrap();
            (client, bytes)
        })
        .collect();
    // One has the bytes for its request, the others wait. It goes first whatever order they were begun in.
    server.wait_until("one has its share", |_| server.queued_bytes() > 0);
    let senders: Vec<_> = clients
        .drain(..)
        .map(|(mut client, bytes)| {
            std::thread::spawn(move || {
                client.socket.write_all(&bytes[100..]).unwrap();
                client::base_offset(&client.answer())
            })
        })
        .collect();
    while senders.iter().any(|sender| !sender.is_finished()) {
        assert!(server.queued_bytes() <= MIB);
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut offsets: Vec<i64> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..8).collect::<Vec<i64>>());
    server.wait_until("everything is given back", |_| server.queued_bytes() == 0);
}

#[test]
fn a_request_larger_than_the_bytes_of_a_connection_passes_alone() {
    let server = Server::start(|limits| limits.bytes_in_flight = 64 * 1024);
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    assert_eq!(client.produce("t", &vec![1; 900 * 1024]), 0);
    assert_eq!(client.produce("t", &vec![2; 900 * 1024]), 1);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let server = Server::start(|limits| limits.stalled_answer = Duration::from_millis(300));
    let mut honest = Client::connect(server.address);
    honest.create_topic("t");
    for _ in 0..10 {
        honest.produce("t", &vec![3; 900 * 1024]);
    }
    let mut greedy = Client::connect(server.address);
    let requests: Vec<u8> = (0..40).flat_map(|_| greedy.encode(client::fetch("t", 0, 0), 11)).collect();
    greedy.socket.write_all(&requests).unwrap();
    server.wait_until("the client that does not read is cut off", |counts| counts.connections_cut == 1);
    server.wait_until("only the honest client is left", |counts| counts.connections_open == 1);
    assert_eq!(honest.produce("t", b"x"), 10);
    server.wait_until("its requests hold no bytes", |_| server.queued_bytes() == 0);
}

#[test]
fn a_silent_connection_is_closed_after_a_while_but_not_one_that_waits() {
    let server = Server::start(|limits| limits.idle = Duration::from_millis(300));
    let mut waiting = Client::connect(server.address);
    waiting.create_topic("t");
    waiting.send(client::fetch("t", 0, 1500), 11);
    let mut silent = Client::connect(server.address);
    assert!(silent.is_closed());
    assert_eq!(client::fetched(&waiting.answer()), 0);
}
