//! Single requests of the user: sent to whoever must answer, repeated while that does no harm, answered once.

use crate::time::Instant;
use crate::wire::{Request, Response};

use super::cluster::{Cluster, Known};
use super::coordinators::Coordinators;
use super::door::{CallError, Event, Failure, Target};
use super::link::Line;
use super::net::{Ask, AskId, Done, Lost, Net, Owner, Peer};
use super::routing::{misrouted, only_reads};

/// The calls under way.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<Call>,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) tag: u64,
    pub(crate) target: Target,
    pub(crate) request: Request,
    pub(crate) deadline: Instant,
    pub(crate) asking: Option<AskId>,
    pub(crate) not_before: Instant,
    pub(crate) attempts: u32,
    /// What went wrong last.
    pub(crate) last: Option<Failure>,
}

/// Where a call goes now.
enum Way {
    To(Peer),
    /// Not known yet.
    Wait,
    Nowhere(Failure),
}

impl Calls {
    pub(crate) fn begin(&mut self, net: &Net, tag: u64, target: Target, request: Request, timeout_ms: i64) {
        let deadline = net.now.mono.after_ms(timeout_ms);
        let not_before = net.now.mono;
        self.open.push(Call {
            tag,
            target,
            request,
            deadline,
            asking: None,
            not_before,
            attempts: 0,
            last: None,
        });
    }

    pub(crate) fn pump(&mut self, net: &mut Net, cluster: &mut Cluster, coordinators: &mut Coordinators) {
        for mut call in std::mem::take(&mut self.open) {
            if call.deadline <= net.now.mono {
                finish(net, call.tag, Err(call.too_late()));
                continue;
            }
            net.wake_at(call.deadline);
            if call.asking.is_some() || !net.due(call.not_before) {
                self.open.push(call);
                continue;
            }
            match call.way(net, cluster, coordinators) {
                Way::To(peer) => call.ask(net, peer),
                Way::Wait => {}
                Way::Nowhere(failure) => {
                    finish(net, call.tag, Err(CallError::Failed(failure)));
                    continue;
                }
            }
            self.open.push(call);
        }
    }

    pub(crate) fn answered(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        coordinators: &mut Coordinators,
        done: Done,
    ) {
        let Some(at) = self.open.iter().position(|c| c.asking == Some(done.ask)) else { return };
        let mut call = self.open.remove(at);
        call.asking = None;
        match done.result {
            Ok(response) => match misrouted(&response) {
                Some(code) if call.may_retry(net) => {
                    cluster.doubt();
                    if let Target::Group(group) = &call.target {
                        coordinators.doubt(group);
                    }
                    call.retry(net, Failure::broker(code, call.request.key()));
                    self.open.push(call);
                }
                _ => finish(net, call.tag, Ok(response)),
            },
            Err(Lost::Unsupported(text)) => finish(net, call.tag, Err(CallError::Unsupported(text))),
            Err(Lost::Unknown(text)) if !only_reads(call.request.key()) => {
                finish(net, call.tag, Err(CallError::Unknown(Failure::local(text))));
            }
            Err(Lost::Unknown(text) | Lost::NotSent(text)) => {
                if let Target::Group(group) = &call.target {
                    coordinators.doubt(group);
                }
                if call.target != Target::Any {
                    cluster.doubt();
                }
                call.retry(net, Failure::local(text));
                self.open.push(call);
            }
        }
    }
}

impl Call {
    fn way(&mut self, net: &mut Net, cluster: &mut Cluster, coordinators: &mut Coordinators) -> Way {
        match &self.target {
            Target::Any => Way::To(net.any()),
            Target::Controller | Target::Broker(_) if !cluster.is_known() => {
                cluster.need(net);
                Way::Wait
            }
            Target::Controller => Way::To(cluster.controller_peer(net)),
            Target::Broker(id) if net.knows(*id) => Way::To(Peer::Broker(*id)),
            Target::Broker(id) => Way::Nowhere(Failure::local(format!("the cluster has no broker {id}"))),
            Target::Leader(of) => {
                cluster.want(net, &of.topic);
                match (cluster.known(net, &of.topic), cluster.leader(of)) {
                    (_, Some((leader, _))) => Way::To(Peer::Broker(leader)),
                    (Known::Never(failure), _) => Way::Nowhere(failure),
                    (Known::Partitions(count), _) if of.partition >= count => Way::Nowhere(Failure::local(
                        format!("topic {} has {count} partitions: no {}", of.topic, of.partition),
                    )),
                    _ => Way::Wait,
                }
            }
            Target::Group(group) => match coordinators.of(net, group) {
                Some(id) => Way::To(Peer::Broker(id)),
                None => match coordinators.trouble(group) {
                    Some(failure) if failure.code.is_err() && !failure.code.retriable() => {
                        Way::Nowhere(failure.clone())
                    }
                    trouble => {
                        self.last = trouble.cloned().or(self.last.take());
                        Way::Wait
                    }
                },
            },
        }
    }

    fn ask(&mut self, net: &mut Net, peer: Peer) {
        let left_ms = self.deadline.since(net.now.mono).as_millis() as i64;
        let (request, timeout_ms) = (self.request.clone(), net.settings.request_timeout_ms);
        let ask = Ask::new(peer, Line::Main, Owner::Call, request, timeout_ms);
        let ask = Ask { patience_ms: left_ms.clamp(1, timeout_ms), ..ask };
        self.asking = Some(net.ask(ask));
    }

    /// What to say when its time has passed. An answer that comes later is dropped.
    fn too_late(self) -> CallError {
        let changes = !only_reads(self.request.key());
        let failure = self.last.unwrap_or_else(|| Failure::local("no broker answered in time"));
        if self.asking.is_some() && changes {
            CallError::Unknown(failure)
        } else {
            CallError::Failed(failure)
        }
    }

    fn may_retry(&self, net: &Net) -> bool {
        net.retry_at(self.attempts) < self.deadline
    }

    fn retry(&mut self, net: &Net, why: Failure) {
        self.last = Some(why);
        self.not_before = net.retry_at(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
    }
}

fn finish(net: &mut Net, tag: u64, result: Result<Response, CallError>) {
    net.event(Event::Answered { tag, result });
}
