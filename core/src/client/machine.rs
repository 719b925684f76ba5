//! The client: takes an input to its end, and says when it wants to be woken.

use crate::time::{Instant, Now};

use super::call::Calls;
use super::cluster::Cluster;
use super::consumer::Consumer;
use super::coordinators::Coordinators;
use super::door::{ClientEffect, ClientInput, Command, Event, Failure, Outcome};
use super::member::{Member, World};
use super::net::{Done, Net, Owner};
use super::producer::Producer;
use super::settings::{ClientSettings, ConsumerSettings, ProducerSettings};

/// A Kafka client. A function of its settings (the seed among them) and its inputs.
#[derive(Debug)]
pub struct Client {
    net: Net,
    cluster: Cluster,
    coordinators: Coordinators,
    calls: Calls,
    producer: Producer,
    consumer: Consumer,
    member: Option<Member>,
}

impl Client {
    /// A client that connects to nobody before it is asked to do something.
    ///
    /// # Panics
    /// When `settings` name no bootstrap server.
    pub fn new(settings: ClientSettings) -> Client {
        Client {
            producer: Producer::new(ProducerSettings::default(), settings.seed),
            consumer: Consumer::new(ConsumerSettings::default()),
            net: Net::new(settings),
            cluster: Cluster::default(),
            coordinators: Coordinators::default(),
            calls: Calls::default(),
            member: None,
        }
    }

    /// Takes one input to its end, and appends what is to be done to `out`, in order.
    pub fn step(&mut self, now: Now, input: ClientInput, out: &mut Vec<ClientEffect>) {
        self.net.now = now;
        match input {
            ClientInput::Connected { conn } => self.net.connected(conn),
            ClientInput::Disconnected { conn, why } => self.net.disconnected(conn, &why),
            ClientInput::Received { conn, frame } => self.net.received(conn, frame),
            ClientInput::Command(command) => self.command(command),
            ClientInput::Wake => {}
        }
        self.net.expire();
        self.settle();
        out.append(&mut self.net.out);
    }

    /// When to call [`Client::step`] with `Wake`, unless something else comes first.
    pub fn next_wake(&self) -> Option<Instant> {
        self.net.next_wake()
    }

    /// Bytes of records that the producer still takes.
    pub fn room_bytes(&self) -> usize {
        self.producer.room()
    }

    /// The largest frame that a broker may send.
    pub fn frame_max_bytes(&self) -> usize {
        self.net.settings.frame_max_bytes
    }

    fn command(&mut self, command: Command) {
        let (net, cluster) = (&mut self.net, &mut self.cluster);
        match command {
            Command::Producer(settings) => {
                if self.producer.is_idle() {
                    self.producer = Producer::new(settings, net.settings.seed);
                }
            }
            Command::Produce { tag, record } => self.producer.take(net, cluster, tag, record),
            Command::Flush => self.producer.flush(net, cluster),
            Command::Consumer(settings) => self.consumer.configure(settings),
            Command::Assign(partitions) => self.consumer.assign(partitions),
            Command::Seek(partition, start) => self.consumer.seek(&partition, start),
            Command::Poll => self.consumer.poll(),
            Command::Join(settings) => {
                if let Some(mut before) = self.member.replace(Member::new(settings)) {
                    before.give_up(net, &mut self.consumer);
                }
            }
            Command::Processed { partition, next } => {
                if let Some(member) = &mut self.member {
                    member.processed(partition, next);
                }
            }
            Command::Commit { tag } => match &mut self.member {
                Some(member) => member.commit(net, tag),
                None => {
                    let failure = Failure::local("nothing can be committed: this client has joined no group");
                    net.event(Event::Committed { tag: Some(tag), outcome: Outcome::Failed(failure) });
                }
            },
            Command::Leave => match &mut self.member {
                Some(member) => member.leave(net),
                None => net.event(Event::Left),
            },
            Command::Call { tag, target, request, timeout_ms } => {
                self.calls.begin(net, tag, target, request, timeout_ms);
            }
        }
    }

    /// Hands out answers and lets every role act until nothing moves any more.
    fn settle(&mut self) {
        loop {
            while let Some(done) = self.net.done.pop_front() {
                self.deliver(done);
            }
            self.pump();
            if self.net.done.is_empty() {
                return;
            }
        }
    }

    fn deliver(&mut self, done: Done) {
        let (net, cluster, coordinators) = (&mut self.net, &mut self.cluster, &mut self.coordinators);
        match done.owner {
            Owner::Link => {}
            Owner::Cluster => cluster.answered(net, done),
            Owner::Coordinators => coordinators.answered(net, done),
            Owner::Call => self.calls.answered(net, cluster, coordinators, done),
            Owner::Producer => self.producer.answered(net, cluster, done),
            Owner::Consumer => self.consumer.answered(net, cluster, done),
            Owner::Member => {
                let consumer = &mut self.consumer;
                if let Some(member) = &mut self.member {
                    member.answered(&mut World { net, cluster, coordinators, consumer }, done);
                }
            }
        }
    }

    fn pump(&mut self) {
        let (net, cluster, coordinators) = (&mut self.net, &mut self.cluster, &mut self.coordinators);
        net.forget_wake();
        if let Some(member) = &mut self.member {
            let consumer = &mut self.consumer;
            member.pump(&mut World { net, cluster, coordinators, consumer });
            if member.is_gone() {
                self.member = None;
            }
        }
        self.producer.pump(net, cluster);
        self.consumer.pump(net, cluster);
        self.calls.pump(net, cluster, coordinators);
        cluster.pump(net);
    }
}
