//! DescribeLogDirs: how large every replica is, and how much room the volume has.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::door::Caller;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica};
use crate::ids::LogId;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

impl Broker {
    /// Handles DescribeLogDirs.
    pub(super) fn describe_log_dirs(&mut self, turn: &mut Turn, to: Caller, request: DescribeLogDirsRequest) {
        let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
        let asked: Option<BTreeSet<(&str, i32)>> = request.topics.as_ref().map(|topics| {
            topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.topic.as_str(), *p))).collect()
        });
        for (log, partition) in self.partitions.iter().filter(|(log, _)| **log != LogId::METADATA) {
            if asked.as_ref().is_none_or(|asked| asked.contains(&(partition.topic.as_str(), log.partition))) {
                topics.entry(&partition.topic).or_default().push(entry(*log, partition));
            }
        }
        let dead = matches!(self.phase, Phase::Dead(_));
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| DescribeLogDirsTopic { name: name.to_string(), partitions });
        let result = DescribeLogDirsResult {
            error_code: if dead { ErrorCode::KAFKA_STORAGE_ERROR } else { ErrorCode::NONE },
            log_dir: self.log_dir(),
            topics: topics.collect(),
            total_bytes: i64::try_from(self.space.1).unwrap_or(i64::MAX),
            usable_bytes: i64::try_from(self.space.0).unwrap_or(i64::MAX),
        };
        turn.reply(to, DescribeLogDirsResponse { results: vec![result], ..Default::default() }.into());
    }

    /// The path of the data directory, as it was given.
    fn log_dir(&self) -> String {
        let settings = self.config.settings();
        settings.get("log.dirs").or_else(|| settings.get("log.dir")).unwrap_or_default().to_string()
    }
}

fn entry(log: LogId, partition: &Replica) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition {
        partition_index: log.partition,
        partition_size: i64::try_from(partition.log.segments().bytes()).unwrap_or(i64::MAX),
        offset_lag: 0,
        is_future_key: false,
    }
}
