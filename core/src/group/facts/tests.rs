//! Facts against bytes that Kafka writes, and against damaged ones.

use super::*;

fn member(instance: Option<&str>) -> StoredMember {
    StoredMember {
        instance: instance.map(Id::from),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms: 300_000,
        session_timeout_ms: 45_000,
        subscription: Bytes::from_static(b"\x01\x02"),
        assignment: Bytes::from_static(b"\x03"),
    }
}

fn group() -> StoredGroup {
    StoredGroup {
        protocol_type: Some("consumer".into()),
        generation: 7,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        since: Some(Timestamp(9)),
        members: [("m".into(), member(Some("i"))), ("n".into(), member(None))].into(),
    }
}

fn committed(expires: Option<i64>) -> Committed {
    Committed {
        offset: 42,
        leader_epoch: if expires.is_some() { -1 } else { 5 },
        metadata: "note".into(),
        committed: Timestamp(1000),
        expires: expires.map(Timestamp),
    }
}

#[test]
fn an_offset_fact_has_kafkas_bytes() {
    let fact = offset_committed("g", "t", 3, &committed(None));
    assert_eq!(&fact.key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
    let value = fact.value.unwrap();
    assert_eq!(&value[..], b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x05\0\x04note\0\0\0\0\0\0\x03\xe8");
}

#[test]
fn a_group_fact_has_kafkas_bytes() {
    let mut stored = group();
    stored.members.remove("m");
    let fact = group_stored("g", &stored);
    assert_eq!(&fact.key[..], b"\0\x02\0\x01g");
    let expected = [
        &b"\0\x03\0\x08consumer\0\0\0\x07\0\x05range\0\x01m\0\0\0\0\0\0\0\x09\0\0\0\x01"[..],
        b"\0\x01n\xff\xff\0\x01c\0\x02/h\0\x04\x93\xe0\0\0\xaf\xc8\0\0\0\x02\x01\x02\0\0\0\x01\x03",
    ]
    .concat();
    assert_eq!(fact.value.unwrap(), expected);
}

#[test]
fn what_is_written_reads_back() {
    for value in [committed(None), committed(Some(77))] {
        let fact = offset_committed("g", "t", 3, &value);
        let key = Key::Offset { group: "g".into(), topic: "t".into(), partition: 3 };
        assert_eq!(read_key(&fact.key), Ok(key));
        assert_eq!(read_committed(&fact.value.unwrap()), Ok(value));
    }
    let fact = group_stored("g", &group());
    assert_eq!(read_key(&fact.key), Ok(Key::Group { group: "g".into() }));
    assert_eq!(read_group(&fact.value.unwrap()), Ok(group()));
}

#[test]
fn a_tombstone_has_the_key_of_what_it_removes() {
    let fact = offset_removed("g", "t", 3);
    assert_eq!(fact.key, offset_committed("g", "t", 3, &committed(None)).key);
    assert_eq!(fact.value, None);
    assert_eq!(group_removed("g").key, group_stored("g", &group()).key);
}

#[test]
fn flexible_values_of_newer_brokers_are_read_and_their_tagged_fields_skipped() {
    let offset = b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x05\x05note\0\0\0\0\0\0\x03\xe8\x01\x00\x02zz";
    assert_eq!(read_committed(&Bytes::from_static(offset)), Ok(committed(None)));
    let value = [
        &b"\0\x04\x09consumer\0\0\0\x07\x06range\x02m\0\0\0\0\0\0\0\x09\x03"[..],
        b"\x02m\x02i\x02c\x03/h\0\x04\x93\xe0\0\0\xaf\xc8\x03\x01\x02\x02\x03\x00",
        b"\x02n\x00\x02c\x03/h\0\x04\x93\xe0\0\0\xaf\xc8\x03\x01\x02\x02\x03\x01\x07\x01x\x00",
    ]
    .concat();
    assert_eq!(read_group(&Bytes::from(value)), Ok(group()));
}

#[test]
fn old_values_get_what_they_lack_from_kafkas_defaults() {
    let v0 = b"\0\0\0\x08consumer\0\0\0\x01\0\x05range\0\x01m\0\0\0\x01\0\x01m\0\x01c\0\x02/h\0\0\xaf\xc8\0\0\0\0\0\0\0\0";
    let stored = read_group(&Bytes::from_static(v0)).unwrap();
    assert_eq!(stored.since, None);
    let only = &stored.members["m"];
    assert_eq!((only.instance.as_ref(), only.rebalance_timeout_ms), (None, 45_000));
    let v1 = b"\0\x01\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0\0\x03\xe8\xff\xff\xff\xff\xff\xff\xff\xff";
    let read = read_committed(&Bytes::from_static(v1)).unwrap();
    assert_eq!((read.leader_epoch, read.committed, read.expires), (-1, Timestamp(1000), None));
}

#[test]
fn a_key_of_another_group_type_is_told_apart_from_damage() {
    assert_eq!(read_key(&Bytes::from_static(b"\0\x03\0\x01g")), Err(Unreadable::Unknown(3)));
    assert_eq!(read_key(&Bytes::from_static(b"\0\x01\0\x05g")), Err(Unreadable::Malformed));
    assert_eq!(read_group(&Bytes::from_static(b"\0\x05")), Err(Unreadable::Unknown(5)));
}

#[test]
fn no_damage_to_a_value_makes_reading_it_panic_or_succeed_when_cut() {
    for whole in [
        group_stored("g", &group()).value.unwrap(),
        offset_committed("g", "t", 3, &committed(Some(5))).value.unwrap(),
    ] {
        for at in 0..whole.len() {
            let cut = whole.slice(..at);
            assert!(read_group(&cut).is_err() || read_committed(&cut).is_err(), "cut at {at}");
            for flip in [0x01, 0x80, 0xff] {
                let mut bent = whole.to_vec();
                bent[at] ^= flip;
                let bent = Bytes::from(bent);
                let _ = (read_group(&bent), read_committed(&bent), read_key(&bent));
            }
        }
    }
}
