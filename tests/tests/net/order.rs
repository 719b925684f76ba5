//! Answers leave in the order of the requests, whatever became ready first.

use std::io::Write;

use quipu_core::wire::messages::api_versions::ApiVersionsRequest;
use quipu_core::wire::messages::metadata::MetadataRequest;
use quipu_core::wire::{ErrorCode, Request, Response};

use crate::client::{self, Client};
use crate::server::Server;

#[test]
fn answers_keep_the_order_of_requests_that_wait_for_one_another() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    // The fetch waits for the record that the produce behind it brings; the metadata is ready at once.
    client.send(client::fetch("t", 0, 20_000), 11);
    client.send(client::produce("t", b"one", 1), 9);
    client.send(MetadataRequest::default(), 9);
    assert!(client::fetched(&client.answer()) > 0, "the fetch was answered by the produce");
    assert_eq!(client::base_offset(&client.answer()), 0);
    assert!(matches!(client.answer(), Response::Metadata(_)));
}

#[test]
fn hundreds_of_requests_sent_at_once_are_answered_in_order() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    let mut bytes = Vec::new();
    for n in 0..300 {
        bytes.extend(match n % 3 {
            0 => client.encode(client::produce("t", &[7; 300], 1), 9),
            1 => client.encode(client::fetch("t", 0, 0), 11),
            _ => client.encode(MetadataRequest::default(), 9),
        });
    }
    let mut writer = client.socket.try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    for n in 0..300 {
        match (n % 3, client.answer()) {
            (0, answer) => assert_eq!(client::base_offset(&answer), i64::from(n) / 3),
            (1, answer) => assert!(client::fetched(&answer) < 2 << 20),
            (_, answer) => assert!(matches!(answer, Response::Metadata(_))),
        }
    }
    sending.join().unwrap();
}

#[test]
fn a_produce_without_acknowledgement_gets_no_answer() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    for _ in 0..200 {
        client.send(client::produce("t", b"quiet", 0), 9);
    }
    assert_eq!(client.produce("t", b"loud"), 200, "the only answer, and the silent ones came before");
}

#[test]
fn a_produce_without_acknowledgement_that_fails_closes_the_connection() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    client.send(client::produce("no-such-topic", b"quiet", 0), 9);
    assert!(client.is_closed());
}

#[test]
fn an_unsupported_version_of_api_versions_is_answered_and_the_connection_goes_on() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(server.address);
    let mut bytes = client.encode(ApiVersionsRequest::default(), 0).to_vec();
    bytes[6..8].copy_from_slice(&99i16.to_be_bytes());
    bytes.extend([0xff; 5]);
    let length = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    client.socket.write_all(&bytes).unwrap();
    let Response::ApiVersions(refused) = client.answer() else { panic!("another answer") };
    assert_eq!(refused.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert!(refused.api_keys.iter().any(|key| key.api_key == 18 && key.max_version >= 3));
    let request = ApiVersionsRequest {
        client_software_name: "a-test".to_owned(),
        client_software_version: "1.0".to_owned(),
    };
    let Response::ApiVersions(accepted) = client.call(Request::from(request), 3) else {
        panic!("another answer")
    };
    assert_eq!(accepted.error_code, ErrorCode::NONE);
}
