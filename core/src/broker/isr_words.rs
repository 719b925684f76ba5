//! For people: who is to be in sync and who not any more, and why.

use std::collections::BTreeSet;

use crate::broker::Replica;
use crate::ids::{BrokerId, LogId};
use crate::replica::Role;
use crate::replica::isr::Proposal;
use crate::replica::progress::Progress;
use crate::time::Instant;

/// Who is to be in sync, and what is known of whoever comes in or goes out: how far its log and its disk are, when it had last all
/// that there was, and when it fetched last.
pub(super) fn told(now: Instant, log: LogId, partition: &Replica, proposal: &Proposal) -> String {
    let Role::Leads(leading) = &partition.role else { return String::new() };
    let next: BTreeSet<BrokerId> = proposal.isr.iter().map(|(id, _)| *id).collect();
    let isr: Vec<String> = next.iter().map(ToString::to_string).collect();
    let goes = leading.isr().difference(&next).map(|id| (*id, "is put out"));
    let comes = next.difference(leading.isr()).map(|id| (*id, "is let in"));
    let known = |id: BrokerId| leading.progress().find(|(of, _)| *of == id).map(|(_, progress)| progress);
    let why: Vec<String> =
        goes.chain(comes).map(|(id, what)| format!("; {id} {what}: {}", of(now, known(id)))).collect();
    format!(
        "{}-{}: in-sync replicas are to be {} (log end {}, flushed {}, high watermark {}){}",
        partition.topic,
        log.partition,
        isr.join(", "),
        partition.log.end(),
        partition.log.flushed(),
        partition.log.high(),
        why.concat()
    )
}

fn of(now: Instant, progress: Option<&Progress>) -> String {
    let Some(progress) = progress else { return "it has not fetched in this leader epoch".to_owned() };
    let ago = |then: Instant| format!("{} ms ago", now.since(then).as_millis());
    let (records, disk) = (progress.records(), progress.disk());
    let all = disk.caught_up().map(|then| format!("it had all {}", ago(then)));
    let all = all.unwrap_or("it never had all in this leader epoch".to_owned());
    format!(
        "its log is at {}, its disk at {}, {all}, it fetched {}",
        records.at(),
        disk.at(),
        ago(progress.last_fetch())
    )
}
