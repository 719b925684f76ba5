//! Where other brokers arrive: accepts connections, and hears each on a task of its own once it has greeted well.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::peer::Deliver;
use crate::peer::ear;
use crate::peer::shared::Shared;
use crate::peer::stream::Stream;
use crate::phase::Phase;
use crate::rt::{self, Either, Listener, OwnedSemaphorePermit, ReadSide, Semaphore, WriteSide};
use crate::stats::add;

/// How long to wait when the system has no connection to give, out of file descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// The address that other brokers connect to.
pub(super) struct Entrance {
    shared: Arc<Shared>,
    listener: Listener,
    deliver: Arc<Deliver>,
    /// Room for connections that have not greeted yet.
    room: Arc<Semaphore>,
}

/// A connection that has just been accepted.
pub(super) struct Arrival {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Stream,
    pub(super) write: WriteSide,
    pub(super) address: SocketAddr,
    pub(super) deliver: Arc<Deliver>,
    /// Given back when it has greeted.
    pub(super) room: OwnedSemaphorePermit,
}

impl Entrance {
    pub(super) fn new(shared: Arc<Shared>, listener: Listener, deliver: Arc<Deliver>) -> Entrance {
        let room = Arc::new(Semaphore::new(shared.limits.unfinished));
        Entrance { shared, listener, deliver, room }
    }

    /// Accepts connections until it is all over.
    pub(super) async fn serve(self) {
        loop {
            let stopped = self.shared.phases.at_least(Phase::Stopped);
            match rt::first(stopped, self.listener.accept()).await {
                Either::First(_) => return,
                Either::Second(Ok((read, write, address))) => self.enter(read, write, address),
                Either::Second(Err(error)) => {
                    self.complain(&error);
                    rt::sleep(PAUSE).await;
                }
            }
        }
    }

    fn enter(&self, read: ReadSide, write: WriteSide, address: SocketAddr) {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            add(&self.shared.stats.refused, 1);
            let most = self.shared.limits.unfinished;
            let what = format_args!("refused {address} at quipu.peer.listen: {most} others have not greeted");
            return self.warn(address.ip(), what);
        };
        let (shared, deliver) = (Arc::clone(&self.shared), Arc::clone(&self.deliver));
        let arrival = Arrival { shared, stream: Stream::new(read), write, address, deliver, room };
        self.shared.spawner.spawn(ear::serve(arrival));
    }

    /// One line a minute, as if the listener were a broker.
    fn complain(&self, error: &io::Error) {
        let what = format_args!("accepting another broker failed, trying again: {error}");
        self.warn(IpAddr::from([0, 0, 0, 0]), what);
    }

    fn warn(&self, address: IpAddr, what: std::fmt::Arguments<'_>) {
        self.shared.complaints.warn(address, self.shared.clock.mono(), what);
    }
}
