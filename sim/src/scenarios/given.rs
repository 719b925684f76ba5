//! A line of a scenario: words, and values that have names.

use std::collections::BTreeMap;

/// A command: its words, and what was given with a name.
pub(super) struct Given<'a> {
    pub(super) words: Vec<&'a str>,
    pub(super) named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Given<'a> {
    /// Reads a line.
    pub(super) fn read(line: &'a str) -> Given<'a> {
        let (named, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|w| w.contains('='));
        Given { words, named: named.into_iter().filter_map(|w| w.split_once('=')).collect() }
    }

    /// A number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.named.get(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name}={v}")))
    }

    /// A word, or nothing.
    pub(super) fn word(&self, name: &str) -> String {
        self.named.get(name).map(ToString::to_string).unwrap_or_default()
    }

    /// A list of numbers, as in `replicas=1,2`.
    pub(super) fn list(&self, name: &str) -> Option<Vec<i32>> {
        let numbers = |text: &&str| text.split(',').map(|n| n.parse().expect("a number")).collect();
        self.named.get(name).map(numbers)
    }
}
