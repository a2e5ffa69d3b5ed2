//! The one way in: [`Tenant::handle`] records a request, applies faults and dispatches it.

use std::sync::PoisonError;

use serde_json::Value;

use crate::access::{bearer, graph_caller};
use crate::faults::{Effect, Seen};
use crate::http::{Abort, Request, Response};
use crate::limits::{Admission, Circumstances, Lane, crowded};
use crate::log::LoggedRequest;
use crate::reply::{Fail, Trace, http_date};
use crate::routes::{exchange, graph, login};
use crate::settings::Settings;
use crate::tenant::Tenant;
use crate::tenant::attacker::put_back;
use crate::tenant::state::State;

/// What the log keeps of a request beside what was sent.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) app_id: Option<String>,
    pub(crate) mutated: bool,
}

/// An answer with what the log keeps of it.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) response: Response,
    pub(crate) facts: Facts,
}

impl Tenant {
    /// Answers one request. This is the only way in; every front end calls it.
    #[must_use]
    pub fn handle(&self, request: &Request) -> Response {
        let cmdlet = exchange::cmdlet_of(request);
        self.struck(request, cmdlet.as_deref(), None, |trace| self.dispatch(request, trace))
    }

    /// Runs `answer` under the fault rules and logs the outcome: for a request, and for each item of a `$batch`, which
    /// names the operation and itself.
    pub(crate) fn struck(
        &self,
        request: &Request,
        cmdlet: Option<&str>,
        batch_item: Option<(&str, &str)>,
        answer: impl FnOnce(&Trace) -> Handled,
    ) -> Response {
        let time = self.clock().now();
        let trace = self.trace(request);
        let effect = self.faults().strike(&Seen { method: &request.method, path: &request.path, cmdlet });
        let reaches = effect.as_ref().is_none_or(Effect::applies);
        let before = effect.as_ref().and_then(|effect| self.before(effect));
        let mut place = None;
        let mut said = Vec::new();
        let admission = if reaches { self.admission(request, cmdlet, (time, &mut said)) } else { Admission::Free };
        let handled = match admission {
            Admission::Refused(response) => Some(Handled { response, facts: Facts::default() }),
            Admission::Placed(taken) => {
                place = Some(taken);
                Some(answer(&trace))
            }
            Admission::Free => reaches.then(|| answer(&trace)),
        };
        if let (Some(before), Some(effect)) = (before, &effect) {
            self.interfere(effect, &before);
        }
        let (truth, facts) =
            handled.map_or((None, Facts::default()), |handled| (Some(handled.response), handled.facts));
        let mut response = match effect {
            Some(effect) => effect.answer(request, truth, time),
            None => truth.unwrap_or_default(),
        };
        response.under_way = place;
        said.iter().for_each(|(name, value)| response.set(name, value));
        response.set("request-id", &trace.request_id);
        response.set("client-request-id", &trace.client_request_id);
        response.set("date", &http_date(time));
        self.log().push(LoggedRequest {
            seq: 0,
            time,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            cmdlet: cmdlet.map(str::to_owned),
            app_id: facts.app_id,
            client_request_id: request.get_header("client-request-id").map(str::to_owned),
            request_id: trace.request_id.clone(),
            operation_id: batch_item.map_or(trace.request_id, |(operation, _)| operation.to_owned()),
            batch_item: batch_item.map(|(_, item)| item.to_owned()),
            status: if matches!(response.abort, Abort::BeforeHead | Abort::MidHead) { 0 } else { response.status },
            mutated: facts.mutated,
        });
        response
    }

    /// The place of a request, or its 429 beyond the service's limits, where these are switched on; and what its answer
    /// says of them.
    fn admission(
        &self,
        request: &Request,
        cmdlet: Option<&str>,
        (now, said): (jiff::Timestamp, &mut Vec<(&'static str, String)>),
    ) -> Admission {
        let Some(percent) = self.with_settings(|settings| settings.throttling_percent) else {
            return Admission::Free;
        };
        let around = self.inspect(|state| Circumstances {
            users: state.users.len(),
            personal: graph::writes_personal_application(request, state),
            percent,
        });
        if let Some(response) = self.limits().admit(request, around, now) {
            return Admission::Refused(response);
        }
        *said = self.limits().announce(request, around);
        match self.lane(request, cmdlet) {
            None => Admission::Free,
            Some(lane) => {
                self.limits().enter(lane, percent).map_or_else(|| Admission::Refused(crowded()), Admission::Placed)
            }
        }
    }

    /// The application and the mailbox of a request that a mailbox answers.
    fn lane(&self, request: &Request, cmdlet: Option<&str>) -> Option<Lane> {
        let caller = bearer(request).and_then(|token| self.tokens().holder(token))?;
        let (exchange, key) = match cmdlet {
            Some(_) => (true, exchange::mailbox_key(request)?),
            None => (false, graph::mailbox_key(&request.path)?),
        };
        let mailbox = self.inspect(|state| state.mailbox(&key).map(|mailbox| mailbox.guid.clone())).unwrap_or(key);
        Some(Lane { exchange, app_id: caller.app_id.clone(), mailbox })
    }

    /// The state before a request that somebody is going to interfere with.
    fn before(&self, effect: &Effect) -> Option<State> {
        matches!(effect, Effect::Reverted | Effect::PutBack).then(|| self.read().state.clone())
    }

    fn interfere(&self, effect: &Effect, before: &State) {
        let mut world = self.write();
        match effect {
            Effect::Reverted => world.state.restore(before),
            _ => put_back(before, &mut world.state),
        }
    }

    fn trace(&self, request: &Request) -> Trace {
        let request_id = self.new_id();
        let now = self.now();
        Trace {
            date: now.seconds().trim_end_matches('Z').to_owned(),
            client_request_id: request
                .get_header("client-request-id")
                .map_or_else(|| request_id.clone(), str::to_owned),
            request_id,
        }
    }

    fn dispatch(&self, request: &Request, trace: &Trace) -> Handled {
        let path = request.path.as_str();
        if path.to_lowercase().starts_with("/adminapi/") {
            return exchange::handle(self, request, trace);
        }
        if let Some((version, rest)) = graph::version_of(path) {
            return self.graph(request, version, rest, trace);
        }
        let response = if let Some(response) = login::identity::handle(self, request, trace) {
            response
        } else if path.contains("/oauth2/") {
            login::handle(self, request, trace)
        } else {
            Response::with_body(404, "text/html", b"<!DOCTYPE html><html><body>Not found</body></html>".to_vec())
        };
        Handled { response, facts: Facts::default() }
    }

    fn graph(&self, request: &Request, version: &str, rest: &str, trace: &Trace) -> Handled {
        let caller = match graph_caller(self, request) {
            Ok(caller) => caller,
            Err(fail) => {
                return Handled { response: fail.into_response(trace), facts: Facts::default() };
            }
        };
        if rest.eq_ignore_ascii_case("/$batch") {
            let response = graph::batch::handle(self, (request, &trace.request_id), version, &caller)
                .unwrap_or_else(|fail: Fail| fail.into_response(trace));
            return Handled { response, facts: Facts { app_id: Some(caller.app_id.clone()), mutated: false } };
        }
        graph::handle(self, request, (version, rest), &caller, trace)
    }

    /// The switches, without a copy.
    pub(crate) fn with_settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> R {
        read(&self.settings_lock().read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Scheme and host by which the caller reached the tenant: what links begin with.
pub(crate) fn origin(request: &Request) -> String {
    let scheme = request.get_header("x-forwarded-proto").unwrap_or("http");
    let host = request.get_header("host").unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// A string member of a JSON body.
pub(crate) fn text<'a>(body: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}
