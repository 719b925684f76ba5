//! Who is welcome, who is refused and in which words; and how long a broker that was not answered waits.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::BrokerId;
use crate::peer::backoff::Backoff;
use crate::peer::front::FRONT;
use crate::peer::hello::{Hello, LONGEST_GREETING, Me, Reception, judge, judge_welcome};

fn me(id: i32, cluster: Option<&str>) -> Me {
    let (id, incarnation) = (BrokerId(id), 70 + id as u64);
    Me { cluster: cluster.map(str::to_owned), id, directory: [id.0 as u8; 16], incarnation, address: None }
}

/// What broker 2 of cluster A, which knows 1 and 3, says to a greeting.
fn verdict(hello: &Hello) -> Result<(), String> {
    judge(hello, &me(2, Some("A")), &BTreeSet::from([BrokerId(1), BrokerId(3)]))
}

fn refused(hello: &Hello, words: &[&str]) {
    let why = verdict(hello).expect_err("it must not be let in");
    for word in words {
        assert!(why.contains(word), "{word:?} is not in: {why}");
    }
}

#[test]
fn a_broker_of_the_same_cluster_is_welcome_and_so_is_one_that_has_none_yet() {
    assert_eq!(verdict(&me(1, Some("A")).hello(BrokerId(2))), Ok(()));
    assert_eq!(verdict(&me(3, None).hello(BrokerId(2))), Ok(()));
    let newborn = judge(&me(1, Some("A")).hello(BrokerId(2)), &me(2, None), &[BrokerId(1)].into());
    assert_eq!(newborn, Ok(()));
}

#[test]
fn everybody_else_is_refused_with_what_is_wrong_and_where_to_look() {
    let good = me(1, Some("A")).hello(BrokerId(2));
    refused(&Hello { protocol: 3, ..good.clone() }, &["version 3", "upgrade"]);
    refused(&Hello { protocol: 0, ..good.clone() }, &["version 0"]);
    refused(
        &Hello { cluster: Some("B".into()), ..good.clone() },
        &["\"A\"", "\"B\"", "empty data directory"],
    );
    refused(&Hello { to: BrokerId(3), ..good.clone() }, &["looks for broker 3", "quipu.voters"]);
    refused(&Hello { from: BrokerId(9), ..good.clone() }, &["no broker 9", "[1, 3]", "quipu.voters"]);
    for address in [None, Some("nowhere"), Some(":9192"), Some("a b:1"), Some("a:0")] {
        let stranger = Hello { from: BrokerId(9), address: address.map(str::to_owned), ..good.clone() };
        refused(&stranger, &["no broker 9", "not told where to answer", "quipu.peer.advertised"]);
    }
    let far = Some(format!("{}:9192", "a".repeat(300)));
    refused(&Hello { from: BrokerId(9), address: far, ..good.clone() }, &["no broker 9"]);
    refused(&Hello { from: BrokerId(2), ..good.clone() }, &["two brokers", "node.id=2"]);
    refused(&Hello { from: BrokerId(2), incarnation: 72, ..good }, &["called itself"]);
}

#[test]
fn a_broker_that_is_not_known_yet_is_welcome_if_it_says_where_it_is_answered() {
    let newcomer = Me { address: Some("d:9192".into()), ..me(9, None) };
    assert_eq!(verdict(&newcomer.hello(BrokerId(2))), Ok(()));
    let stranger = Me { cluster: Some("B".into()), ..newcomer };
    refused(&stranger.hello(BrokerId(2)), &["broker 9 belongs to cluster \"B\"", "empty data directory"]);
}

#[test]
fn a_greeting_of_another_version_is_told_apart_from_one_that_is_broken() {
    // What the first version said of itself, of which nothing else is read.
    let why = Hello::read(&[1, 0, 2, 7, 7]).unwrap_err();
    assert!(why.contains("version 1") && why.contains("upgrade"), "{why}");
}

#[test]
fn the_one_who_dials_checks_who_answers() {
    let dialer = me(1, Some("A"));
    assert_eq!(judge_welcome(&me(2, Some("A")).welcome(), &dialer, BrokerId(2)), Ok(()));
    assert_eq!(judge_welcome(&me(2, None).welcome(), &dialer, BrokerId(2)), Ok(()));
    let other = judge_welcome(&me(2, Some("B")).welcome(), &dialer, BrokerId(2)).unwrap_err();
    assert!(other.contains("\"B\""), "{other}");
    let wrong = judge_welcome(&me(3, Some("A")).welcome(), &dialer, BrokerId(2)).unwrap_err();
    assert!(wrong.contains("broker 3 answers where broker 2 should"), "{wrong}");
}

/// What follows the front and the length, which must be right.
fn body(bytes: &[u8]) -> &[u8] {
    let body = bytes.strip_prefix(&FRONT).expect("the front");
    let (length, body) = body.split_first_chunk::<4>().expect("a length");
    assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
    body
}

#[test]
fn greetings_come_out_as_they_went_in_and_nothing_may_follow_or_be_missing() {
    let hello = me(1, Some("A")).hello(BrokerId(2));
    let bytes = hello.to_bytes();
    assert_eq!(Hello::read(body(&bytes)), Ok(hello));
    assert!(Hello::read(&[body(&bytes), &[0]].concat()).is_err());
    assert!((0..body(&bytes).len()).all(|end| Hello::read(&body(&bytes)[..end]).is_err()));
    for reception in [Reception::Welcome(me(2, None).welcome()), Reception::refused("no")] {
        assert_eq!(Reception::read(body(&reception.to_bytes())), Ok(reception));
    }
}

#[test]
fn a_refusal_is_short_enough_to_be_read_and_cannot_write_over_a_terminal() {
    let long = Reception::refused(&"\u{10ffff}".repeat(5000)).to_bytes();
    assert!(body(&long).len() <= LONGEST_GREETING, "{}", body(&long).len());
    let nasty = Reception::Refused("a\x1b[2Jb\n".into());
    assert_eq!(Reception::read(body(&nasty.to_bytes())), Ok(Reception::Refused("a [2Jb ".into())));
}

#[test]
fn waits_grow_to_a_bound_and_differ_between_brokers() {
    let backoff = Backoff::default();
    let pause = |seed, to, failed| backoff.pause(seed, BrokerId(to), failed);
    for failed in 1..70 {
        let whole = (backoff.first * (1 << (failed - 1).min(10))).min(backoff.longest);
        for to in 0..20 {
            let wait = pause(5, to, failed);
            assert!(whole / 2 <= wait && wait <= whole, "{failed} failed: {wait:?}");
        }
    }
    let waits: BTreeSet<Duration> = (0..50).map(|to| pause(5, to, 9)).collect();
    assert!(waits.len() > 40, "they spread: {waits:?}");
    assert_ne!(pause(5, 1, 9), pause(6, 1, 9), "two dialers of one broker do not come together");
}
