//! The names of directories and files in a log directory, and back from a name to what it stands for.

use crate::ids::{LeaderEpoch, LogId, Offset, TopicId};

/// Who the directory belongs to.
pub(crate) const IDENTITY: &str = "meta.properties";
/// What is known of the elections of the metadata quorum.
pub(crate) const ELECTION: &str = "quorum-state";
/// Where each log was known to be good.
pub(crate) const RECOVERY_POINT: &str = "recovery-point";
/// Where each leader epoch of a log began, in Kafka's text form.
pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";
/// What a file or directory that is going away is renamed to end with.
pub(crate) const DELETED: &str = ".deleted";
/// What a file being written anew ends with until it is complete.
pub(crate) const TMP: &str = ".tmp";
/// Topic names are cut to this in directory names, so that these stay below the 255 bytes a file system allows.
const TOPIC_CHARS: usize = 200;
/// Characters of a topic id in text.
const ID_CHARS: usize = 22;

/// The directory of a log: `<topic>-<partition>-<topic id>`. Only the last two say which log it is.
pub(crate) fn log_dir(log: LogId, topic: &str) -> String {
    let safe: String = topic
        .chars()
        .take(TOPIC_CHARS)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    format!("{safe}-{}-{}", log.partition, log.topic)
}

/// The log that a directory is for, if it is one's.
pub(crate) fn parse_log_dir(name: &str) -> Option<LogId> {
    let split = name.len().checked_sub(ID_CHARS)?;
    let topic = TopicId::parse(name.get(split..)?)?;
    let (_, partition) = name.get(..split)?.strip_suffix('-')?.rsplit_once('-')?;
    let canonical = partition.bytes().all(|b| b.is_ascii_digit()) && !partition.is_empty();
    canonical.then(|| partition.parse().ok()).flatten().map(|partition| LogId { topic, partition })
}

/// The log that a directory which is going away was for, and the number of its removal.
pub(crate) fn parse_deleted_dir(name: &str) -> Option<(LogId, u64)> {
    let (dir, n) = name.strip_suffix(DELETED)?.rsplit_once('.')?;
    Some((parse_log_dir(dir)?, n.parse().ok()?))
}

/// The name under which a log's directory goes away. `n` tells several removals of one log apart.
pub(crate) fn deleted_dir(dir: &str, n: u64) -> String {
    format!("{dir}.{n}{DELETED}")
}

/// The kinds of files in a log's own directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// Record batches.
    Log,
    /// The sparse offset index.
    Index,
    /// The sparse time index.
    TimeIndex,
    /// The producers of the log as of the offset in the name.
    Producers,
    /// A segment below the start of the log, on its way out.
    DeletedLog,
}

impl FileKind {
    fn suffix(self) -> &'static str {
        match self {
            FileKind::Log => ".log",
            FileKind::Index => ".index",
            FileKind::TimeIndex => ".timeindex",
            FileKind::Producers => ".producers",
            FileKind::DeletedLog => ".log.deleted",
        }
    }
}

/// The path of a file that an offset names.
pub(crate) fn file(dir: &str, offset: Offset, kind: FileKind) -> String {
    format!("{dir}/{:020}{}", offset.0, kind.suffix())
}

/// The path of a snapshot: `<offset>-<epoch>.checkpoint`, as Kafka's metadata snapshots.
pub(crate) fn snapshot(dir: &str, at: Offset, epoch: LeaderEpoch) -> String {
    format!("{dir}/{:020}-{:010}.checkpoint", at.0, epoch.0)
}

/// What a name in a log's directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A file that an offset names.
    File(Offset, FileKind),
    /// A snapshot.
    Snapshot(Offset, LeaderEpoch),
    /// The epochs.
    Epochs,
    /// Left over from a write that was not finished.
    Tmp,
}

/// Reads a name in a log's directory; `None` for one that is not ours.
pub(crate) fn parse(name: &str) -> Option<Named> {
    if name == EPOCHS {
        return Some(Named::Epochs);
    }
    if name.ends_with(TMP) {
        return Some(Named::Tmp);
    }
    let (stem, suffix) = name.split_at(name.find('.')?);
    if suffix == ".checkpoint" {
        let (at, epoch) = stem.split_once('-')?;
        return Some(Named::Snapshot(number(at)?, LeaderEpoch(epoch.parse().ok()?)));
    }
    let kinds =
        [FileKind::Log, FileKind::Index, FileKind::TimeIndex, FileKind::Producers, FileKind::DeletedLog];
    let kind = kinds.into_iter().find(|k| k.suffix() == suffix)?;
    Some(Named::File(number(stem)?, kind))
}

fn number(text: &str) -> Option<Offset> {
    let digits = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_found_again_from_its_directory_whatever_its_topic_is_called() {
        let log = LogId { topic: TopicId([7; 16]), partition: 12 };
        for topic in ["t", "a-1-b", "dots.and_lines", "../../etc", &"x".repeat(300)] {
            let dir = log_dir(log, topic);
            assert!(dir.len() < 240 && !dir.contains('/'), "{dir}");
            assert_eq!(parse_log_dir(&dir), Some(log), "{dir}");
            assert_eq!(parse_deleted_dir(&deleted_dir(&dir, 3)), Some((log, 3)));
            assert_eq!(parse_log_dir(&deleted_dir(&dir, 3)), None);
        }
        assert_eq!(parse_log_dir("t-+1-BwcHBwcHBwcHBwcHBwcHBw"), None);
    }

    #[test]
    fn every_file_name_reads_back() {
        let offset = Offset(1234);
        for kind in [FileKind::Log, FileKind::TimeIndex, FileKind::DeletedLog, FileKind::Producers] {
            let path = file("d", offset, kind);
            assert_eq!(parse(&path[2..]), Some(Named::File(offset, kind)));
        }
        let path = snapshot("d", offset, LeaderEpoch(5));
        assert_eq!(parse(&path[2..]), Some(Named::Snapshot(offset, LeaderEpoch(5))));
        assert_eq!(parse("00000000000000000000.log.tmp"), Some(Named::Tmp));
        assert_eq!(parse("notes.txt"), None);
        assert_eq!(parse("1.log"), None);
    }
}
