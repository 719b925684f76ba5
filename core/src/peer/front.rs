//! The first bytes of a stream between brokers, by which one that nobody meant to be here is known at once.

/// What each side sends first: that it is a broker of Quipu, and the version of the greeting.
pub const FRONT: [u8; 6] = *b"QPEER\x01";

/// Looks at the first bytes of a stream.
///
/// # Errors
/// They are not a broker's, with words on whose they may be.
pub fn check(first: [u8; FRONT.len()]) -> Result<(), String> {
    if first == FRONT {
        return Ok(());
    }
    Err(match &first {
        [b'Q', b'P', b'E', b'E', b'R', version] => format!(
            "it greets in version {version}, and this release knows version {} alone: upgrade the older of the two",
            FRONT[5]
        ),
        [0x16, 3, 0..=4, ..] => "this looks like TLS, but brokers talk plaintext here".to_owned(),
        _ if HTTP.iter().any(|verb| first.starts_with(verb)) => {
            "this looks like HTTP, but here only brokers of one cluster talk (quipu.peer.listen)".to_owned()
        }
        // The length of a request, and the number of its api.
        [0, _, _, _, 0, _] => "this looks like a Kafka client, but here only brokers of one cluster talk \
                               (quipu.peer.listen); clients connect to one of the listeners"
            .to_owned(),
        other => format!("this is no broker of Quipu: it begins with {:?}", other.escape_ascii().to_string()),
    })
}

const HTTP: [&[u8]; 9] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"CONN", b"PRI ", b"HTTP"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_to_the_wrong_door_is_told_apart() {
        assert_eq!(check(FRONT), Ok(()));
        for (first, words) in [
            (b"QPEER\x02", "upgrade the older"),
            (b"GET / ", "HTTP"),
            (b"HTTP/1", "HTTP"),
            (b"\x16\x03\x01\x02\x00\x01", "TLS"),
            (b"\x00\x00\x00\x1f\x00\x12", "Kafka client"),
            (b"SSH-2.", "SSH-2."),
            (b"\xff\xff\xff\xff\xff\xff", "no broker of Quipu"),
        ] {
            let told = check(*first).unwrap_err();
            assert!(told.contains(words), "{first:?}: {told}");
        }
    }
}
