//! Orders written by one process and billed by another, which stops, crashes and goes on where it stopped.

use std::process::Command;

use quipu_tests::kafka::{Admin, unique};
use quipu_tests::server::Server;

fn orders(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_orders")).args(args).output().expect("the process starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "orders {args:?} ended with {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("orders are text")
}

fn expected(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("{number} order {number}\n")).collect()
}

#[test]
fn a_reader_that_stops_goes_on_at_its_offset_in_a_new_process() {
    let server = Server::start(&["group.initial.rebalance.delay.ms=0"]);
    let (topic, group) = (unique("orders"), unique("billing"));
    Admin::new(server.bootstrap()).create(&topic, 1, &[]).expect("a new topic is created");
    let read = |count: &str| orders(&["read", server.bootstrap(), &topic, &group, count]);
    orders(&["write", server.bootstrap(), &topic, "0", "100"]);
    assert_eq!(read("40"), expected(0, 40));
    orders(&["write", server.bootstrap(), &topic, "100", "120"]);
    assert_eq!(read("60"), expected(40, 100));
    assert_eq!(read("20"), expected(100, 120));
}

#[test]
fn a_server_that_was_killed_still_knows_where_the_reader_stopped() {
    if std::env::var_os("TESTS_BOOTSTRAP").is_some() {
        eprintln!("skipped: the running server is not ours to kill");
        return;
    }
    let mut server = Server::start(&["group.initial.rebalance.delay.ms=0"]);
    let (topic, group) = (unique("orders"), unique("billing"));
    Admin::new(server.bootstrap()).create(&topic, 1, &[]).expect("a new topic is created");
    let bootstrap = server.bootstrap().to_string();
    orders(&["write", &bootstrap, &topic, "0", "50"]);
    assert_eq!(orders(&["read", &bootstrap, &topic, &group, "30"]), expected(0, 30));
    server.kill();
    server.again();
    assert_eq!(orders(&["read", &bootstrap, &topic, &group, "20"]), expected(30, 50));
}
