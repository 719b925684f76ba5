//! The bytes of every kind of message, pinned: a change here is another protocol version (see the room's page).

use super::{every_kind, joined};

const BYTES: [(&str, &str); 12] = [
    ("vote", "000000200000001c0000ac020a000001060707070707070707070707070707070708d00f"),
    ("begin", "0000000b000000070000ac020a0001"),
    ("end", "0000000e0000000a0000ac020a0002020402"),
    ("fetch", "000000210000001d0000ac020a0003060707070707070707070707070707070708d00f880e"),
    ("voted", "0000001e0000001a0000ac020a010006070707070707070707070707070707070100"),
    ("nothing new", "0000000d00000009010000ac020a010118"),
    ("diverging", "0000000e0000000a0000ac020a010208d00f"),
    ("refused, another epoch", "0000000e0000000a0000ac020a0103000104"),
    ("refused, no leader", "0000000e0000000a0000ac020a0103010104"),
    ("heard", "0000000b000000070000ac020a0104"),
    ("flushed", "0000000b000000070000ac020a0218"),
    (
        "records",
        "0000009c0000000a018e0100ac020a010118000000000000000a0000003b0000000402244f128e00000000000000 \
         00018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff000000011200000001066f6e6500000000 \
         000000000b0000003b00000004020eae6b0b0000000000000000018bcfe568000000018bcfe56800ffffffffffff \
         ffffffffffffffff0000000112000000010674776f00",
    ),
];

#[test]
fn every_kind_of_message_has_the_bytes_of_version_1() {
    let now: Vec<(&str, String)> = every_kind()
        .iter()
        .map(|(name, message)| (*name, joined(message).iter().map(|byte| format!("{byte:02x}")).collect()))
        .collect();
    let pinned: Vec<(&str, String)> = BYTES.iter().map(|(name, hex)| (*name, hex.replace(' ', ""))).collect();
    assert_eq!(now, pinned);
}
