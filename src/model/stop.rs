//! A request to end a run: no new change is begun, no wait is sat out, what is under way is recorded.

use std::sync::Arc;

use tokio::sync::watch;

/// Why a run ends where nobody says more.
const ASKED: &str = "asked to stop";

/// Shared between whoever hears Ctrl-C and whoever waits.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<&'static str>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Asks the run to end.
    pub fn request(&self) {
        self.request_for(ASKED);
    }

    /// Asks the run to end, for this reason; the first one counts.
    pub fn request_for(&self, why: &'static str) {
        self.0.send_if_modified(|said| {
            let first = said.is_none();
            said.get_or_insert(why);
            first
        });
    }

    /// Whether it was asked.
    pub fn requested(&self) -> bool {
        self.why().is_some()
    }

    /// Why it was asked.
    pub fn why(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    /// Until it is asked.
    pub async fn wait(&self) {
        // The sender lives as long as this borrow does.
        drop(self.0.subscribe().wait_for(Option::is_some).await);
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKED, Stop};

    #[tokio::test]
    async fn whoever_waits_is_woken_and_the_first_reason_counts() {
        let stop = Stop::default();
        let other = stop.clone();
        let mut wait = Box::pin(other.wait());
        assert!(futures_util::poll!(&mut wait).is_pending() && !stop.requested());
        stop.request();
        stop.request_for("the deadline has passed");
        wait.await;
        assert_eq!(other.why(), Some(ASKED));
    }
}
