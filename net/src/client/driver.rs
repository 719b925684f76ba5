//! The task that owns a client: carries inputs to the machine and its effects to connections and waiting users.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quipu_core::client::{
    CallError, Client, ClientEffect, ClientInput, Command, Event, NewRecord, Outcome, Placed, Target,
    TopicPartition,
};
use quipu_core::ids::{ConnId, Offset};
use quipu_core::wire::{Request, Response};

use super::wire::Wire;
use crate::rt::{Clock, Either, OwnedSemaphorePermit, first, mpsc, oneshot};

/// Inputs of connections that wait for the task: when there are more, connections stop reading.
const INPUTS: usize = 256;
/// Orders taken in one go before connections are heard again.
const BURST: usize = 256;
/// Reports about unreachable brokers that are kept for a user who does not look.
const UNREACHABLE_KEPT: usize = 64;

/// What becomes of a commit.
pub(super) type Committed = Outcome<Vec<(TopicPartition, Offset)>>;

/// What a handle wants.
#[derive(Debug)]
pub(super) enum Order {
    /// A command without an answer.
    Tell(Command),
    /// A record; its room in the buffer is free again when its fate is known.
    Produce {
        record: NewRecord,
        room: Option<OwnedSemaphorePermit>,
        answer: oneshot::Sender<Outcome<Placed>>,
    },
    /// A request.
    Call {
        target: Target,
        request: Request,
        timeout_ms: i64,
        answer: oneshot::Sender<Result<Response, CallError>>,
    },
    /// A commit.
    Commit { answer: oneshot::Sender<Committed> },
    /// Leaving the group.
    Leave { answer: oneshot::Sender<()> },
}

/// Who waits for what, by tag.
#[derive(Debug, Default)]
struct Waiters {
    next_tag: u64,
    produced: BTreeMap<u64, (oneshot::Sender<Outcome<Placed>>, Option<OwnedSemaphorePermit>)>,
    answered: BTreeMap<u64, oneshot::Sender<Result<Response, CallError>>>,
    committed: BTreeMap<u64, oneshot::Sender<Committed>>,
    left: Vec<oneshot::Sender<()>>,
}

/// The task's state.
pub(super) struct Driver {
    client: Client,
    clock: Clock,
    wires: BTreeMap<ConnId, Wire>,
    waiters: Waiters,
    events: mpsc::UnboundedSender<Event>,
    waiting: Arc<AtomicUsize>,
    heard: mpsc::Receiver<ClientInput>,
    hear: mpsc::Sender<ClientInput>,
    effects: Vec<ClientEffect>,
}

impl Driver {
    pub(super) fn new(
        client: Client,
        events: mpsc::UnboundedSender<Event>,
        waiting: Arc<AtomicUsize>,
    ) -> Driver {
        let (hear, heard) = mpsc::channel(INPUTS);
        Driver {
            client,
            clock: Clock::new(),
            wires: BTreeMap::new(),
            waiters: Waiters::default(),
            events,
            waiting,
            heard,
            hear,
            effects: Vec::new(),
        }
    }

    /// Runs until the last handle is gone.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let wake = self.client.next_wake();
            let clock = self.clock.clone();
            let alarm = async move {
                match wake {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            match first(self.heard.recv(), first(orders.recv(), alarm)).await {
                Either::First(Some(input)) => self.step(input),
                // This task holds a sender itself.
                Either::First(None) => return,
                Either::Second(Either::First(Some(order))) => self.obey(order),
                Either::Second(Either::First(None)) => return,
                Either::Second(Either::Second(())) => self.step(ClientInput::Wake),
            }
            for _ in 0..BURST {
                let Ok(order) = orders.try_recv() else { break };
                self.obey(order);
            }
            self.dispatch();
        }
    }

    fn step(&mut self, input: ClientInput) {
        if let ClientInput::Disconnected { conn, .. } = &input {
            self.wires.remove(conn);
        }
        self.client.step(self.clock.now(), input, &mut self.effects);
    }

    fn obey(&mut self, order: Order) {
        let tag = self.waiters.next_tag;
        self.waiters.next_tag += 1;
        let command = match order {
            Order::Tell(command) => command,
            Order::Produce { record, room, answer } => {
                self.waiters.produced.insert(tag, (answer, room));
                Command::Produce { tag, record }
            }
            Order::Call { target, request, timeout_ms, answer } => {
                self.waiters.answered.insert(tag, answer);
                Command::Call { tag, target, request, timeout_ms }
            }
            Order::Commit { answer } => {
                self.waiters.committed.insert(tag, answer);
                Command::Commit { tag }
            }
            Order::Leave { answer } => {
                self.waiters.left.push(answer);
                Command::Leave
            }
        };
        self.step(ClientInput::Command(command));
    }

    fn dispatch(&mut self) {
        let frame_max = self.client.frame_max_bytes();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                ClientEffect::Connect { conn, addr } => {
                    let wire = Wire::open(conn, addr, frame_max, self.hear.clone());
                    self.wires.insert(conn, wire);
                }
                ClientEffect::Send { conn, chunks } => {
                    if let Some(wire) = self.wires.get(&conn) {
                        wire.write(chunks);
                    }
                }
                ClientEffect::Close { conn } => {
                    if let Some(wire) = self.wires.remove(&conn) {
                        wire.cut();
                    }
                }
                ClientEffect::Event(event) => self.tell(event),
            }
        }
    }

    /// Tells whoever waits for it, else the user's queue. A waiter that has gone does not want to know.
    fn tell(&mut self, event: Event) {
        match event {
            Event::Produced { tag, outcome } => {
                if let Some((answer, room)) = self.waiters.produced.remove(&tag) {
                    drop(room);
                    let _ = answer.send(outcome);
                }
            }
            Event::Answered { tag, result } => {
                if let Some(answer) = self.waiters.answered.remove(&tag) {
                    let _ = answer.send(result);
                }
            }
            Event::Committed { tag: Some(tag), outcome } => {
                if let Some(answer) = self.waiters.committed.remove(&tag) {
                    let _ = answer.send(outcome);
                }
            }
            Event::Left => {
                for answer in self.waiters.left.drain(..) {
                    let _ = answer.send(());
                }
            }
            Event::Unreachable { .. } if self.waiting.load(Ordering::Relaxed) >= UNREACHABLE_KEPT => {}
            event => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                let _ = self.events.send(event);
            }
        }
    }
}
