//! What asks the process to end: signals, and for who wants it so the end of standard input.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// What asks the process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    input_ended: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// From here on signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Signals, String> {
        let on = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
        let (terminate, interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, input_ended: None })
    }

    /// The end of standard input counts as well, once.
    pub(crate) fn with_input(self) -> Signals {
        let (tell, told) = oneshot::channel();
        // A thread of its own, which the end of the process does not wait for, as it would for a read of the runtime's.
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            let _ = tell.send(());
        });
        Signals { input_ended: Some(told), ..self }
    }

    /// The next one's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        let input_ended = &mut self.input_ended;
        let ended = async {
            match input_ended {
                Some(told) => drop(told.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = ended => {
                self.input_ended = None;
                "end of standard input"
            }
        }
    }
}
