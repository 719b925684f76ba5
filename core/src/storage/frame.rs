//! A small file that is right or refused: a header with version, length and CRC before its contents.
//!
//! Written whole under another name, synced, then renamed, so that under its own name it is never half there.

use bytes::Bytes;

use super::names;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskResult};
use crate::record::batch::crc32c;

/// Bytes before the contents: four of magic, version, length, CRC of everything but itself.
pub(crate) const FRAME_BYTES: usize = 20;
const MAGIC: &[u8; 4] = b"QPFR";

/// The contents with their header.
pub(crate) fn seal(version: u32, contents: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(FRAME_BYTES + contents.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&(contents.len() as u64).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(contents);
    let crc = crc32c(&out);
    out[16..20].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(out)
}

/// The contents of a file, if all of it is as it was written and of this version; otherwise why not, for people.
pub(crate) fn unseal(version: u32, file: &Bytes) -> Result<Bytes, String> {
    if file.len() < FRAME_BYTES || &file[..4] != MAGIC {
        return Err(format!("it is {} bytes and does not begin as such a file does", file.len()));
    }
    let word = |at: usize| u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    let (claimed, length) = (word(16), (u64::from(word(8)) << 32) | u64::from(word(12)));
    if length != (file.len() - FRAME_BYTES) as u64 {
        return Err(format!(
            "it is {} bytes, its header says {length} after the first {FRAME_BYTES}",
            file.len()
        ));
    }
    let mut copy = file.to_vec();
    copy[16..20].fill(0);
    if crc32c(&copy) != claimed {
        return Err("its checksum does not match its contents".to_string());
    }
    if word(4) != version {
        return Err(format!("it has format version {}, this program reads version {version}", word(4)));
    }
    Ok(file.slice(FRAME_BYTES..))
}

/// Puts a file in place of the one that has this name. With `sync` its contents are durable before the name is; the
/// name itself only after the caller has synced the directory. When the disk is full nothing has changed.
pub(crate) fn replace<D: Disk>(disk: &D, path: &str, contents: Bytes, sync: bool) -> DiskResult<()> {
    let tmp = format!("{path}{}", names::TMP);
    let written = (|| {
        let file = disk.create(&tmp)?;
        disk.write_at(&file, 0, &[contents])?;
        if sync { disk.sync(&[file], &[]) } else { Ok(()) }
    })();
    match written {
        Ok(()) => disk.rename(&tmp, path),
        Err(e) if e.is_shortage() => {
            remove_if_there(disk, &tmp)?;
            Err(e)
        }
        Err(e) => Err(e),
    }
}

/// Reads a whole file; `None` when there is none.
pub(crate) fn read_whole<D: Disk>(disk: &D, path: &str) -> DiskResult<Option<Bytes>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let len = disk.len(&file)?;
    disk.read_at(&file, 0, usize::try_from(len).unwrap_or(usize::MAX)).map(Some)
}

/// Removes a file; that it is gone already is no error.
pub(crate) fn remove_if_there<D: Disk>(disk: &D, path: &str) -> DiskResult<()> {
    match disk.remove(path) {
        Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let good = seal(3, b"the contents");
        assert_eq!(unseal(3, &good), Ok(Bytes::from_static(b"the contents")));
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(3, &Bytes::from(bad)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_file_cut_short_or_of_another_version_is_refused_with_the_reason() {
        let good = seal(3, b"the contents");
        assert!(unseal(3, &good.slice(..good.len() - 1)).unwrap_err().contains("header says 12"));
        assert!(unseal(3, &Bytes::new()).unwrap_err().contains("0 bytes"));
        assert!(unseal(4, &good).unwrap_err().contains("format version 3"));
    }
}
