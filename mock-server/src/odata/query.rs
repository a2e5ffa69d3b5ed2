//! Query options as a caller sent them.

use crate::reply::Fail;

/// The decoded query options of a request, in the order sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { pairs }
    }

    /// An option by its name with the dollar sign; the sign may be missing on the wire, case does not matter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let bare = name.trim_start_matches('$');
        self.pairs
            .iter()
            .find(|(key, _)| key.trim_start_matches('$').eq_ignore_ascii_case(bare))
            .map(|(_, value)| value.as_str())
    }

    /// `$top` as a number.
    pub(crate) fn top(&self) -> Result<Option<usize>, Fail> {
        let Some(text) = self.get("$top") else {
            return Ok(None);
        };
        match text.parse() {
            Ok(top) if top > 0 => Ok(Some(top)),
            _ => Err(Fail::bad_request(&format!(
                "Invalid value '{text}' for $top query option found. The $top query option requires a non-negative integer value."
            ))),
        }
    }

    pub(crate) fn count(&self) -> bool {
        self.get("$count").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The query of the next page: the same options with another `$skiptoken`.
    pub(crate) fn with_skip_token(&self, token: &str) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.pairs {
            if !name.eq_ignore_ascii_case("$skiptoken") {
                out.append_pair(name, value);
            }
        }
        out.append_pair("$skiptoken", token);
        out.finish()
    }

    /// Refuses every option: for collections that document none.
    pub(crate) fn refuse_options(&self) -> Result<(), Fail> {
        match self.pairs.iter().find(|(name, _)| name.starts_with('$')) {
            None => Ok(()),
            Some((name, _)) => Err(Fail::bad_request(&format!(
                "The query specified in the URI is not valid. Query option '{name}' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings."
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_and_percent_20_are_both_spaces() {
        let query = Query::parse("$filter=a+eq%20'b'&$count=true");
        assert_eq!(query.get("$filter"), Some("a eq 'b'"));
        assert!(query.count());
    }

    #[test]
    fn the_next_page_keeps_the_other_options() {
        let query = Query::parse("%24top=2&%24skiptoken=old");
        assert_eq!(query.with_skip_token("new"), "%24top=2&%24skiptoken=new");
    }

    #[test]
    fn a_top_of_zero_is_refused() {
        assert!(Query::parse("$top=0").top().is_err());
        assert_eq!(Query::parse("").top().unwrap(), None);
    }
}
