//! What an older version of a request means, so that the machine never sees a version number.

use crate::wire::api::ApiKey;

/// The meaning of a request beyond its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Metadata v0: an empty list of topics asks for all topics; from v1 on null does.
    pub metadata_empty_means_all: bool,
}

impl Dialect {
    /// What `version` of the request `key` means.
    pub fn of(key: ApiKey, version: i16) -> Dialect {
        Dialect { metadata_empty_means_all: key == ApiKey::Metadata && version == 0 }
    }
}
