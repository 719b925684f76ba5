//! A quota alone: what goes in any stretch of time, and that something always goes.

use std::time::Duration;

use crate::mix::mix;
use crate::replica::quota::Quota;
use crate::time::Instant;

const START: Instant = Instant(1_000_000_000);

#[test]
fn without_a_rate_all_may_go_and_nothing_counts() {
    let mut quota = Quota::new(None);
    quota.used(START, 1 << 40);
    assert_eq!((quota.room(START), quota.is_set()), (Ok(usize::MAX), false));
}

#[test]
fn what_goes_beyond_the_rate_is_waited_for() {
    let mut quota = Quota::new(Some(1_000));
    assert_eq!(quota.room(START), Ok(1_000), "the second before was not used");
    quota.used(START, 400);
    assert_eq!(quota.room(START), Ok(600));
    quota.used(START, 2_600);
    let again = START + Duration::from_millis(2_100);
    assert_eq!(quota.room(START), Err(again), "two seconds too much, and a tenth to come together");
    assert_eq!(quota.room(again - Duration::from_micros(1)), Err(again));
    assert_eq!((quota.room(again), quota.opens()), (Ok(100), again));
    assert_eq!(quota.room(again + Duration::from_secs(60)), Ok(1_000), "of a minute one second is good");
}

#[test]
fn however_small_the_rate_is_a_batch_goes_within_the_window() {
    for rate in [0, 1, 50] {
        let mut quota = Quota::new(Some(rate));
        let mut now = START;
        for _ in 0..5 {
            assert!(quota.room(now).is_ok_and(|bytes| bytes >= 1));
            quota.used(now, 1 << 20);
            let again = quota.room(now).expect_err("more than all of it is used");
            assert!(again.since(now) <= Duration::from_millis(11_100), "rate {rate}");
            assert!(again.since(now) >= Duration::from_millis(10_100), "rate {rate}");
            now = again;
        }
    }
}

#[test]
fn what_was_counted_and_did_not_go_is_given_back() {
    let mut quota = Quota::new(Some(1_000));
    quota.used(START, 1_000);
    assert!(quota.room(START).is_err());
    quota.settle(START, 1_000, 300);
    assert_eq!(quota.room(START), Ok(700));
    quota.settle(START, 100, 500);
    assert_eq!(quota.room(START), Ok(300), "it was more than was counted");
    let mut none = Quota::new(Some(0));
    none.used(START, 10);
    let again = none.room(START);
    none.settle(START, 10, 10);
    assert_eq!(none.room(START), again, "nothing is given back of what went");
}

#[test]
fn another_rate_begins_anew_and_the_same_one_does_not() {
    let mut quota = Quota::new(Some(10));
    quota.used(START, 10_000);
    assert!(!quota.set(Some(10)) && quota.room(START).is_err());
    assert!(quota.set(Some(20)) && quota.room(START) == Ok(20));
    assert!(quota.set(None) && quota.room(START) == Ok(usize::MAX));
}

#[test]
fn in_no_stretch_of_time_goes_more_than_the_rate_a_second_of_it_and_a_batch_and_not_much_less_is_used() {
    for seed in 0..200u64 {
        let mut draws = 0u64;
        let mut draw = |below: u64| {
            draws += 1;
            mix(seed ^ mix(draws)) % below
        };
        let rate = 1_000 + draw(1_000_000);
        let largest = 1 + draw(rate);
        let (mut quota, mut now, mut gone) = (Quota::new(Some(rate)), START, Vec::new());
        for _ in 0..400 {
            match quota.room(now) {
                Ok(room) => {
                    // Whole batches, up to one more than there is room for.
                    let bytes = room + draw(largest) as usize;
                    quota.used(now, bytes);
                    gone.push((now, bytes as u64));
                    // Who comes late finds the room that came together meanwhile.
                    now = now + Duration::from_micros(draw(700_000));
                }
                Err(at) => now = at + Duration::from_micros(draw(500_000)),
            }
        }
        for (at, (from, _)) in gone.iter().enumerate() {
            let mut bytes = 0;
            for (to, more) in &gone[at..] {
                bytes += more;
                let allowed = u128::from(rate) * u128::from(to.since(*from).as_micros() as u64) / 1_000_000;
                let most = allowed + u128::from(rate + largest + 1);
                assert!(u128::from(bytes) <= most, "seed {seed}: {bytes} in {:?}", to.since(*from));
            }
        }
        let all: u64 = gone.iter().map(|(_, bytes)| bytes).sum();
        let due = u128::from(rate) * u128::from(now.since(START).as_micros() as u64) / 1_000_000;
        assert!(u128::from(all + 2 * rate) >= due, "seed {seed}: {all} of {due} went");
    }
}
