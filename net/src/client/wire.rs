//! One connection of a client: opened, read frame by frame, written, and closed when the client or the broker wants.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use quipu_core::client::{Address, ClientInput};
use quipu_core::ids::ConnId;

use crate::rt::{self, Either, Notify, ReadSide, Spawner, WriteSide, first, mpsc};

/// Room for small answers; a large frame gets what it claims as it arrives.
const WINDOW: usize = 16 * 1024;
/// How far ahead of the bytes that have arrived memory is reserved.
const RESERVE_AHEAD: usize = 4 << 20;
/// Buffers handed to the system at a time.
const PARTS: usize = 64;

/// A connection as the driver holds it. Dropping it closes the connection once everything is written.
#[derive(Debug)]
pub(super) struct Wire {
    outgoing: mpsc::UnboundedSender<Vec<Bytes>>,
    closed: Arc<Notify>,
}

impl Wire {
    /// Begins to open a connection. What happens to it is told through `inputs`.
    pub(super) fn open(
        conn: ConnId,
        addr: Address,
        frame_max: usize,
        inputs: mpsc::Sender<ClientInput>,
    ) -> Wire {
        let (outgoing, chunks) = mpsc::unbounded_channel();
        let closed = Arc::new(Notify::new());
        let ears = closed.clone();
        Spawner::current().spawn(async move {
            let life = live(conn, &addr, frame_max, &inputs, chunks);
            // Closed by us: nobody waits for a word about it.
            if let Either::Second(why) = first(ears.notified(), life).await {
                let _ = inputs.send(ClientInput::Disconnected { conn, why }).await;
            }
        });
        Wire { outgoing, closed }
    }

    /// Writes, in order. What is written after the end is lost, as the client will hear.
    pub(super) fn write(&self, chunks: Vec<Bytes>) {
        let _ = self.outgoing.send(chunks);
    }

    /// Closes the connection at once.
    pub(super) fn cut(self) {
        self.closed.notify_one();
    }
}

/// Lives through the connection; returns why it ended.
async fn live(
    conn: ConnId,
    addr: &Address,
    frame_max: usize,
    inputs: &mpsc::Sender<ClientInput>,
    chunks: mpsc::UnboundedReceiver<Vec<Bytes>>,
) -> String {
    let (read, write) = match rt::connect(&addr.host, addr.port).await {
        Ok(halves) => halves,
        Err(error) => return connect_words(&error),
    };
    if inputs.send(ClientInput::Connected { conn }).await.is_err() {
        return "the client has ended".into();
    }
    // Reading goes on while writing waits: a broker may answer before it takes more.
    match first(read_frames(conn, read, frame_max, inputs), write_chunks(write, chunks)).await {
        Either::First(why) | Either::Second(why) => why,
    }
}

async fn read_frames(
    conn: ConnId,
    mut read: ReadSide,
    frame_max: usize,
    inputs: &mpsc::Sender<ClientInput>,
) -> String {
    let mut buffer = BytesMut::with_capacity(WINDOW);
    loop {
        while let Some(frame) = match take_frame(&mut buffer, frame_max) {
            Ok(frame) => frame,
            Err(why) => return why,
        } {
            if inputs.send(ClientInput::Received { conn, frame }).await.is_err() {
                return "the client has ended".into();
            }
        }
        match read.read(&mut buffer).await {
            Ok(0) => return "the broker closed the connection".into(),
            Ok(_) => {}
            Err(error) => return format!("the connection broke: {error}"),
        }
    }
}

/// The next whole frame without its length. When there is none yet, room is made for more of it.
fn take_frame(buffer: &mut BytesMut, frame_max: usize) -> Result<Option<Bytes>, String> {
    let Some(prefix) = buffer.first_chunk::<4>() else {
        buffer.reserve(WINDOW);
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*prefix);
    let length =
        usize::try_from(claimed).map_err(|_| "the broker sent a frame of negative length".to_string())?;
    if length > frame_max {
        return Err(format!("the broker sent a frame of {length} bytes; it may not be Kafka's protocol"));
    }
    let missing = (length + 4).saturating_sub(buffer.len());
    if missing > 0 {
        buffer.reserve(missing.min(RESERVE_AHEAD));
        return Ok(None);
    }
    let mut frame = buffer.split_to(length + 4).freeze();
    frame.advance(4);
    Ok(Some(frame))
}

async fn write_chunks(mut write: WriteSide, mut chunks: mpsc::UnboundedReceiver<Vec<Bytes>>) -> String {
    while let Some(mut batch) = chunks.recv().await {
        while let Ok(more) = chunks.try_recv() {
            batch.extend(more);
        }
        if let Err(error) = write_all(&mut write, batch).await {
            return format!("the connection broke: {error}");
        }
    }
    "closed".into()
}

async fn write_all(write: &mut WriteSide, mut chunks: Vec<Bytes>) -> io::Result<()> {
    let mut from = 0;
    while from < chunks.len() {
        let parts: Vec<IoSlice<'_>> = chunks[from..].iter().take(PARTS).map(|c| IoSlice::new(c)).collect();
        let mut written = write.write(&parts).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while from < chunks.len() && written >= chunks[from].len() {
            written -= chunks[from].len();
            chunks[from] = Bytes::new();
            from += 1;
        }
        if written > 0 {
            chunks[from].advance(written);
        }
    }
    Ok(())
}

/// Why a connection cannot be opened, for people.
pub(crate) fn connect_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nobody listens there".into(),
        io::ErrorKind::TimedOut => "no answer: the host is down, or a firewall drops the packets".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("there is no way to that host: {error}")
        }
        _ => format!("cannot connect: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_from_whatever_arrives() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x02ab\0\0\0\x01c\0\0"[..]);
        assert_eq!(take_frame(&mut buffer, 100), Ok(Some(Bytes::from_static(b"ab"))));
        assert_eq!(take_frame(&mut buffer, 100), Ok(Some(Bytes::from_static(b"c"))));
        assert_eq!(take_frame(&mut buffer, 100), Ok(None));
        buffer.extend_from_slice(b"\0\x02d");
        assert_eq!(take_frame(&mut buffer, 100), Ok(None));
        buffer.extend_from_slice(b"e");
        assert_eq!(take_frame(&mut buffer, 100), Ok(Some(Bytes::from_static(b"de"))));
    }

    #[test]
    fn a_frame_beyond_the_limit_ends_the_connection_unread() {
        let mut buffer = BytesMut::from(&b"HTTP/1.1"[..]);
        assert!(take_frame(&mut buffer, 1 << 20).unwrap_err().contains("Kafka"));
        assert!(take_frame(&mut BytesMut::from(&b"\xff\xff\xff\xff"[..]), 100).is_err());
    }
}
