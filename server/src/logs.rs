//! Logs on standard error: for a person on a terminal, as JSON for everything else, unless told otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Starts logging at a level, or with a filter by part (`info,quipu_net=debug`).
pub(crate) fn start(level: &str, format: Option<LogFormat>) -> Result<(), String> {
    let filter = EnvFilter::try_new(level)
        .map_err(|e| format!("--log-level {level}: {e}; expected error, warn, info, debug or trace"))?;
    let terminal = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => logs.with_ansi(terminal).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| format!("cannot start logging: {e}"))
}
