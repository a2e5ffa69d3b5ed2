//! The `accountEnabled` property, which users, devices and service principals share.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    client::{ReadError, ReadErrorKind},
    model::{Call, GraphPath, Irreversible, Replay, Verb, Verdict},
};

/// Whether a directory object may be used to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Switch {
    /// `accountEnabled`; `None` when the object is gone.
    pub(crate) account_enabled: Option<bool>,
}

impl Switch {
    /// An object that is there.
    pub(crate) fn at(enabled: bool) -> Self {
        Self { account_enabled: Some(enabled) }
    }

    /// An object that is gone.
    pub(crate) const GONE: Self = Self { account_enabled: None };

    /// Off. What is gone stays gone.
    pub(crate) fn off(self) -> Self {
        Self { account_enabled: self.account_enabled.map(|_| false) }
    }

    /// Wanted off: anything but "on" holds, since an object that is gone lets nobody in. Wanted on: only "on".
    pub(crate) fn judge(wanted: Self, seen: Self) -> Verdict {
        let holds = match wanted.account_enabled {
            Some(true) => seen.account_enabled == Some(true),
            Some(false) | None => seen.account_enabled != Some(true),
        };
        if holds { Verdict::Holds } else { Verdict::NotYet }
    }

    /// `PATCH {"accountEnabled": …}` on an object addressed by its object id.
    pub(crate) fn calls(object: GraphPath, from: Self, to: Self) -> Result<Vec<Call>, Irreversible> {
        match (from.account_enabled, to.account_enabled) {
            (from, to) if from == to => Ok(Vec::new()),
            (Some(_), Some(enabled)) => {
                let body = json!({ "accountEnabled": enabled });
                let call = Call::graph(Verb::Patch, object, Some(body), Replay::Set);
                Ok(vec![call])
            }
            _ => Err(Irreversible("the object is gone, and switching it on or off does not bring it back".into())),
        }
    }
}

/// A read whose "not found" is a state of its own.
pub(crate) fn gone_is_none<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.kind == ReadErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Switch;
    use crate::model::{GraphPath, Verdict};

    fn path() -> GraphPath {
        GraphPath::v1().fixed("devices").id("d")
    }

    #[test]
    fn off_and_back_on() {
        let (on, off) = (Switch::at(true), Switch::at(true).off());
        let forth = Switch::calls(path(), on, off).unwrap();
        assert_eq!(forth[0].summary(), r#"PATCH /v1.0/devices/d {"accountEnabled":false}"#);
        let back = Switch::calls(path(), off, on).unwrap();
        assert_eq!(back[0].summary(), r#"PATCH /v1.0/devices/d {"accountEnabled":true}"#);
        assert!(Switch::calls(path(), off, off).unwrap().is_empty());
    }

    #[test]
    fn what_is_gone_is_off_but_cannot_be_switched_on() {
        assert_eq!(Switch::GONE.off(), Switch::GONE);
        assert_eq!(Switch::judge(Switch::at(false), Switch::GONE), Verdict::Holds);
        assert_eq!(Switch::judge(Switch::at(true), Switch::GONE), Verdict::NotYet);
        assert_eq!(Switch::judge(Switch::GONE, Switch::at(true)), Verdict::NotYet);
        assert!(Switch::calls(path(), Switch::GONE, Switch::at(true)).is_err());
    }
}
