//! Answers to ApiVersions, which need nothing but the table of requests.

use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, SupportedFeatureKey,
};

/// The answer to an ApiVersions request of an accepted version. `features` is what the cluster supports.
pub fn answer(
    version: i16,
    request: &ApiVersionsRequest,
    features: &[SupportedFeatureKey],
) -> ApiVersionsResponse {
    if version >= 3 && !names_software(request) {
        return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    // Before version 4, Java clients choke on a feature that begins at 0 (KAFKA-17011).
    let shown = |feature: &&SupportedFeatureKey| version >= 4 || feature.min_version > 0;
    ApiVersionsResponse {
        api_keys: api_keys(),
        supported_features: features.iter().filter(shown).cloned().collect(),
        ..Default::default()
    }
}

/// The answer to an ApiVersions request of a version that is not accepted, to be written in version 0: the client picks a
/// version from it and asks again (KIP-511).
pub fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: api_keys(),
        ..Default::default()
    }
}

fn api_keys() -> Vec<ApiVersion> {
    let entry = |key: &ApiKey| {
        let advertised = key.advertised();
        ApiVersion { api_key: key.number(), min_version: *advertised.start(), max_version: *advertised.end() }
    };
    ApiKey::ALL.iter().map(entry).collect()
}

/// Whether name and version of the client's software are what Kafka accepts since version 3 (KIP-511): letters and
/// digits, with dots and dashes between them, and not empty.
fn names_software(request: &ApiVersionsRequest) -> bool {
    let fits = |text: &String| {
        let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(inner)
    };
    fits(&request.client_software_name) && fits(&request.client_software_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn software(name: &str, version: &str) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: name.to_owned(),
            client_software_version: version.to_owned(),
        }
    }

    #[test]
    fn software_names_are_checked_from_version_3_on() {
        for good in ["librdkafka", "a", "apache-kafka-java", "a..-b", "4.0.1", "7"] {
            assert_eq!(answer(3, &software(good, "1.0"), &[]).error_code, ErrorCode::NONE, "{good}");
            assert_eq!(answer(4, &software("x", good), &[]).error_code, ErrorCode::NONE, "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a.", "a b", "a_b", "ä", "a\n"] {
            assert_eq!(
                answer(3, &software(bad, "1.0"), &[]).error_code,
                ErrorCode::INVALID_REQUEST,
                "{bad:?}"
            );
            assert_eq!(answer(4, &software("x", bad), &[]).error_code, ErrorCode::INVALID_REQUEST, "{bad:?}");
            assert_eq!(answer(2, &software(bad, bad), &[]).error_code, ErrorCode::NONE, "{bad:?}");
        }
        assert!(answer(3, &software("", ""), &[]).api_keys.is_empty());
    }

    #[test]
    fn produce_and_join_group_are_advertised_from_version_0() {
        let answer = answer(4, &software("a", "1"), &[]);
        let entry = |key: ApiKey| answer.api_keys.iter().find(|a| a.api_key == key.number()).unwrap();
        assert_eq!((entry(ApiKey::Produce).min_version, entry(ApiKey::Produce).max_version), (0, 11));
        assert_eq!(entry(ApiKey::JoinGroup).min_version, 0);
    }

    #[test]
    fn what_is_advertised_is_what_is_accepted_but_for_produce() {
        for &key in ApiKey::ALL {
            let accepted = if key == ApiKey::Produce { 3..=11 } else { key.advertised() };
            assert_eq!(key.accepted(), accepted, "{key}");
        }
        assert!(ApiKey::ALL.is_sorted());
    }

    #[test]
    fn a_feature_that_begins_at_0_is_hidden_before_version_4() {
        let feature =
            |name: &str, min| SupportedFeatureKey { name: name.to_owned(), min_version: min, max_version: 2 };
        let features = [feature("from-0", 0), feature("from-1", 1)];
        assert_eq!(answer(3, &software("a", "1"), &features).supported_features, features[1..]);
        assert_eq!(answer(4, &software("a", "1"), &features).supported_features, features);
    }

    #[test]
    fn an_unsupported_version_is_answered_with_all_keys() {
        let answer = unsupported();
        assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
        assert!(answer.api_keys.iter().any(|a| a.api_key == 18 && a.max_version == 4));
    }
}
