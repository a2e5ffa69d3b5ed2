//! Points in time as Graph and Exchange write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// A time that serialises as `2023-12-12T13:50:17Z`: the directory's precision is one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Timestamp);

impl Stamp {
    /// The text with seconds, as directory objects carry it.
    #[must_use]
    pub fn seconds(self) -> String {
        Timestamp::from_second(self.0.as_second()).unwrap_or(self.0).to_string()
    }

    /// The text with seven digits of a second and `Z`, as audit entries carry it.
    #[must_use]
    pub fn ticks(self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
    }

    /// The text that Exchange uses, `…:47.0000000+00:00`.
    #[must_use]
    pub fn exchange(self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.7f+00:00").to_string()
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_precision() {
        let stamp = Stamp("2023-12-12T13:50:17.9876543Z".parse().unwrap());
        assert_eq!(stamp.seconds(), "2023-12-12T13:50:17Z");
        assert_eq!(stamp.ticks(), "2023-12-12T13:50:17.9876543Z");
        assert_eq!(stamp.exchange(), "2023-12-12T13:50:17.9876543+00:00");
        let whole = Stamp("2023-12-12T13:50:17Z".parse().unwrap());
        assert_eq!(whole.ticks(), "2023-12-12T13:50:17.0000000Z");
        assert_eq!(whole.seconds(), "2023-12-12T13:50:17Z");
    }
}
