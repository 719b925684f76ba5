//! Everything the shell takes from its runtime, real tokio or madsim's: the only file that names either.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use quipu_core::time::{Instant, Now, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[cfg(not(madsim))]
mod io_halves {
    pub(super) use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
}
#[cfg(madsim)]
mod io_halves {
    pub(super) type OwnedReadHalf = tokio::io::ReadHalf<tokio::net::TcpStream>;
    pub(super) type OwnedWriteHalf = tokio::io::WriteHalf<tokio::net::TcpStream>;
}
use io_halves::{OwnedReadHalf, OwnedWriteHalf};
pub(crate) use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The two clocks of the process, as the machine wants them.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
}

/// The machine's monotonic clock starts here rather than at 0, so that "an hour ago" is a moment too.
const CLOCK_ORIGIN: Duration = Duration::from_secs(365 * 24 * 3600);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { start: tokio::time::Instant::now() }
    }

    /// Both clocks now.
    pub(crate) fn now(&self) -> Now {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.mono(), wall: Timestamp(since_1970.as_millis() as i64) }
    }

    /// The monotonic clock now.
    pub(crate) fn mono(&self) -> Instant {
        Instant((CLOCK_ORIGIN + self.start.elapsed()).as_micros() as u64)
    }

    /// Sleeps until a moment of the monotonic clock; not at all when it has passed. Late by up to a millisecond.
    pub(crate) async fn sleep_until(&self, moment: Instant) {
        let wait = moment.since(self.mono());
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

/// Sleeps.
pub(crate) async fn sleep(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// Waits for a future, but not longer than `limit`: `None` when it took longer.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Waits for the first of two futures, the first one preferred when both are ready.
pub(crate) async fn first<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> Either<A, B> {
    tokio::select! {
        biased;
        a = a => Either::First(a),
        b = b => Either::Second(b),
    }
}

/// Which of two futures came first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Lets other tasks run.
pub(crate) async fn yield_now() {
    tokio::task::yield_now().await;
}

/// Starts tasks from any thread, also from a lane's, which belongs to no runtime.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    #[cfg(not(madsim))]
    runtime: tokio::runtime::Handle,
}

impl Spawner {
    /// The runtime that this is called in.
    pub(crate) fn current() -> Spawner {
        Spawner {
            #[cfg(not(madsim))]
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Starts a task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        #[cfg(not(madsim))]
        drop(self.runtime.spawn(task));
        #[cfg(madsim)]
        drop(tokio::spawn(task));
    }

    /// Starts work that may block on a disk, on a thread of its own pool.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        #[cfg(not(madsim))]
        drop(self.runtime.spawn_blocking(work));
        #[cfg(madsim)]
        drop(tokio::spawn(async move { work() }));
    }
}

/// Does work that may block on a disk while the runtime goes on with other tasks.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(not(madsim))]
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
    #[cfg(madsim)]
    work()
}

/// Does work that computes for more than about a millisecond; where there are several worker threads, the others take over
/// the tasks of this one meanwhile.
pub(crate) fn computing<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(not(madsim))]
    {
        use tokio::runtime::{Handle, RuntimeFlavor};
        if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            return tokio::task::block_in_place(work);
        }
    }
    work()
}

/// A bell that wakes a worker: rung by anybody, heard once however often it was rung since.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    #[cfg(not(madsim))]
    rung: std::sync::Mutex<bool>,
    #[cfg(not(madsim))]
    heard: std::sync::Condvar,
    #[cfg(madsim)]
    rung: Notify,
}

impl Bell {
    /// Wakes the worker, or lets it go on at once when it next waits.
    pub(crate) fn ring(&self) {
        #[cfg(not(madsim))]
        {
            *self.rung.lock().expect("no panic under this lock") = true;
            self.heard.notify_one();
        }
        #[cfg(madsim)]
        self.rung.notify_one();
    }

    #[cfg(not(madsim))]
    fn wait(&self) {
        let mut rung = self.rung.lock().expect("no panic under this lock");
        while !*rung {
            rung = self.heard.wait(rung).expect("no panic under this lock");
        }
        *rung = false;
    }
}

/// Starts a worker: `work` is called once each time the bell has been rung, until it breaks off. A thread of its own, since
/// it waits for disks; a task in the simulator, where threads are forbidden and disks answer at once.
pub(crate) fn start_worker(
    name: &str,
    bell: Arc<Bell>,
    mut work: impl FnMut() -> ControlFlow<()> + Send + 'static,
) -> io::Result<()> {
    #[cfg(not(madsim))]
    {
        let rounds = move || {
            loop {
                bell.wait();
                if work().is_break() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(rounds).map(drop)
    }
    #[cfg(madsim)]
    {
        let _ = name;
        drop(tokio::spawn(async move {
            loop {
                bell.rung.notified().await;
                if work().is_break() {
                    return;
                }
            }
        }));
        Ok(())
    }
}

/// Lets a worker rest. In the simulator, where a worker is a task and disks answer at once, it does not.
pub(crate) fn pause(rest: Duration) {
    #[cfg(not(madsim))]
    std::thread::sleep(rest);
    #[cfg(madsim)]
    let _ = rest;
}

/// A listening socket.
pub(crate) struct Listener(tokio::net::TcpListener);

impl Listener {
    /// Listens at an address; port 0 means any free one.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Listener> {
        tokio::net::TcpListener::bind(address).await.map(Listener)
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection, without Nagle's delay, in two halves, and where it comes from.
    pub(crate) async fn accept(&self) -> io::Result<(ReadSide, WriteSide, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        let (read, write) = halves(stream);
        Ok((read, write, peer))
    }
}

/// Opens a connection to a name or an address, without Nagle's delay, in two halves.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<(ReadSide, WriteSide)> {
    tokio::net::TcpStream::connect((host, port)).await.map(halves)
}

fn halves(stream: tokio::net::TcpStream) -> (ReadSide, WriteSide) {
    // It only costs latency when it cannot be set.
    let _ = stream.set_nodelay(true);
    #[cfg(not(madsim))]
    let (read, write) = stream.into_split();
    #[cfg(madsim)]
    let (read, write) = tokio::io::split(stream);
    (ReadSide(read), WriteSide(write))
}

/// What a connection reads from.
pub(crate) struct ReadSide(OwnedReadHalf);

impl ReadSide {
    /// Reads what is there into the buffer's spare capacity; 0 at the end.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.0.read_buf(buffer).await
    }
}

/// What a connection writes to. Dropping it ends the connection in that direction.
pub(crate) struct WriteSide(OwnedWriteHalf);

impl WriteSide {
    /// Writes what the system takes without waiting; `WouldBlock` when nothing.
    pub(crate) fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(not(madsim))]
        return self.0.try_write_vectored(parts);
        #[cfg(madsim)]
        {
            let _ = parts;
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    /// Writes some of the parts, waiting until that is possible.
    pub(crate) async fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.write_vectored(parts).await?;
        // The simulator sends nothing before it is flushed; for a socket this does nothing.
        self.0.flush().await?;
        Ok(written)
    }
}
