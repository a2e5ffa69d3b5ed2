//! Exchange Online's `InvokeCommand`: one route, many cmdlets.

mod log;
mod mailbox;
mod objects;
mod people;
mod reply;
mod rules;
pub(crate) mod unified;

use serde_json::{Map, Value};

use self::log::note;
use self::reply::{Error, Row, Rows};
use crate::access::exchange_caller;
use crate::http::{Request, Response};
use crate::odata::page::encode;
use crate::odata::query::Query;
use crate::reply::{Fail, Trace};
use crate::server::{Facts, Handled, origin};
use crate::tenant::Tenant;
use crate::tenant::roles::template;
use crate::tenant::stamp::Stamp;
use crate::tenant::tokens::Caller;
use crate::tenant::world::World;

/// A cmdlet of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cmdlet {
    pub(crate) name: &'static str,
    /// The parameters it takes.
    pub(crate) parameters: &'static [&'static str],
    /// Whether the reader's role is enough.
    readable: bool,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Read(fn(&Command<'_>, &World) -> Result<Rows, Error>),
    Write(fn(&Command<'_>, &mut World) -> Result<Rows, Error>),
}

/// A call of a cmdlet.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) cmdlet: &'static Cmdlet,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Stamp,
    /// The server's id of the request.
    pub(crate) id: String,
    /// The caller's id of the request.
    pub(crate) client_id: String,
    /// How late the audit log is, in milliseconds.
    pub(crate) audit_lag: i64,
    /// Whether a large set of the audit log repeats its records.
    pub(crate) audit_duplicates: bool,
    /// Whether an unknown identity brings every object, as the documentation warns.
    pub(crate) unknown_is_all: bool,
}

/// Every cmdlet.
pub(crate) const CMDLETS: &[&[Cmdlet]] =
    &[mailbox::CMDLETS, rules::CMDLETS, objects::CMDLETS, people::CMDLETS, unified::CMDLETS];

impl Command<'_> {
    /// A parameter that was given and is not null; names ignore case.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// A parameter as text; a number as its digits.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A switch.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "$true",
            _ => false,
        }
    }
}

/// The cmdlet that a request asks for.
pub(crate) fn cmdlet_of(request: &Request) -> Option<String> {
    if !request.path.to_lowercase().starts_with("/adminapi/") {
        return None;
    }
    input_of(request).ok().map(|(name, _)| name)
}

/// The mailbox that a call is about, as the call names it.
pub(crate) fn mailbox_key(request: &Request) -> Option<String> {
    let (_, parameters) = input_of(request).ok()?;
    let named = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str())
    };
    let name = named("Mailbox").or_else(|| named("Identity"))?;
    Some(name.split(['\\', ':']).next().unwrap_or(name).to_lowercase())
}

fn input_of(request: &Request) -> Result<(String, Map<String, Value>), Error> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let input = body.get("CmdletInput");
    let name = input.and_then(|input| input.get("CmdletName")).and_then(Value::as_str);
    let parameters = input.and_then(|input| input.get("Parameters"));
    match (name, parameters) {
        (Some(name), Some(Value::Object(parameters))) => Ok((name.to_owned(), parameters.clone())),
        _ => Err(Error::argument("The CmdletInput of the request is missing or its Parameters are no object.")),
    }
}

/// Answers a request under `/adminapi/`.
pub(crate) fn handle(tenant: &Tenant, request: &Request, trace: &Trace) -> Handled {
    let mut facts = Facts::default();
    let response = invoke(tenant, request, trace, &mut facts).unwrap_or_else(|fail| fail.into_response(trace));
    Handled { response, facts }
}

fn invoke(tenant: &Tenant, request: &Request, trace: &Trace, facts: &mut Facts) -> Result<Response, Fail> {
    check_path(tenant, request)?;
    let caller = exchange_caller(tenant, request)?;
    facts.app_id = Some(caller.app_id.clone());
    let (name, parameters) = input_of(request)?;
    let found = CMDLETS.iter().flat_map(|group| group.iter()).find(|cmdlet| cmdlet.name.eq_ignore_ascii_case(&name));
    let Some(cmdlet) = found.filter(|cmdlet| may_run(&caller, cmdlet)) else {
        return Err(Fail::finished(reply::forbidden()));
    };
    let command = Command {
        cmdlet,
        parameters,
        caller: &caller,
        now: tenant.now(),
        id: trace.request_id.clone(),
        client_id: trace.client_request_id.clone(),
        audit_lag: tenant.with_settings(|settings| settings.lag.audit),
        audit_duplicates: tenant.with_settings(|settings| settings.audit_duplicates),
        unknown_is_all: tenant.with_settings(|settings| settings.unknown_identity_is_all),
    };
    command.check_parameters()?;
    let lag = tenant.with_settings(|settings| settings.lag);
    let rows = match cmdlet.run {
        Run::Read(read) => {
            let world = tenant.read();
            match world.lagging(command.now, lag.of_read(tenant.log().count()).exchange) {
                Some(past) => read(&command, &past)?,
                None => read(&command, &world)?,
            }
        }
        Run::Write(write) => {
            let mut world = tenant.write();
            world.remember(command.now, lag);
            let before = world.state.version();
            let rows = write(&command, &mut world);
            facts.mutated = world.state.version() != before;
            rows?
        }
    };
    page(tenant, request, &command, rows)
}

/// The one version that answers, and the tenant of the token.
fn check_path(tenant: &Tenant, request: &Request) -> Result<(), Fail> {
    let parts: Vec<&str> = request.path.split('/').skip(2).collect();
    let ([version, directory, action], "POST") = (parts.as_slice(), request.method.as_str()) else {
        return Err(Fail::finished(Response::empty(404)));
    };
    if !version.eq_ignore_ascii_case("beta") || !action.eq_ignore_ascii_case("InvokeCommand") {
        return Err(Fail::finished(Response::empty(405)));
    }
    let world = tenant.read();
    let organization = &world.state.organization;
    if [&organization.id, &organization.domain].iter().any(|name| name.eq_ignore_ascii_case(directory)) {
        Ok(())
    } else {
        Err(Fail::finished(Response::empty(404)))
    }
}

/// The directory role that a cmdlet needs beside the permission.
fn may_run(caller: &Caller, cmdlet: &Cmdlet) -> bool {
    let holds = |name: &str| template(name).is_some_and(|role| caller.wids.iter().any(|wid| wid == role.id));
    holds("Exchange Administrator") || holds("Global Administrator") || (cmdlet.readable && holds("Global Reader"))
}

impl Command<'_> {
    fn check_parameters(&self) -> Result<(), Error> {
        const COMMON: &[&str] = &["Confirm", "Force", "WhatIf", "ErrorAction", "WarningAction", "Verbose"];
        let known =
            |name: &str| self.cmdlet.parameters.iter().chain(COMMON).any(|known| known.eq_ignore_ascii_case(name));
        match self.parameters.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                "",
                "System.Management.Automation.ParameterBindingException",
                &format!("A parameter cannot be found that matches parameter name '{name}'."),
            )),
        }
    }
}

/// Cuts the answer into pages; the next one is asked for by POST with the same body.
fn page(tenant: &Tenant, request: &Request, command: &Command<'_>, rows: Rows) -> Result<Response, Fail> {
    let query = Query::parse(&request.query);
    let expired = tenant.with_settings(|settings| settings.exchange_pages_expire);
    let from: usize = match query.get("$skiptoken") {
        Some(_) if expired => return Err(Error::expired_page().into()),
        Some(_) => {
            crate::odata::page::Window::of(&query, crate::odata::page::PageSize { default: 1, max: 1 })?.offset()
        }
        None => 0,
    };
    let size = page_size(tenant, request);
    let limit = command.text("ResultSize").and_then(|text| text.parse::<usize>().ok()).unwrap_or(usize::MAX);
    let limit = if command.get("ResultSize").is_none() { 1000 } else { limit };
    let total = rows.rows.len();
    let take = size.min(limit);
    let mut warnings = rows.warnings;
    let more = from + take < total;
    if more && take == limit {
        warnings.push("There are more results available than are currently displayed. To view them, increase the value for the ResultSize parameter.".to_owned());
    }
    let link = more.then(|| {
        let host = origin(request);
        format!("{host}{}?{}", request.path, query.with_skip_token(&encode(&(from + take).to_string())))
    });
    let shown: Vec<Row> = rows.rows.into_iter().skip(from).take(take).collect();
    let base = origin(request);
    Ok(reply::success(&base, &command.caller.tenant_id, shown, &warnings, (link.as_deref(), query.get("$select"))))
}

fn page_size(tenant: &Tenant, request: &Request) -> usize {
    let preferred = request
        .get_header("prefer")
        .and_then(|prefer| prefer.split("odata.maxpagesize=").nth(1))
        .and_then(|rest| rest.split([',', ';']).next()?.trim().parse::<usize>().ok());
    let set = tenant.with_settings(|settings| settings.page_size);
    set.or(preferred).unwrap_or(1000).clamp(1, 1000)
}
