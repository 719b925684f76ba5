//! One node alone that takes a snapshot, or gives one: whose piece counts, and what is refused.

use super::rules::{One, asked_of, questions, voter, write};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::quorum::messages::{Answer, Body, Fetch, Message, Piece, Question, Tip, Wanted};
use crate::quorum::{Election, Output};
use crate::record::batch::crc32c;

const CONTENTS: &[u8] = b"what was decided";

fn tip(epoch: i32, end: i64) -> Tip {
    Tip { epoch: LeaderEpoch(epoch), end: Offset(end) }
}

fn piece(of: Tip, range: std::ops::Range<usize>) -> Piece {
    let (from, whole) = (range.start as u64, CONTENTS.len() as u64);
    Piece { of, from, whole, crc: crc32c(CONTENTS), bytes: CONTENTS[range].to_vec() }
}

/// A follower of node 2 in epoch 3 whose fetch was answered with a snapshot, and the number of its question for the first piece.
fn gathers(of: Tip) -> (One, u64) {
    let mut one = One::new(&[1, 1], Election { epoch: LeaderEpoch(1), ..Election::default() });
    let out = one.hear(2, 3, 1, Body::Question(Question::Begin));
    let fetch = questions(&one.kept(write_last(&out)))[0].1;
    let out = one.answer(2, 3, fetch, Answer::Snapshot(of));
    let (wanted, number) = wanted(&out).expect("it asks for a piece");
    assert_eq!(wanted, Wanted { by: voter(1), of, from: 0 });
    (one, number)
}

fn write_last(out: &[Output]) -> crate::quorum::WriteId {
    let keeps = out.iter().filter_map(|o| if let Output::Keep(w, _) = o { Some(*w) } else { None });
    keeps.max().unwrap_or_else(|| write(out))
}

fn wanted(out: &[Output]) -> Option<(Wanted, u64)> {
    out.iter().find_map(|o| match o {
        Output::Send(_, Message { correlation, body: Body::Question(Question::Piece(wanted)), .. }) => {
            Some((*wanted, *correlation))
        }
        _ => None,
    })
}

fn kept(out: &[Output]) -> Option<&[u8]> {
    out.iter().find_map(|o| if let Output::KeepSnapshot(_, bytes) = o { Some(&bytes[..]) } else { None })
}

fn warned(out: &[Output]) -> bool {
    out.iter().any(|o| matches!(o, Output::Warn(_)))
}

#[test]
fn pieces_are_put_together_in_order_and_each_is_the_answer_to_the_question_for_it() {
    let of = tip(2, 50);
    let (mut one, first) = gathers(of);
    let out = one.answer(2, 3, first, Answer::Piece(piece(of, 0..7)));
    let (next, second) = wanted(&out).expect("it asks for the next");
    assert_eq!(next.from, 7);
    let again = one.answer(2, 3, first, Answer::Piece(piece(of, 0..7)));
    assert!(wanted(&again).is_none() && kept(&again).is_none(), "it comes twice: {again:?}");
    let other = one.answer(3, 3, second, Answer::Piece(piece(of, 7..CONTENTS.len())));
    assert!(kept(&other).is_none(), "another node says so");
    let out = one.answer(2, 3, second, Answer::Piece(piece(of, 7..CONTENTS.len())));
    assert_eq!(kept(&out), Some(CONTENTS));
    assert_eq!(one.log.end(), Offset(2), "the disk has it first");
    let mut out = Vec::new();
    one.quorum.snapshot_kept(one.now, of, true, &one.log, &mut out);
    assert!(matches!(out[..], [Output::BeginAt(at)] if at == of), "{out:?}");
}

#[test]
fn a_piece_of_another_snapshot_or_another_place_is_not_taken_and_all_begins_anew() {
    let of = tip(2, 50);
    for wrong in [piece(tip(2, 60), 0..7), piece(tip(1, 50), 0..7), piece(of, 3..7), piece(of, 0..0)] {
        let (mut one, first) = gathers(of);
        let out = one.answer(2, 3, first, Answer::Piece(wrong));
        assert!(warned(&out) && wanted(&out).is_none(), "{out:?}");
        let out = one.wait();
        assert!(questions(&out).len() == 1 && wanted(&out).is_none(), "it fetches again: {out:?}");
    }
}

#[test]
fn a_snapshot_that_is_damaged_or_too_large_is_refused_in_words_and_asked_for_again() {
    let of = tip(2, 50);
    let (mut one, first) = gathers(of);
    let mut damaged = piece(of, 0..CONTENTS.len());
    damaged.bytes[3] ^= 1;
    let out = one.answer(2, 3, first, Answer::Piece(damaged));
    assert!(warned(&out) && kept(&out).is_none(), "{out:?}");
    let (mut one, first) = gathers(of);
    let large = Piece { whole: 1 << 40, ..piece(of, 0..7) };
    let out = one.answer(2, 3, first, Answer::Piece(large));
    let told = |o: &Output| matches!(o, Output::Warn(why) if why.contains("1099511627776 bytes"));
    assert!(out.iter().any(told), "{out:?}");
}

#[test]
fn a_snapshot_that_another_leader_makes_needless_is_not_begun_from() {
    let of = tip(2, 50);
    let (mut one, first) = gathers(of);
    let out = one.answer(2, 3, first, Answer::Piece(piece(of, 0..CONTENTS.len())));
    assert!(kept(&out).is_some());
    let out = one.hear(3, 4, 1, Body::Question(Question::Begin));
    one.kept(write_last(&out));
    let mut out = Vec::new();
    one.quorum.snapshot_kept(one.now, of, true, &one.log, &mut out);
    assert!(!out.iter().any(|o| matches!(o, Output::BeginAt(_))), "{out:?}");
}

#[test]
fn a_snapshot_that_the_disk_has_no_room_for_is_asked_for_again_after_a_while() {
    let of = tip(2, 50);
    let (mut one, first) = gathers(of);
    one.answer(2, 3, first, Answer::Piece(piece(of, 0..CONTENTS.len())));
    let mut out = Vec::new();
    one.quorum.snapshot_kept(one.now, of, false, &one.log, &mut out);
    assert!(out.is_empty(), "{out:?}");
    assert_eq!(questions(&one.wait()).len(), 1);
}

#[test]
fn a_leader_whose_snapshot_lacks_what_is_committed_here_is_not_followed() {
    let mut one = One::new(&[1, 1, 1], Election { epoch: LeaderEpoch(1), ..Election::default() });
    one.log.raise_high(Offset(2));
    let out = one.hear(2, 3, 1, Body::Question(Question::Begin));
    let fetch = asked_of(&one.kept(write_last(&out)), 2);
    let out = one.answer(2, 3, fetch, Answer::Snapshot(tip(2, 1)));
    assert!(matches!(&out[0], Output::Fatal(why) if why.contains("up to offset 1")), "{out:?}");
}

#[test]
fn a_tail_beyond_a_snapshot_of_what_is_committed_here_is_cut_and_nothing_is_fetched() {
    let mut one = One::new(&[1, 1, 1], Election { epoch: LeaderEpoch(1), ..Election::default() });
    one.log.raise_high(Offset(2));
    let out = one.hear(2, 3, 1, Body::Question(Question::Begin));
    let fetch = asked_of(&one.kept(write_last(&out)), 2);
    let out = one.answer(2, 3, fetch, Answer::Snapshot(tip(1, 2)));
    assert!(matches!(out[..], [Output::Cut(Offset(2))]), "{out:?}");
}

/// A leader in epoch 4 of a log of epochs 1, 1, 2, 2, 4 that begins at offset 3, with a snapshot up to there.
fn trimmed() -> One {
    let mut one = One::elected(&[1, 1, 2, 2], 4);
    one.log.raise_high(Offset(3));
    one.log.raise_start(Offset(3));
    one.quorum.set_snapshot(tip(2, 3));
    one
}

fn fetch(tip: Tip) -> Body {
    Body::Question(Question::Fetch(Fetch { by: voter(2), tip, flushed: tip.end }))
}

#[test]
fn who_ends_before_the_log_begins_or_in_an_epoch_that_is_gone_is_told_of_the_snapshot_and_counts_for_nothing()
{
    for end in [tip(-1, 0), tip(1, 2), tip(1, 3), tip(1, 9), tip(2, 2)] {
        let mut one = trimmed();
        let out = one.hear(2, 4, 70, fetch(end));
        let told = |o: &Output| matches!(o, Output::Send(_, m) if matches!(m.body, Body::Answer(Answer::Snapshot(of)) if of == tip(2, 3)));
        assert!(out.iter().any(told), "{end:?}: {out:?}");
        let out = one.hear(2, 4, 0, Body::Flushed(Offset(5)));
        assert!(!out.iter().any(|o| matches!(o, Output::Commit(_))), "{out:?}");
        let (_, progress) = one.quorum.progress().next().expect("it is heard of");
        assert_eq!((progress.end, progress.flushed), (Offset(0), Offset(0)));
    }
    for end in [tip(2, 3), tip(2, 4), tip(4, 5)] {
        let mut one = trimmed();
        let out = one.hear(2, 4, 70, fetch(end));
        assert!(out.iter().any(|o| matches!(o, Output::Serve(_))), "{end:?}: {out:?}");
    }
}

#[test]
fn who_has_the_snapshot_and_nothing_more_goes_on_where_the_log_begins_in_a_later_epoch() {
    let mut one = One::elected(&[1, 1], 4);
    one.log.raise_high(Offset(2));
    one.log.raise_start(Offset(2));
    one.quorum.set_snapshot(tip(1, 2));
    assert_eq!(one.log.epochs().first().map(|first| first.epoch), Some(LeaderEpoch(4)));
    let out = one.hear(2, 4, 70, fetch(tip(1, 2)));
    assert!(out.iter().any(|o| matches!(o, Output::Serve(_))), "{out:?}");
}

#[test]
fn a_question_for_a_piece_keeps_a_leader_and_only_a_leader_answers_it() {
    let ask = || Body::Question(Question::Piece(Wanted { by: voter(2), of: tip(2, 3), from: 5 }));
    let mut one = trimmed();
    let out = one.hear(2, 4, 70, ask());
    let served = |o: &Output| matches!(o, Output::ServePiece(s) if s.to == BrokerId(2) && s.from == 5 && s.correlation == 70);
    assert!(out.iter().any(served), "{out:?}");
    assert_eq!(one.quorum.progress().next().map(|(_, p)| p.fetched), Some(one.now));
    let out = one.hear(3, 4, 71, ask());
    assert!(out.is_empty(), "in another's name: {out:?}");
    let mut one = One::new(&[1], Election { epoch: LeaderEpoch(4), ..Election::default() });
    let out = one.hear(2, 4, 70, ask());
    assert!(!out.iter().any(|o| matches!(o, Output::ServePiece(_))), "{out:?}");
}

#[test]
fn a_log_that_is_empty_behind_a_snapshot_ends_in_the_epoch_of_that() {
    let mut one = One::new(&[1, 3, 3], Election { epoch: LeaderEpoch(3), ..Election::default() });
    one.log.raise_high(Offset(2));
    one.log.raise_start(Offset(2));
    one.quorum.set_snapshot(tip(3, 2));
    one.log.truncate(Offset(2), &mut one.space);
    assert_eq!(one.log.epochs().last(), None, "the log itself has forgotten it");
    let vote = |one: &mut One, epoch, end| {
        let vote = crate::quorum::messages::Vote { pre: true, candidate: voter(2), tip: tip(epoch, end) };
        let out = one.hear(2, 3, 1, Body::Question(Question::Vote(vote)));
        super::rules::votes(&out)
    };
    assert_eq!(vote(&mut one, 2, 9), [false]);
    assert_eq!(vote(&mut one, 3, 2), [true]);
}
