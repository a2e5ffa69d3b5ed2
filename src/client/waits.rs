//! What a session waits for, told once a wait to whoever listens; and since when a service has been out of reach.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    client::pacing::Shut,
    model::{Clock, Service},
};

/// A wait that is longer than this is told.
const LONG: Duration = Duration::from_secs(5);

/// What holds requests back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holding {
    /// A quota of the service, as it says or as we count.
    Throttled,
    /// The service fails again and again, and is left alone for a while.
    Failing,
    /// The service cannot be reached, and is tried until then.
    OutOfReach,
}

/// A long wait that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Of what.
    pub on: &'static str,
    /// Why.
    pub holding: Holding,
    /// Until then, by our clock.
    pub until: Timestamp,
    /// Until when the service asked to be left alone, where that is later: it is asked again before.
    pub asked: Option<Timestamp>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, until, .. } = self;
        let clock = |at: &Timestamp| at.strftime("%H:%M:%SZ").to_string();
        match self.holding {
            Holding::Throttled => write!(f, "throttled by {on} until {}", clock(until)),
            Holding::Failing => write!(f, "{on} fails again and again: left alone until {}", clock(until)),
            Holding::OutOfReach => write!(f, "{on} cannot be reached: tried until {}", clock(until)),
        }?;
        self.asked.iter().try_for_each(|asked| write!(f, " (it asks for {})", asked.strftime("%Y-%m-%d %H:%M:%SZ")))
    }
}

/// Hears of each long wait; must not block.
pub type Listener = Arc<dyn Fn(Wait) + Send + Sync>;

/// The waits of a session.
#[derive(Default)]
pub(super) struct Waits(Mutex<State>);

#[derive(Default)]
struct State {
    listener: Option<Listener>,
    /// Until when each wait was told to last, on the monotonic clock.
    told: HashMap<(&'static str, Holding), Duration>,
    /// Until when a service asked to be left alone, where that is longer than we wait.
    asked: HashMap<&'static str, Duration>,
    /// Since when each service has given no answer.
    gone: HashMap<Service, Duration>,
}

impl Waits {
    /// From now on this one is told.
    pub(super) fn listen(&self, listener: Listener) {
        self.state().listener = Some(listener);
    }

    /// A service asked to be left alone until then, which is longer than we wait.
    pub(super) fn asks(&self, on: &'static str, until: Duration) {
        self.state().asked.insert(on, until);
    }

    /// A request waits at a gate.
    pub(super) fn at_gate(&self, clock: &dyn Clock, on: &'static str, shut: Shut) {
        let holding = if shut.failing { Holding::Failing } else { Holding::Throttled };
        self.tell(clock, on, holding, shut.until);
    }

    /// A request waits for a service that is out of reach, until then at the latest.
    pub(super) fn out_of_reach(&self, clock: &dyn Clock, service: Service, until: Duration) {
        let gone = self.gone_since(service);
        if gone.is_some_and(|since| clock.monotonic() > since + LONG) {
            self.tell(clock, name(service), Holding::OutOfReach, until);
        }
    }

    /// The service gave no answer, or none of its own.
    pub(super) fn failed(&self, service: Service, now: Duration) {
        self.state().gone.entry(service).or_insert(now);
    }

    /// The service answered.
    pub(super) fn reached(&self, service: Service) {
        let mut state = self.state();
        if state.gone.remove(&service).is_some() {
            state.told.remove(&(name(service), Holding::OutOfReach));
        }
    }

    /// Since when the service has given no answer.
    pub(super) fn gone_since(&self, service: Service) -> Option<Duration> {
        self.state().gone.get(&service).copied()
    }

    /// Tells a wait that is long, unless it is known already.
    fn tell(&self, clock: &dyn Clock, on: &'static str, holding: Holding, until: Duration) {
        let now = clock.monotonic();
        let mut state = self.state();
        let known = state.told.get(&(on, holding)).copied().unwrap_or_default();
        if until <= now.max(known) + LONG {
            return;
        }
        state.told.insert((on, holding), until);
        let at = |moment: Duration| clock.now().saturating_add(moment.saturating_sub(now)).unwrap_or(Timestamp::MAX);
        let asked = state.asked.get(on).copied().filter(|asked| holding == Holding::Throttled && *asked > until);
        let wait = Wait { on, holding, until: at(until), asked: asked.map(at) };
        let listener = state.listener.clone();
        drop(state);
        if let Some(listener) = listener {
            listener(wait);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Graph => "Microsoft Graph",
        Service::Exchange => "Exchange",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::Waits;
    use crate::{
        client::pacing::Shut,
        model::{Clock as _, ManualClock, Service},
    };

    const SECOND: Duration = Duration::from_secs(1);

    type Told = Arc<Mutex<Vec<String>>>;

    fn waits() -> (Waits, Arc<ManualClock>, Told) {
        let (waits, told) = (Waits::default(), Told::default());
        let log = Arc::clone(&told);
        waits.listen(Arc::new(move |wait| log.lock().unwrap().push(wait.to_string())));
        (waits, ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap()), told)
    }

    #[test]
    fn a_wait_of_many_is_told_once_and_the_next_one_again() {
        let (waits, clock, told) = waits();
        let gate = |until| waits.at_gate(&*clock, "the directory", Shut { until, failing: false });
        gate(5 * SECOND);
        assert!(told.lock().unwrap().is_empty(), "not worth a line");
        (30..35).for_each(|until| gate(until * SECOND));
        assert_eq!(*told.lock().unwrap(), ["throttled by the directory until 14:00:30Z"]);
        clock.advance(30 * SECOND);
        gate(60 * SECOND);
        assert_eq!(told.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_service_that_asks_for_longer_than_we_wait_is_told_as_it_said() {
        let (waits, clock, told) = waits();
        waits.asks("the directory", 3_600 * SECOND);
        waits.at_gate(&*clock, "the directory", Shut { until: 300 * SECOND, failing: false });
        let line = "throttled by the directory until 14:05:00Z (it asks for 2023-12-12 15:00:00Z)";
        assert_eq!(*told.lock().unwrap(), [line]);
    }

    #[test]
    fn a_service_out_of_reach_is_told_once_an_outage() {
        let (waits, clock, told) = waits();
        let fails = || {
            waits.failed(Service::Graph, clock.monotonic());
            waits.out_of_reach(&*clock, Service::Graph, 900 * SECOND);
            clock.advance(4 * SECOND);
        };
        (0..5).for_each(|_| fails());
        assert_eq!(*told.lock().unwrap(), ["Microsoft Graph cannot be reached: tried until 14:15:00Z"]);
        assert_eq!(waits.gone_since(Service::Graph), Some(Duration::ZERO));
        waits.reached(Service::Graph);
        assert_eq!(waits.gone_since(Service::Graph), None);
    }
}
