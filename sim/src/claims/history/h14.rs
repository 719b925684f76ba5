//! H14: a committed offset that is told was offered by a member, is not older than the newest one known, and skips nothing.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::client::TopicPartition;

use crate::claims::Verdict;
use crate::history::{Commit, Fate, History, Poll, Sighting};

/// A partition as a group reads it.
type Of<'a> = (&'a str, &'a TopicPartition);

/// What a group did and was told of one partition.
#[derive(Default)]
struct Story<'a> {
    commits: Vec<&'a Commit>,
    polls: Vec<&'a Poll>,
    sightings: Vec<&'a Sighting>,
}

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    // Of a damaged disk the group's own log may have lost its end.
    if history.damaged {
        return Ok(());
    }
    let mut stories: BTreeMap<Of<'_>, Story<'_>> = BTreeMap::new();
    for commit in &history.commits {
        stories.entry((&commit.group, &commit.partition)).or_default().commits.push(commit);
    }
    for poll in &history.polls {
        let Some(group) = &poll.group else { continue };
        stories.entry((group, &poll.partition)).or_default().polls.push(poll);
    }
    for sighting in &history.sightings {
        stories.entry((&sighting.group, &sighting.partition)).or_default().sightings.push(sighting);
    }
    for ((group, partition), mut story) in stories {
        story.sightings.sort_by_key(|s| s.at);
        story.polls.sort_by_key(|p| p.at);
        let trims: Vec<(u64, i64)> =
            history.trims.iter().filter(|t| t.partition == *partition).map(|t| (t.at, t.offset)).collect();
        let verdict = story
            .sightings
            .iter()
            .try_for_each(|s| offered(&story, s).and_then(|()| not_older(&story, s, history)));
        verdict
            .and_then(|()| skips_nothing(&story, &trims))
            .map_err(|why| format!("{group}: {partition}: {why}"))?;
    }
    Ok(())
}

/// What was told is where some member of the group had processed everything before.
fn offered(story: &Story<'_>, sighting: &Sighting) -> Verdict {
    let Sighting { offset, at, .. } = *sighting;
    let committed = story.commits.iter().any(|c| c.offset == offset && c.at <= at);
    // A client commits what is processed when the request leaves, which may be more than when it was asked to.
    let processed = || story.polls.iter().any(|p| p.next == offset && p.at <= at);
    if offset == -1 || committed || processed() {
        return Ok(());
    }
    Err(format!("offset {offset} was told at {at} us, but no member ever offered it"))
}

/// A commit that was done before the question is what is told, unless another one came later, or it was so long ago that
/// it may have expired since: then nothing is told. A coordinator that was deposed and does not know it may tell what was.
fn not_older(story: &Story<'_>, sighting: &Sighting, history: &History) -> Verdict {
    if history.deposed_told.iter().any(|at| (sighting.asked_at..=sighting.at).contains(at)) {
        return Ok(());
    }
    let kept_us = history.offsets_kept_us;
    // One that is done in no time was not sent: the client had nothing new to commit, and the broker heard of nothing.
    let sent = |c: &Commit| c.done_at > c.at;
    let done = |c: &&&Commit| matches!(c.fate, Fate::Done(_)) && sent(c) && c.done_at < sighting.asked_at;
    let Some(newest) = story.commits.iter().filter(done).max_by_key(|c| c.at) else { return Ok(()) };
    let expired = sighting.offset == -1 && newest.done_at.saturating_add(kept_us) <= sighting.at;
    if sighting.offset >= newest.offset || expired {
        return Ok(());
    }
    // One that was under way beside it may have come after it, also one that nobody knows the fate of.
    let beside = |c: &&&Commit| c.offset == sighting.offset && c.done_at >= newest.at && c.at <= sighting.at;
    if story.commits.iter().any(|c| beside(&c)) {
        return Ok(());
    }
    Err(format!(
        "offset {} was told at {} us, but {} was committed at {} us, and it was asked for at {} us",
        sighting.offset, sighting.at, newest.offset, newest.done_at, sighting.asked_at
    ))
}

/// Everything below what is told was given to some member before, or was to be deleted.
fn skips_nothing(story: &Story<'_>, trims: &[(u64, i64)]) -> Verdict {
    let mut polls = story.polls.iter().peekable();
    // Below this offset all was given; beyond it, what was.
    let (mut upto, mut beyond) = (0, BTreeSet::new());
    for sighting in &story.sightings {
        while let Some(poll) = polls.next_if(|p| p.at <= sighting.at) {
            beyond.extend(poll.records.iter().map(|r| r.0).filter(|offset| *offset >= upto));
        }
        let deleted = trims.iter().filter(|(at, _)| *at <= sighting.at).map(|(_, offset)| *offset).max();
        upto = upto.max(deleted.unwrap_or(0));
        while let Some(first) = beyond.first().copied().filter(|first| *first <= upto) {
            beyond.pop_first();
            upto = upto.max(first + 1);
        }
        if sighting.offset > upto {
            return Err(format!(
                "offset {} was told at {} us, but nobody in the group had been given {upto}",
                sighting.offset, sighting.at
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(offset: i64, (at, done_at): (u64, u64), fate: Fate) -> Commit {
        let partition = TopicPartition::new("t", 0);
        Commit { group: "g".into(), by: (1, 0), partition, offset, at, done_at, fate }
    }

    fn done(offset: i64, at: u64) -> Commit {
        commit(offset, (at, at + 1), Fate::Done(None))
    }

    /// Records 0 to 9 were given at 1 us, but for those left out; then commits, and what was told at 50 us.
    fn told(commits: Vec<Commit>, left_out: &[i64], offset: i64) -> History {
        let partition = TopicPartition::new("t", 0);
        let given = (0..10).filter(|o| !left_out.contains(o)).map(|o| (o, o as u64)).collect();
        let poll = Poll {
            by: (1, 0),
            group: Some("g".into()),
            run: 0,
            partition: partition.clone(),
            at: 1,
            records: given,
            next: 10,
            end: 10,
        };
        let sighting = Sighting { group: "g".into(), partition, offset, asked_at: 40, at: 50 };
        let offsets_kept_us = 1_000;
        History {
            commits,
            polls: vec![poll],
            sightings: vec![sighting],
            offsets_kept_us,
            ..History::default()
        }
    }

    #[test]
    fn an_offset_that_nobody_offered_is_seen() {
        assert!(check(&told(vec![done(4, 10)], &[], 5)).is_err());
        assert!(check(&told(vec![done(4, 10), done(5, 60)], &[], 5)).is_err(), "offered later");
        assert!(check(&told(vec![done(4, 10)], &[], 4)).is_ok());
        assert!(check(&told(vec![done(4, 10)], &[], 10)).is_ok(), "processed, and committed by the client");
    }

    #[test]
    fn an_older_offset_than_was_committed_is_seen() {
        assert!(check(&told(vec![done(3, 10), done(4, 20)], &[], 3)).is_err());
        assert!(check(&told(vec![done(4, 20)], &[], -1)).is_err(), "forgotten");
        assert!(check(&told(vec![done(3, 10), done(4, 45)], &[], 3)).is_ok(), "not done when asked");
        let beside = commit(3, (10, u64::MAX), Fate::Unknown);
        assert!(check(&told(vec![beside, done(4, 20)], &[], 3)).is_ok(), "nobody knows when it was done");
        assert!(check(&told(vec![], &[], -1)).is_ok());
    }

    #[test]
    fn one_who_was_deposed_and_does_not_know_it_may_tell_what_was_and_nothing_that_never_was() {
        let deposed = |deposed_told, offset| {
            check(&History { deposed_told, ..told(vec![done(3, 10), done(4, 20)], &[], offset) })
        };
        assert!(deposed(vec![45], 3).is_ok());
        assert!(deposed(vec![45], 5).is_err(), "nobody offered it");
        assert!(deposed(vec![39, 51], 3).is_err(), "it told something before or after");
    }

    #[test]
    fn an_offset_may_be_forgotten_once_it_may_have_expired_and_not_sooner() {
        let kept = |offsets_kept_us, offset| {
            check(&History { offsets_kept_us, ..told(vec![done(3, 5), done(4, 20)], &[], offset) })
        };
        assert!(kept(29, -1).is_ok(), "done at 21 us, and told at 50");
        assert!(kept(30, -1).is_err(), "too soon");
        assert!(kept(29, 3).is_err(), "an older one never comes back");
        let unsent = commit(4, (45, 45), Fate::Done(None));
        let again = told(vec![done(4, 5), unsent], &[], -1);
        assert!(check(&History { offsets_kept_us: 40, ..again }).is_ok(), "nothing was sent at 45 us");
    }

    #[test]
    fn an_offset_beyond_what_was_given_is_seen() {
        assert!(check(&told(vec![done(10, 10)], &[7], 10)).is_err());
        assert!(check(&told(vec![done(7, 10)], &[7], 7)).is_ok());
        let mut deleted = told(vec![done(10, 10)], &[2, 7], 10);
        deleted.trims.push(crate::history::Trim {
            partition: TopicPartition::new("t", 0),
            offset: 8,
            at: 5,
            done_at: 6,
            fate: Fate::Unknown,
        });
        assert!(check(&deleted).is_ok(), "it was deleted");
    }
}
