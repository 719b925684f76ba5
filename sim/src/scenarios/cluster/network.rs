//! What is between the brokers of a scenario: everything that they say arrives at once, unless a line says otherwise.

use std::collections::VecDeque;

use quipu_core::peer::frame;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body};

use super::words;

/// A message under way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Its number, once it waits on the shelf.
    pub(super) number: u64,
    /// Whose it is, from 0.
    pub(super) from: usize,
    /// Whom it is for.
    pub(super) to: usize,
    /// What it says.
    pub(super) message: PeerMessage,
}

/// The network.
#[derive(Default)]
pub(super) struct Network {
    /// What arrives next, in order.
    pending: VecDeque<Letter>,
    /// What was held back, until a line delivers or loses it.
    shelf: Vec<Letter>,
    rules: Vec<(Deed, Which)>,
    shelved: u64,
}

/// What becomes of messages that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// They wait on the shelf.
    Hold,
    /// They are lost.
    Drop,
    /// They arrive, and once more when the shelf is delivered.
    Copy,
}

/// Which messages: `#4`, `all`, `vote 2>3`, `records,diverging 1>*`, `all 1<>2,3`.
#[derive(Clone, Debug)]
pub(super) struct Which {
    number: Option<u64>,
    kinds: Vec<String>,
    from: Vec<usize>,
    to: Vec<usize>,
    both_ways: bool,
}

impl Which {
    /// Reads what follows a command.
    pub(super) fn read(words: &[&str]) -> Which {
        let first = words.first().copied().unwrap_or("all");
        let number = first.strip_prefix('#').map(|n| n.parse().expect("a number"));
        let kinds = if first == "all" { Vec::new() } else { first.split(',').map(str::to_string).collect() };
        let route = words.get(1).copied().unwrap_or("*>*");
        let (from, to) = route.split_once("<>").or(route.split_once('>')).expect("a route, as 1>2");
        let ends = |text: &str| match text {
            "*" => Vec::new(),
            list => list.split(',').map(|n| n.parse::<usize>().expect("a broker") - 1).collect(),
        };
        Which { number, kinds, from: ends(from), to: ends(to), both_ways: route.contains("<>") }
    }

    fn holds(&self, letter: &Letter) -> bool {
        if let Some(number) = self.number {
            return letter.number == number;
        }
        let is = |ends: &[usize], end: usize| ends.is_empty() || ends.contains(&end);
        let goes = |from, to| is(&self.from, from) && is(&self.to, to);
        let kind = words::kind(&letter.message);
        (self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind))
            && (goes(letter.from, letter.to) || self.both_ways && goes(letter.to, letter.from))
    }
}

impl Network {
    /// From now on that happens to such messages. Of several rules the last one counts.
    pub(super) fn rule(&mut self, deed: Deed, which: Which) {
        self.rules.push((deed, which));
    }

    /// No rule holds any more. What is on the shelf stays there.
    pub(super) fn open(&mut self) {
        self.rules.clear();
    }

    /// Somebody says something. What is told of it, if it waits.
    pub(super) fn post(&mut self, from: usize, to: usize, message: &PeerMessage) -> Option<String> {
        let mut letter = Letter { number: 0, from, to, message: over_the_wire(message) };
        let deed = self.rules.iter().rev().find(|(_, which)| which.holds(&letter)).map(|(deed, _)| *deed);
        if matches!(deed, None | Some(Deed::Copy)) {
            self.pending.push_back(letter.clone());
        }
        if matches!(deed, None | Some(Deed::Drop)) {
            return None;
        }
        self.shelved += 1;
        letter.number = self.shelved;
        let what = if deed == Some(Deed::Copy) { "copied" } else { "held" };
        let told = format!("  {what} {}", told(&letter));
        self.shelf.push(letter);
        Some(told)
    }

    /// What arrives next.
    pub(super) fn next(&mut self) -> Option<Letter> {
        self.pending.pop_front()
    }

    /// Those on the shelf that are meant, taken from it unless they stay.
    pub(super) fn take(&mut self, which: &Which, stay: bool) -> Vec<Letter> {
        let meant: Vec<Letter> = self.shelf.iter().filter(|letter| which.holds(letter)).cloned().collect();
        if !stay {
            self.shelf.retain(|letter| !which.holds(letter));
        }
        meant
    }

    /// What is on the shelf.
    pub(super) fn shelf(&self) -> Vec<String> {
        self.shelf.iter().map(|letter| format!("  {}", told(letter))).collect()
    }
}

/// A letter in words.
pub(super) fn told(letter: &Letter) -> String {
    let (number, from, to) = (letter.number, letter.from + 1, letter.to + 1);
    format!("#{number} {from}>{to} {}", words::message(&letter.message))
}

/// The same answer as its leader would have given with room for so many batches.
pub(super) fn shortened(letter: &mut Letter, most: usize) {
    if let PeerMessage::Quorum(message) = &mut letter.message
        && let Body::Answer(Answer::Records { batches, .. }) = &mut message.body
    {
        batches.truncate(most);
    }
}

/// A message as it comes out at the other end.
fn over_the_wire(message: &PeerMessage) -> PeerMessage {
    let whole = frame::encode(message).expect("what a broker says has a frame").concat();
    let frame = bytes::Bytes::from(whole).slice(frame::PREFIX_BYTES..);
    frame::decode(frame).expect("what was encoded is decoded")
}
