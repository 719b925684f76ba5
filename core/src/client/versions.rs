//! Which version of which request a broker gets: the newest that both sides speak.

use std::collections::BTreeMap;

use crate::wire::ApiKey;

/// The versions of one broker, as its ApiVersions answer names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    ranges: BTreeMap<ApiKey, (i16, i16)>,
}

impl Versions {
    /// From keys with their lowest and highest version; keys we do not speak are left out.
    pub(crate) fn new(ranges: impl Iterator<Item = (i16, i16, i16)>) -> Versions {
        let known = ranges.filter_map(|(key, low, high)| Some((ApiKey::from_number(key)?, (low, high))));
        Versions { ranges: known.collect() }
    }

    /// The newest version of `key` that both sides speak and that is not above `cap`, or words for why there is none.
    pub(crate) fn choose(&self, key: ApiKey, cap: i16) -> Result<i16, String> {
        let ours = key.accepted();
        let Some((low, high)) = self.ranges.get(&key).copied() else {
            return Err(format!("the broker does not offer {key}"));
        };
        let chosen = high.min(*ours.end()).min(cap);
        if chosen < low.max(*ours.start()) {
            let (first, last) = (ours.start(), *ours.end().min(&cap));
            return Err(format!(
                "the broker offers {key} in versions {low}-{high}, this client speaks {first}-{last}"
            ));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_taken() {
        let broker = Versions::new([(3, 0, 5), (1, 4, 99), (0, 0, 2), (9999, 0, 1)].into_iter());
        assert_eq!(broker.choose(ApiKey::Metadata, i16::MAX), Ok(5));
        assert_eq!(broker.choose(ApiKey::Fetch, i16::MAX), Ok(*ApiKey::Fetch.accepted().end()));
        assert_eq!(broker.choose(ApiKey::Fetch, 12), Ok(12));
        assert!(
            broker.choose(ApiKey::Produce, i16::MAX).is_err(),
            "an advertised but unknown old version is not spoken"
        );
        assert!(broker.choose(ApiKey::JoinGroup, i16::MAX).is_err());
    }
}
