//! H15: whatever others send, good clients are answered in the end, and nothing is done in their name by others.

use crate::claims::Verdict;
use crate::history::{Fate, History};

/// Whether it holds. That all other claims hold as well is for them to say: they judge the same history.
pub fn check(history: &History) -> Verdict {
    // Of a damaged disk an older generation may be left, of which they are members.
    if history.damaged {
        return Ok(());
    }
    if let Some(words) = history.trespasses.first() {
        return Err(format!("{words} was taken, and had to be refused"));
    }
    // What a process had under way when it was killed nobody can be told of.
    let last = |by: (usize, u64)| history.lives.get(&by.0) == Some(&by.1);
    if let Some((number, sent)) =
        history.sends.iter().enumerate().find(|(_, s)| s.fate == Fate::Open && last(s.by))
    {
        return Err(format!("the fate of record {number} of user {:?} is never told", sent.by));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::sent;

    #[test]
    fn a_deed_in_anothers_name_and_a_record_without_a_fate_are_seen() {
        assert!(check(&History { trespasses: vec!["a commit".into()], ..History::default() }).is_err());
        let open = History { sends: vec![sent(Fate::Open)], lives: [(1, 0)].into(), ..History::default() };
        assert!(check(&open).is_err());
    }

    #[test]
    fn what_was_under_way_when_its_process_was_killed_is_fine() {
        let killed = History { sends: vec![sent(Fate::Open)], lives: [(1, 1)].into(), ..History::default() };
        assert!(check(&killed).is_ok());
        let unknown =
            History { sends: vec![sent(Fate::Unknown)], lives: [(1, 0)].into(), ..History::default() };
        assert!(check(&unknown).is_ok());
    }
}
