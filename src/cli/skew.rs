//! How far this machine's clock is from the tenant's: our times are read beside the tenant's logs, and beside the times
//! that others noted.

use jiff::{SignedDuration, Timestamp};

use crate::cli::{Context, connect::Connected};

/// Beyond it our times are of little use beside the tenant's logs.
const MOST: SignedDuration = SignedDuration::from_secs(30);

/// What the two clocks say of each other.
#[derive(Debug)]
pub(crate) struct Skew {
    /// Whether it is too much.
    pub(crate) is_off: bool,
    pub(crate) text: String,
}

impl Skew {
    pub(crate) fn of(now: Timestamp, server: Timestamp) -> Self {
        let skew = now.duration_since(server);
        let seconds = skew.as_secs();
        let text = match seconds {
            -1..=2 => "this machine's clock agrees with the tenant's".to_owned(),
            3.. => format!("this machine's clock is about {seconds} s ahead of the tenant's"),
            _ => format!("this machine's clock is about {} s behind the tenant's", seconds.unsigned_abs()),
        };
        Self { is_off: skew.abs() > MOST, text }
    }
}

/// Says so where it is too much, before a record is begun or gone on with.
pub(crate) fn warn(context: &Context, connected: &Connected) {
    let skew = Skew::of(context.clock.now(), connected.session.reader().server_now());
    if skew.is_off {
        context.out.say(&format!("warning: {}: the record notes both", skew.text));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Skew;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_its_direction() {
        assert!(!Skew::of(at(1), at(0)).is_off);
        let ahead = Skew::of(at(100), at(0));
        assert!(ahead.is_off && ahead.text.contains("100 s ahead"), "{ahead:?}");
        let behind = Skew::of(at(0), at(45));
        assert!(behind.is_off && behind.text.contains("45 s behind"), "{behind:?}");
    }
}
