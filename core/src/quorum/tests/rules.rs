//! One node alone, told what it hears: the rules that hold a quorum together.

use std::time::Duration;

use bytes::Bytes;

use super::world::TIMES;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::log::segments::Shape;
use crate::log::tail::TailSpace;
use crate::log::{AppendContext, Log};
use crate::quorum::messages::{Answer, Body, Fetch, Message, Question, Tip, Vote};
use crate::quorum::{Config, Election, Output, Quorum, Voter, Voters, WriteId};
use crate::record::build::BatchBuilder;
use crate::time::{Instant, Timestamp};

pub(super) fn voter(id: i32) -> Voter {
    Voter { id: BrokerId(id), directory: [id as u8; 16] }
}

/// One node of three, with its log.
pub(super) struct One {
    pub(super) now: Instant,
    pub(super) quorum: Quorum,
    pub(super) log: Log,
    pub(super) space: TailSpace,
    out: Vec<Output>,
}

impl One {
    /// With records of these epochs in its log, all on disk, and what its disk has kept of elections.
    pub(super) fn new(epochs: &[i32], found: Election) -> One {
        One::among(3, epochs, found)
    }

    fn among(voters: i32, epochs: &[i32], found: Election) -> One {
        let config = Config { me: voter(1), times: TIMES, seed: 9 };
        let voters = Voters::Formed((1..=voters).map(|id| (BrokerId(id), voter(id).directory)).collect());
        let now = Instant(0);
        let mut one = One {
            now,
            quorum: Quorum::new(config, voters, found, now),
            log: Log::empty(LogId::METADATA),
            space: TailSpace::new(1 << 20),
            out: Vec::new(),
        };
        epochs.iter().for_each(|epoch| one.append(*epoch));
        one.log.flushed_to(one.log.end());
        one
    }

    fn append(&mut self, epoch: i32) {
        let mut batch = BatchBuilder::plain(Timestamp(0), &[(None, Some(Bytes::from_static(b"x")))]);
        let shape = Shape { bytes: 1 << 20, age_ms: i64::MAX };
        let context = AppendContext { epoch: LeaderEpoch(epoch), shape, at: Timestamp(0) };
        self.log.append(&mut batch, &context, &mut self.space);
    }

    pub(super) fn hear(&mut self, from: i32, epoch: i32, correlation: u64, body: Body) -> Vec<Output> {
        let message = Message { correlation, epoch: LeaderEpoch(epoch), body };
        self.quorum.receive(self.now, BrokerId(from), message, &self.log, &mut self.out);
        std::mem::take(&mut self.out)
    }

    pub(super) fn answer(&mut self, from: i32, epoch: i32, correlation: u64, answer: Answer) -> Vec<Output> {
        self.hear(from, epoch, correlation, Body::Answer(answer))
    }

    pub(super) fn wait(&mut self) -> Vec<Output> {
        self.now = self.quorum.next_deadline().expect("something is due");
        self.quorum.tick(self.now, &self.log, &mut self.out);
        std::mem::take(&mut self.out)
    }

    pub(super) fn kept(&mut self, write: WriteId) -> Vec<Output> {
        self.quorum.kept(self.now, write, &self.log, &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn settle(&mut self) -> Vec<Output> {
        self.quorum.settle(self.now, &self.log, &mut self.out);
        std::mem::take(&mut self.out)
    }

    /// Elects it, with the vote of node 2.
    pub(super) fn elected(epochs: &[i32], epoch: i32) -> One {
        let mut one = One::new(epochs, Election { epoch: LeaderEpoch(epoch - 1), ..Election::default() });
        let asked = questions(&one.wait());
        let granted = |granted| Answer::Vote { by: voter(2), granted, leader: None };
        let out = one.answer(2, epoch - 1, asked[0].1, granted(true));
        let asked = questions(&one.kept(write(&out)));
        let out = one.answer(2, epoch, asked[0].1, granted(true));
        assert!(
            out.iter().any(|o| matches!(o, Output::Lead { epoch: e, forms: None } if e.0 == epoch)),
            "{out:?}"
        );
        one.append(epoch);
        one.log.flushed_to(one.log.end());
        one.settle();
        one.kept(write(&out));
        one
    }
}

/// The election state to be kept.
pub(super) fn write(out: &[Output]) -> WriteId {
    let keep = |o: &Output| if let Output::Keep(write, _) = o { Some(*write) } else { None };
    out.iter().find_map(keep).unwrap_or_else(|| panic!("nothing is to be kept: {out:?}"))
}

/// The questions that leave: to whom, and their numbers.
pub(super) fn questions(out: &[Output]) -> Vec<(i32, u64)> {
    let question = |o: &Output| match o {
        Output::Send(to, Message { correlation, body: Body::Question(_), .. }) => Some((to.0, *correlation)),
        _ => None,
    };
    out.iter().filter_map(question).collect()
}

/// The number of the last question that a node is asked.
pub(super) fn asked_of(out: &[Output], node: i32) -> u64 {
    questions(out).iter().rev().find(|(to, _)| *to == node).expect("it is asked something").1
}

pub(super) fn votes(out: &[Output]) -> Vec<bool> {
    let vote = |o: &Output| match o {
        Output::Send(_, Message { body: Body::Answer(Answer::Vote { granted, .. }), .. }) => Some(*granted),
        _ => None,
    };
    out.iter().filter_map(vote).collect()
}

fn ask_for_vote(candidate: i32, epoch: i32, end: i64, pre: bool) -> Body {
    let tip = Tip { epoch: LeaderEpoch(epoch), end: Offset(end) };
    Body::Question(Question::Vote(Vote { pre, candidate: voter(candidate), tip }))
}

fn committed(out: &[Output]) -> Option<i64> {
    out.iter().find_map(|o| if let Output::Commit(high) = o { Some(high.0) } else { None })
}

#[test]
fn a_vote_leaves_once_it_cannot_be_forgotten() {
    let mut one = One::new(&[1], Election::default());
    let out = one.hear(2, 5, 1, ask_for_vote(2, 1, 1, false));
    assert!(votes(&out).is_empty(), "{out:?}");
    let keeps: Vec<WriteId> =
        out.iter().filter_map(|o| if let Output::Keep(write, _) = o { Some(*write) } else { None }).collect();
    assert_eq!(keeps.len(), 2, "the epoch, and the vote in it");
    assert!(votes(&one.kept(keeps[0])).is_empty(), "the epoch alone");
    assert_eq!(votes(&one.kept(keeps[1])), [true]);
}

#[test]
fn who_is_alone_leads_once_its_own_vote_cannot_be_forgotten() {
    let mut one = One::among(1, &[1], Election::default());
    let out = one.wait();
    assert!(!one.quorum.is_leader(), "a crash now, and it would lead the same epoch twice: {out:?}");
    let out = one.kept(write(&out));
    assert!(out.iter().any(|o| matches!(o, Output::Lead { .. })), "{out:?}");
}

#[test]
fn a_node_votes_once_an_epoch_also_over_a_restart() {
    let voted = Election { epoch: LeaderEpoch(5), voted: Some(voter(2)), leader: None };
    let mut one = One::new(&[1], voted);
    assert_eq!(
        votes(&one.hear(3, 5, 1, ask_for_vote(3, 4, 9, false))),
        [false],
        "a better log, but too late"
    );
    assert_eq!(votes(&one.hear(2, 5, 2, ask_for_vote(2, 1, 1, false))), [true], "the same again");
    let wiped = Voter { directory: [99; 16], ..voter(2) };
    let tip = Tip { epoch: LeaderEpoch(4), end: Offset(9) };
    let again = Body::Question(Question::Vote(Vote { pre: false, candidate: wiped, tip }));
    assert_eq!(votes(&one.hear(2, 5, 3, again)), [false], "the same node with another disk is another");
}

#[test]
fn nobody_votes_or_fetches_in_the_name_of_another() {
    let mut one = One::new(&[1], Election::default());
    let out = one.hear(3, 5, 1, ask_for_vote(2, 1, 1, false));
    assert!(votes(&one.kept(write(&out))).is_empty());
    let mut one = One::elected(&[1], 2);
    let tip = Tip { epoch: LeaderEpoch(2), end: Offset(2) };
    let fetch = Fetch { by: voter(2), tip, flushed: Offset(2) };
    let out = one.hear(3, 2, 7, Body::Question(Question::Fetch(fetch)));
    assert!(committed(&out).is_none() && one.quorum.progress().next().is_none(), "{out:?}");
}

#[test]
fn messages_that_wait_for_a_slow_disk_are_bounded() {
    let mut one = One::new(&[1], Election::default());
    let out = one.hear(2, 5, 0, ask_for_vote(2, 1, 1, false));
    let last = out.iter().filter_map(|o| if let Output::Keep(w, _) = o { Some(*w) } else { None }).max();
    (1..5_000).for_each(|n| drop(one.hear(2, 5, n, ask_for_vote(2, 1, 1, false))));
    assert_eq!(votes(&one.kept(last.expect("the vote is kept"))).len(), 1_000);
}

#[test]
fn a_log_that_ends_earlier_is_not_voted_for() {
    let mut one = One::new(&[1, 2, 2], Election { epoch: LeaderEpoch(2), ..Election::default() });
    assert_eq!(votes(&one.hear(2, 2, 1, ask_for_vote(2, 2, 2, true))), [false], "shorter");
    assert_eq!(votes(&one.hear(2, 2, 2, ask_for_vote(2, 1, 9, true))), [false], "longer, of an older epoch");
    assert_eq!(votes(&one.hear(2, 2, 3, ask_for_vote(2, 2, 3, true))), [true]);
}

#[test]
fn who_led_an_epoch_does_not_lead_in_it_again_after_a_restart() {
    let led = Election { epoch: LeaderEpoch(5), voted: Some(voter(1)), leader: Some(BrokerId(1)) };
    let mut one = One::new(&[1, 5], led);
    assert!(!one.quorum.is_leader() && one.quorum.leader().is_none());
    let asked = questions(&one.wait());
    let granted = Answer::Vote { by: voter(2), granted: true, leader: Some(BrokerId(1)) };
    one.answer(2, 5, asked[0].1, granted);
    assert_eq!(one.quorum.epoch(), LeaderEpoch(6), "it is elected anew");
}

#[test]
fn the_records_of_an_earlier_epoch_are_committed_with_the_first_one_of_this() {
    // Figure 8 of the Raft paper: a record of epoch 2 is on a majority, and could still be replaced by one of epoch 3.
    let mut one = One::elected(&[1, 2], 4);
    let fetch = |end: i64, epoch: i32| {
        let tip = Tip { epoch: LeaderEpoch(epoch), end: Offset(end) };
        Body::Question(Question::Fetch(Fetch { by: voter(2), tip, flushed: Offset(end) }))
    };
    let out = one.hear(2, 4, 70, fetch(2, 2));
    assert_eq!(committed(&out), None, "two of three have it, but epoch 4 has nothing yet: {out:?}");
    let out = one.hear(2, 4, 71, fetch(3, 4));
    assert_eq!(committed(&out), Some(3));
}

#[test]
fn a_fetch_with_nothing_to_answer_is_answered_before_its_sender_gives_the_leader_up() {
    let mut one = One::elected(&[1], 2);
    one.quorum.config.times.request = one.quorum.config.times.fetch * 4;
    let tip = Tip { epoch: LeaderEpoch(2), end: Offset(2) };
    let fetch = || Body::Question(Question::Fetch(Fetch { by: voter(2), tip, flushed: Offset(2) }));
    let serves = |out: &[Output]| out.iter().any(|o| matches!(o, Output::Serve(_)));
    assert!(serves(&one.hear(2, 2, 70, fetch())), "the high watermark is news");
    let (now, patience) = (one.now, one.quorum.config.times.fetch);
    assert!(!serves(&one.hear(2, 2, 71, fetch())), "it waits for something to answer");
    assert!((0..5).any(|_| serves(&one.wait())) && one.now < now + patience);
}

#[test]
fn a_leader_given_up_is_followed_again_once_it_says_itself_that_it_leads_and_on_nobody_elses_word() {
    let led_by_2 = Election { epoch: LeaderEpoch(3), voted: None, leader: Some(BrokerId(2)) };
    let mut one = One::new(&[3], led_by_2);
    one.settle();
    let given_up = |one: &mut One| {
        (0..10).map(|_| one.wait()).find(|out| out.iter().any(is_vote)).expect("it asks for votes")
    };
    let asked = questions(&given_up(&mut one));
    let number = |of: i32| asked.iter().rev().find(|(to, _)| *to == of).expect("it was asked").1;
    let refused = |id| Answer::Vote { by: voter(id), granted: false, leader: Some(BrokerId(2)) };
    let fetches =
        |out: &[Output]| out.iter().any(|o| matches!(o, Output::Send(to, m) if to.0 == 2 && is_fetch(m)));
    let out = one.answer(3, 3, number(3), refused(3));
    assert!(!fetches(&out), "3 may not know yet that 2 is gone");
    let out = one.answer(2, 3, number(2), refused(2));
    assert!(fetches(&out), "{out:?}");
}

fn is_vote(output: &Output) -> bool {
    matches!(output, Output::Send(_, Message { body: Body::Question(Question::Vote(_)), .. }))
}

fn is_fetch(message: &Message) -> bool {
    matches!(message.body, Body::Question(Question::Fetch(_)))
}

#[test]
fn an_old_diverging_answer_cuts_nothing() {
    let mut one = One::new(&[1, 1, 1], Election { epoch: LeaderEpoch(1), ..Election::default() });
    let out = one.hear(2, 3, 1, Body::Question(Question::Begin));
    let asked = out.iter().filter_map(|o| if let Output::Keep(w, _) = o { Some(*w) } else { None }).max();
    let fetch = questions(&one.kept(asked.expect("the epoch is kept")))[0].1;
    let diverging = || Answer::Diverging(Tip { epoch: LeaderEpoch(1), end: Offset(1) });
    let cut = |out: &[Output]| out.iter().any(|o| matches!(o, Output::Cut(Offset(1))));
    assert!(!cut(&one.answer(2, 3, fetch.wrapping_sub(1), diverging())), "it answers another fetch");
    assert!(!cut(&one.answer(3, 3, fetch, diverging())), "another node says so");
    assert!(!cut(&one.answer(2, 2, fetch, diverging())), "it was said in another epoch");
    assert!(cut(&one.answer(2, 3, fetch, diverging())));
    one.log.truncate(Offset(1), &mut one.space);
    one.settle();
    assert!(!cut(&one.answer(2, 3, fetch, diverging())), "it comes twice");
}

#[test]
fn what_is_committed_is_never_cut() {
    let mut one = One::new(&[1, 1, 1], Election { epoch: LeaderEpoch(1), ..Election::default() });
    one.log.raise_high(Offset(2));
    let out = one.hear(2, 3, 1, Body::Question(Question::Begin));
    let kept = out.iter().filter_map(|o| if let Output::Keep(w, _) = o { Some(*w) } else { None }).max();
    let fetch = questions(&one.kept(kept.expect("the epoch is kept")))[0].1;
    let out = one.answer(2, 3, fetch, Answer::Diverging(Tip { epoch: LeaderEpoch(1), end: Offset(1) }));
    assert!(matches!(&out[0], Output::Fatal(why) if why.contains("offset 1")), "{out:?}");
}

#[test]
fn a_follower_is_not_counted_beyond_what_it_has_fetched() {
    let mut one = One::elected(&[1], 2);
    let tip = Tip { epoch: LeaderEpoch(1), end: Offset(1) };
    one.hear(3, 2, 7, Body::Question(Question::Fetch(Fetch { by: voter(3), tip, flushed: Offset(9) })));
    let out = one.hear(3, 2, 0, Body::Flushed(Offset(2)));
    assert_eq!(committed(&out), None, "its log was at 1 when it asked");
}

#[test]
fn time_outs_differ_by_node_epoch_and_attempt_and_by_nothing_else() {
    let base = Duration::from_secs(1);
    let at =
        |me, epoch, attempt| super::super::jitter::within(base, 7, BrokerId(me), LeaderEpoch(epoch), attempt);
    assert_eq!(at(1, 1, 1), at(1, 1, 1));
    let all = [at(1, 1, 1), at(2, 1, 1), at(1, 2, 1), at(1, 1, 2)];
    assert!(all.iter().all(|t| (base..base * 2).contains(t)), "{all:?}");
    assert!((1..4).all(|i| all[i] != all[0]), "{all:?}");
}

#[test]
fn an_answer_of_the_epoch_before_names_no_leader_of_the_one_that_it_opens() {
    let found = Election { epoch: LeaderEpoch(1), voted: None, leader: Some(BrokerId(2)) };
    let mut one = One::new(&[1], found);
    one.wait();
    let mut asked = questions(&one.wait());
    asked.retain(|(to, _)| *to == 3);
    // The third has lost the same leader, and has not given it up either: its vote is the one that is needed.
    let granted = Answer::Vote { by: voter(3), granted: true, leader: Some(BrokerId(2)) };
    for (_, correlation) in asked {
        one.answer(3, 1, correlation, granted.clone());
    }
    assert_eq!((one.quorum.epoch(), one.quorum.leader()), (LeaderEpoch(2), None));
}

#[test]
fn a_follower_that_has_what_there_was_when_it_fetched_before_was_caught_up_then() {
    let mut one = One::elected(&[1], 2);
    let mut correlation = 10;
    let mut fetch = |one: &mut One, ms: u64, end: i64| {
        one.now = one.now + Duration::from_millis(ms);
        let epoch = LeaderEpoch(if end > 1 { 2 } else { 1 });
        let fetch = Fetch { by: voter(2), tip: Tip { epoch, end: Offset(end) }, flushed: Offset(end) };
        correlation += 1;
        one.hear(2, 2, correlation, Body::Question(Question::Fetch(fetch)));
        let (_, progress) = one.quorum.progress().next().expect("it has fetched");
        (progress.fetched, progress.caught_up)
    };
    let (_, never) = fetch(&mut one, 100, 1);
    assert_eq!(never, None, "it lacks the record that opens the epoch");
    one.append(2);
    let (before, caught_up) = fetch(&mut one, 100, 2);
    assert_eq!(
        caught_up,
        Some(Instant(before.0 - 100_000)),
        "it has what there was, and there is more by now"
    );
    let (_, caught_up) = fetch(&mut one, 100, 2);
    assert_eq!(caught_up, Some(Instant(before.0 - 100_000)), "it lacks what there was by then");
    let (now, caught_up) = fetch(&mut one, 100, 3);
    assert_eq!(caught_up, Some(now));
}
