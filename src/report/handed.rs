//! Which sealed secret is in force: a run that dies seals a new one when it is taken up, and only what stood before a
//! call that took effect, or may have, opens anything.

use crate::{
    journal::{Found, Record, Said, SentOutcome},
    model::Untrusted,
    report::Sealed,
};

/// The sealed secrets of one change, line by line.
#[derive(Default)]
pub(super) struct Handed {
    /// What was sealed last, and whether more may belong to it: secrets of one change are sealed one right after the other.
    newest: Vec<Sealed>,
    is_growing: bool,
    /// The newest call that sets a secret, and what it sets.
    call: Option<u32>,
    tried: Vec<Sealed>,
    /// What was in force before that, and what is now.
    before: Vec<Sealed>,
    now: Vec<Sealed>,
}

impl Handed {
    /// What is in force.
    pub(super) fn now(&self) -> &[Sealed] {
        &self.now
    }

    /// The next line of the change.
    pub(super) fn take(&mut self, seq: u64, record: &Record) {
        let was_growing = std::mem::replace(&mut self.is_growing, false);
        match record {
            Record::Sealed { file, recipients, owner, .. } => {
                if !was_growing {
                    self.newest.clear();
                }
                self.is_growing = true;
                let (owner, file, recipients) = (Untrusted::from(owner.as_str()), file.clone(), recipients.clone());
                self.newest.push(Sealed { seq, owner, file, recipients });
            }
            Record::Intent { call, request, .. } if !request.secrets.is_empty() => {
                self.call = Some(*call);
                if self.tried != self.newest {
                    self.tried.clone_from(&self.newest);
                    self.before.clone_from(&self.now);
                }
                self.took_effect(true);
            }
            Record::Sent { call, outcome, .. } if self.call == Some(*call) => {
                self.took_effect(matches!(outcome, SentOutcome::Accepted | SentOutcome::Unknown));
            }
            Record::Reconciled { call, found, .. } if self.call == Some(*call) => {
                self.took_effect(*found != Found::NotApplied);
            }
            Record::Decided { said, .. } => self.took_effect(*said != Said::NotApplied),
            _ => {}
        }
    }

    fn took_effect(&mut self, it_did: bool) {
        self.now.clone_from(if it_did { &self.tried } else { &self.before });
    }
}

#[cfg(test)]
mod tests {
    use super::Handed;
    use crate::journal::{
        Approval, Found, Record, Said, SentOutcome,
        testing::{observed, secret_intent, sent},
    };

    fn sealed(file: &str) -> Record {
        let (change, file, owner) = ("c1".into(), file.into(), "johanna@contoso.example".into());
        Record::Sealed { change, file, sha256: "0".repeat(64), recipients: vec!["age1x".into()], owner }
    }

    fn reconciled(found: Found) -> Record {
        let (change, client_request_id, reason) = ("c1".into(), "i1".into(), "read".into());
        Record::Reconciled { change, call: 0, client_request_id, found, reason }
    }

    fn decided(said: Said) -> Record {
        Record::Decided { change: "c1".into(), said, by: "ilse".into(), how: Approval::Flag }
    }

    /// The files in force after these lines.
    fn in_force(records: &[Record]) -> Vec<String> {
        let mut handed = Handed::default();
        records.iter().zip(0..).for_each(|(record, seq)| handed.take(seq, record));
        handed.now().iter().map(|sealed| sealed.file.clone()).collect()
    }

    #[test]
    fn what_was_sealed_and_never_sent_is_not_handed_over() {
        let (one, two) = (sealed("one"), sealed("two"));
        let before = || observed("c1", serde_json::json!({}));
        let none: [&str; 0] = [];
        assert_eq!(in_force(&[before(), one.clone()]), none);
        let set = [secret_intent("c1", "i1"), sent("c1", "i1", SentOutcome::Accepted)];
        let died = [&[before(), one.clone(), before(), two.clone()], set.as_slice()].concat();
        assert_eq!(in_force(&died), ["two"]);
        assert_eq!(in_force(&[&[before(), one, two], set.as_slice()].concat()), ["one", "two"], "two of one change");
    }

    #[test]
    fn of_two_that_were_sent_the_one_that_took_effect_is_handed_over() {
        let first = || vec![sealed("one"), secret_intent("c1", "i1")];
        let second = |outcome| vec![sealed("two"), secret_intent("c1", "i2"), sent("c1", "i2", outcome)];
        let none: [&str; 0] = [];
        assert_eq!(in_force(&first()), ["one"], "it may have been set");
        assert_eq!(in_force(&[first(), vec![reconciled(Found::Applied)]].concat()), ["one"]);
        assert_eq!(
            in_force(&[first(), vec![reconciled(Found::Indeterminate), decided(Said::Unknown)]].concat()),
            ["one"]
        );
        let not = || [first(), vec![reconciled(Found::NotApplied)]].concat();
        assert_eq!(in_force(&not()), none);
        assert_eq!(in_force(&[not(), second(SentOutcome::Accepted)].concat()), ["two"]);
        assert_eq!(in_force(&[not(), second(SentOutcome::Rejected)].concat()), none);
        // The second was sealed when the run died again, and the first turns out to have come through.
        assert_eq!(in_force(&[not(), vec![sealed("two"), reconciled(Found::Applied)]].concat()), ["one"]);
        let decided = [first(), vec![reconciled(Found::Indeterminate), decided(Said::NotApplied)]].concat();
        assert_eq!(in_force(&[decided, second(SentOutcome::Unknown)].concat()), ["two"]);
        let accepted = [first(), vec![sent("c1", "i1", SentOutcome::Accepted)]].concat();
        assert_eq!(in_force(&[accepted, second(SentOutcome::Rejected)].concat()), ["one"]);
    }

    #[test]
    fn a_secret_that_is_sent_again_after_a_lost_answer_is_still_the_same() {
        let lost = [sealed("one"), secret_intent("c1", "i1"), sent("c1", "i1", SentOutcome::Unknown)];
        let again = [reconciled(Found::NotApplied), secret_intent("c1", "i2"), sent("c1", "i2", SentOutcome::Accepted)];
        assert_eq!(in_force(&[lost, again].concat()), ["one"]);
    }
}
