//! Where clients arrive: accepts connections, refuses those too many, starts a task for each of the others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use quipu_core::ids::ConnId;

use crate::admission::{Admission, Ticket};
use crate::conn::{Conn, End};
use crate::connection;
use crate::driver::Driver;
use crate::phase::Phase;
use crate::rt::{self, Either, Listener, ReadSide, WriteSide};
use crate::stats::add;

/// How long to wait when the system has no connection to give, out of file descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// One address that clients connect to.
pub(crate) struct Entrance {
    pub(crate) driver: Arc<Driver>,
    pub(crate) admission: Arc<Admission>,
    /// The numbers of connections, for all listeners together.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) listener: Listener,
    /// Host and port that clients are told.
    pub(crate) advertised: (String, u16),
}

impl Entrance {
    /// Accepts connections until the node stops.
    pub(crate) async fn serve(self) {
        loop {
            let stopping = self.driver.phases.at_least(Phase::Stopping);
            match rt::first(stopping, self.listener.accept()).await {
                Either::First(_) => return,
                Either::Second(Ok((read, write, peer))) => self.enter(read, write, peer),
                Either::Second(Err(error)) => {
                    self.complain(&error);
                    rt::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One line a minute, as if the listener were a client.
    fn complain(&self, error: &io::Error) {
        let shell = &self.driver.shell;
        let what = format_args!("accepting a connection failed, trying again: {error}");
        shell.complaints.warn(IpAddr::from([0, 0, 0, 0]), shell.clock.mono(), what);
    }

    fn enter(&self, read: ReadSide, write: WriteSide, peer: SocketAddr) {
        let shell = &self.driver.shell;
        let ticket = match self.admission.admit(peer.ip()) {
            Ok(ticket) => ticket,
            Err(reason) => {
                add(&shell.stats.connections_refused, 1);
                let what = format_args!("refused a connection from {peer}: {reason}");
                return shell.complaints.warn(peer.ip(), shell.clock.mono(), what);
            }
        };
        let id = ConnId(self.ids.fetch_add(1, Relaxed));
        let conn = Arc::new(Conn::new(id, peer, write, Arc::clone(shell)));
        self.driver.list(&conn);
        // Whoever stops the node ends the connections listed by then: this one may have come just after.
        if self.driver.phases.now() >= Phase::Stopping {
            conn.end(&End::Stopping);
        }
        shell.spawner.spawn(serve(Arc::clone(&self.driver), conn, read, self.advertised.clone(), ticket));
    }
}

async fn serve(
    driver: Arc<Driver>,
    conn: Arc<Conn>,
    read: ReadSide,
    advertised: (String, u16),
    ticket: Ticket,
) {
    let shell = Arc::clone(&driver.shell);
    add(&shell.stats.connections_accepted, 1);
    shell.stats.connections_open.fetch_add(1, Relaxed);
    connection::serve(driver, conn, read, advertised).await;
    shell.stats.connections_open.fetch_sub(1, Relaxed);
    drop(ticket);
}
