//! Settings as people write them, and what they come to.

use super::Plan;
use crate::cli::ServeArgs;
use crate::scratch::Scratch;
use quipu_core::config::Settings;

fn plan(pairs: &[(&str, &str)]) -> Result<Plan, Vec<String>> {
    let mut settings = Settings::new();
    pairs.iter().for_each(|(name, value)| settings.set(name, value).unwrap());
    Plan::of(settings)
}

fn told(pairs: &[(&str, &str)]) -> String {
    plan(pairs).unwrap_err().join("\n")
}

fn doors(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let doors = plan(pairs).unwrap().listeners.into_iter();
    doors.map(|door| (door.listen.to_string(), door.advertised.to_string())).collect()
}

#[test]
fn without_settings_it_listens_on_this_machine_only() {
    let plan = plan(&[]).unwrap();
    assert_eq!(plan.data_dir.to_str(), Some("./quipu-data"));
    assert_eq!(plan.listeners[0].listen.to_string(), "127.0.0.1:9092");
    assert_eq!(doors(&[]), [("127.0.0.1:9092".into(), "127.0.0.1:0".into())]);
    assert_eq!(plan.config.node_id.0, 1);
}

#[test]
fn every_address_needs_one_that_clients_can_reach() {
    for listen in [":9092", "0.0.0.0:9092", "[::]:9092"] {
        assert!(told(&[("listeners", listen)]).contains("set --advertise"), "{listen}");
    }
    assert!(told(&[("advertised.listeners", "0.0.0.0:9092")]).contains("set --advertise"));
    let public = [("listeners", "0.0.0.0:9092"), ("advertised.listeners", "kafka.example.com")];
    assert_eq!(doors(&public), [("0.0.0.0:9092".into(), "kafka.example.com:0".into())]);
}

#[test]
fn kafkas_sample_file_starts_but_for_its_address() {
    let sample = [
        ("process.roles", "broker,controller"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL"),
        ("num.network.threads", "3"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
    ];
    let plan = plan(&sample).unwrap();
    assert_eq!(plan.data_dir.to_str(), Some("/tmp/kraft-combined-logs"));
    assert_eq!(doors(&sample), [("0.0.0.0:9092".into(), "localhost:9092".into())]);
}

#[test]
fn several_listeners_are_advertised_by_name() {
    let pairs = [
        ("listeners", "INTERNAL://10.0.0.1:9092,EXTERNAL://0.0.0.0:9094"),
        ("advertised.listeners", "EXTERNAL://public.example.com:19094"),
        ("listener.security.protocol.map", "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT"),
    ];
    let expected = [("10.0.0.1:9092", "10.0.0.1:0"), ("0.0.0.0:9094", "public.example.com:19094")];
    assert_eq!(doors(&pairs), expected.map(|(l, a)| (l.to_string(), a.to_string())));
}

#[test]
fn what_needs_tls_or_sasl_does_not_come_up_without() {
    assert!(told(&[("listeners", "SSL://127.0.0.1:9093")]).contains("PLAINTEXT only"));
    let mapped = [("listeners", "OUT://127.0.0.1:9093"), ("listener.security.protocol.map", "OUT:SASL_SSL")];
    assert!(told(&mapped).contains("SASL_SSL"));
}

#[test]
fn what_a_process_cannot_be_is_refused() {
    assert!(told(&[("process.roles", "controller")]).contains("always a broker"));
    assert!(told(&[("log.dirs", "/a,/b")]).contains("names 2 directories"));
}

const VOTERS: (&str, &str) = ("quipu.voters", "1@10.0.0.1:9192,2@10.0.0.2:9192");

fn peer_listen(pairs: &[(&str, &str)]) -> Option<String> {
    plan(pairs).unwrap().peer_listen.map(|endpoint| endpoint.to_string())
}

#[test]
fn a_broker_listens_to_others_where_they_look_for_it_unless_told_otherwise() {
    assert_eq!(peer_listen(&[VOTERS]).as_deref(), Some("10.0.0.1:9192"));
    assert_eq!(peer_listen(&[VOTERS, ("node.id", "2")]).as_deref(), Some("10.0.0.2:9192"));
    let everywhere = [VOTERS, ("quipu.peer.listen", ":9192")];
    assert_eq!(peer_listen(&everywhere).as_deref(), Some("0.0.0.0:9192"));
    let only = [("quipu.voters", "1@127.0.0.1:9192")];
    assert_eq!(peer_listen(&only).as_deref(), Some("127.0.0.1:9192"), "others may join it");
    assert_eq!(peer_listen(&[]), None);
    let observer = [VOTERS, ("node.id", "3"), ("quipu.peer.listen", "10.0.0.3:9192")];
    assert_eq!(peer_listen(&observer).as_deref(), Some("10.0.0.3:9192"));
    let behind =
        [VOTERS, ("node.id", "3"), ("quipu.peer.listen", ":9192"), ("quipu.peer.advertised", "c:9192")];
    assert_eq!(peer_listen(&behind).as_deref(), Some("0.0.0.0:9192"));
}

#[test]
fn what_is_wrong_with_a_cluster_is_told_with_what_to_do() {
    let stranger = told(&[VOTERS, ("node.id", "3")]);
    assert!(stranger.contains("broker 3 (node.id) is not among the voters (1, 2)"), "{stranger}");
    assert!(stranger.contains("set --peer-listen") && stranger.lines().count() == 1, "{stranger}");
    let everywhere = told(&[VOTERS, ("node.id", "3"), ("quipu.peer.listen", ":9192")]);
    assert!(everywhere.contains("set --peer-advertise"), "{everywhere}");
    assert!(
        told(&[("quipu.peer.listen", "127.0.0.1:9192")])
            .contains("name those that elect the controller in quipu.voters")
    );
    assert!(
        told(&[VOTERS, ("quipu.peer.listen", "10.0.0.1:0")]).contains("look for this one at 10.0.0.1:9192")
    );
    assert!(told(&[VOTERS, ("quipu.peer.listen", "10.0.0.1")]).contains("has no port"));
    for clients in ["10.0.0.1:9192", "PLAINTEXT://127.0.0.1:9092,PLAINTEXT://10.0.0.1:9192"] {
        assert!(told(&[VOTERS, ("listeners", clients)]).contains("these must be two ports"), "{clients}");
    }
    let both = [VOTERS, ("quipu.peer.listen", ":9092"), ("listeners", "127.0.0.1:9092")];
    assert!(told(&both).contains("these must be two ports"));
    assert!(plan(&[VOTERS, ("listeners", "10.0.0.3:9192")]).is_ok(), "another address of the machine");
}

#[test]
fn kafkas_names_for_voters_are_no_substitute_for_quipus() {
    let kafkas = ("controller.quorum.voters", "1@10.0.0.1:9093,2@10.0.0.2:9093");
    let why = told(&[kafkas]);
    assert!(
        why.contains("names brokers (2)") && why.contains("quipu.voters (--voters id@host:port"),
        "{why}"
    );
    assert!(plan(&[kafkas, VOTERS]).is_ok(), "a file may have both");
    assert!(plan(&[("controller.quorum.voters", "1@localhost:9093")]).is_ok(), "a broker alone");
    let servers = ("controller.quorum.bootstrap.servers", "a:9093,b:9093");
    assert!(told(&[servers]).contains("names 2 servers"));
    assert!(plan(&[servers, VOTERS]).is_ok());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let wrong = plan(&[("log.dirs", "/a,/b"), ("listeners", "nowhere")]).unwrap_err();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let scratch = Scratch::new("plan");
    let file = scratch.path().join("server.properties");
    std::fs::write(&file, "num.partitions=2\nlog.dirs=/file\nlisteners=PLAINTEXT://127.0.0.1:1\n").unwrap();
    let mut args = ServeArgs { config: Some(file), ..ServeArgs::default() };
    let environment = || {
        let variables = [("QUIPU_NUM_PARTITIONS", "3"), ("QUIPU_LISTEN", "127.0.0.1:2"), ("HOME", "/")];
        variables.into_iter().map(|(name, value)| (name.into(), value.into()))
    };
    let plan = Plan::read(&args, environment()).unwrap();
    assert_eq!((plan.config.num_partitions, plan.data_dir.to_str()), (3, Some("/file")));
    assert_eq!(plan.listeners[0].listen.port, 2);
    args.set = vec!["num.partitions=4".into()];
    args.listen = Some("127.0.0.1:3".into());
    args.data_dir = Some("/flag".into());
    args.node_id = Some(9);
    let plan = Plan::read(&args, environment()).unwrap();
    assert_eq!((plan.config.num_partitions, plan.data_dir.to_str()), (4, Some("/flag")));
    assert_eq!((plan.listeners[0].listen.port, plan.config.node_id.0), (3, 9));
}
