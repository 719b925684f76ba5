//! How a transcript that is played again can come out otherwise than it is written.

use std::any::Any;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::panics;

/// What a panic of the machine itself tells of where it struck: paths are those of the sources.
const MACHINE: &str = " at core/src/";

/// The first thing that is not as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Departure {
    /// Something that must hold does not.
    Broke {
        /// The claim.
        claim: String,
        /// What happened.
        story: String,
    },
    /// A line is another one.
    Differs {
        /// Which, from 1.
        line: usize,
        /// As it is written; empty after the last line.
        was: String,
        /// As it comes out; empty after the last line.
        is: String,
    },
    /// The machine panicked.
    Panicked {
        /// What it said, and where.
        story: String,
    },
    /// The player could not go on, which says nothing of the machine: a command that makes no sense now, or none at all.
    Stuck {
        /// Why.
        why: String,
    },
}

impl Departure {
    /// Ends the play here.
    pub(super) fn raise(self) -> ! {
        // No hook is to be told: the player catches it, whoever plays.
        std::panic::resume_unwind(Box::new(self))
    }

    /// What ended a play before its time. Without the hook of [`panics`] nobody knows where a panic struck.
    pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Departure {
        let panic = match panic.downcast::<Departure>() {
            Ok(departure) => return *departure,
            Err(panic) => panic,
        };
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_string();
        match panics::last() {
            Some(story) if story.contains(MACHINE) => Departure::Panicked { story },
            story => Departure::Stuck { why: story.unwrap_or(text) },
        }
    }

    /// The first line that is another one.
    pub(super) fn between(was: &str, is: &str) -> Option<Departure> {
        let (mut old, mut new) = (was.lines(), is.lines());
        let mut line = 0;
        loop {
            line += 1;
            match (old.next(), new.next()) {
                (None, None) => return None,
                (was, is) if was == is => {}
                (was, is) => {
                    let (was, is) = (was.unwrap_or_default().to_string(), is.unwrap_or_default().to_string());
                    return Some(Departure::Differs { line, was, is });
                }
            }
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Departure::Broke { claim, story } => write!(f, "{claim} does not hold: {story}"),
            Departure::Differs { line, was, is } => write!(f, "line {line} was `{was}` and is now `{is}`"),
            Departure::Panicked { story } => write!(f, "panic: {story}"),
            Departure::Stuck { why } => write!(f, "it cannot be played on: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_is_another_one_is_told_be_it_behind_the_end_of_one_of_them() {
        let differs = |line, was: &str, is: &str| {
            Some(Departure::Differs { line, was: was.to_string(), is: is.to_string() })
        };
        assert_eq!(Departure::between("a\nb\n", "a\nb\n"), None);
        assert_eq!(Departure::between("a\nb\nc\n", "a\nx\ny\n"), differs(2, "b", "x"));
        assert_eq!(Departure::between("a\n", "a\nb\n"), differs(2, "", "b"));
        assert_eq!(Departure::between("a\nb\n", "a\n"), differs(2, "b", ""));
    }

    #[test]
    fn what_was_raised_is_caught_as_it_was_and_a_panic_of_the_player_is_none_of_the_machine() {
        let broke = Departure::Broke { claim: "M4".into(), story: "so it went".into() };
        let caught = std::panic::catch_unwind(|| broke.clone().raise()).expect_err("it ended there");
        assert_eq!(Departure::of_panic(caught), broke);
        let said: Box<dyn Any + Send> = Box::new("no command is called `x`");
        let stuck = Departure::of_panic(said);
        assert_eq!(stuck.to_string(), "it cannot be played on: no command is called `x`");
    }
}
