//! A plan where it is applied: the guards read the tenant again, as who applies it and with that profile. Who made the
//! plan may be somebody else, and since then another plan may have locked out an administrator.

use crate::{
    action::Registry,
    client::Reader,
    model::{Caveat, Change, Exchange, Item, Meta, Preflight, Refusal},
    plan::{
        Accept, Mode, Overrides, Plan, PlanFile, PlanRefused, Protected,
        guards::{Facts, Guard, Guards, Subject, Totals},
        preflight::{Judge, Tokens},
        show::object,
    },
};

/// Who applies a plan: the session that reads for its guards, and what its profile says about them.
#[derive(Clone, Copy)]
pub struct Applier<'a> {
    /// Reads, as the identity that will send.
    pub reader: &'a Reader,
    /// What the profile says about guards.
    pub protected: &'a Protected,
    /// The actions.
    pub registry: Registry,
}

/// A plan that no guard refuses here and now. Only such a one can be approved.
#[derive(Debug)]
pub struct Cleared {
    pub(super) file: PlanFile,
    pub(super) view: View,
}

/// What the guards and the preflight say of changes.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Why they must not be made; each names its object or its action.
    pub(crate) refusals: Vec<Refusal>,
    /// What the guards could not see.
    pub(crate) unseen: Vec<Caveat>,
    /// What was read for it.
    pub(crate) reads: Vec<Exchange>,
    /// What is expected otherwise than the plan says, in words.
    doubts: Vec<String>,
}

impl PlanFile {
    /// Checks that the plan may be run here and now, and that no guard refuses it. Only reads, and nothing for a plan that
    /// is refused already.
    ///
    /// # Errors
    /// As [`PlanFile::check`], and when a guard refuses.
    pub async fn clear(self, against: &Accept<'_>, by: Applier<'_>) -> Result<Cleared, PlanRefused> {
        self.check(against)?;
        let changes: Vec<&Change> = self.plan().changes().collect();
        let view = by.view(self.plan(), &changes).await;
        if view.refusals.is_empty() {
            Ok(Cleared { file: self, view })
        } else {
            Err(PlanRefused::Blocked(view.refusals))
        }
    }
}

impl Cleared {
    /// The plan file.
    pub fn file(&self) -> &PlanFile {
        &self.file
    }

    /// What to know before it is approved that its plan does not say, in words.
    pub fn news(&self) -> Vec<String> {
        let told = &self.file.plan().caveats;
        let unseen = self.view.unseen.iter().filter(|caveat| !told.contains(caveat));
        let unseen = unseen.map(|caveat| format!("BLIND: {}", caveat.text));
        unseen.chain(self.view.doubts.iter().cloned()).collect()
    }
}

impl Applier<'_> {
    /// What is to be said of some changes of a plan. What the plan overrides, for the objects that it names, stays
    /// overridden.
    pub(crate) async fn view(self, plan: &Plan, changes: &[&Change]) -> View {
        let Self { reader, protected, registry } = self;
        let (reader, trace) = &reader.traced();
        let known: Vec<(&Change, &'static Meta)> =
            changes.iter().filter_map(|change| Some((*change, registry.get(&change.action)?.meta()))).collect();
        let subjects: Vec<Subject<'_>> =
            known.iter().map(|(change, meta)| Subject { target: &change.target, meta }).collect();
        let metas: Vec<&Meta> = known.iter().map(|(_, meta)| *meta).collect();
        let facts = Facts::read(reader, protected, &subjects);
        let (facts, tokens) = futures_util::join!(facts, Tokens::read(reader, &metas));
        let overrides = Overrides::of(plan);
        let guards = Guards::new(reader.identity(), protected, &overrides, facts, &subjects);
        // What cannot be done at all is refused here, so the judge has to refuse nothing.
        let judge = Judge::new(tokens, plan.cloud, registry, true);
        let mut view = View { unseen: guards.facts().unseen(), ..View::default() };
        let totals = Totals::of(changes.iter().copied(), |_| false);
        let whole = match plan.mode {
            Mode::Apply => guards.refuse_all(&totals),
            Mode::Undo { .. } => guards.refuse_return_of(&totals),
        };
        view.refuse(guards.sort(whole, None).0);
        for (change, meta) in known {
            view.take(plan, change, meta, &guards, &judge);
        }
        view.reads = trace.take();
        view
    }
}

impl View {
    fn take(&mut self, plan: &Plan, change: &Change, meta: &'static Meta, guards: &Guards<'_>, judge: &Judge) {
        let shown = object(&change.target);
        let (refusals, roles) = match plan.mode {
            Mode::Apply => (guards.refusals(&change.target, meta.sensitive), Some(&guards.facts().roles)),
            Mode::Undo { .. } => (guards.refuse_return(&change.target, meta), None),
        };
        let of = |what: &str, refusal: Refusal| Refusal { reason: format!("{what}: {}", refusal.reason), ..refusal };
        let standing = guards.sort(refusals, Some(&shown)).0;
        self.refuse(standing.into_iter().map(|refusal| of(&shown, refusal)));
        let cannot = judge.cannot(meta).map(|reason| Guard::Preflight.refuses(reason));
        let cannot = guards.sort(cannot.into_iter().collect(), Some(&shown)).0;
        self.refuse(cannot.into_iter().map(|refusal| of(meta.id, refusal)));
        if let Item::Change(judged) = judge.judged(Item::Change(Box::new(change.clone())), meta, roles)
            && judged.preflight != change.preflight
        {
            self.doubts.push(match &judged.preflight {
                Preflight::Can => format!("{}: unlike whoever planned it, we can", change.id),
                Preflight::Cannot { reason } => format!("{}: CANNOT, as it seems: {reason}", change.id),
                Preflight::WillNotLast { reason } => format!("{}: WILL NOT LAST: {reason}", change.id),
            });
        }
    }

    /// Several changes of one object are refused once.
    fn refuse(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        for refusal in refusals {
            if !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
    }
}
