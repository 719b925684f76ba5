//! `quipu dev`: a cluster on this machine, each broker a process of its own, ended together.

mod layout;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use self::layout::{Layout, Member};
use self::process::{Broker, Event, say};
use crate::signals::Signals;

/// How long the brokers may take to stop before they are killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines that wait to be shown; beyond it the brokers wait with what they have to say.
const LINES: usize = 256;

/// Flags of `quipu dev`.
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// How many brokers
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: u16,

    /// Where the records are kept, each broker's in a directory of its own named by its id
    #[arg(long, value_name = "DIR", default_value = "./quipu-dev")]
    pub(crate) data_dir: PathBuf,

    /// Where clients connect to the first broker; to the others at the ports after it, and brokers to one another 10000 above
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) listen: String,

    /// Set one config of all brokers by its name; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// What is logged: error, warn, info, debug, trace, or by part, as in info,quipu_net=debug
    #[arg(long, value_name = "LEVEL", env = "QUIPU_LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,
}

/// Runs the brokers until it is told to stop, or one of them cannot go on.
pub(crate) fn run(args: &DevArgs) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &DevArgs) -> Result<(), String> {
    let layout = Layout::of(args)?;
    layout.check_ports()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        // Taken before the first broker is started, so that none is left behind.
        let signals = Signals::listen()?;
        let (tell, told) = channel(LINES);
        let mut crew = Crew::default();
        let started = layout.members.iter().try_for_each(|member| crew.start(member, &tell));
        drop(tell);
        match started {
            Ok(()) => say(false, &layout.summary()),
            Err(why) => crew.fail(why),
        }
        crew.live(told, signals).await
    })
}

/// The brokers that run.
#[derive(Default)]
struct Crew {
    brokers: BTreeMap<u16, Broker>,
    /// By when all must have ended, once they were asked to.
    until: Option<Instant>,
    failed: Option<String>,
}

impl Crew {
    fn start(&mut self, member: &Member, tell: &Sender<Event>) -> Result<(), String> {
        self.brokers.insert(member.id, Broker::start(member, tell)?);
        Ok(())
    }

    /// Shows what they say, until the last one has ended.
    async fn live(mut self, mut told: Receiver<Event>, mut signals: Signals) -> Result<(), String> {
        while !self.brokers.is_empty() {
            let until = self.until;
            let overdue = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                name = signals.next() => self.signalled(name),
                Some(event) = told.recv() => self.take(event),
                () = overdue => self.kill(&format!("not stopped within {} s", PATIENCE.as_secs())),
            }
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn signalled(&mut self, name: &str) {
        if self.until.is_some() {
            return self.kill(&format!("{name} again"));
        }
        say(true, &format!("{name}: stopping all brokers; a second signal ends them at once"));
        self.stop();
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Line { id, is_error, line } => say(is_error, &format!("{id} | {line}")),
            Event::Closed { id } => {
                let ended = self.brokers.get_mut(&id).and_then(Broker::closed);
                if let Some(status) = ended
                    && let Some(broker) = self.brokers.remove(&id)
                {
                    self.ended(id, &status, &broker.command);
                }
            }
        }
    }

    /// A broker has ended. One that somebody has stopped or killed may be an experiment: the others go on.
    fn ended(&mut self, id: u16, status: &Result<ExitStatus, String>, command: &str) {
        let told = match status {
            Ok(status) if status.code().is_some_and(|code| code != 0) => {
                return self.fail(format!("broker {id} could not go on ({status}), see above"));
            }
            Ok(status) => status.to_string(),
            Err(why) => why.clone(),
        };
        if self.until.is_none() {
            say(
                true,
                &format!("broker {id} has ended ({told}), the others go on; it comes back with\n  {command}"),
            );
        }
    }

    fn fail(&mut self, why: String) {
        self.failed.get_or_insert(why);
        if self.until.is_none() && !self.brokers.is_empty() {
            say(true, "stopping the other brokers");
        }
        self.stop();
    }

    fn stop(&mut self) {
        self.until.get_or_insert(Instant::now() + PATIENCE);
        self.brokers.values_mut().for_each(Broker::stop);
    }

    fn kill(&mut self, why: &str) {
        let ids: Vec<String> = self.brokers.keys().map(ToString::to_string).collect();
        self.failed.get_or_insert(format!(
            "{why}: ended broker {} at once; nothing that was acknowledged is lost, the next start recovers",
            ids.join(", ")
        ));
        self.until = Some(Instant::now() + PATIENCE);
        self.brokers.values_mut().for_each(Broker::kill);
    }
}
