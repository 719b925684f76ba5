//! What was fetched: batches checked, opened, and cut to what lies at the position or beyond.

use bytes::{Bytes, BytesMut};

use crate::ids::{BrokerId, Offset, ProducerId};
use crate::record::{Batch, BatchError, Records};
use crate::wire::ErrorCode;
use crate::wire::messages::fetch::{FetchResponse, PartitionData};
use crate::wire::records::Records as RecordBytes;

use super::spot::Place;
use super::{Consumer, FetchQuestion};
use crate::client::aborted::Aborted;
use crate::client::cluster::Cluster;
use crate::client::door::{Address, Event, Failure, Fetched, TopicPartition};
use crate::client::net::{AskId, Net};
use crate::client::settings::Isolation;

/// A batch may not unfold to more than this: nothing a broker takes by default comes near.
const UNFOLDED_MAX_BYTES: usize = 256 << 20;

impl Consumer {
    pub(super) fn fetched(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        ask: AskId,
        question: &FetchQuestion,
        mut r: FetchResponse,
    ) {
        let endpoints = std::mem::take(&mut r.node_endpoints);
        let mut any = false;
        for topic in r.responses {
            let by_id = question.names.get(&topic.topic_id).cloned();
            let by_name = (!topic.topic.is_empty()).then(|| topic.topic.as_str().into());
            let Some(name) = by_name.or(by_id) else { continue };
            for part in topic.partitions {
                let of = TopicPartition { topic: name.clone(), partition: part.partition_index };
                let Some((_, asked_at)) = question.parts.iter().find(|(p, _)| *p == of) else { continue };
                let leader = (part.current_leader.leader_id, part.current_leader.leader_epoch);
                let addr = endpoints.iter().find(|n| n.node_id == leader.0);
                cluster.hint(net, &of, leader, addr.and_then(|n| Address::of(&n.host, n.port)));
                // What was assigned or sought anew in the meantime is another question.
                let released = self.release(&of, ask).is_some();
                if released && self.spots.get(&of).is_some_and(|s| s.place == Place::At(*asked_at)) {
                    any |= self.part_fetched(net, cluster, (&of, question.leader), (*asked_at, part));
                }
            }
        }
        // A partition that the answer leaves out, or an error of the whole: later again.
        for (of, _) in &question.parts {
            if self.release(of, ask).is_some() {
                self.retry(net, of);
            }
        }
        if any {
            self.served.insert(question.leader);
        }
    }

    /// Takes in the answer for one partition; says whether it brought records.
    fn part_fetched(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        (of, asked): (&TopicPartition, BrokerId),
        (at, part): (Offset, PartitionData),
    ) -> bool {
        match part.error_code {
            ErrorCode::NONE if part.preferred_read_replica >= 0 => {
                self.is_nearer(net, (of, asked), BrokerId(part.preferred_read_replica));
                return false;
            }
            ErrorCode::NONE => {}
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                let leads = cluster.leader(of).is_none_or(|(leads, _)| leads == asked);
                self.out_of_range(net, (of, at), leads);
                return false;
            }
            code => {
                self.failed(net, cluster, (of, asked), code);
                return false;
            }
        }
        let committed = self.settings.isolation == Isolation::ReadCommitted;
        let end = Offset(if committed { part.last_stable_offset } else { part.high_watermark });
        match open(at, part, committed) {
            Ok((records, next)) => self.deliver(net, of, records, (next, end)),
            Err(text) => {
                self.lose(
                    net,
                    of,
                    Failure { code: ErrorCode::CORRUPT_MESSAGE, text: format!("{of}: {text}") },
                );
                false
            }
        }
    }

    /// The leader names a follower to read from.
    fn is_nearer(&mut self, net: &Net, (of, asked): (&TopicPartition, BrokerId), nearer: BrokerId) {
        let until = net.now.mono.after_ms(net.settings.metadata_max_age_ms);
        if let Some(spot) = self.spots.get_mut(of) {
            spot.nearer = Some((nearer, until)).filter(|(id, _)| *id != asked && net.knows(*id));
        }
    }

    /// The position does not exist, as the leader says. A follower may not have it yet, or any more: it knows nothing of that.
    fn out_of_range(&mut self, net: &mut Net, (of, at): (&TopicPartition, Offset), leads: bool) {
        if !leads {
            return self.retry(net, of);
        }
        let policy = self.settings.reset;
        let reset = self.spots.get_mut(of).map(|spot| spot.reset(policy, at));
        if let Some(Err(failure)) = reset {
            self.lose(net, of, failure);
        }
    }

    fn deliver(
        &mut self,
        net: &mut Net,
        of: &TopicPartition,
        records: Vec<Fetched>,
        (next, end): (Offset, Offset),
    ) -> bool {
        let Some(spot) = self.spots.get_mut(of) else { return false };
        spot.attempts = 0;
        spot.place = Place::At(next);
        let (news, any) = (spot.told != Some((next, end)), !records.is_empty());
        spot.told = Some((next, end));
        if news || any {
            net.event(Event::Records { partition: of.clone(), records, next, end });
        }
        any
    }
}

/// The records at `at` and beyond that are for users, and where to go on.
fn open(at: Offset, part: PartitionData, committed: bool) -> Result<(Vec<Fetched>, Offset), String> {
    let mut bytes = joined(part.records);
    let listed = part.aborted_transactions.filter(|_| committed).unwrap_or_default();
    let mut aborted =
        Aborted::new(listed.iter().map(|a| (ProducerId(a.producer_id), Offset(a.first_offset))));
    let (mut records, mut next) = (Vec::new(), at);
    let whole = bytes.len();
    while !bytes.is_empty() {
        let batch = match Batch::take(&mut bytes) {
            Ok(batch) => batch,
            // Brokers may cut the last batch of an answer, but not the first.
            Err(BatchError::Truncated) if bytes.len() < whole => break,
            Err(error) => return Err(error.to_string()),
        };
        if batch.header().last_offset() < at {
            continue;
        }
        read_batch(&batch, at, &mut aborted, &mut records)?;
        next = next.max(batch.header().next_offset());
    }
    Ok((records, next))
}

fn read_batch(
    batch: &Batch,
    at: Offset,
    aborted: &mut Aborted,
    out: &mut Vec<Fetched>,
) -> Result<(), String> {
    batch.check_crc().map_err(|e| e.to_string())?;
    let header = *batch.header();
    let mut records = Records::open(batch, UNFOLDED_MAX_BYTES).map_err(|e| e.to_string())?;
    let marker = if header.is_control() { records.next().and_then(Result::ok) } else { None };
    if aborted.hides(&header, marker.as_ref()) {
        return Ok(());
    }
    for record in records {
        let record = record.map_err(|e| e.to_string())?;
        if record.offset >= at {
            out.push(Fetched {
                record,
                append_time: header.is_log_append_time(),
                leader_epoch: header.leader_epoch,
            });
        }
    }
    Ok(())
}

fn joined(records: Option<RecordBytes>) -> Bytes {
    match records {
        Some(RecordBytes::Held(mut chunks)) if chunks.len() == 1 => chunks.pop().unwrap_or_default(),
        Some(RecordBytes::Held(chunks)) => chunks
            .iter()
            .fold(BytesMut::new(), |mut all, c| {
                all.extend_from_slice(c);
                all
            })
            .freeze(),
        // Nothing read off the wire is still on a disk.
        Some(RecordBytes::OnDisk(_)) | None => Bytes::new(),
    }
}
