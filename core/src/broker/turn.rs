//! One turn of the machine: the clocks it was given and the effects it puts out.

use crate::broker::door::{Caller, Effect, Note};
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::Response;

/// What every part of a step gets: when it is, and where effects go.
pub(crate) struct Turn<'a> {
    /// Both clocks.
    pub(crate) now: Now,
    /// The effects of this step so far.
    pub(crate) out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    /// Answers a request.
    pub(crate) fn reply(&mut self, to: Caller, response: Response) {
        self.out.push(Effect::Reply { to, response });
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, conn: ConnId, reason: impl Into<String>) {
        self.out.push(Effect::Close { conn, reason: reason.into() });
    }

    /// Tells a person to look.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.out.push(Effect::Note(Note::Warn(text.into())));
    }

    /// Tells whoever looks into it.
    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.out.push(Effect::Note(Note::Info(text.into())));
    }
}
