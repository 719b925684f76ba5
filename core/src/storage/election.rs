//! What a node must not forget of elections: one small file of two places that take turns, so that a torn write leaves the other.
//!
//! It is written in place, and its room is taken when the directory is made: a full disk keeps no node from voting.

use bytes::Bytes;

use super::frame::{self, FRAME_BYTES};
use super::names;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskResult};

/// The version of a place's contents.
const VERSION: u32 = 1;
/// Bytes of a place: no write to one touches a sector of the other.
const PLACE_BYTES: usize = 4096;
/// Bytes before the state: the number of its turn.
const TURN_BYTES: usize = 8;

/// The file, open.
pub(crate) struct ElectionFile<F> {
    file: F,
    /// The number of the newest write.
    turn: u64,
}

/// What a start finds of it: nothing yet, the state that was kept last, or why that is not known any more.
pub(crate) type Kept = Result<Option<Bytes>, String>;

/// Makes the file, durably but for its name. One that is there already is emptied.
pub(crate) fn make<D: Disk>(disk: &D) -> DiskResult<ElectionFile<D::File>> {
    let made = disk.create(names::ELECTION).and_then(|file| {
        disk.write_at(&file, 0, &[Bytes::from(vec![0; 2 * PLACE_BYTES])])?;
        disk.sync(std::slice::from_ref(&file), &[])?;
        Ok(ElectionFile { file, turn: 0 })
    });
    if made.as_ref().is_err_and(DiskError::is_shortage) {
        frame::remove_if_there(disk, names::ELECTION)?;
    }
    made
}

/// Opens the file and reads what it keeps; `None` when there is none. What a process wrote that was killed before its sync may be
/// there all the same, and not on disk: it is made durable here, since the node speaks by it from now on.
pub(crate) fn open<D: Disk>(disk: &D) -> DiskResult<Option<(ElectionFile<D::File>, Kept)>> {
    let file = match disk.open(names::ELECTION) {
        Ok(file) => file,
        Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    disk.sync(std::slice::from_ref(&file), &[])?;
    let mut places = Vec::new();
    for at in [0, PLACE_BYTES] {
        places.push(read_place(&disk.read_at(&file, at as u64, PLACE_BYTES)?));
    }
    let damaged = places.iter().filter(|place| place.is_err()).count();
    let newest = places.into_iter().filter_map(|place| place.ok().flatten()).max_by_key(|(turn, _)| *turn);
    let turn = newest.as_ref().map_or(0, |(turn, _)| *turn);
    let kept = match newest {
        Some((_, state)) => Ok(Some(state)),
        // A first write that was torn was never answered.
        None if damaged < 2 => Ok(None),
        None => Err(format!("{} is damaged in both of its places", names::ELECTION)),
    };
    Ok(Some((ElectionFile { file, turn }, kept)))
}

impl<F> ElectionFile<F> {
    /// Keeps a state, durably, in place of the one before the last.
    pub(crate) fn keep<D: Disk<File = F>>(&mut self, disk: &D, state: &[u8]) -> DiskResult<()> {
        let turn = self.turn + 1;
        let mut contents = turn.to_be_bytes().to_vec();
        contents.extend_from_slice(state);
        let sealed = frame::seal(VERSION, &contents);
        assert!(sealed.len() <= PLACE_BYTES, "an election state of {} bytes", state.len());
        let place = (turn % 2) * PLACE_BYTES as u64;
        disk.write_at(&self.file, place, &[sealed])?;
        disk.sync(std::slice::from_ref(&self.file), &[])?;
        self.turn = turn;
        Ok(())
    }
}

/// The turn and the state of a place; `None` when nothing was written there yet.
fn read_place(place: &Bytes) -> Result<Option<(u64, Bytes)>, String> {
    if place.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let claimed: [u8; 8] =
        place.get(8..16).and_then(|b| b.try_into().ok()).ok_or_else(|| "it is too short".to_string())?;
    let end = usize::try_from(u64::from_be_bytes(claimed)).unwrap_or(usize::MAX).saturating_add(FRAME_BYTES);
    if end > place.len() {
        return Err("it says that it is longer than there is room".into());
    }
    let contents = frame::unseal(VERSION, &place.slice(..end))?;
    let turn = contents.get(..TURN_BYTES).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    turn.map(|turn| Some((turn, contents.slice(TURN_BYTES..)))).ok_or_else(|| "it has no turn".to_string())
}
