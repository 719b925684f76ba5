//! The pipe between the runner and what it has built: a line for each thing that has come to its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// In the program: tells of something. `false`: nobody listens any more.
pub(super) fn tell(line: &impl Serialize) -> bool {
    let line = serde_json::to_string(line).expect("plain values");
    writeln!(std::io::stdout(), "{line}").is_ok()
}

/// In the runner: starts the program and listens until it ends, fails, talks nonsense, or says nothing for so long.
pub(super) fn listen<T: DeserializeOwned>(
    mut command: Command,
    patience: Duration,
    mut note: impl FnMut(T),
) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{:?} does not start: {e}", command.get_program()))?;
    let pipe = child.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    loop {
        match told.recv_timeout(patience) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(told) => note(told),
                Err(why) => return end(child).and(Err(format!("{line}: {why}"))),
            },
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let seconds = patience.as_secs();
                return end(child).and(Err(format!("nothing came to its end in {seconds} s")));
            }
        }
    }
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(format!("what was built ended with {status}")),
    }
}

fn end(mut child: Child) -> Result<(), String> {
    child.kill().and_then(|()| child.wait()).map(drop).map_err(failed)
}

fn failed(e: std::io::Error) -> String {
    format!("what was built: {e}")
}
