//! File descriptors: as many as the system gives, and how they are shared out.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// How many descriptors this process may have, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Segment files kept open at most.
    pub(crate) files: usize,
    /// Connections at most.
    pub(crate) connections: usize,
}

/// Raises the soft limit to the hard one, and shares out what there is then.
pub(crate) fn claim() -> Descriptors {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    // Some systems refuse what they call their own hard limit: then the soft one is what there is.
    let granted = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { soft };
    share(granted)
}

/// Half for connections; a quarter for files that stay open; the rest for the files that one round of writes and the reads
/// of the moment need on top. `None` is no limit.
fn share(granted: Option<u64>) -> Descriptors {
    let all = granted.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    Descriptors { files: (all / 4).clamp(16, 4096), connections: (all / 2).max(16) }
}

/// What to say to somebody for whom no file could be opened.
pub(crate) fn hint(e: &io::Error) -> String {
    let limit = getrlimit(Resource::Nofile).current;
    match (Errno::from_io_error(e), limit) {
        (Some(Errno::MFILE), Some(limit)) => {
            format!("; this process may have {limit} files and connections open: raise that with `ulimit -n`")
        }
        _ => "; the system has as many files open as it can: raise fs.file-max".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{Descriptors, claim, hint, share};

    #[test]
    fn connections_and_files_leave_room_for_the_rest() {
        assert_eq!(share(Some(1024)), Descriptors { files: 256, connections: 512 });
        assert_eq!(share(Some(20_000)), Descriptors { files: 4096, connections: 10_000 });
        assert_eq!(share(None).files, 4096);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        claim();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn who_is_out_of_descriptors_is_told_which_limit_it_is() {
        assert!(hint(&Errno::MFILE.into()).contains("`ulimit -n`"));
        assert!(hint(&Errno::NFILE.into()).contains("fs.file-max"));
    }
}
