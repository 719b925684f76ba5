//! Log lines about clients that misbehave: one a minute for each address, however often it does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use quipu_core::time::Instant;

const PAUSE: Duration = Duration::from_secs(60);
/// Addresses remembered; beyond it all are forgotten and may complain anew.
const ADDRESSES: usize = 4096;

/// When each address was last complained about, and how often since without a line.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    by_address: Mutex<BTreeMap<IpAddr, (Instant, u64)>>,
}

impl Complaints {
    /// Whether a line about that address is due, and how many were held back since the last one.
    pub(crate) fn due(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let mut by_address = self.by_address.lock().expect("no panic under this lock");
        if by_address.len() >= ADDRESSES && !by_address.contains_key(&address) {
            by_address.clear();
        }
        match by_address.get_mut(&address) {
            Some((last, held)) if now.since(*last) < PAUSE => {
                *held += 1;
                None
            }
            Some((last, held)) => {
                *last = now;
                Some(std::mem::take(held))
            }
            None => {
                by_address.insert(address, (now, 0));
                Some(0)
            }
        }
    }

    /// Warns, if a line about that address is due.
    pub(crate) fn warn(&self, address: IpAddr, now: Instant, what: std::fmt::Arguments<'_>) {
        match self.due(address, now) {
            Some(0) => tracing::warn!("{what}"),
            Some(held) => tracing::warn!("{what} ({held} more such lines about {address} were held back)"),
            None => tracing::debug!("{what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_one_line_a_minute() {
        let complaints = Complaints::default();
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let at = |seconds: u64| Instant(seconds * 1_000_000);
        assert_eq!(complaints.due(one, at(100)), Some(0));
        assert_eq!(complaints.due(two, at(100)), Some(0));
        assert_eq!(complaints.due(one, at(130)), None);
        assert_eq!(complaints.due(one, at(159)), None);
        assert_eq!(complaints.due(one, at(160)), Some(2));
        assert_eq!(complaints.due(one, at(161)), None);
    }

    #[test]
    fn so_many_addresses_as_one_likes_take_bounded_memory() {
        let complaints = Complaints::default();
        for n in 0..20_000u32 {
            assert!(complaints.due(IpAddr::from(n.to_be_bytes()), Instant(0)).is_some());
        }
        assert!(complaints.by_address.lock().unwrap().len() <= ADDRESSES);
    }
}
