//! What the storage relies on, against the file system of this machine.

use std::path::PathBuf;

use bytes::Bytes;
use quipu_core::disk::{Disk, DiskErrorKind};

use super::{RealDisk, failed};
use crate::scratch::Scratch;

fn disk() -> (Scratch, RealDisk) {
    let scratch = Scratch::new("disk");
    let disk = RealDisk::new(scratch.path().to_path_buf());
    (scratch, disk)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn parts_are_written_one_after_the_other_and_read_back() {
    let (_scratch, disk) = disk();
    let file = disk.create("a").unwrap();
    disk.write_at(&file, 2, &[bytes("one"), Bytes::new(), bytes("two")]).unwrap();
    assert_eq!(disk.read_at(&file, 0, 100).unwrap(), &b"\0\0onetwo"[..]);
    assert_eq!(disk.read_at(&file, 4, 2).unwrap(), &b"et"[..]);
    assert_eq!(disk.read_at(&file, 8, 5).unwrap(), &b""[..]);
    assert_eq!(disk.len(&file).unwrap(), 8);
    disk.write_at(&file, 0, &[]).unwrap();
}

#[test]
fn more_parts_than_one_call_takes_are_written_whole() {
    let (_scratch, disk) = disk();
    let file = disk.create("many").unwrap();
    let parts: Vec<Bytes> = (0..5000u32).map(|n| Bytes::copy_from_slice(&n.to_be_bytes())).collect();
    disk.write_at(&file, 0, &parts).unwrap();
    let all = disk.read_at(&file, 0, 20_000).unwrap();
    assert_eq!(all.len(), 20_000);
    assert!(all.chunks(4).zip(&parts).all(|(read, written)| read == written));
}

#[test]
fn a_length_cuts_or_fills_with_zeros_and_creating_empties() {
    let (_scratch, disk) = disk();
    let file = disk.create("a").unwrap();
    disk.write_at(&file, 0, &[bytes("abcdef")]).unwrap();
    disk.set_len(&file, 2).unwrap();
    disk.set_len(&file, 4).unwrap();
    assert_eq!(disk.read_at(&file, 0, 9).unwrap(), &b"ab\0\0"[..]);
    let again = disk.create("a").unwrap();
    assert_eq!(disk.len(&again).unwrap(), 0);
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_path() {
    let (scratch, disk) = disk();
    let Err(error) = disk.open("nowhere/a") else { panic!("opened what is not there") };
    assert_eq!(error.kind, DiskErrorKind::NotFound);
    assert!(error.message.contains(&scratch.path().join("nowhere/a").display().to_string()), "{error}");
    assert!(error.message.starts_with("cannot open"), "{error}");
}

#[test]
fn a_directory_is_listed_in_order_with_the_lengths_of_its_files() {
    let (_scratch, disk) = disk();
    disk.create_dir("t").unwrap();
    disk.create_dir("t").unwrap();
    disk.create_dir("t/sub").unwrap();
    let file = disk.create("t/b").unwrap();
    disk.write_at(&file, 0, &[bytes("xyz")]).unwrap();
    disk.create("t/a").unwrap();
    disk.sync(&[], &["t"]).unwrap();
    let listed = disk.list("t").unwrap();
    assert_eq!(listed, [("a".into(), Some(0)), ("b".into(), Some(3)), ("sub".into(), None)]);
    disk.rename("t/b", "t/a").unwrap();
    assert_eq!(disk.list("t").unwrap()[0], ("a".into(), Some(3)));
    disk.remove("t/a").unwrap();
    disk.remove_dir("t").unwrap();
    assert_eq!(disk.list("").unwrap(), []);
    assert!(disk.create("file").and_then(|_| disk.create_dir("file")).is_err());
}

#[test]
fn many_files_and_directories_are_made_durable_at_once() {
    let (_scratch, disk) = disk();
    disk.create_dir("t").unwrap();
    for count in [0, 1, 2, 16, 40] {
        let files: Vec<_> = (0..count).map(|n| disk.create(&format!("f{n}")).unwrap()).collect();
        for file in &files {
            disk.write_at(file, 0, &[bytes("record")]).unwrap();
        }
        disk.sync(&files, &[]).unwrap();
        disk.sync(&files, &["", "t"]).unwrap();
    }
}

#[test]
fn rounds_of_several_threads_do_not_mix() {
    let (_scratch, disk) = disk();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let disk = disk.clone();
            scope.spawn(move || {
                let files: Vec<_> =
                    (0..=thread).map(|n| disk.create(&format!("{thread}-{n}")).unwrap()).collect();
                for _ in 0..20 {
                    disk.sync(&files, &[""]).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_full_disk_and_want_of_descriptors_are_told_apart_from_a_broken_disk() {
    // `/dev/full` answers every write as a full volume does.
    let device = super::RealFile(std::sync::Arc::new(super::Open {
        file: std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
        path: PathBuf::from("/dev/full"),
    }));
    let (_scratch, disk) = disk();
    let error = disk.write_at(&device, 0, &[bytes("x")]).unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::Full);
    assert!(error.message.contains("cannot write at byte 0 of /dev/full"), "{error}");
    let broken = failed("read", &PathBuf::from("f"), &rustix::io::Errno::IO.into());
    assert_eq!(broken.kind, DiskErrorKind::Io);
    for wanting in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE] {
        let error = failed("open", &PathBuf::from("f"), &wanting.into());
        assert_eq!(error.kind, DiskErrorKind::TooManyOpen);
        assert!(error.message.starts_with("cannot open f: ") && error.message.contains("raise"), "{error}");
    }
    assert_eq!(
        failed("write", &PathBuf::from("f"), &rustix::io::Errno::DQUOT.into()).kind,
        DiskErrorKind::Full
    );
}

#[test]
fn a_failed_sync_of_one_file_fails_the_whole_and_the_next_is_on_its_own() {
    let (_scratch, disk) = disk();
    // A pipe cannot be synced: EINVAL.
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = super::RealFile(std::sync::Arc::new(super::Open {
        file: std::fs::File::from(std::os::fd::OwnedFd::from(reader)),
        path: PathBuf::from("pipe"),
    }));
    let good = disk.create("good").unwrap();
    let error = disk.sync(&[good.clone(), pipe, good.clone()], &[""]).unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::Io);
    assert!(error.message.contains("cannot make durable pipe"), "{error}");
    assert!(disk.sync(&[], &["nowhere", ""]).unwrap_err().message.contains("nowhere"));
    disk.sync(&[good.clone(), good], &[""]).unwrap();
}

#[test]
fn space_is_told_as_free_and_total() {
    let (_scratch, disk) = disk();
    let (free, total) = disk.space().unwrap();
    assert!(free > 0 && total >= free);
}

#[test]
#[should_panic(expected = "not inside its directory")]
fn a_path_that_leaves_the_directory_is_our_own_fault() {
    let (_scratch, disk) = disk();
    let _ = disk.open("../elsewhere");
}
