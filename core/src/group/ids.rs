//! Member ids that are never given out twice, without drawing randomness.

use crate::mix::mix;
use crate::time::Instant;

/// A prefix longer than this is cut, so that an id always fits Kafka's 16-bit string lengths.
const PREFIX_MAX: usize = 255;

/// The source of member ids of one incarnation of a broker.
#[derive(Debug)]
pub(crate) struct MemberIds {
    seed: u64,
    given: u64,
}

impl MemberIds {
    /// `seed` must differ from incarnation to incarnation: the broker draws it when it starts.
    pub(crate) fn new(seed: u64) -> MemberIds {
        MemberIds { seed, given: 0 }
    }

    /// The next id, `<prefix>-<128 bits in the shape of a UUID>` as Kafka's `ClassicGroup.generateMemberId`.
    pub(crate) fn next(&mut self, prefix: &str, now: Instant) -> String {
        self.given += 1;
        // The low half alone never repeats within an incarnation: `mix` is a bijection and the counter only grows.
        let low = mix(self.seed.wrapping_add(self.given));
        let high = mix(self.seed ^ mix(self.given ^ mix(now.0)));
        let hex = format!("{high:016x}{low:016x}");
        let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        format!("{}-{a}-{b}-{c}-{d}-{e}", cut(prefix))
    }
}

/// At most `PREFIX_MAX` bytes of a text, whole characters only.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(PREFIX_MAX)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_id_is_given_out_twice_even_while_the_clock_stands_still() {
        let mut all = BTreeSet::new();
        for seed in [0, 1, 7, u64::MAX] {
            let mut ids = MemberIds::new(seed);
            for _ in 0..1000 {
                assert!(all.insert(ids.next("c", Instant(0))), "seed {seed}");
            }
        }
    }

    #[test]
    fn an_id_begins_with_the_client_and_looks_like_a_uuid() {
        let id = MemberIds::new(1).next("rdkafka", Instant(5));
        let tail = id.strip_prefix("rdkafka-").unwrap();
        let lengths: Vec<_> = tail.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_huge_client_id_is_cut_at_a_whole_character() {
        let id = MemberIds::new(1).next(&"é".repeat(20_000), Instant(5));
        assert_eq!(id.len(), 254 + 37);
    }
}
