//! Plans that once showed a bug show it no more.

#[test]
fn what_was_mended_stays_mended() {
    assert_eq!(quipu_sim::command::run_regressions(), Ok(true));
}
