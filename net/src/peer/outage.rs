//! What is told of a link that is down: why, once, and then only what is new.

use std::fmt;

/// Refusals told of one outage.
const REFUSALS: usize = 4;

/// Why a link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Down {
    /// The other broker cannot be reached, or was lost.
    Lost(String),
    /// It can be, and will not listen; or it is not the one that was meant.
    Refused(String),
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Down::Lost(why) => f.write_str(why),
            Down::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// What has been told since the link was last up for long enough.
#[derive(Debug, Default)]
pub(super) struct Outage {
    lost: bool,
    refusals: Vec<String>,
    /// That the link is up again.
    rise: bool,
}

impl Outage {
    /// Whether this is to be told: the first thing of an outage is, and later a refusal that has not been, since that is what
    /// somebody must do something about.
    pub(super) fn is_news(&mut self, down: &Down) -> bool {
        match down {
            Down::Lost(_) => {
                let is_first = !self.lost && self.refusals.is_empty();
                self.lost = true;
                is_first
            }
            Down::Refused(why) => {
                let is_new = self.refusals.len() < REFUSALS && !self.refusals.contains(why);
                if is_new {
                    self.refusals.push(why.clone());
                }
                is_new
            }
        }
    }

    /// Whether it is to be told that the link is up: once, of an outage that was told of.
    pub(super) fn rises(&mut self) -> bool {
        let was_told = self.lost || !self.refusals.is_empty();
        was_told && !std::mem::replace(&mut self.rise, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(why: &str) -> Down {
        Down::Lost(why.to_owned())
    }

    fn refused(why: &str) -> Down {
        Down::Refused(why.to_owned())
    }

    #[test]
    fn an_outage_is_told_once_however_often_it_is_tried_and_its_end_once() {
        let mut outage = Outage::default();
        assert!(outage.is_news(&lost("closed")));
        assert!(!outage.is_news(&lost("nobody listens")));
        assert!(!outage.is_news(&lost("closed")));
        assert!(outage.rises());
        assert!(!outage.is_news(&lost("closed")), "it was not up for long: the same outage");
        assert!(!outage.rises());
    }

    #[test]
    fn a_link_that_comes_up_at_the_first_attempt_is_no_news() {
        assert!(!Outage::default().rises());
    }

    #[test]
    fn each_refusal_is_told_once_even_when_the_outage_was() {
        let mut outage = Outage::default();
        assert!(outage.is_news(&lost("nobody listens")));
        assert!(outage.is_news(&refused("another cluster")));
        assert!(!outage.is_news(&refused("another cluster")));
        assert!(!outage.is_news(&lost("nobody listens")));
        assert!(outage.is_news(&refused("another version")));
        let told = (0..100).filter(|n| outage.is_news(&refused(&n.to_string()))).count();
        assert_eq!(told, REFUSALS - 2);
        assert!(outage.rises());
    }
}
