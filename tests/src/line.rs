//! A connection to one broker on which one question at a time is asked, by a client that does nothing by itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use quipu_core::wire::{self, Out, Request, RequestHeader, Response};

/// A connection.
#[derive(Debug)]
pub struct Line {
    socket: TcpStream,
    correlation_id: i32,
}

impl Line {
    /// Connects. Nothing waits longer than this on it: neither the connection, nor a question, nor an answer.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Line> {
        let socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        Ok(Line { socket, correlation_id: 0 })
    }

    /// One request and its answer. After an error the line is of no use any more.
    pub fn ask(&mut self, request: &Request, version: i16) -> io::Result<Response> {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key: request.key(),
            version,
            correlation_id: self.correlation_id,
            client_id: Some("outside-checker".to_owned()),
        };
        let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut out = Out::new();
        wire::encode_request(&mut out, &header, request).map_err(|error| broken(format!("{error:?}")))?;
        self.socket.write_all(&out.take_joined())?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut frame)?;
        let answer = wire::decode_response(header.api_key, version, &Bytes::from(frame));
        let (correlation_id, response) = answer.map_err(|error| broken(format!("{error:?}")))?;
        if correlation_id != self.correlation_id {
            return Err(broken(format!("an answer to question {correlation_id}")));
        }
        Ok(response)
    }
}
