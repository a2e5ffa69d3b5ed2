//! Whether an object belongs to the incident, as far as its date tells.

use jiff::Timestamp;

use crate::model::{Caveat, CaveatKind};

/// Where a date lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dating {
    /// In the window, or no window was given.
    After,
    /// Before it.
    Before,
    /// The tenant gives no date.
    Unknown,
}

impl Dating {
    /// Holds a date against the start of the window, which belongs to it.
    pub(crate) fn of(date: Option<Timestamp>, after: Option<Timestamp>) -> Self {
        // Some services write a date that was never set as the year 1.
        let date = date.filter(|date| *date > Timestamp::UNIX_EPOCH);
        match (date, after) {
            (_, None) => Self::After,
            (None, Some(_)) => Self::Unknown,
            (Some(date), Some(after)) if date >= after => Self::After,
            (Some(_), Some(_)) => Self::Before,
        }
    }
}

/// The caveat of an object that has no date.
pub(crate) fn undated(object: &str, what: &str) -> Caveat {
    Caveat::new(
        CaveatKind::Undated,
        format!(
            "the tenant gives no {what} date for this {object}: whether it belongs to the incident is for a person to \
             decide"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::Dating;

    #[test]
    fn the_start_belongs_to_the_window() {
        let start = "2023-12-12T13:50:17Z".parse().ok();
        let before = "2023-12-12T13:50:16.9Z".parse().ok();
        assert_eq!(Dating::of(start, start), Dating::After);
        assert_eq!(Dating::of(before, start), Dating::Before);
        assert_eq!(Dating::of(None, start), Dating::Unknown);
        let never = "0001-01-01T00:00:00Z".parse().ok();
        assert_eq!(Dating::of(never, start), Dating::Unknown);
        assert_eq!(Dating::of(None, None), Dating::After);
    }
}
