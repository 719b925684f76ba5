//! One well mixed number from another: what ids, jitter and time-outs are derived from, where nothing may be drawn from a stream.

/// One round of splitmix64: a bijection, in which every bit of the input moves about half of the output's.
pub(crate) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_splitmix64() {
        assert_eq!(super::mix(0), 0xe220_a839_7b1d_cdaf);
    }
}
