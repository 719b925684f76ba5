//! A Kafka client over sockets: handles for users, and behind them one task that drives `quipu_core::client`.

mod driver;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quipu_core::client::{
    Address, CallError, Client, ClientSettings, Command, Event, Failure, NewRecord, Outcome, Placed,
    ProducerSettings, Target, TopicPartition,
};
use quipu_core::ids::Offset;
use quipu_core::record::build::record_bytes_bound;
use quipu_core::wire::{Request, Response};

use crate::rt::{self, OwnedSemaphorePermit, Semaphore, Spawner, mpsc, oneshot};
use driver::{Driver, Order};
pub(crate) use wire::connect_words;

/// Orders that wait for the client's task.
const ORDERS: usize = 1024;

/// A client. Clones share it; when the last is dropped its connections are closed.
#[derive(Clone, Debug)]
pub struct Kafka {
    orders: mpsc::Sender<Order>,
}

/// What a client reports apart from answers: records, assignments, brokers that cannot be reached.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

/// What becomes of one record.
#[derive(Debug)]
pub struct Delivery {
    fate: oneshot::Receiver<Outcome<Placed>>,
}

/// The producing side of a client, with a bounded buffer.
#[derive(Clone, Debug)]
pub struct Producer {
    kafka: Kafka,
    room: Arc<Semaphore>,
    room_bytes: u32,
}

impl Kafka {
    /// A client that connects when it is first asked for something. Must be called in a runtime, in which it lives.
    ///
    /// # Panics
    /// When `settings` name no bootstrap server.
    pub fn open(settings: ClientSettings) -> (Kafka, Events) {
        let (orders, incoming) = mpsc::channel(ORDERS);
        let (events, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let driver = Driver::new(Client::new(settings), events, waiting.clone());
        Spawner::current().spawn(driver.run(incoming));
        (Kafka { orders }, Events { queue, waiting })
    }

    /// Sends one request to whoever must answer it, and waits for the answer for at most `limit`.
    pub async fn call(
        &self,
        target: Target,
        request: impl Into<Request>,
        limit: Duration,
    ) -> Result<Response, CallError> {
        let (answer, answered) = oneshot::channel();
        let timeout_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let request = request.into();
        self.order(Order::Call { target, request, timeout_ms, answer }).await;
        answered.await.unwrap_or_else(|_| Err(CallError::Failed(ended())))
    }

    /// Begins to produce with these settings. One producer a client: a second one replaces the first's settings.
    pub async fn producer(&self, settings: ProducerSettings) -> Producer {
        let room_bytes = u32::try_from(settings.buffer_bytes).unwrap_or(u32::MAX).min(1 << 29);
        self.tell(Command::Producer(settings)).await;
        Producer { kafka: self.clone(), room: Arc::new(Semaphore::new(room_bytes as usize)), room_bytes }
    }

    /// Gives a command that is not answered: what comes of it is seen in [`Events`]. Commands with a tag belong to the other
    /// methods.
    pub async fn tell(&self, command: Command) {
        self.order(Order::Tell(command)).await;
    }

    /// Commits what the group member has processed.
    pub async fn commit(&self) -> Outcome<Vec<(TopicPartition, Offset)>> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Commit { answer }).await;
        answered.await.unwrap_or_else(|_| Outcome::Failed(ended()))
    }

    /// Commits what is processed and leaves the group; returns when the group knows, or cannot be told.
    pub async fn leave(&self) {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Leave { answer }).await;
        // An error means that the client has ended, and with it its membership.
        let _ = answered.await;
    }

    async fn order(&self, order: Order) {
        // The client's task ends only after the last handle, or by a panic that has been reported: waiters see that.
        let _ = self.orders.send(order).await;
    }
}

impl Events {
    /// The next one; `None` after the client has ended.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.queue.recv().await;
        if event.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }

    /// The next one within `limit`.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Event> {
        rt::timeout(limit, self.next()).await.flatten()
    }
}

impl Delivery {
    /// Waits for what becomes of the record, and may be given up and begun again. To be called until it has answered once.
    pub async fn poll_fate(&mut self) -> Outcome<Placed> {
        (&mut self.fate).await.unwrap_or_else(|_| Outcome::Unknown(ended()))
    }

    /// Waits for what becomes of the record.
    pub async fn fate(self) -> Outcome<Placed> {
        self.fate.await.unwrap_or_else(|_| Outcome::Unknown(ended()))
    }
}

impl Producer {
    /// Hands a record over, waiting while the buffer is full.
    pub async fn send(&self, record: NewRecord) -> Delivery {
        let (answer, fate) = oneshot::channel();
        let room = self.take_room(&record).await;
        self.kafka.order(Order::Produce { record, room, answer }).await;
        Delivery { fate }
    }

    /// Sends what lingers at once.
    pub async fn flush(&self) {
        self.kafka.tell(Command::Flush).await;
    }

    async fn take_room(&self, record: &NewRecord) -> Option<OwnedSemaphorePermit> {
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|h| (h.key.as_ref(), h.value.as_deref())).collect();
        let size = record_bytes_bound(record.key.as_deref(), record.value.as_deref(), &headers);
        // A record larger than the whole buffer waits until nothing else is in it.
        let wanted = u32::try_from(size).unwrap_or(u32::MAX).min(self.room_bytes);
        self.room.clone().acquire_many_owned(wanted).await.ok()
    }
}

/// Opens a connection and closes it again: how long that took, or why it cannot be opened.
pub async fn dial(addr: &Address, limit: Duration) -> Result<Duration, String> {
    let clock = rt::Clock::new();
    let begun = clock.mono();
    match rt::timeout(limit, rt::connect(&addr.host, addr.port)).await {
        Some(Ok(_)) => Ok(clock.mono().since(begun)),
        Some(Err(error)) => Err(wire::connect_words(&error)),
        None => Err(format!("no answer within {} ms", limit.as_millis())),
    }
}

/// Sleeps; for programs that use this client and know no runtime.
pub async fn sleep(wait: Duration) {
    rt::sleep(wait).await;
}

fn ended() -> Failure {
    Failure::local("the client has ended")
}
