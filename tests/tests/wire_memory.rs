//! Decoding takes memory in proportion to the frame, whatever the frame claims.
#![allow(unsafe_code)] // a counting allocator is an implementation of GlobalAlloc, which is an unsafe trait

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use quipu_core::peer::frame::decode;
use quipu_core::wire::{ApiKey, decode_request, decode_response};

/// The system's allocator, with the bytes in use and their peak.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counters are not part of the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most bytes that `work` had in use at once.
fn peak(work: impl FnOnce()) -> usize {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed) - before
}

/// Bytes that a frame may cost in any case: one array's first reservation at each level of nesting, and error values.
const BASE: usize = 96 * 1024;

/// Bytes that a byte of the frame may cost: an element of the widest structure for its few bytes on the wire, twice, since
/// arrays grow by doubling.
const PER_BYTE: usize = 128;

fn frame(key: i16, version: i16, rest: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7_i32.to_be_bytes());
    frame.extend(rest);
    frame.into()
}

// One test, since others beside it would be counted too.
#[test]
fn no_frame_costs_more_than_a_small_multiple_of_its_length() {
    let claims = [
        b"\x81\xad\xe2\x04".to_vec(), // a compact count of ten million
        b"\xff\xff\xff\xff\x0f".to_vec(),
        b"\x00\x98\x96\x80".to_vec(), // a plain count of ten million
        b"\x7f\xff\xff\xff".to_vec(),
    ];
    check_peers(&claims);
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            for claim in &claims {
                for lead in 0..24 {
                    let mut rest = b"\xff\xff".to_vec(); // no client id
                    rest.extend(vec![0; lead]);
                    rest.extend(claim);
                    check(key, version, &frame(key.number(), version, &rest));
                }
            }
            for fill in [0, 1, 2, 0x7f, 0xff] {
                let mut rest = b"\xff\xff\x00\x00\x00".to_vec();
                rest.extend(b"\x80\x80\x01"); // a compact count of 16383
                rest.extend(vec![fill; 64 * 1024]);
                check(key, version, &frame(key.number(), version, &rest));
            }
        }
    }
}

/// The same of what other brokers send: the header may claim what it likes.
fn check_peers(claims: &[Vec<u8>]) {
    let header = |header: &[u8]| [&(header.len() as u32).to_be_bytes()[..], header].concat();
    for claim in claims {
        for lead in 0..40 {
            for fill in [0, 1, 2] {
                check_peer(header(&[vec![fill; lead], claim.clone()].concat()));
                check_peer(header(&[vec![fill; lead], claim.clone(), vec![1; 64 * 1024]].concat()));
            }
        }
        check_peer([&claim[..], &vec![1; 64 * 1024]].concat());
        // Who may succeed: behind an empty list of sizes, the number of the question and its epoch.
        check_peer(header(&[b"\x00\x00\x01\x02\x00\x02", &claim[..], &[2; 1000]].concat()));
    }
}

fn check_peer(frame: Vec<u8>) {
    let frame = Bytes::from(frame);
    let limit = BASE + PER_BYTE * frame.len();
    let cost = peak(|| drop(decode(frame.clone())));
    assert!(cost <= limit, "a frame of {} bytes cost {cost}", frame.len());
}

fn check(key: ApiKey, version: i16, frame: &Bytes) {
    let limit = BASE + PER_BYTE * frame.len();
    let request = peak(|| drop(decode_request(frame)));
    assert!(request <= limit, "{key} {version}: a request of {} bytes cost {request}", frame.len());
    let response = peak(|| drop(decode_response(key, version, &frame.slice(4..))));
    assert!(response <= limit, "{key} {version}: a response of {} bytes cost {response}", frame.len());
}
