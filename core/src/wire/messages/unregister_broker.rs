//! UnregisterBroker: a dead broker belongs to the cluster no longer.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to forget a broker.
    struct UnregisterBrokerRequest {
        broker_id: i32, 0..;
    }

    /// Whether it is forgotten.
    struct UnregisterBrokerResponse {
        throttle_time_ms: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
    }
}
