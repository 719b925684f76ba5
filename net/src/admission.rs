//! Who may connect: so many in all, so many from one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::limits::Limits;

/// The connections there are, by address.
#[derive(Debug)]
pub(crate) struct Admission {
    counted: Mutex<Counted>,
    limit: usize,
    limit_per_ip: usize,
    overrides: BTreeMap<IpAddr, usize>,
}

#[derive(Debug, Default)]
struct Counted {
    all: usize,
    by_ip: BTreeMap<IpAddr, usize>,
}

/// The right to be connected, given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    ip: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Admission {
        Admission {
            counted: Mutex::default(),
            limit: limits.connections,
            limit_per_ip: limits.connections_per_ip,
            overrides: limits.connections_per_ip_overrides.clone(),
        }
    }

    /// Admits a connection, or says which config forbids it.
    pub(crate) fn admit(self: &Arc<Admission>, ip: IpAddr) -> Result<Ticket, String> {
        let mut counted = self.counted.lock().expect("no panic under this lock");
        if counted.all >= self.limit {
            return Err(format!("there are {} already (max.connections)", counted.all));
        }
        let from_ip = counted.by_ip.get(&ip).copied().unwrap_or(0);
        let limit_per_ip = self.overrides.get(&ip).copied().unwrap_or(self.limit_per_ip);
        if from_ip >= limit_per_ip {
            return Err(format!("there are {from_ip} from that address already (max.connections.per.ip)"));
        }
        counted.all += 1;
        counted.by_ip.insert(ip, from_ip + 1);
        Ok(Ticket { admission: Arc::clone(self), ip })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counted = self.admission.counted.lock().expect("no panic under this lock");
        counted.all -= 1;
        let from_ip = counted.by_ip.get_mut(&self.ip).expect("an admitted connection is counted");
        *from_ip -= 1;
        if *from_ip == 0 {
            counted.by_ip.remove(&self.ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_has_all_its_connections_is_refused_until_one_ends() {
        let (one, two, free) =
            (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), IpAddr::from([10, 0, 0, 3]));
        let limits = Limits {
            connections: 4,
            connections_per_ip: 1,
            connections_per_ip_overrides: BTreeMap::from([(free, 10)]),
            ..Limits::default()
        };
        let admission = Arc::new(Admission::new(&limits));
        let first = admission.admit(one).unwrap();
        assert!(admission.admit(one).unwrap_err().contains("max.connections.per.ip"));
        let _second = admission.admit(two).unwrap();
        let _more = [admission.admit(free).unwrap(), admission.admit(free).unwrap()];
        assert!(admission.admit(free).unwrap_err().contains("max.connections"));
        drop(first);
        assert!(admission.admit(one).is_ok());
        assert_eq!(
            admission.counted.lock().unwrap().by_ip.len(),
            2,
            "an address without connections is forgotten"
        );
    }
}
