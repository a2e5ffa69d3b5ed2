//! Pages of a collection and the links between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::query::Query;
use crate::reply::Fail;

/// The sizes of a collection's pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSize {
    /// Rows on a page where the caller asks for nothing.
    pub(crate) default: usize,
    /// The most that `$top` may ask for.
    pub(crate) max: usize,
}

/// Where a page starts and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The key of the last row of the page before; empty for the first page.
    pub(crate) after: String,
    /// Rows on the page.
    pub(crate) size: usize,
    /// Whether this is the first page.
    pub(crate) first: bool,
}

impl Window {
    /// Reads `$top` and `$skiptoken`.
    pub(crate) fn of(query: &Query, sizes: PageSize) -> Result<Self, Fail> {
        let top = query.top()?;
        if top.is_some_and(|top| top > sizes.max) {
            return Err(Fail::bad_request(&format!(
                "Invalid page size specified: '{}'. Must be between 1 and {} inclusive.",
                top.unwrap_or_default(),
                sizes.max
            )));
        }
        let after = query.get("$skiptoken").map(decode).transpose()?;
        Ok(Self { first: after.is_none(), after: after.unwrap_or_default(), size: top.unwrap_or(sizes.default) })
    }

    /// The offset that a numeric token stands for.
    pub(crate) fn offset(&self) -> usize {
        self.after.parse().unwrap_or(0)
    }
}

/// A token whose inside nobody should read.
pub(crate) fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("m~{key}"))
}

fn decode(token: &str) -> Result<String, Fail> {
    let invalid = || Fail::bad_request("Skip token is invalid.");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid())?;
    text.strip_prefix("m~").map(str::to_owned).ok_or_else(invalid)
}

/// A collection's answer.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) context: String,
    pub(crate) rows: Vec<Value>,
    pub(crate) count: Option<usize>,
    pub(crate) next: Option<String>,
}

impl Page {
    /// The body, annotations before the rows as Graph sends them.
    pub(crate) fn body(self) -> Value {
        let mut body = Map::new();
        body.insert("@odata.context".to_owned(), self.context.into());
        if let Some(count) = self.count {
            body.insert("@odata.count".to_owned(), count.into());
        }
        if let Some(next) = self.next {
            body.insert("@odata.nextLink".to_owned(), next.into());
        }
        body.insert("value".to_owned(), json!(self.rows));
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: PageSize = PageSize { default: 100, max: 999 };

    #[test]
    fn a_window_follows_top_and_token() {
        let query = Query::parse(&format!("$top=5&$skiptoken={}", encode("abc")));
        let window = Window::of(&query, SIZES).unwrap();
        assert_eq!((window.after.as_str(), window.size, window.first), ("abc", 5, false));
        assert_eq!(Window::of(&Query::parse(""), SIZES).unwrap().size, 100);
    }

    #[test]
    fn a_foreign_token_and_a_huge_page_are_refused() {
        assert!(Window::of(&Query::parse("$skiptoken=xyz"), SIZES).is_err());
        assert!(Window::of(&Query::parse("$top=1000"), SIZES).is_err());
    }
}
