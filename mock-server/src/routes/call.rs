//! What a handler is told about its request.

use serde_json::{Map, Value};

use super::table::{Key, Route};
use crate::http::{Request, Response};
use crate::odata::page::{Page, PageSize, Window, encode};
use crate::odata::query::Query;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, ok};
use crate::settings::Settings;
use crate::tenant::audit::{Activity, KeyValue, Target};
use crate::tenant::stamp::Stamp;
use crate::tenant::tokens::Caller;
use crate::tenant::world::{Note, World, actor};

/// A request on its way through a handler.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) query: Query,
    pub(crate) keys: Vec<Key>,
    pub(crate) route: &'static Route,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Stamp,
    pub(crate) settings: &'a Settings,
    /// Scheme, host and version: what links begin with.
    pub(crate) root: String,
    /// The server's id of the request, the correlation id of what it changes.
    pub(crate) id: String,
}

/// A handler's rows with the key that a page can go on after.
pub(crate) type Rows = Vec<(String, Map<String, Value>)>;

impl Call<'_> {
    /// The plain key at a position. A key by another name is no key of this route.
    pub(crate) fn key(&self, at: usize) -> Result<&str, Fail> {
        match self.keys.get(at) {
            Some(Key::Plain(key)) => Ok(key),
            Some(Key::Named(name, _)) => {
                Err(Fail::bad_request(&format!("Resource not found for the segment '{name}'.")))
            }
            None => Err(Fail::bad_request("A key is missing.")),
        }
    }

    /// The body as a JSON object.
    pub(crate) fn body(&self) -> Result<Map<String, Value>, Fail> {
        match serde_json::from_slice(&self.request.body) {
            Ok(Value::Object(body)) => Ok(body),
            _ => Err(Fail::graph(
                400,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
            )),
        }
    }

    /// The address of an answer's description.
    pub(crate) fn context(&self, what: &str) -> String {
        format!("{}/$metadata#{what}", self.root)
    }

    /// Refuses a filter that only the index store answers, unless it was asked for.
    pub(crate) fn require_eventual(&self, what: Option<&str>) -> Result<(), Fail> {
        let eventual =
            self.request.get_header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        match what {
            Some(what) if !(eventual && self.query.count()) => Err(Fail::graph(
                400,
                "Request_UnsupportedQuery",
                &format!(
                    "Operator '{what}' is not supported because the required parameters might be missing. Try adding $count=true query parameter and ConsistencyLevel:eventual header. Refer to https://aka.ms/graph-docs/advanced-queries for more information"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// A single object.
    pub(crate) fn entity(&self, set: &str, shape: &Shape, row: Map<String, Value>) -> Outcome {
        let selected = self.query.get("$select").map(|list| format!("({list})")).unwrap_or_default();
        let mut body = Map::new();
        body.insert("@odata.context".to_owned(), self.context(&format!("{set}{selected}/$entity")).into());
        if selected.is_empty() && shape.defaults.is_some() {
            body.insert("@microsoft.graph.tips".to_owned(), tip(&self.request.path).into());
        }
        body.extend(shape.project(row, &self.query)?);
        Ok(ok(&Value::Object(body)))
    }

    /// The part of a collection that the request asks for, with the link to the rest.
    pub(crate) fn window(&self, sizes: PageSize) -> Result<Window, Fail> {
        let mut window = Window::of(&self.query, sizes)?;
        if let Some(size) = self.settings.page_size {
            window.size = window.size.min(size.max(1));
        }
        Ok(window)
    }

    /// A page of rows that were all collected beforehand; the token is an offset.
    pub(crate) fn collection(&self, set: &str, shape: &Shape, rows: Rows, sizes: PageSize) -> Outcome {
        let window = self.window(sizes)?;
        let (from, total) = (window.offset(), rows.len());
        let empty = self.settings.empty_first_page && window.first;
        let take = if empty { 0 } else { window.size };
        let mut page = Page { context: self.context(set), ..Page::default() };
        for (_, row) in rows.into_iter().skip(from).take(take) {
            page.rows.push(shape.project(row, &self.query)?.into());
        }
        page.count = (self.query.count() && window.first && self.is_eventual()).then_some(total);
        page.next = (from + take < total).then(|| self.next_link(&(from + take).to_string()));
        Ok(ok(&page.body()))
    }

    /// Whether the caller asked for the index store.
    pub(crate) fn is_eventual(&self) -> bool {
        self.request.get_header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// The link to the page after `key`.
    pub(crate) fn next_link(&self, key: &str) -> String {
        let host = self.root.rsplit_once('/').map_or("", |(host, _)| host);
        format!("{host}{}?{}", self.request.path, self.query.with_skip_token(&encode(key)))
    }

    /// Writes what this call did into the audit feed.
    pub(crate) fn note(&self, world: &mut World, activity: Activity, targets: Vec<Target>, reason: &str) {
        world.note(Note { reason: reason.to_owned(), ..self.blank_note(activity, targets) });
    }

    /// The same with details of the target.
    pub(crate) fn note_with(&self, world: &mut World, activity: Activity, targets: Vec<Target>, details: &[KeyValue]) {
        let mut note = self.blank_note(activity, targets);
        note.details.extend_from_slice(details);
        world.note(note);
    }

    fn blank_note(&self, activity: Activity, targets: Vec<Target>) -> Note {
        let agent = self.request.get_header("user-agent").unwrap_or_default().to_owned();
        Note {
            activity,
            initiated_by: actor(self.caller),
            targets,
            details: vec![KeyValue { key: "User-Agent".to_owned(), value: agent }],
            reason: String::new(),
            correlation_id: self.id.clone(),
            time: self.now,
        }
    }
}

fn tip(path: &str) -> String {
    format!(
        "This request only returns a subset of the resource's properties. Your app will need to use $select to return non-default properties. To find out what other properties are available for this resource see https://learn.microsoft.com/graph/api{path}"
    )
}

/// 201 with a new object.
pub(crate) fn created(context: String, row: Map<String, Value>) -> Response {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context.into());
    body.extend(row);
    crate::reply::created(&Value::Object(body))
}
