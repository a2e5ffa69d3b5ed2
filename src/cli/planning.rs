//! From a playbook file to a plan: parse, bind, discover, ask, build.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::{Overriding, Planning},
        connect::Connected,
        exit::{Exit, Failure, OrFail as _},
        progress, prompt,
        runs::CutOff,
    },
    engine::check_recipient,
    model::{Identity, IdentityKind, Meta},
    plan::{
        Candidate, Discovery, Guard, Overrides, PickError, Picks, PlanFile, PlaybookRef, Question, Recipe, Selection,
    },
    playbook::{self, Bound, InputDecl, InputError, Playbook},
};

/// A playbook with its inputs filled in.
pub(crate) struct Prepared {
    pub(crate) bound: Bound,
    pub(crate) source: PlaybookRef,
    pub(crate) recipients: Vec<String>,
    pub(crate) overrides: Overrides,
}

/// A plan is written to a new file, and it is known before the tenant is read whether it can be.
pub(crate) fn new_file(path: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let name = path.display();
    if path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{name} is there already, and no plan is written over anything")));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{name} cannot be written: there is no folder {}", folder.display())));
    }
    Ok(())
}

/// Reads, binds and plans what the arguments say. Changes nothing.
pub(crate) async fn make(context: &Context, args: &Planning, connected: &Connected) -> Result<PlanFile, Failure> {
    let (playbook, text) = read(context, &args.playbook)?;
    let overrides = overrides(&args.overriding)?;
    may_do_something(connected.session.identity(), &overrides, &args.playbook)?;
    let bound = bind(context, &playbook, &args.inputs)?;
    for key in &args.recipients {
        check_recipient(key).or_fail(Exit::Usage)?;
    }
    let prepared = Prepared { recipients: args.recipients.clone(), overrides, ..Prepared::new(bound, text) };
    prepared.plan(context, connected, |discovery| picks(context, discovery, &args.picks)).await
}

/// A token is issued to an application that nobody gave a permission, too.
///
/// Where a directory role is to do instead, which few do, the preflight has to be overridden.
///
/// Source: Entra, "OAuth 2.0 client credentials flow": such a token has no `roles`.
fn may_do_something(us: &Identity, overrides: &Overrides, playbook: &Path) -> Result<(), Failure> {
    let tried = overrides.guards().any(|guard| guard == Guard::Preflight);
    if us.kind == IdentityKind::User || !us.permissions.is_empty() || tried {
        return Ok(());
    }
    let message = format!(
        "signed in, but application {} holds no permission of Microsoft Graph in tenant {}: the consent of an \
         administrator is missing",
        us.app_id, us.tenant_id
    );
    let hint = format!(
        "`staunch permissions {}` lists what is needed; --override preflight tries it as it is",
        playbook.display()
    );
    Err(Failure::new(Exit::CouldNotRun, message).hint(hint))
}

impl Prepared {
    pub(crate) fn new(bound: Bound, text: String) -> Self {
        let (id, version, sha256) = (bound.id.clone(), bound.version.clone(), bound.sha256.clone());
        let source = PlaybookRef { id, version, sha256, text };
        Self { bound, source, recipients: Vec::new(), overrides: Overrides::default() }
    }

    /// Reads what the steps find, lets somebody choose, and builds the plan.
    pub(crate) async fn plan(
        self,
        context: &Context,
        connected: &Connected,
        choose: impl FnOnce(&Discovery) -> Result<Picks, Failure>,
    ) -> Result<PlanFile, Failure> {
        let (reader, trace) = connected.session.reader().traced();
        let wait = progress::wait("reading the tenant");
        let discovery = Discovery::run(&self.bound, REGISTRY, &reader).await;
        drop(wait);
        let picks = choose(&discovery)?;
        let recipe = Recipe {
            playbook: self.source,
            cloud: connected.cloud,
            now: context.clock.now(),
            protected: connected.protected.clone(),
            overrides: self.overrides.clone(),
            recipients: [connected.recipients.clone(), self.recipients].concat(),
        };
        let wait = progress::wait("reading what was picked");
        let mut plan =
            discovery.plan(&self.bound, &picks, recipe, REGISTRY, &reader).await.or_fail(Exit::CouldNotRun)?;
        drop(wait);
        CutOff::guard(&context.global.case, &self.overrides, &mut plan);
        for guard in self.overrides.guards().filter(|guard| !plan.overrides.iter().any(|it| it.guard == guard.name())) {
            context.out.say(&format!("nothing in this plan needs the override of guard {}", guard.name()));
        }
        PlanFile::freeze_with(plan, &trace.take()).or_fail(Exit::CouldNotRun)
    }
}

/// What the actions of a playbook say about themselves.
pub(crate) fn metas(playbook: &Playbook) -> Vec<&'static Meta> {
    playbook.actions().into_iter().filter_map(|id| REGISTRY.get(id)).map(|action| action.meta()).collect()
}

/// The guards that are overridden; `--allow-irreversible` is the short form for one of them.
pub(crate) fn overrides(args: &Overriding) -> Result<Overrides, Failure> {
    if args.guards.len() != args.reasons.len() {
        let (guards, reasons) = (args.guards.len(), args.reasons.len());
        return Err(Failure::usage(format!("{guards} --override and {reasons} --reason: each needs the other")));
    }
    let mut overrides = Overrides::default();
    if args.allow_irreversible {
        overrides = overrides.with(Guard::Irreversible, "--allow-irreversible");
    }
    for (name, reason) in args.guards.iter().zip(&args.reasons) {
        let guard = Guard::named(name).ok_or_else(|| Failure::usage(format!("there is no guard {name}")))?;
        if reason.trim().is_empty() {
            return Err(Failure::usage(format!("the reason to override guard {name} is empty")));
        }
        overrides = overrides.with(guard, reason.trim());
    }
    Ok(overrides)
}

/// Reads a playbook; its errors are printed, all of them.
pub(crate) fn read(context: &Context, path: &Path) -> Result<(Playbook, String), Failure> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the playbook {name}: {error}")))?;
    let colors = context.out.colors_on_stderr();
    match playbook::parse(&name, &text, &REGISTRY) {
        Ok((playbook, lints)) => {
            for lint in lints {
                context.out.say(&lint.render(colors));
            }
            Ok((playbook, text))
        }
        Err(errors) => {
            for error in &errors {
                context.out.say(&error.render(colors));
            }
            Err(Failure::usage(format!("{name}: {} errors", errors.len())))
        }
    }
}

fn bind(context: &Context, playbook: &Playbook, given: &[String]) -> Result<Bound, Failure> {
    let mut values = given_inputs(playbook, given)?;
    for decl in playbook.inputs() {
        if decl.is_required() && !values.contains_key(&decl.name) && context.out.can_ask() {
            values.insert(decl.name.clone(), prompt::input(decl)?);
        }
    }
    not_in_the_future(context, playbook, &values)?;
    playbook.bind(&values).map_err(|errors| {
        let missing = errors.iter().find_map(|error| match error {
            InputError::Missing { name, .. } => Some(format!("say --input {name}=VALUE")),
            _ => None,
        });
        let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let failure = Failure::usage(message);
        match missing {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// A time of an incident that is yet to come finds nothing, and nothing found looks like a contained account.
fn not_in_the_future(context: &Context, playbook: &Playbook, values: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let latest = context.clock.now().saturating_add(SignedDuration::from_mins(5)).unwrap_or(Timestamp::MAX);
    let times = playbook.inputs().iter().filter(|decl| decl.kind.name() == "timestamp");
    for decl in times {
        let time = values.get(&decl.name).and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        if let Some(time) = time.filter(|time| *time > latest) {
            return Err(Failure::usage(format!("the input {} is {time}, which is yet to come", decl.name)));
        }
    }
    Ok(())
}

fn given_inputs(playbook: &Playbook, given: &[String]) -> Result<BTreeMap<String, Value>, Failure> {
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    for pair in given {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("an input is written KEY=VALUE, not {pair}")));
        };
        let value = match playbook.inputs().iter().find(|decl| decl.name == name) {
            Some(decl) => parse(decl, text)?,
            // An unknown name is reported by `bind`, together with all that is wrong.
            None => Value::from(text),
        };
        match (values.get_mut(name), value) {
            (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
            (_, value) => {
                values.insert(name.to_owned(), value);
            }
        }
    }
    Ok(values)
}

/// A value from the command line, or from a file after `@`: one value a line, `#` begins a comment, a header line
/// that is the input's own name is passed over.
fn parse(decl: &InputDecl, text: &str) -> Result<Value, Failure> {
    let from_file;
    let text = match text.strip_prefix('@') {
        None => text,
        Some(path) => {
            let read = fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("failed to read {path} for input {}: {error}", decl.name)))?;
            let lines = read.trim_start_matches('\u{feff}').lines().map(str::trim);
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            from_file = lines.filter(|line| *line != decl.name).collect::<Vec<_>>().join("\n");
            &from_file
        }
    };
    playbook::parse_input(decl, text).map_err(|error| Failure::usage(error.to_string()))
}

fn picks(context: &Context, discovery: &Discovery, given: &[String]) -> Result<Picks, Failure> {
    let mut picks = given.iter().map(|text| parse_pick(text)).collect::<Result<Picks, _>>()?;
    if context.out.can_ask() {
        for question in discovery.questions() {
            let chosen = || prompt::pick(&question).map(Selection::Ids);
            if let Entry::Vacant(open) = picks.entry(question.step.clone()) {
                open.insert(chosen()?);
            }
        }
    }
    discovery.check(&picks).map_err(|errors| {
        let unanswered = |step: &String| {
            errors.iter().any(|error| matches!(error, PickError::Unanswered { step: s, .. } if s == step))
        };
        for question in discovery.questions().iter().filter(|question| unanswered(&question.step)) {
            context.out.say(&candidates(question));
        }
        Failure::usage(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(picks)
}

fn parse_pick(text: &str) -> Result<(String, Selection), Failure> {
    let Some((step, what)) = text.split_once('=') else {
        return Err(Failure::usage(format!("a pick is written STEP=all, STEP=none or STEP=ID,ID, not {text}")));
    };
    let selection = match what {
        "all" => Selection::All,
        "none" => Selection::Ids(Default::default()),
        ids => Selection::Ids(ids.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect()),
    };
    Ok((step.to_owned(), selection))
}

/// What a step found, for a person who will write `--pick`.
fn candidates(question: &Question) -> String {
    let mut out = format!("step {} ({}) found:", question.step, question.action);
    for candidate in &question.candidates {
        out.push_str(&format!("\n  {}", candidate_line(candidate)));
    }
    out
}

/// One line about something that can be picked: id first, then what it calls itself, escaped.
pub(crate) fn candidate_line(candidate: &Candidate) -> String {
    let Candidate { target, note, certain, .. } = candidate;
    let id = crate::model::Untrusted::from(target.id.as_str()).line();
    let uncertain = if *certain { "" } else { "  (uncertain: not taken by `all`)" };
    let of = target.of.as_ref().map(|of| format!(" of {}", of.term())).unwrap_or_default();
    format!("{}  {}{of}  {}{uncertain}", id, target.name.term(), note.line())
}
