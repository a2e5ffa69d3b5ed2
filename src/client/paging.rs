//! Which next page may be asked for: a token never follows a link to somewhere else, and no collection is endless.

use std::collections::HashSet;

use reqwest::Url;

use crate::{
    client::{ReadError, ReadErrorKind, endpoints::same_origin},
    model::{Service, Untrusted},
};

/// Pages of one collection.
const PAGES: usize = 1000;
/// Objects of one collection. Ten times what the largest that we ask for should have; it is held in memory as a whole.
const OBJECTS: usize = 250_000;
/// Bytes of all its answers.
const BYTES: usize = 256 * 1024 * 1024;

/// The pages of one collection so far.
pub(super) struct Pages {
    service: Service,
    base: Url,
    seen: HashSet<String>,
    objects: usize,
    bytes: usize,
}

impl Pages {
    /// Begins with the first page.
    pub(super) fn from(service: Service, base: &Url, first: &Url) -> Self {
        Self { service, base: base.clone(), seen: HashSet::from([first.to_string()]), objects: 0, bytes: 0 }
    }

    /// Which page is being read, from 1.
    pub(super) fn number(&self) -> usize {
        self.seen.len()
    }

    /// Counts what a page brought; an error where the collection is larger than we take. It is never cut: a part of it
    /// would look like the whole.
    pub(super) fn count(&mut self, objects: usize, bytes: usize) -> Result<(), &'static str> {
        self.objects += objects;
        self.bytes += bytes;
        match (self.objects > OBJECTS, self.bytes > BYTES) {
            (true, _) => Err("the collection has more than 250000 objects, which is more than is taken in"),
            (_, true) => Err("the collection has more than 256 MiB, which is more than is taken in"),
            _ => Ok(()),
        }
    }

    /// The next page's address, if it may be asked for; otherwise why not. The link is followed as it is.
    pub(super) fn follow(&mut self, link: &str) -> Result<Url, &'static str> {
        let url = Url::parse(link).map_err(|_| "the link to the next page is not a URL")?;
        if !same_origin(&url, &self.base) {
            return Err("the link to the next page leads to another host");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("the link to the next page holds a user name or a fragment");
        }
        let roots: &[&str] = match self.service {
            Service::Graph => &["/v1.0/", "/beta/"],
            Service::Exchange => &["/adminapi/"],
        };
        let path = url.path().to_ascii_lowercase();
        if !roots.iter().any(|root| path.starts_with(root)) {
            return Err("the link to the next page leads out of the API");
        }
        if self.seen.len() >= PAGES {
            return Err("the collection has more than 1000 pages");
        }
        if !self.seen.insert(url.to_string()) {
            return Err("the link to the next page leads back to a page that was read");
        }
        Ok(url)
    }

    /// An error on a later page: what the answers so far lack is not known, so "no such object" and "bad request"
    /// mean here that the collection is incomplete, never that it is empty.
    pub(super) fn incomplete(&self, mut error: ReadError) -> ReadError {
        use ReadErrorKind::{Malformed, NoMailbox, NotFound, Rejected};
        if self.number() > 1 && matches!(error.kind, NotFound | NoMailbox | Rejected) {
            error.kind = Malformed;
            let words = error.message.raw();
            error.message = Untrusted::new(format!("page {}: {words}", self.number()));
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::Pages;
    use crate::{
        client::{ReadError, ReadErrorKind},
        model::Service,
    };

    fn pages() -> Pages {
        let base = Url::parse("https://graph.microsoft.com").unwrap();
        let first = base.join("/v1.0/users").unwrap();
        Pages::from(Service::Graph, &base, &first)
    }

    #[test]
    fn a_link_of_the_service_is_followed_as_it_is() {
        let link = "https://graph.microsoft.com/v1.0/users?$skiptoken=X%2f'a";
        assert_eq!(pages().follow(link).unwrap().path(), "/v1.0/users");
        assert!(pages().follow("https://graph.microsoft.com:443/beta/users?x").is_ok());
    }

    #[test]
    fn a_link_to_anywhere_else_is_not() {
        for link in [
            "http://graph.microsoft.com/v1.0/users?2",
            "https://graph.microsoft.com:444/v1.0/users?2",
            "https://graph.microsoft.com.evil.example/v1.0/users?2",
            "https://graph.microsoft.com@evil.example/v1.0/users?2",
            "https://user@graph.microsoft.com/v1.0/users?2",
            "https://graph.microsoft.com/v1.0/../adminapi/x",
            "https://graph.microsoft.com/v1.0/users?2#f",
            "https://graph.microsoft.com\\@evil.example/v1.0/",
            "//evil.example/v1.0/users",
            "/v1.0/users?2",
            "",
        ] {
            assert!(pages().follow(link).is_err(), "{link}");
        }
    }

    #[test]
    fn a_circle_and_an_endless_collection_end() {
        let mut pages = pages();
        let link = |n: usize| format!("https://graph.microsoft.com/v1.0/users?$skiptoken={n}");
        assert!(pages.follow("https://graph.microsoft.com/v1.0/users").is_err());
        for n in 2..=1000 {
            pages.follow(&link(n)).unwrap();
        }
        assert!(pages.follow(&link(1)).is_err());
        assert!(pages.follow(&link(500)).is_err());
    }

    #[test]
    fn a_collection_that_is_too_large_is_no_collection() {
        let mut many = pages();
        for _ in 0..250 {
            many.count(1000, 1).unwrap();
        }
        assert!(many.count(1, 1).unwrap_err().contains("250000 objects"));
        let mut large = pages();
        for _ in 0..8 {
            large.count(1, 32 * 1024 * 1024).unwrap();
        }
        assert!(large.count(0, 1).unwrap_err().contains("256 MiB"));
    }

    #[test]
    fn not_found_on_a_later_page_is_not_an_empty_answer() {
        let error = ReadError::own(ReadErrorKind::NotFound, "GET /x", "gone");
        let mut pages = pages();
        assert_eq!(pages.incomplete(error.clone()).kind, ReadErrorKind::NotFound);
        pages.follow("https://graph.microsoft.com/v1.0/users?2").unwrap();
        let later = pages.incomplete(error);
        assert_eq!(later.kind, ReadErrorKind::Malformed);
        assert_eq!(later.message.raw(), "page 2: gone");
    }
}
