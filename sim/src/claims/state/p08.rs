//! P8: a request is answered at most once, in kind, and on its own connection; a produce with acks=0 never.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::ids::ConnId;
use quipu_core::wire::ApiKey;

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct AnsweredOnce {
    asked: Vec<Asked>,
}

/// What one broker was asked and has not answered: what kind of answer each request is to have, if any.
#[derive(Default)]
struct Asked {
    open: BTreeMap<Caller, Option<ApiKey>>,
    gone: std::collections::BTreeSet<ConnId>,
}

impl AnsweredOnce {
    /// For so many brokers.
    pub fn new(servers: usize) -> AnsweredOnce {
        AnsweredOnce { asked: (0..servers).map(|_| Asked::default()).collect() }
    }
}

impl Claim for AnsweredOnce {
    fn id(&self) -> &'static str {
        "P8"
    }

    fn says(&self) -> &'static str {
        "a request is answered at most once"
    }

    fn asking(&mut self, server: usize, _: &Broker, input: &Input) {
        match input {
            Input::Request { to, request, .. } => self.asked[server].ask(*to, kind(request)),
            Input::Gone { conn } => self.asked[server].forget(*conn),
            _ => {}
        }
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        let Effect::Reply { to, response } = effect else { return Ok(()) };
        self.asked[scene.server].answer(*to, response.key())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.asked[server] = Asked::default();
    }
}

fn kind(request: &Request) -> Option<ApiKey> {
    match request {
        Request::Produce(produce) => (produce.acks != 0).then_some(ApiKey::Produce),
        Request::Api(request) => Some(request.key()),
    }
}

impl Asked {
    fn ask(&mut self, to: Caller, kind: Option<ApiKey>) {
        self.open.insert(to, kind);
    }

    fn forget(&mut self, conn: ConnId) {
        self.gone.insert(conn);
        self.open.retain(|to, _| to.conn != conn);
    }

    fn answer(&mut self, to: Caller, key: ApiKey) -> Verdict {
        match self.open.remove(&to) {
            Some(Some(wanted)) if wanted == key => Ok(()),
            Some(None) => Err(format!("{to:?} is answered, but wants no answer: acks=0")),
            Some(Some(wanted)) => Err(format!("{to:?} is a {wanted} and is answered with a {key}")),
            // The answer crossed the end of the connection; it goes nowhere.
            None if self.gone.contains(&to.conn) => Ok(()),
            None => Err(format!("{to:?} is answered with a {key} twice, or without having been asked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Caller = Caller { conn: ConnId(1), seq: 7 };

    #[test]
    fn a_second_answer_one_of_another_kind_and_one_to_acks_0_are_seen() {
        let mut asked = Asked::default();
        asked.ask(ONE, Some(ApiKey::Fetch));
        assert!(asked.answer(ONE, ApiKey::Fetch).is_ok());
        assert!(asked.answer(ONE, ApiKey::Fetch).is_err());
        asked.ask(ONE, Some(ApiKey::Fetch));
        assert!(asked.answer(ONE, ApiKey::Metadata).is_err());
        asked.ask(ONE, None);
        assert!(asked.answer(ONE, ApiKey::Produce).is_err());
        asked.ask(ONE, Some(ApiKey::Fetch));
        assert!(asked.answer(Caller { conn: ConnId(2), ..ONE }, ApiKey::Fetch).is_err(), "elsewhere");
    }

    #[test]
    fn an_answer_to_a_connection_that_is_gone_is_fine() {
        let mut asked = Asked::default();
        asked.ask(ONE, Some(ApiKey::Fetch));
        asked.forget(ONE.conn);
        assert!(asked.answer(ONE, ApiKey::Fetch).is_ok());
    }
}
