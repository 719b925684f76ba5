//! Panics are claims that break: where one struck is kept for the story instead of being printed at once.

use std::cell::RefCell;

thread_local! {
    static STRUCK: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics quiet from now on.
pub(crate) fn keep_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        STRUCK.with(|struck| {
            *struck.borrow_mut() = Some(format!("{} at {place}", info.payload_as_str().unwrap_or("a panic")))
        });
    }));
}

/// The last panic of this thread.
pub(crate) fn last() -> Option<String> {
    STRUCK.with(|struck| struck.borrow_mut().take())
}
