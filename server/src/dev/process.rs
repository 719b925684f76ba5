//! One broker of `quipu dev` as a process: started, listened to, stopped by closing what it reads.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use tokio::sync::mpsc::Sender;

use super::layout::Member;

/// Bytes of a line that are shown as one; what follows is another.
const LONGEST_LINE: u64 = 64 * 1024;

/// What becomes known of a broker.
#[derive(Debug)]
pub(super) enum Event {
    /// It says something.
    Line {
        /// Which broker.
        id: u16,
        /// On its standard error.
        is_error: bool,
        /// What, without the end of the line.
        line: String,
    },
    /// One of its two outputs has ended.
    Closed {
        /// Which broker's.
        id: u16,
    },
}

/// A process.
pub(super) struct Broker {
    child: Child,
    /// Outputs that have not ended.
    open: u8,
    /// How to start it alone.
    pub(super) command: String,
}

impl Broker {
    /// Starts it. It stops when this process ends, in whatever way.
    pub(super) fn start(member: &Member, tell: &Sender<Event>) -> Result<Broker, String> {
        let failed = |e: io::Error| format!("cannot start broker {}: {e}", member.id);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(&member.arguments).args(["--log-format", "text", "--stop-at-eof"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C on the terminal is for this process alone, which then stops the brokers.
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let id = member.id;
        listen(id, false, stdout.expect("it is piped"), tell.clone());
        listen(id, true, stderr.expect("it is piped"), tell.clone());
        Ok(Broker { child, open: 2, command: member.command() })
    }

    /// Asks it to stop in order.
    pub(super) fn stop(&mut self) {
        self.child.stdin = None;
    }

    /// Ends it at once. One that has ended by itself meanwhile is left alone.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// One of its outputs has ended. After the last one, how it has ended itself.
    pub(super) fn closed(&mut self) -> Option<Result<ExitStatus, String>> {
        self.open -= 1;
        (self.open == 0).then(|| self.child.wait().map_err(|e| e.to_string()))
    }
}

/// Passes on each line, from a thread that ends with the output.
fn listen(id: u16, is_error: bool, output: impl Read + Send + 'static, tell: Sender<Event>) {
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_string();
            line.clear();
            if tell.blocking_send(Event::Line { id, is_error, line: text }).is_err() {
                return;
            }
        }
        let _ = tell.blocking_send(Event::Closed { id });
    });
}

/// Shows a line. Nobody may be reading: that is no reason to stop.
pub(super) fn say(is_error: bool, line: &str) {
    let _ = if is_error {
        writeln!(io::stderr().lock(), "{line}")
    } else {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    };
}
