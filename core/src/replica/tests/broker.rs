//! What a broker of the small world does with its machines: the same as the real one is to do.

use super::controller::Image;
use super::node::{Process, Role, SHAPE, Write};
use super::world::{CONTROLLER, LAG_MAX, LIMITS, RETRY, Talk, World};
use crate::ids::{BrokerId, LogId};
use crate::record::Batch;
use crate::replica::asking::Asking;
use crate::replica::following::{Following, Step};
use crate::replica::leading::{Leadership, Leading, Terms};
use crate::replica::messages::{News, PartitionAnswer, Refusal, ReplicaAnswer, ReplicaFetch, ReplicaFlushed};
use crate::replica::serving::{Found, Received, Share};
use crate::time::Timestamp;

impl World {
    /// A broker hears of newer metadata. What is from before its own registration does not concern it: an epoch in there may be
    /// one that its former run led.
    pub(super) fn learn(&mut self, id: i32, image: Image) {
        let now = self.now;
        let me = BrokerId(id);
        let process = self.running(id);
        if image.version <= process.image.version || image.runs.get(&me) != Some(&process.run) {
            return;
        }
        process.image = image.clone();
        for (log, partition) in &image.partitions {
            let Process { replicas, asking, serving, run, .. } = self.running(id);
            serving.changed(*log);
            let replica = replicas.get_mut(log).expect("it is kept here");
            let (leader, epoch) = match &mut replica.role {
                Role::Idle => (None, -1),
                Role::Leads(leading) => (Some(me), leading.epoch().0),
                Role::Follows(following) => (Some(following.leader()), following.epoch().0),
            };
            if partition.epoch.0 > epoch {
                replica.waiting.clear();
                asking.values_mut().filter(|a| Some(a.leader()) == leader).for_each(|a| a.unfollow(*log));
                match partition.leader {
                    None => replica.role = Role::Idle,
                    Some(leader) if leader == me => {
                        let given = Leadership {
                            me,
                            epoch: partition.epoch,
                            replicas: image.replicas.clone(),
                            isr: partition.isr.clone(),
                            partition_epoch: partition.partition_epoch,
                        };
                        replica.role = Role::Leads(Leading::new(now, &given, &replica.log));
                        let run = *run;
                        self.elected(id, *log, partition.epoch, run);
                    }
                    Some(leader) => {
                        let run = *run;
                        replica.role = Role::Follows(Following::new(leader, partition.epoch));
                        let new = || Asking::new(leader, run, LIMITS);
                        asking.entry(leader).or_insert_with(new).follow(*log);
                    }
                }
            } else if let Role::Leads(leading) = &mut replica.role {
                leading.decided(&partition.isr, partition.partition_epoch);
            }
        }
    }

    /// The leader's end: a fetch has come.
    pub(super) fn asked(&mut self, id: i32, from: i32, fetch: &ReplicaFetch) {
        let now = self.now;
        let Process { serving, image, replicas, .. } = self.running(id);
        let registered = image.runs.get(&BrokerId(from)).copied();
        match serving.receive(now, BrokerId(from), fetch, registered) {
            Received::Dropped => {}
            Received::Resync => {
                let (correlation, incarnation) = (fetch.correlation, fetch.incarnation);
                let partitions = Vec::new();
                let answer = ReplicaAnswer { correlation, incarnation, resync: true, partitions };
                self.send(id, from, Talk::Answer(answer));
            }
            Received::Parked => {
                for (log, position) in &fetch.partitions {
                    let replica = replicas.get_mut(log).expect("it is kept here");
                    if let Role::Leads(leading) = &mut replica.role {
                        let from = (BrokerId(from), fetch.incarnation);
                        leading.fetched(now, from, position, &replica.log);
                    }
                }
            }
        }
    }

    pub(super) fn follower_flushed(&mut self, id: i32, from: i32, flushed: &ReplicaFlushed) {
        let now = self.now;
        for told in &flushed.logs {
            let replica = self.running(id).replicas.get_mut(&told.log).expect("it is kept here");
            if let Role::Leads(leading) = &mut replica.role {
                let from = (BrokerId(from), flushed.incarnation);
                leading.flushed(now, from, told, &replica.log);
            }
        }
    }

    /// The follower's end: an answer has come.
    pub(super) fn answered(&mut self, id: i32, from: i32, answer: ReplicaAnswer<Vec<Batch>>) {
        let now = self.now;
        let Some(asking) = self.running(id).asking.get_mut(&BrokerId(from)) else { return };
        for (log, answer) in asking.take(now, BrokerId(from), answer) {
            let replica = self.running(id).replicas.get_mut(&log).expect("it is kept here");
            let Role::Follows(following) = &mut replica.role else { continue };
            for step in following.answered(answer, &replica.log) {
                self.carry_out(id, log, step);
            }
        }
    }

    fn carry_out(&mut self, id: i32, log: LogId, step: Step) {
        let process = self.running(id);
        let replica = process.replicas.get_mut(&log).expect("it is kept here");
        match step {
            Step::Take(batches) => batches.into_iter().for_each(|batch| self.take(id, log, batch)),
            Step::Cut(to) => {
                let from = replica.log.end();
                replica.log.truncate(to, &mut process.space);
                self.store(id, log, Write::Cut(to));
                self.seen.cuts += 1;
                self.tell(format!("{id} cuts {log:?} from {from} to {to}"));
            }
            Step::Restart(at) => {
                replica.log.restart(at, None, &mut process.space);
                self.store(id, log, Write::Restart(at));
                self.seen.restarts += 1;
                self.tell(format!("{id} begins {log:?} anew at {at}"));
            }
            Step::Commit(high) => {
                replica.log.raise_high(high);
                self.check_committed(id, log);
            }
            Step::Start(to) => self.raise_start(id, log, to),
            Step::Lost { to, high, .. } => {
                let told = self.told();
                panic!("{id} has {log:?} committed up to {high}, its leader only up to {to}\n{told}")
            }
            Step::Wait(_) => {}
        }
    }

    fn take(&mut self, id: i32, log: LogId, batch: Batch) {
        let process = self.running(id);
        let replica = process.replicas.get_mut(&log).expect("it is kept here");
        replica.log.follow(&batch, SHAPE, Timestamp(0), &mut process.space).expect("it follows");
        self.wrote(log, &batch);
        self.store(id, log, Write::Append(batch));
    }

    /// A broker has heard something, or time has passed: marks rise, changes are proposed, fetches are answered and sent.
    pub(super) fn settle(&mut self, id: i32) {
        let logs: Vec<LogId> = self.ghosts.keys().copied().collect();
        for log in logs {
            self.commit(id, log);
            self.propose(id, log);
        }
        self.serve(id);
        self.ask(id);
    }

    fn commit(&mut self, id: i32, log: LogId) {
        let (now, min_isr) = (self.now, self.min_isr);
        let Some(Process { replicas, image, serving, .. }) = &mut self.node(id).process else { return };
        let replica = replicas.get_mut(&log).expect("it is kept here");
        let Role::Leads(leading) = &mut replica.role else { return };
        let terms = Terms { lag_max: LAG_MAX, min_isr, retry: RETRY, alive: &image.alive };
        let low = leading.raise_low(now, &replica.log, &terms);
        if replica.log.raise_high(leading.high(now, &replica.log, &terms)) {
            serving.changed(log);
            self.check_committed(id, log);
            self.acknowledge(id, log);
        }
        self.deleted(log, low);
    }

    fn propose(&mut self, id: i32, log: LogId) {
        let (now, min_isr) = (self.now, self.min_isr);
        let Some(Process { replicas, image, run, .. }) = &mut self.node(id).process else { return };
        let replica = replicas.get_mut(&log).expect("it is kept here");
        let Role::Leads(leading) = &mut replica.role else { return };
        let terms = Terms { lag_max: LAG_MAX, min_isr, retry: RETRY, alive: &image.alive };
        let (log_now, run) = (&replica.log, *run);
        let proposal = leading
            .resend(now, &terms)
            .or_else(|| leading.shrink(now, log_now, &terms))
            .or_else(|| leading.expand(now, log_now, &terms));
        if let Some(proposal) = proposal {
            self.tell(format!("{id} proposes {log:?} {proposal:?}"));
            self.send(id, CONTROLLER, Talk::Propose(run, log, proposal));
        }
    }

    fn serve(&mut self, id: i32) {
        let now = self.now;
        let Some(process) = &self.node(id).process else { return };
        for to in process.serving.due(now) {
            let Process { serving, replicas, .. } = self.running(id);
            let answer = serving.answer(now, to, |log, at, run, room| {
                let replica = replicas.get_mut(&log).expect("it is kept here");
                let in_sync = matches!(&replica.role, Role::Leads(leading) if leading.isr().contains(&to));
                let news = match &mut replica.role {
                    Role::Leads(leading) => leading.fetched(now, (to, run), at, &replica.log),
                    _ => News::Refused(Refusal::NotLeader),
                };
                let (mut bytes, mut more) = (0, false);
                let news = news.map(|wanted| {
                    let from = (wanted.from - replica.kept.start) as usize;
                    let mut batches = Vec::new();
                    for batch in &replica.kept.batches[from..] {
                        more = bytes + batch.size() > room.bytes && !(room.at_least_one && bytes == 0);
                        if more {
                            break;
                        }
                        bytes += batch.size();
                        batches.push(batch.clone());
                    }
                    batches
                });
                let answer = PartitionAnswer { epoch: at.epoch, news };
                Found { answer, bytes, more, in_sync, quota: Share::None }
            });
            if let Some(answer) = answer {
                self.send(id, to.0, Talk::Answer(answer));
            }
        }
    }

    fn ask(&mut self, id: i32) {
        let now = self.now;
        let Some(Process { asking, replicas, .. }) = &mut self.node(id).process else { return };
        let mut talks = Vec::new();
        for (leader, asking) in asking {
            let fetch = asking.ask(now, |log| {
                let replica = replicas.get_mut(&log).expect("it is kept here");
                match &mut replica.role {
                    Role::Follows(following) => Some(following.ask(&replica.log)),
                    _ => None,
                }
            });
            let news = asking.tell(|log| {
                let replica = replicas.get_mut(&log).expect("it is kept here");
                match &mut replica.role {
                    Role::Follows(following) => following.flushed(&replica.log),
                    _ => None,
                }
            });
            talks.extend(fetch.map(|fetch| (leader.0, Talk::Fetch(fetch))));
            talks.extend(news.map(|news| (leader.0, Talk::Flushed(news))));
        }
        talks.into_iter().for_each(|(to, talk)| self.send(id, to, talk));
    }
}
