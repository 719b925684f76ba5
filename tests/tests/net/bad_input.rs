//! What is no Kafka request closes its connection and harms nobody else.

use std::io::Write;
use std::time::Duration;

use quipu_core::wire::messages::metadata::MetadataRequest;

use crate::client::{self, Client};
use crate::server::Server;

#[test]
fn bytes_that_are_no_requests_close_the_connection_and_nothing_else() {
    let server = Server::start(|_| {});
    let mut honest = Client::connect(server.address);
    honest.create_topic("t");
    let header =
        |key: i16, version: i16| [&key.to_be_bytes()[..], &version.to_be_bytes()[..], &[0; 4]].concat();
    let framed = |body: Vec<u8>| [&(body.len() as i32).to_be_bytes()[..], &body].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a negative length", (-5i32).to_be_bytes().to_vec()),
        ("a length of 0", vec![0; 4]),
        ("a length of 2 GiB", i32::MAX.to_be_bytes().to_vec()),
        ("a length over socket.request.max.bytes", (101i32 << 20).to_be_bytes().to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]),
        ("a metadata request of 9 MiB", [&(9i32 << 20).to_be_bytes()[..], &3i16.to_be_bytes()].concat()),
        ("an unknown api key", framed(header(999, 0))),
        ("an unsupported version", framed(header(3, 99))),
        ("a request whose body is missing", framed(header(3, 9))),
        ("random bytes in a good frame", framed((0..200u8).map(|b| b.wrapping_mul(37)).collect())),
    ];
    for (what, bytes) in cases {
        let mut client = Client::connect(server.address);
        client.socket.write_all(&bytes).unwrap();
        assert!(client.is_closed(), "{what} must close the connection");
        assert!(honest.produce("t", b"still here") >= 0, "after {what}");
    }
    server.wait_until("only the honest client is left", |counts| counts.connections_open == 1);
    server.wait_until("what they took from the budget was given back", |_| server.queued_bytes() == 0);
}

#[test]
fn what_came_before_a_bad_frame_counts() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    let mut bytes = client.encode(client::produce("t", b"one", 0), 9).to_vec();
    bytes.extend([0xff; 4]);
    client.socket.write_all(&bytes).unwrap();
    assert!(client.is_closed());
    assert_eq!(Client::connect(server.address).produce("t", b"two"), 1);
}

#[test]
fn a_request_that_does_not_arrive_closes_the_connection() {
    let server = Server::start(|limits| limits.stalled_request = Duration::from_millis(200));
    let mut silent = Client::connect(server.address);
    for sent in [&[0u8][..], &[0, 0, 1, 0], &[0, 0, 1, 0, 0, 3, 0, 9, 0]] {
        let mut client = Client::connect(server.address);
        client.socket.write_all(sent).unwrap();
        assert!(client.is_closed(), "after {} bytes", sent.len());
    }
    silent.call(MetadataRequest::default(), 9);
}

#[test]
fn connections_that_end_in_any_way_are_forgotten() {
    let server = Server::start(|_| {});
    let mut honest = Client::connect(server.address);
    honest.create_topic("t");
    for round in 0..40 {
        let mut client = Client::connect(server.address);
        match round % 4 {
            // While a fetch waits: the other side closes, or half closes.
            0 => client.send(client::fetch("t", 0, 60_000), 11),
            1 => {
                client.send(client::fetch("t", 0, 60_000), 11);
                client.close_writing();
                assert!(client.is_closed());
            }
            // In the middle of a request; and with an answer unread, which makes the system send a reset.
            2 => client.socket.write_all(&[0, 0, 1, 0, 0]).unwrap(),
            _ => client.send(MetadataRequest::default(), 9),
        }
    }
    server.wait_until("only the honest client is left", |counts| counts.connections_open == 1);
    server.wait_until("what they took from the budget was given back", |_| server.queued_bytes() == 0);
    assert_eq!(honest.produce("t", b"x"), 0);
}
