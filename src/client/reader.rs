//! The client that cannot write: GET, paged GET, `$batch` of GETs, and the reading cmdlets.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Method, Url,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    client::{
        ReadError, ReadErrorKind, SignInError,
        answer::{Failure, judge},
        cmdlet,
        obstacle::Obstacle,
        pacing::{Priority, is_directory},
        paging::Pages,
        retry::Budget,
        session::Core,
        wire::{Attempt, Outgoing, PRIORITY, Try},
    },
    model::{Cloud, Exchange, GraphPath, Identity, ReadCmdlet, Service, Stop},
};

/// Attempts of one read.
const ATTEMPTS: u32 = 6;
/// How long a hint is waited for.
const HINT: Duration = Duration::from_secs(5);
const CONSISTENCY: HeaderName = HeaderName::from_static("consistencylevel");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A client that can only read. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    core: Arc<Core>,
    trace: Option<Trace>,
    priority: Priority,
    /// How long a request with its retries may take.
    patience: Patience,
    /// Ends its waits.
    stop: Stop,
}

/// How long a request with its retries may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// What is good to know: a few seconds.
    Hint,
    /// As long as the session's deadline says, in so many attempts.
    Usual,
    /// What a change depends on: as long as the session's patience says. A service that cannot be asked for now is
    /// asked again as long as there is time.
    Long,
}

/// The exchanges that a traced reader made, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Trace {
    /// Takes what was recorded so far.
    pub fn take(&self) -> Vec<Exchange> {
        let mut taken = std::mem::take(&mut *self.lock());
        taken.sort_by_key(|exchange| exchange.started_mono_ms);
        taken
    }

    fn push(&self, exchange: Exchange) {
        self.lock().push(exchange);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One read, as it is asked for.
struct Ask {
    what: String,
    out: Outgoing,
    /// Whether it may travel in a `$batch`.
    batch: bool,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct GraphPage<T> {
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl Reader {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, trace: None, priority: Priority::Evidence, patience: Patience::Usual, stop: Stop::default() }
    }

    /// A reader that shares everything with this one, and the record of what it will read.
    pub fn traced(&self) -> (Self, Trace) {
        let trace = Trace::default();
        let reader = Self { trace: Some(trace.clone()), ..self.clone() };
        (reader, trace)
    }

    /// A reader for what is good to know: it lets changes and evidence go first, here and at the service.
    #[must_use]
    pub fn enrichment(&self) -> Self {
        Self { priority: Priority::Enrichment, ..self.clone() }
    }

    /// A reader for hints: what is not to be had in a few seconds is done without. A budget of five requests in ten
    /// seconds would hold up a plan for a hundred accounts for minutes.
    #[must_use]
    pub fn hint(&self) -> Self {
        Self { patience: Patience::Hint, ..self.enrichment() }
    }

    /// A reader for what a change depends on: it waits for a service that cannot be asked for now as long as the
    /// change itself would.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { patience: Patience::Long, ..self.clone() }
    }

    /// A reader whose waits end when somebody asks to stop.
    #[must_use]
    pub fn until(&self, stop: Stop) -> Self {
        Self { stop, ..self.clone() }
    }

    /// Whether the deadline of the run has passed: then nothing is asked any more.
    pub fn time_is_up(&self) -> bool {
        self.core.wire.time_is_up()
    }

    /// One Graph object.
    pub async fn get<T: DeserializeOwned>(&self, path: &GraphPath) -> Result<T, ReadError> {
        let ask = self.graph(path)?;
        let answer = self.ask(&ask).await?;
        serde_json::from_slice(&answer.body).map_err(|error| malformed(&ask.what, error))
    }

    /// A whole Graph collection, all pages.
    pub async fn list<T: DeserializeOwned>(&self, path: &GraphPath) -> Result<Vec<T>, ReadError> {
        let mut ask = self.graph(path)?;
        let mut pages = self.pages(&ask.out);
        let mut all = Vec::new();
        loop {
            let answer = self.ask(&ask).await;
            let answer = answer.map_err(|error| pages.incomplete(error))?;
            let page: GraphPage<T> =
                serde_json::from_slice(&answer.body).map_err(|error| malformed(&ask.what, error))?;
            pages.count(page.value.len(), answer.body.len()).map_err(|reason| malformed(&ask.what, reason))?;
            all.extend(page.value);
            let Some(link) = page.next else {
                return Ok(all);
            };
            ask.out.url = follow(&mut pages, &link, &ask.what)?;
            ask.batch = false;
        }
    }

    /// A whole Graph collection that does not depend on the account in question: read once in a session, and the same
    /// for all who ask. Only the first to ask has it in its trace.
    pub async fn list_shared<T: DeserializeOwned>(&self, path: &GraphPath) -> Result<Vec<T>, ReadError> {
        let read = async { self.list::<Box<RawValue>>(path).await.map(Arc::from) };
        let objects = self.core.shared.once(path.as_str(), read).await?;
        let parsed: Result<_, _> = objects.iter().map(|object| serde_json::from_str(object.get())).collect();
        parsed.map_err(|error| malformed(&format!("GET {}", path.as_str()), error))
    }

    /// The objects that a reading cmdlet gives, all pages. `anchor` is the mailbox that it concerns; an empty
    /// `Identity` or `Mailbox` is refused, since Exchange would answer with every object of the tenant.
    pub async fn cmdlet<T: DeserializeOwned>(
        &self,
        cmdlet: ReadCmdlet,
        anchor: &str,
        parameters: Map<String, Value>,
    ) -> Result<Vec<T>, ReadError> {
        let mailbox = cmdlet::concerns_mailbox(cmdlet.name(), &parameters);
        let mut ask = self.invoke(cmdlet, anchor, &parameters)?;
        let mut pages = self.pages(&ask.out);
        let mut all = Vec::new();
        loop {
            let answer = self.ask(&ask).await.map_err(|mut error| {
                if mailbox && error.kind == ReadErrorKind::NotFound {
                    error.kind = ReadErrorKind::NoMailbox;
                }
                pages.incomplete(error)
            })?;
            let page: cmdlet::Page<'_> =
                serde_json::from_slice(&answer.body).map_err(|error| malformed(&ask.what, error))?;
            pages.count(page.value.len(), answer.body.len()).map_err(|reason| malformed(&ask.what, reason))?;
            for object in &page.value {
                let object = serde_json::from_str(object.get());
                all.push(object.map_err(|error| malformed(&ask.what, error))?);
            }
            let Some(link) = &page.next else {
                if page.is_cut() {
                    return Err(malformed(&ask.what, "Exchange left objects out"));
                }
                return Ok(all);
            };
            ask.out.url = follow(&mut pages, link, &ask.what)?;
        }
    }

    /// The tenant's time, as its `Date` headers show it (a lower bound, whole seconds).
    pub fn server_now(&self) -> Timestamp {
        self.core.wire.server_now()
    }

    /// Notes how many users the tenant has, as somebody counted them: Graph lets us ask more often in a large tenant.
    pub fn note_users(&self, users: u64) {
        self.core.wire.tenant_has(users);
    }

    /// The cloud that the tenant lives in.
    pub fn cloud(&self) -> Cloud {
        self.core.cloud
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        &self.core.identity
    }

    /// Who we are to one of the services: each has a token of its own, fetched when first needed.
    pub async fn identity_of(&self, service: Service) -> Result<Identity, SignInError> {
        self.core.wire.identity(service).await
    }

    /// A Graph GET. Advanced queries need `ConsistencyLevel`, on every page.
    ///
    /// Source: Graph "advanced query capabilities on directory objects".
    fn graph(&self, path: &GraphPath) -> Result<Ask, ReadError> {
        let what = format!("GET {}", path.as_str());
        let Some(url) = graph_url(self.core.wire.base(Service::Graph), path) else {
            let reason = "the path would be changed on its way";
            return Err(ReadError::own(ReadErrorKind::Rejected, &what, reason));
        };
        let mut out = Outgoing::new(Service::Graph, Method::GET, url);
        let query = out.url.query().unwrap_or_default();
        if query.contains("$count=true") || query.contains("$search=") {
            let eventual = HeaderValue::from_static("eventual");
            out.headers.insert(CONSISTENCY, eventual);
        }
        self.mark(&mut out);
        let batch = is_directory(&out.url);
        Ok(Ask { what, out, batch })
    }

    fn invoke(&self, cmdlet: ReadCmdlet, anchor: &str, parameters: &Map<String, Value>) -> Result<Ask, ReadError> {
        let what = cmdlet.name().to_owned();
        let refuse = |reason: String| ReadError::own(ReadErrorKind::Rejected, &what, reason);
        if let Some(name) = cmdlet::empty_identity(parameters) {
            return Err(refuse(format!("an empty {name} would concern every object")));
        }
        let url = cmdlet::url(self.core.wire.base(Service::Exchange), &self.core.tenant_id);
        let shown = cmdlet::body(cmdlet.name(), parameters);
        let body = Bytes::from(shown.to_string());
        let mut out = cmdlet::request(url, cmdlet.name(), anchor, body, shown)
            .ok_or_else(|| refuse("the anchor holds a control character".to_owned()))?;
        let pages = HeaderValue::from_static("odata.maxpagesize=1000");
        out.headers.insert(PREFER, pages);
        self.mark(&mut out);
        let batch = false;
        Ok(Ask { what, out, batch })
    }

    fn mark(&self, out: &mut Outgoing) {
        out.priority = self.priority;
        if self.priority == Priority::Enrichment {
            out.headers.insert(PRIORITY, HeaderValue::from_static("Low"));
        }
    }

    fn pages(&self, first: &Outgoing) -> Pages {
        Pages::from(first.service, self.core.wire.base(first.service), &first.url)
    }

    /// Asks until there is a whole answer, or a reason why there will be none.
    async fn ask(&self, ask: &Ask) -> Result<Exchange, ReadError> {
        let core = &self.core;
        let mut budget = match self.patience {
            Patience::Hint => Budget::new(ATTEMPTS, core.wire.deadline(HINT.min(core.deadline))),
            Patience::Usual => Budget::new(ATTEMPTS, core.wire.deadline(core.deadline)),
            Patience::Long => Budget::until(core.wire.patient_deadline()),
        };
        let mut renewed = false;
        let mut number = 1;
        loop {
            let attempt = self.once(ask, number, budget.deadline()).await;
            let attempt = attempt.map_err(|obstacle| obstacle.read_error(&ask.what))?;
            if let Some(trace) = &self.trace {
                trace.push(attempt.exchange.clone());
            }
            let Err(Failure { error, retry }) = judge(ask.out.service, &ask.what, &attempt) else {
                return Ok(attempt.exchange);
            };
            let again = if attempt.token_renewed {
                !std::mem::replace(&mut renewed, true)
            } else {
                // An answer that is no answer is not waited for without end: it may be a portal's.
                let may = retry && (error.kind.is_for_now() || number < ATTEMPTS);
                may && core.wire.pause(ask.out.service, &attempt, &mut budget, &self.stop).await
            };
            if !again {
                return Err(error);
            }
            number += 1;
        }
    }

    async fn once(&self, ask: &Ask, number: u32, deadline: Duration) -> Result<Attempt, Obstacle> {
        let patient = self.patience == Patience::Long;
        let stop = self.stop.clone();
        let this = Try { id: self.core.wire.request_id(), number, deadline, patient, stop };
        if ask.batch && self.core.batcher.is_on() {
            let (refused, attempt) = self.core.batcher.submit(ask.out.clone(), this).await;
            if let (Some(trace), Some(refused)) = (&self.trace, refused) {
                trace.push(refused);
            }
            attempt
        } else {
            self.core.wire.attempt(&ask.out, &this).await
        }
    }
}

/// The address of a path; `None` when URL rules would make another path of it (`%2E%2E` is taken out).
pub(super) fn graph_url(base: &Url, path: &GraphPath) -> Option<Url> {
    let url = base.join(path.as_str()).ok()?;
    let wanted = path.as_str().split('?').next()?;
    (url.path() == wanted && url.fragment().is_none()).then_some(url)
}

fn follow(pages: &mut Pages, link: &str, what: &str) -> Result<Url, ReadError> {
    pages.follow(link).map_err(|reason| malformed(what, reason))
}

fn malformed(what: &str, reason: impl ToString) -> ReadError {
    ReadError::own(ReadErrorKind::Malformed, what, reason.to_string())
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::graph_url;
    use crate::model::GraphPath;

    #[test]
    fn a_path_that_url_rules_would_shorten_is_no_address() {
        let base = Url::parse("https://graph.microsoft.com").unwrap();
        let user = |id: &str| GraphPath::v1().fixed("users").id(id).fixed("manager");
        assert!(graph_url(&base, &user("..")).is_none());
        assert!(graph_url(&base, &user(".")).is_none());
        let odd = user("a/../b?c#d'e").select("id");
        assert_eq!(
            graph_url(&base, &odd).unwrap().as_str(),
            "https://graph.microsoft.com/v1.0/users/a%2F..%2Fb%3Fc%23d%27e/manager?$select=id"
        );
    }
}
