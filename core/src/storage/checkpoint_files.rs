//! The leader epochs of a log in Kafka's text form, for its tools and for people; recovery has them from elsewhere.

use bytes::Bytes;

use super::frame;
use super::names::TMP;
use super::ops::EpochStart;
use crate::disk::{Disk, DiskResult};

/// One epoch file that is written but not in its place yet.
pub(crate) struct EpochFile<D: Disk> {
    file: D::File,
    path: String,
}

impl<D: Disk> EpochFile<D> {
    /// Writes the file beside its place; `None` when the disk is full.
    pub(crate) fn begin(disk: &D, path: String, epochs: &[EpochStart]) -> DiskResult<Option<EpochFile<D>>> {
        let tmp = format!("{path}{TMP}");
        let text = Bytes::from(format(epochs));
        match disk.create(&tmp).and_then(|file| disk.write_at(&file, 0, &[text]).map(|()| file)) {
            Ok(file) => Ok(Some(EpochFile { file, path })),
            Err(e) if e.is_shortage() => frame::remove_if_there(disk, &tmp).map(|()| None),
            Err(e) => Err(e),
        }
    }

    /// Syncs all of these files together and puts them in their places. The caller syncs the directories.
    pub(crate) fn finish(disk: &D, files: Vec<EpochFile<D>>) -> DiskResult<()> {
        if files.is_empty() {
            return Ok(());
        }
        let open: Vec<D::File> = files.iter().map(|f| f.file.clone()).collect();
        disk.sync(&open, &[])?;
        files.iter().try_for_each(|f| disk.rename(&format!("{}{TMP}", f.path), &f.path))
    }
}

/// Kafka's `LeaderEpochCheckpointFile`: version, count, then epoch and first offset a line.
fn format(epochs: &[EpochStart]) -> String {
    let lines = epochs.iter().map(|e| format!("{} {}\n", e.epoch, e.start));
    format!("0\n{}\n{}", epochs.len(), lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LeaderEpoch, Offset};

    #[test]
    fn epochs_are_written_as_kafka_writes_them() {
        let epochs = [(0, 0), (3, 17)].map(|(e, s)| EpochStart { epoch: LeaderEpoch(e), start: Offset(s) });
        assert_eq!(format(&epochs), "0\n2\n0 0\n3 17\n");
    }
}
