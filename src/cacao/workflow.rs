//! Stages and steps as CACAO's workflow. Built from its end: a step names the one that follows.
//!
//! Steps of one stage are the branches of a parallel step. A step that goes through a set, as all of ours do, is a loop:
//! CACAO knows no other way. Every branch and every loop has an end step of its own.

use serde_json::{Map, Value, json};

use super::{
    CacaoError, Ids, activity, object,
    parts::{Agents, FIND, Refs, STEPS, variable},
    templates::{Template, TemplateCall, reference, templates},
};
use crate::{
    action::Registry,
    model::{Meta, Service},
    playbook::{Gate, OnError, OutlineStage, OutlineStep, Pick, Playbook},
};

const LEAD: &str = "Incident lead";
const RESPONDER: &str = "Responder";

/// The workflow while it is built.
pub(super) struct Workflow<'a> {
    ids: &'a Ids,
    registry: Registry,
    refs: Refs<'a>,
    templates: std::collections::BTreeMap<String, Template>,
    agents: Agents,
    steps: Map<String, Value>,
    /// Steps whose outcome another step waits for.
    awaited: Vec<String>,
}

/// One step with what is known of its action.
struct Placed<'a> {
    step: &'a OutlineStep,
    meta: &'static Meta,
    template: Template,
}

impl Placed<'_> {
    /// A variable of the step: `methods_left`.
    fn own(&self, name: &str) -> String {
        format!("{}_{name}", self.step.id)
    }

    /// What the calls do, and what they were made of.
    fn about(&self) -> String {
        let only = self.template.only_for.as_ref().map(|kind| {
            format!(" They are for a {kind}: look up the path of another type in the reference of Microsoft Graph.")
        });
        format!(
            "{} ({}). The calls are those of the example \"{}\".{}",
            self.meta.title,
            self.meta.id,
            self.template.example,
            only.unwrap_or_default()
        )
    }

    /// The names of the variables that the calls need, as the step calls them.
    fn needed(&self) -> Vec<String> {
        self.template.variables.keys().map(|name| variable(&self.own(name))).collect()
    }
}

impl<'a> Workflow<'a> {
    pub(super) fn new(ids: &'a Ids, registry: Registry, refs: Refs<'a>) -> Self {
        Self {
            ids,
            registry,
            refs,
            templates: templates(),
            agents: Agents::default(),
            steps: Map::new(),
            awaited: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> (Map<String, Value>, Agents) {
        (self.steps, self.agents)
    }

    /// The whole workflow; returns its start.
    pub(super) fn build(&mut self, playbook: &Playbook) -> Result<String, CacaoError> {
        let outline = playbook.outline();
        self.awaited =
            outline.iter().flat_map(|stage| &stage.steps).filter_map(|step| step.when_outcome.clone()).collect();
        let mut next = self.end("whole");
        for (at, task) in playbook.handover().iter().enumerate().rev() {
            let to = self.agents.person(self.ids, &task.to, "Named in the playbook's handover");
            let commands = vec![manual(&task.task, None)];
            let step = json!({"name": format!("Hand over to {}", task.to), "agent": to, "commands": commands});
            next = self.action(&format!("handover/{at}"), step, &next);
        }
        for stage in outline.iter().rev() {
            next = self.stage(stage, next)?;
        }
        let next = self.approval(playbook, &next);
        Ok(self.put("start", "whole", json!({"name": "Start", "on_completion": next})))
    }

    fn approval(&mut self, playbook: &Playbook, next: &str) -> String {
        let lead = self.agents.person(self.ids, LEAD, "Answers for the response; approves each plan by its digest");
        let (id, version) = (playbook.id(), playbook.version());
        let command = format!(
            "Plan with `staunch plan` from playbook {id} {version}, look through every target and every call, and approve \
             that plan by its digest. Nothing is changed without it; a plan that was edited or is stale needs a new approval."
        );
        let step = json!({"name": "Approve the plan", "agent": lead, "commands": [manual(&command, Some(STEPS))]});
        self.action("approval", step, next)
    }

    /// A stage: its one step, or its steps as branches.
    fn stage(&mut self, stage: &OutlineStage, next: String) -> Result<String, CacaoError> {
        let after = match stage.gate {
            Gate::None => next,
            Gate::Verified => self.gate(stage, &next),
        };
        if let [only] = stage.steps.as_slice() {
            return self.step(only, after);
        }
        let mut branches = Vec::new();
        for step in &stage.steps {
            let end = self.end(&format!("branch/{}", step.id));
            branches.push(self.step(step, end)?);
        }
        let parallel = json!({
            "name": format!("Stage {}", stage.id), "description": stage.why.as_deref().map(one_line),
            "next_steps": branches, "on_completion": after,
        });
        Ok(self.put("parallel", &format!("stage/{}", stage.id), parallel))
    }

    fn gate(&mut self, stage: &OutlineStage, next: &str) -> String {
        let responder = self.responder();
        let command = format!("Wait until every change of stage {} was seen by a second read.", stage.id);
        let step = json!({"name": "Wait for proof", "agent": responder, "commands": [manual(&command, Some(STEPS))]});
        self.action(&format!("gate/{}", stage.id), step, next)
    }

    /// A step: on its condition, find, then for each target take, change and prove.
    fn step(&mut self, step: &OutlineStep, next: String) -> Result<String, CacaoError> {
        let unknown = || CacaoError { action: step.action.clone() };
        let meta = self.registry.get(&step.action).ok_or_else(unknown)?.meta();
        let template = self.templates.get(&step.action).cloned().ok_or_else(unknown)?;
        let placed = Placed { step, meta, template };
        let condition = match (&step.when_input, &step.when_outcome) {
            (Some(input), _) => Some(is_true(input)),
            (None, Some(awaited)) => Some(is_true(&format!("{awaited}_holds"))),
            (None, None) => None,
        };
        let Some(condition) = condition else {
            return Ok(self.found(&placed, next));
        };
        let end = self.end(&format!("when/{}", step.id));
        let found = self.found(&placed, end);
        let name = format!("If {} is wanted", step.id);
        let step_value = json!({"name": name, "condition": condition, "on_true": found, "on_completion": next});
        Ok(self.put("if-condition", &format!("when/{}", step.id), step_value))
    }

    /// Find and pick; then the loop.
    fn found(&mut self, placed: &Placed<'_>, next: String) -> String {
        let left = placed.own("left");
        self.refs.variables.add(&left, "bool", "Whether a target is left", Some("false"));
        for (name, meaning) in &placed.template.variables {
            self.refs.variables.add(&placed.own(name), "string", meaning, None);
        }
        let body = self.loop_body(placed);
        let id = &placed.step.id;
        let looped = json!({
            "name": format!("For each target of {id}"), "condition": is_true(&left), "on_true": body,
            "on_completion": next,
        });
        let looped = self.put("while-condition", &format!("each/{id}"), looped);
        let inputs = self.inputs(placed.step);
        let find = json!({
            "name": format!("{id}: find and pick"),
            "description": placed.step.why.as_deref().map(one_line),
            "agent": self.responder(), "commands": [manual(&finding(placed), Some(FIND))],
            "in_args": inputs, "out_args": [variable(&left)],
        });
        self.action(&format!("find/{id}"), find, &looped)
    }

    fn inputs(&self, step: &OutlineStep) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for input in step.each.iter().chain(step.arguments.iter().flat_map(|argument| &argument.inputs)) {
            let name = variable(input);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Preserve, change, prove; for one target.
    fn loop_body(&mut self, placed: &Placed<'_>) -> String {
        let id = placed.step.id.as_str();
        let end = self.end(&format!("each/{id}"));
        let responder = self.responder();
        let holds = self.awaited.iter().any(|awaited| awaited == id).then(|| placed.own("holds"));
        if let Some(holds) = &holds {
            self.refs.variables.add(holds, "bool", "Whether all changes of the step hold", Some("false"));
        }
        let out_args: Vec<String> = holds.iter().map(|name| variable(name)).collect();
        let seconds = placed.meta.propagation.as_secs();
        let prove = format!(
            "Read the {} again, for up to {seconds} s, until it shows the wanted state; an accepted call proves nothing. \
             If it never shows, treat it as not contained.",
            placed.meta.target_kind
        );
        let prove = json!({
            "name": format!("{id}: prove"), "agent": responder, "commands": [manual(&prove, Some(FIND))],
            "out_args": out_args,
        });
        let prove = self.action(&format!("prove/{id}"), prove, &end);
        let change = self.calls(placed, &prove);
        let mut out_args = placed.needed();
        out_args.push(variable(&placed.own("left")));
        let take = format!(
            "Take the next picked {}. Keep the exact bytes of its present state as evidence, and note that the change is about \
             to be sent, before it is. Set the variables of its ids, and {} to false with the last one.",
            placed.meta.target_kind,
            variable(&placed.own("left"))
        );
        let take = json!({
            "name": format!("{id}: take and preserve"), "agent": self.responder(),
            "commands": [manual(&take, Some(STEPS))], "out_args": out_args,
        });
        self.action(&format!("take/{id}"), take, &change)
    }

    /// The calls, a step for each run of calls to the same service.
    fn calls(&mut self, placed: &Placed<'_>, next: &str) -> String {
        let id = placed.step.id.as_str();
        let mut next = next.to_owned();
        let runs: Vec<&[TemplateCall]> = placed.template.calls.chunk_by(|a, b| a.service == b.service).collect();
        for (at, run) in runs.iter().enumerate().rev() {
            let service = run.first().map_or(Service::Graph, |call| call.service);
            let agent = self.agents.service(self.ids, service, self.refs.variables);
            let commands: Vec<Value> = run.iter().map(|call| http(placed, call)).collect();
            let value = json!({
                "name": format!("{id}: {}", placed.meta.title),
                "description": placed.about(),
                "external_references": self.refs.references.of(placed.meta),
                "agent": agent, "targets": [self.agents.tenant(self.ids)],
                "commands": commands, "in_args": placed.needed(),
            });
            let place = format!("change/{id}/{at}");
            next = match placed.step.on_error {
                OnError::Continue | OnError::NextTarget => self.action(&place, value, &next),
                OnError::Stop => self.stopping(&place, value, &next),
            };
        }
        next
    }

    /// A change after whose failure nothing else is started.
    fn stopping(&mut self, place: &str, value: Value, next: &str) -> String {
        let end = self.end(&format!("stop/{place}"));
        let lead = self.agents.person(self.ids, LEAD, "Answers for the response; approves each plan by its digest");
        let command = "The change failed: start no further change, look at the object by hand, and decide.";
        let stop = json!({"name": "Stop", "agent": lead, "commands": [manual(command, Some(STEPS))]});
        let stop = self.action(&format!("stop/{place}"), stop, &end);
        let mut value = value;
        if let Some(map) = value.as_object_mut() {
            map.insert("on_success".to_owned(), json!(next));
            map.insert("on_failure".to_owned(), json!(stop));
        }
        self.put("action", place, value)
    }

    fn responder(&mut self) -> String {
        self.agents.person(self.ids, RESPONDER, "Runs the playbook; staunch does these commands by itself")
    }

    fn action(&mut self, place: &str, mut value: Value, next: &str) -> String {
        if let Some(map) = value.as_object_mut() {
            map.insert("on_completion".to_owned(), json!(next));
        }
        self.put("action", place, value)
    }

    fn end(&mut self, place: &str) -> String {
        self.put("end", place, json!({"name": "End"}))
    }

    fn put(&mut self, kind: &str, place: &str, value: Value) -> String {
        let id = self.ids.of(kind, place);
        let mut step = Map::new();
        step.insert("type".to_owned(), json!(kind));
        step.extend(object(value));
        self.steps.insert(id.clone(), Value::Object(step));
        id
    }
}

/// A condition in STIX patterning, as CACAO 2.0 (4.8) writes it.
fn is_true(name: &str) -> String {
    format!("{} = 'true'", reference(name))
}

fn manual(command: &str, activity: Option<&str>) -> Value {
    Value::Object(object(json!({"type": "manual", "command": command, "playbook_activity": activity})))
}

fn http(placed: &Placed<'_>, call: &TemplateCall) -> Value {
    let own = |text: &str| {
        let names = placed.template.variables.keys();
        names.fold(text.to_owned(), |text, name| text.replace(&reference(name), &reference(&placed.own(name))))
    };
    let headers: Map<String, Value> =
        call.headers.iter().map(|(name, value)| (name.clone(), json!([own(value)]))).collect();
    Value::Object(object(json!({
        "type": "http-api",
        "description": placed.meta.title,
        "playbook_activity": activity(placed.meta.effect),
        "command": format!("{} {} HTTP/1.1", call.method, own(&call.path)),
        "headers": headers,
        "content": call.body.as_ref().map(|body| own(&body.to_string())),
    })))
}

/// What to look for, and who says which of it is changed.
fn finding(placed: &Placed<'_>) -> String {
    let step = placed.step;
    let arguments: Vec<String> =
        step.arguments.iter().map(|argument| format!("{} = {}", argument.name, argument.value)).collect();
    let each = step.each.as_deref().map(|each| format!("for each of {}, ", variable(each))).unwrap_or_default();
    let pick = match &step.pick {
        Pick::All => "Change all that are found.".to_owned(),
        Pick::Operator => {
            "Show each with what it was found by; a person picks those to change, none is preselected.".to_owned()
        }
        Pick::Ids(ids) => format!("Change only {}.", ids.join(", ")),
    };
    format!(
        "Find {each}every {} that {} ({}) concerns: {}. {pick} Set {} to true if there is one.",
        placed.meta.target_kind,
        placed.meta.title,
        placed.meta.id,
        arguments.join(", "),
        variable(&placed.own("left"))
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
