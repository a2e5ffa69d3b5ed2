//! HTTP to Graph and Exchange: sign-in, reading, sending, pacing, errors. Knows neither actions nor playbooks.
//!
//! ```text
//! reader  sender          what others use: asks until it is settled | sends, and says what is known
//! shared                  collections that many ask for, read once
//! batch   paging  cmdlet  reads that travel together | which page may follow | Exchange's InvokeCommand
//! answer  complaint       how a read ended | what the tenant says about a failure
//! throttle                whose limit a 429 speaks of
//! placeholders  sketch    secrets, for the bytes that go out | what a write looks like, for documents
//! wire                    one attempt: gate, bearer token, record
//! token  challenge  auth   kept tokens | what a service demands of one | how each kind of credential gets one
//! pacing  retry  waits     gates and fences | waits and budgets | what is waited for, told once
//! transport  tls          bytes out, bytes in | which server is believed
//! ```

mod aadsts;
mod answer;
mod auth;
mod batch;
mod challenge;
mod claims;
mod cmdlet;
mod complaint;
mod draw;
mod endpoints;
mod error;
mod hints;
mod obstacle;
mod pacing;
mod paging;
mod placeholders;
mod post;
mod reader;
mod retry;
mod sender;
mod server_time;
mod session;
mod shared;
mod sketch;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
mod token;
mod transport;
mod waits;
mod wire;

pub use auth::{
    Attendant, Certificate, CertificateError, Credential, Federated, FederatedFrom, ManagedIdentity, Surroundings,
    UserAssigned, UserCode,
};
pub(crate) use draw::derived_request_id;
pub use endpoints::Endpoints;
pub use error::{ReadError, ReadErrorKind, SignInError};
pub use post::{PostError, post};
pub use reader::{Reader, Trace};
pub use sender::{Secrets, SendOutcome, Sender, Sent};
pub use session::{Roots, Session, SessionOptions};
pub use sketch::{Sketch, sketch};
pub(crate) use transport::for_other_service;
pub use waits::{Holding, Listener, Wait};
