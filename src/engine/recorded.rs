//! The one way to the tenant for a change: through the record. Holds the sender, and lets nobody else have it.
//!
//! A [`Snapshot`] exists only when an object's state and exact bytes were handed to the journal, and without one nothing
//! can be sent. The journal writes in the order in which it is handed lines and nothing after a line that failed, so
//! waiting for the intent is waiting for all before it: when the request leaves, snapshot and intent are durable, and so
//! are the answers to all requests of the lane before it.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    action::{DynAction, ErasedSeen, LensError},
    client::{Reader, Secrets, SendOutcome, Sender, Sent},
    engine::{
        past::{ChangePast, OpenCall},
        run::EngineError,
    },
    journal::{Journal, Purpose, Record, SentOutcome},
    model::{Call, Target},
    plan::unread,
};

/// Proof that the state of a change's object is on record, or will be before any later line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot(());

impl Snapshot {
    /// The proof that an earlier process recorded it.
    pub(crate) fn on_record(past: &ChangePast) -> Option<Self> {
        past.before.as_ref().map(|_| Self(()))
    }
}

/// What is about to be sent.
pub(crate) struct Intent<'a> {
    pub(crate) change: &'a str,
    /// Index of the call in the change.
    pub(crate) index: u32,
    pub(crate) call: &'a Call,
    pub(crate) wanted: &'a Value,
}

/// Why an object was not seen.
pub(crate) struct Unseen {
    pub(crate) reason: String,
    /// The service could not be asked for now.
    pub(crate) for_now: bool,
}

/// A call that was sent, or could not be, and how that ended.
pub(crate) struct Called {
    pub(crate) call: OpenCall,
    pub(crate) outcome: SendOutcome,
    /// Certainly not executed, and only for want of time.
    pub(crate) later: bool,
}

/// Sender and journal, inseparable.
pub(crate) struct RecordedSender {
    sender: Sender,
    reader: Reader,
    journal: Journal,
}

impl RecordedSender {
    pub(crate) fn new(sender: Sender, reader: Reader, journal: Journal) -> Self {
        Self { sender, reader, journal }
    }

    /// Reads an object and records what was seen, with the exact bytes.
    pub(crate) async fn observe(
        &self,
        action: &dyn DynAction,
        change: &str,
        target: &Target,
        purpose: Purpose,
    ) -> Result<Result<(ErasedSeen, Snapshot), Unseen>, EngineError> {
        let (reader, trace) = self.reader.traced();
        let seen = match action.read(&reader, target).await {
            Ok(seen) => Ok(seen),
            Err(LensError::Read(error)) => {
                let reason = unread(&error, action.meta(), reader.identity());
                Err(Unseen { reason, for_now: error.kind.is_for_now() })
            }
            Err(LensError::Contract(error)) => return Err(error.into()),
        };
        let (state, caveats, error) = match &seen {
            Ok(seen) => (Some(seen.state.clone()), seen.caveats.clone(), None),
            Err(unseen) => (None, Vec::new(), Some(unseen.reason.clone())),
        };
        let record = Record::Observed { change: change.to_owned(), state, caveats, error, purpose };
        self.journal.post(record, trace.take())?;
        Ok(seen.map(|seen| (seen, Snapshot(()))))
    }

    /// Intent, call, result: in this order. The intent is durable before the call, the result before the next intent.
    pub(crate) async fn send(&self, _: Snapshot, intent: Intent<'_>, secrets: &Secrets) -> Result<Called, EngineError> {
        let id = Uuid::new_v4().to_string();
        let Intent { change, index, call, wanted } = intent;
        let record = Record::Intent {
            change: change.to_owned(),
            call: index,
            client_request_id: id.clone(),
            request: call.clone(),
            wanted: wanted.clone(),
            server_time: self.reader.server_now(),
        };
        self.journal.append(record, Vec::new()).await?;
        let Sent { outcome, later, exchanges, warnings } = self.sender.send(call, secrets, &id).await;
        let (word, code, reason) = in_words(&outcome);
        let record = Record::Sent {
            change: change.to_owned(),
            call: index,
            client_request_id: id.clone(),
            outcome: word,
            status: exchanges.last().and_then(|exchange| exchange.status),
            reason,
            code,
            warnings,
        };
        self.journal.post(record, exchanges)?;
        Ok(Called { call: OpenCall { index, client_request_id: id }, outcome, later })
    }
}

fn in_words(outcome: &SendOutcome) -> (SentOutcome, Option<String>, Option<String>) {
    match outcome {
        SendOutcome::Accepted => (SentOutcome::Accepted, None, None),
        SendOutcome::NotFound => (SentOutcome::NotFound, None, None),
        SendOutcome::Rejected { code, message, .. } => {
            (SentOutcome::Rejected, Some(code.clone()), Some(message.raw().to_owned()))
        }
        SendOutcome::NotSent { reason } => (SentOutcome::NotSent, None, Some(reason.clone())),
        SendOutcome::Unknown { reason } => (SentOutcome::Unknown, None, Some(reason.clone())),
    }
}
