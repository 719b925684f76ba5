//! Positions that are looked up: the beginning, the end, a time.

use std::collections::BTreeMap;

use crate::ids::{BrokerId, Offset};
use crate::wire::ErrorCode;
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};

use super::spot::Place;
use super::{Consumer, Question};
use crate::client::cluster::Cluster;
use crate::client::door::{Event, Start, TopicPartition};
use crate::client::link::Line;
use crate::client::net::{Ask, AskId, Net, Owner, Peer};
use crate::client::settings::Isolation;

impl Consumer {
    /// Asks leaders for the positions that are not known.
    pub(super) fn ask_offsets(&mut self, net: &mut Net, ready: &[(TopicPartition, BrokerId, i32)]) {
        let mut leaders: BTreeMap<BrokerId, Vec<(TopicPartition, i64, i32)>> = BTreeMap::new();
        for (of, leader, epoch) in ready {
            if let Some(time) = self.spots.get(of).and_then(|s| s.question()) {
                leaders.entry(*leader).or_default().push((of.clone(), time, *epoch));
            }
        }
        for (leader, parts) in leaders {
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: i8::from(self.settings.isolation == Isolation::ReadCommitted),
                topics: by_topic(&parts),
            };
            let (peer, timeout_ms) = (Peer::Broker(leader), net.settings.request_timeout_ms);
            let id = net.ask(Ask::new(peer, Line::Main, Owner::Consumer, request.into(), timeout_ms));
            for (of, _, _) in &parts {
                self.occupy(of, id, leader);
            }
            let parts = parts.into_iter().map(|(of, time, _)| (of, time)).collect();
            self.asked.insert(id, Question::Offsets(parts));
        }
    }

    pub(super) fn positioned(
        &mut self,
        net: &mut Net,
        cluster: &mut Cluster,
        ask: AskId,
        parts: &[(TopicPartition, i64)],
        r: ListOffsetsResponse,
    ) {
        let mut found: BTreeMap<(String, i32), ListOffsetsPartitionResponse> = BTreeMap::new();
        for topic in r.topics {
            for part in topic.partitions {
                found.insert((topic.name.clone(), part.partition_index), part);
            }
        }
        for (of, _) in parts {
            let answer = found.remove(&(of.topic.to_string(), of.partition));
            let Some(leader) = self.release(of, ask) else { continue };
            match answer {
                Some(p) if p.error_code.is_none() => self.place_at(net, of, p.offset),
                Some(p) => self.failed(net, cluster, (of, leader), p.error_code),
                None => self.failed(net, cluster, (of, leader), ErrorCode::UNKNOWN_SERVER_ERROR),
            }
        }
    }

    /// A lookup has an answer: an offset, or -1 for no record of that time or later.
    fn place_at(&mut self, net: &mut Net, of: &TopicPartition, offset: i64) {
        let Some(spot) = self.spots.get_mut(of) else { return };
        spot.attempts = 0;
        match &mut spot.place {
            Place::Sought { start: Start::Time(_), nothing_later, .. } if offset < 0 && !*nothing_later => {
                *nothing_later = true
            }
            Place::Sought { instead_of, .. } if offset >= 0 => {
                let instead_of = *instead_of;
                spot.place = Place::At(Offset(offset));
                net.event(Event::Positioned { partition: of.clone(), offset: Offset(offset), instead_of });
            }
            Place::Sought { .. } => self.retry(net, of),
            Place::At(_) | Place::Lost => {}
        }
    }
}

fn by_topic(parts: &[(TopicPartition, i64, i32)]) -> Vec<ListOffsetsTopic> {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (of, timestamp, epoch) in parts {
        let part = ListOffsetsPartition {
            partition_index: of.partition,
            current_leader_epoch: *epoch,
            timestamp: *timestamp,
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == *of.topic => topic.partitions.push(part),
            _ => topics.push(ListOffsetsTopic { name: of.topic.to_string(), partitions: vec![part] }),
        }
    }
    topics
}
