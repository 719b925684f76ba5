//! Headers: what stands before every request and response.

use crate::wire::table::messages;

messages! {
    /// What stands before every request. `client_id` is never in the compact form.
    struct RequestHeader {
        request_api_key: i16, 0..;
        request_api_version: i16, 0..;
        correlation_id: i32, 0..;
        client_id: Option<String>, 1.., null 1.., default Some(String::new());
    }

    /// What stands before every response.
    struct ResponseHeader {
        correlation_id: i32, 0..;
    }
}
