//! Who asks and where the answer goes: the two names that every room needs that parks a request.

use crate::ids::ConnId;

/// One request on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The connection it came on.
    pub conn: ConnId,
    /// Its number on that connection, counted by the connection from 0.
    pub seq: u64,
}

/// Who asks: the same for all requests of a connection, but for the client id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client.id` of the request header; empty when it sent none.
    pub client_id: String,
    /// The address it comes from, as Kafka shows it: `/127.0.0.1`.
    pub host: String,
    /// Host and port under which this connection's listener is advertised.
    pub advertised: (String, u16),
}
