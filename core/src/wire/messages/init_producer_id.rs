//! InitProducerId: gives out producer ids.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for a producer id and epoch.
    struct InitProducerIdRequest {
        transactional_id: Option<String>, 0.., null 0.., default Some(String::new());
        transaction_timeout_ms: i32, 0..;
        producer_id: i64, 3.., default -1;
        producer_epoch: i16, 3.., default -1;
    }

    /// The producer id and epoch.
    struct InitProducerIdResponse {
        throttle_time_ms: i32, 0.. => ignorable;
        error_code: ErrorCode, 0..;
        producer_id: i64, 0.., default -1;
        producer_epoch: i16, 0..;
    }
}
