//! Every fault of the mock tenant on every registered action: it ends in the right outcome, nothing is lost, doubled or
//! sent to a stranger, and the record is sound. What is right stands in `table.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    time::Duration,
};

use mock_server::{
    LoggedRequest,
    faults::{Effect, Fault, Match, Times},
};
use serde_json::Value;
use staunch::{
    action::DynAction,
    actions::REGISTRY,
    journal,
    model::{Call, Change, Item, OnRejection, Outcome, ReadCmdlet, Write as Request},
    plan::PlanFile,
};

use super::{
    all_done, assert_sound,
    common::{Ran, World, one_step},
    example, plan,
    table::{Kind, Read, Row, Write, rows},
};

/// A server that nobody has any business with.
pub(crate) struct Stranger {
    listener: TcpListener,
    pub(crate) url: String,
}

impl Stranger {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        Self { listener, url }
    }

    pub(crate) fn assert_alone(&self) {
        assert!(self.listener.accept().is_err(), "something went to a foreign host");
    }
}

/// What a run of an action's example is without a fault.
pub(crate) struct Calm {
    pub(crate) action: &'static dyn DynAction,
    pub(crate) file: PlanFile,
    /// What it changes, times left out.
    pub(crate) end: Value,
    /// Requests that changed something.
    pub(crate) mutations: usize,
    /// Reads of the run up to the first write, and all of them.
    reads: [Reads; 2],
}

/// Number of reads by what they match.
type Reads = BTreeMap<&'static str, u64>;

/// What a rule must match on to meet every read: GETs, in a `$batch` or not, and each reading cmdlet.
fn reading() -> Vec<(&'static str, Match)> {
    let get = ("GET", Match { method: Some("GET".into()), ..Match::default() });
    let all = [ReadCmdlet::GetMailbox, ReadCmdlet::GetInboxRule, ReadCmdlet::GetRecipient];
    let cmdlets = all.map(|cmdlet| (cmdlet.name(), Match::cmdlet(cmdlet.name())));
    [get].into_iter().chain(cmdlets).collect()
}

fn count<'r>(requests: impl Iterator<Item = &'r LoggedRequest>) -> Reads {
    let mut reads = Reads::new();
    for request in requests {
        let names = reading();
        let name = names.iter().map(|(name, _)| *name).find(|name| match &request.cmdlet {
            Some(cmdlet) => cmdlet == name,
            None => request.method == *name,
        });
        if let Some(name) = name {
            *reads.entry(name).or_default() += 1;
        }
    }
    reads
}

pub(crate) async fn calm(action: &'static dyn DynAction) -> Calm {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, action).await;
    world.tenant.clear_requests();
    let ran = world.run(file.clone()).await;
    assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
    let requests = world.tenant.requests();
    let before = requests.iter().take_while(|request| !request.mutated);
    let reads = [count(before), count(requests.iter())];
    Calm { action, file, end: changed(&world), mutations: super::mutations(&world), reads }
}

/// What differs from the tenant's start. The times of revocations and passwords differ from run to run.
pub(crate) fn changed(world: &World) -> Value {
    let mut differences = world.tenant.diff_from_seed();
    for difference in &mut differences {
        if difference.path.ends_with("DateTime") {
            difference.after = Value::Null;
        }
    }
    serde_json::to_value(differences).unwrap()
}

/// Where a fault strikes: the requests that carry this call.
pub(crate) fn requests_of(call: &Call) -> Match {
    match &call.write {
        Request::Graph { verb, path, .. } => {
            let path = path.as_str().split('?').next().unwrap_or_default().replace("%5C", "\\");
            let method = serde_json::to_value(verb).unwrap();
            Match::method_path(method.as_str().unwrap(), &path)
        }
        Request::Cmdlet { name, .. } => Match::cmdlet(name.name()),
    }
}

/// Whether it asks for a fresh token.
fn is_challenge(effect: &Effect) -> bool {
    matches!(effect, Effect::Unauthorized { challenge: true } | Effect::ForbiddenChallenge)
}

pub(crate) fn strike_writes(world: &World, file: &PlanFile, effect: &Effect, always: bool) {
    let mut struck = BTreeSet::new();
    for call in file.plan().changes().flat_map(|change| &change.calls) {
        let on = requests_of(call);
        let again = !struck.insert(format!("{on:?}"));
        // Two calls may look the same to a rule, and a second challenge for the same request is a refusal.
        let enough = again && (always || is_challenge(effect));
        if !enough {
            let times = if always { Times::Always } else { Times::Some { skip: 0, count: 1 } };
            world.tenant.faults().add(Fault { on, times, effect: effect.clone() });
        }
    }
}

/// The record is sound: closed, or open where something was left.
pub(crate) fn assert_recorded(ran: &Ran) {
    if ran.summary.is_closed() {
        return assert_sound(&ran.dir);
    }
    assert_eq!(journal::verify(&ran.dir).verdict, journal::Verdict::Open, "{:?}", ran.summary);
}

/// The outcomes that are right for the changes of a plan.
pub(crate) fn right(wanted: impl Fn(&Change) -> Write, file: &PlanFile, ran: &Ran) -> bool {
    let last = |call: &Call| call.on_rejection == OnRejection::LastOfLane;
    file.plan().changes().all(|change| {
        let wanted = wanted(change);
        let Some(outcome) = ran.summary.outcomes.get(&change.id).copied() else {
            return wanted == Write::Left && ran.summary.left.contains_key(&change.id);
        };
        match wanted {
            Write::Left => false,
            Write::Done => outcome == Outcome::Done,
            Write::Failed => outcome == Outcome::Failed,
            Write::Unknown => outcome == Outcome::Unknown,
            Write::Unverified => outcome == Outcome::Unverified,
            Write::LastOfLane if change.calls.iter().any(last) => outcome == Outcome::Done,
            Write::LastOfLane => outcome == Outcome::Failed,
            Write::PutBack => matches!(outcome, Outcome::Done | Outcome::Unverified),
        }
    })
}

/// Runs the plan while its writes meet the fault, and looks at all that must hold whatever comes.
async fn writes_meet(calm: &Calm, row: &Row, always: bool) {
    let wanted = if always { row.write.1 } else { row.write.0 };
    let what = format!("{}, {:?}, always: {always}, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    strike_writes(&world, &calm.file, &row.effect, always);
    let ran = world.run(calm.file.clone()).await;
    world.tenant.faults().clear();
    assert!(right(|_| wanted, &calm.file, &ran), "{what}: not {wanted:?} but {:?}", ran.summary.outcomes);
    assert_recorded(&ran);
    let (mutations, end) = (super::mutations(&world), changed(&world));
    match wanted {
        Write::Done => {
            assert_eq!(mutations, calm.mutations, "{what}: a second effect");
            assert_eq!(end, calm.end, "{what}: a lost change");
        }
        Write::Failed | Write::Left | Write::Unknown => {
            assert_eq!((mutations, end), (0, Value::Array(vec![])), "{what}: an effect that nobody tells of");
        }
        Write::Unverified => assert_eq!(end, Value::Array(vec![]), "{what}"),
        Write::LastOfLane => {
            assert_eq!(mutations == 0, end == Value::Array(vec![]), "{what}: {:?}", ran.summary.outcomes)
        }
        Write::PutBack => truthful(&world, calm, &ran, &what).await,
    }
}

/// Whatever is called done is not found again by a new plan.
async fn truthful(world: &World, calm: &Calm, ran: &Ran, what: &str) {
    if calm.action.meta().always {
        return;
    }
    let again = world.plan(&one_step(calm.action.meta().id, &example(calm.action))).await;
    let left: BTreeSet<&str> = again.plan().changes().map(|change| change.target.id.as_str()).collect();
    for change in calm.file.plan().changes() {
        let there = left.contains(change.target.id.as_str());
        let outcome = ran.summary.outcomes[&change.id];
        assert!(!(outcome.holds() && there), "{what}: {} is called {outcome:?}", change.id);
    }
}

/// Lets the fault strike reads: of each kind so many, after the first `skip`.
fn strike_reads(world: &World, skip: &Reads, count: u64, effect: &Effect) {
    for (name, on) in reading() {
        // A second challenge to the same service is a refusal: of its cmdlets only one is met.
        if count == 1 && is_challenge(effect) && !["GET", "Get-InboxRule"].contains(&name) {
            continue;
        }
        let skip = skip.get(name).copied().unwrap_or_default();
        world.tenant.faults().add(Fault::nth(on, skip, count, effect.clone()));
    }
}

/// The changes of a plan, times and caveats left out.
pub(crate) fn planned(file: &PlanFile) -> Vec<(String, Value)> {
    let of = |change: &Change| (change.target.id.clone(), serde_json::to_value(&change.calls).unwrap());
    file.plan().changes().map(of).collect()
}

/// Whether a plan tells that something could not be read.
pub(crate) fn tells(file: &PlanFile) -> bool {
    let problem = file.plan().items().any(|(_, item)| matches!(item, Item::Problem { .. }));
    problem || !file.plan().caveats.is_empty()
}

/// Struck once: the first read of the plan, the first of the run, and the last, which is the second look at a change.
async fn reads_meet_once(calm: &Calm, row: &Row) {
    let what = format!("{}, {:?} once, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    strike_reads(&world, &Reads::new(), 1, &row.effect);
    let file = world.plan(&one_step(calm.action.meta().id, &example(calm.action))).await;
    let whole = planned(&file) == planned(&calm.file);
    match row.read {
        Read::AskedAgain | Read::Whole => assert!(whole && !tells(&file), "{what}: {:#?}", file.plan()),
        Read::Error | Read::Links => assert!(whole || tells(&file), "{what}: silently less is planned"),
    }
    world.tenant.faults().clear();
    strike_reads(&world, &Reads::new(), 1, &row.effect);
    let last = calm.reads[1].iter().map(|(name, count)| (*name, count.saturating_sub(1))).collect();
    if !is_challenge(&row.effect) {
        strike_reads(&world, &last, 1, &row.effect);
    }
    let ran = world.run(calm.file.clone()).await;
    let outcomes = ran.outcomes();
    match row.read {
        Read::AskedAgain | Read::Whole => {
            assert!(all_done(&outcomes), "{what}: {outcomes:?}");
            assert_eq!(changed(&world), calm.end, "{what}: a lost change");
            assert_eq!(super::mutations(&world), calm.mutations, "{what}: a second effect");
        }
        Read::Error | Read::Links => {
            let fits = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Failed);
            assert!(outcomes.iter().all(fits), "{what}: {outcomes:?}");
            let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
            assert_eq!(super::mutations(&world) == 0, done == 0, "{what}: {outcomes:?}");
        }
    }
}

/// Struck for ever: nothing is planned, and nothing is sent.
async fn reads_meet_always(calm: &Calm, row: &Row) {
    let what = format!("{}, {:?} for ever, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    strike_reads(&world, &Reads::new(), u64::MAX, &row.effect);
    let file = world.plan(&one_step(calm.action.meta().id, &example(calm.action))).await;
    let whole = planned(&file) == planned(&calm.file);
    match row.read {
        Read::AskedAgain | Read::Error => assert!(file.plan().changes().count() == 0 && tells(&file), "{what}"),
        Read::Links => assert!(whole || tells(&file), "{what}: silently less is planned"),
        Read::Whole => assert!(whole && !tells(&file), "{what}: {:#?}", file.plan()),
    }
    if matches!(row.read, Read::AskedAgain | Read::Error) {
        let ran = world.run(calm.file.clone()).await;
        assert!(ran.outcomes().iter().all(|outcome| *outcome == Outcome::Failed), "{what}: {:?}", ran.summary);
        assert_eq!((super::mutations(&world), changed(&world)), (0, Value::Array(vec![])), "{what}: sent unseen");
    }
}

/// Struck for ever once the first change was sent.
async fn second_reads_meet_always(calm: &Calm, row: &Row) {
    let what = format!("{}, {:?} after the change, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    strike_reads(&world, &calm.reads[0], u64::MAX, &row.effect);
    let ran = world.run(calm.file.clone()).await;
    assert_recorded(&ran);
    let outcomes = ran.outcomes();
    let of = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    match row.read {
        Read::Whole => assert!(all_done(&outcomes), "{what}: {outcomes:?}"),
        Read::AskedAgain | Read::Error => {
            assert_eq!(of(Outcome::Unverified) + of(Outcome::Failed), outcomes.len(), "{what}: {outcomes:?}");
            assert_eq!(of(Outcome::Unverified), super::mutations(&world), "{what}: {outcomes:?}");
            assert!(of(Outcome::Unverified) > 0, "{what}: {outcomes:?}");
        }
        Read::Links => assert_eq!(of(Outcome::Unknown), 0, "{what}: {outcomes:?}"),
    }
}

#[test]
fn every_effect_of_the_tenant_has_a_row() {
    let known: BTreeSet<Kind> = rows("http://x.example/").iter().map(|row| Kind::of(&row.effect)).collect();
    let missing: Vec<&Kind> = Kind::ALL.iter().filter(|kind| !known.contains(kind)).collect();
    assert!(missing.is_empty(), "no row in the table for {missing:?}");
}

#[tokio::test]
async fn a_fault_that_passes_costs_no_write_its_effect_and_none_a_second_one() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in rows(&stranger.url) {
            writes_meet(&calm, &row, false).await;
        }
    }
    stranger.assert_alone();
}

/// What differs to a reader: whether the request took effect does not.
pub(crate) fn answers(foreign: &str) -> Vec<Row> {
    let same = [Kind::ServerErrorAfter, Kind::DropAfter, Kind::AnswerAfter];
    let is_answer = |row: &Row| Kind::of(&row.effect) == Kind::AnswerBefore;
    let (answers, others): (Vec<_>, Vec<_>) = rows(foreign).into_iter().partition(is_answer);
    let mut seen = BTreeSet::from(same);
    answers.into_iter().chain(others.into_iter().filter(|row| seen.insert(Kind::of(&row.effect)))).collect()
}

/// The rows, one for each kind of effect and what it comes to.
fn one_of_each(foreign: &str) -> Vec<Row> {
    let mut seen = BTreeSet::new();
    rows(foreign).into_iter().filter(|row| seen.insert((Kind::of(&row.effect), row.write))).collect()
}

#[tokio::test]
async fn a_fault_that_stays_ends_every_write_in_its_right_outcome() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        // Where the first strike is the last, nothing is sent again that could be struck.
        for row in one_of_each(&stranger.url).iter().filter(|row| row.write.0 != row.write.1) {
            writes_meet(&calm, row, true).await;
        }
    }
    stranger.assert_alone();
}

#[tokio::test]
async fn a_fault_that_passes_costs_no_read_its_answer() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in answers(&stranger.url) {
            reads_meet_once(&calm, &row).await;
        }
    }
    stranger.assert_alone();
}

#[tokio::test]
async fn what_cannot_be_read_is_neither_planned_nor_changed() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in answers(&stranger.url) {
            reads_meet_always(&calm, &row).await;
        }
    }
    stranger.assert_alone();
}

#[tokio::test]
async fn what_is_not_seen_again_is_not_called_done() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in answers(&stranger.url) {
            second_reads_meet_always(&calm, &row).await;
        }
    }
    stranger.assert_alone();
}

/// How long an attempt may take here, and how much later than that the answer comes.
const ATTEMPT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_answer_after_our_time_out_is_lost_and_its_effect_is_read_back() {
    let late = Effect::Delay(60_000);
    let each = REGISTRY.iter().map(|action| async {
        let calm = calm(action).await;
        let mut world = World::aitm_on_one_clock().await;
        world.attempt_timeout = Some(ATTEMPT);
        strike_writes(&world, &calm.file, &late, true);
        let ran = world.run(calm.file.clone()).await;
        assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
        assert_eq!(changed(&world), calm.end, "{}: a lost change", action.meta().id);
        assert_eq!(super::mutations(&world), calm.mutations, "{}: a second effect", action.meta().id);
    });
    futures_util::future::join_all(each).await;
}
