//! Addresses that nobody clicks by accident, and that no program takes for a link: `a[@]b[.]example`, `hxxps[:]//`.

use std::net::IpAddr;

use crate::model::Untrusted;

/// What stands between words.
const BETWEEN: [char; 11] = [' ', '\t', '\n', ',', ';', '(', ')', '<', '>', '"', '\''];

/// The text with its addresses of mail, pages, hosts and machines made harmless.
pub(super) fn defanged(text: &Untrusted) -> Untrusted {
    let word = |piece: &str| {
        let end = piece.find(BETWEEN).unwrap_or(piece.len());
        let (word, between) = piece.split_at(end);
        harmless(word) + between
    };
    text.raw().split_inclusive(BETWEEN).map(word).collect::<String>().into()
}

fn harmless(word: &str) -> String {
    let host = word.split(['/', '?', '#']).next().unwrap_or_default();
    if host.parse::<IpAddr>().is_ok_and(|at| at.is_ipv6()) {
        return word.replace(':', "[:]");
    }
    if !(word.contains('@') || word.contains("://") || is_host(host)) {
        return word.to_owned();
    }
    let safe = word.replace("://", "[:]//").replace('@', "[@]").replace('.', "[.]");
    match safe.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") && rest.contains("[:]//") => format!("hxxp{rest}"),
        _ => safe,
    }
}

/// A name of a host or an IPv4 address, with or without a port. A permission such as `Mail.ReadWrite` is none: the last
/// part of a host's name is written in small letters or in capitals.
fn is_host(text: &str) -> bool {
    let has_port = |(_, port): &(&str, &str)| port.chars().all(|c| c.is_ascii_digit());
    let host = text.split_once(':').filter(has_port).map_or(text, |(host, _)| host).trim_end_matches('.');
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let Some((front, last)) = host.rsplit_once('.') else {
        return false;
    };
    let one_case = last.to_lowercase() == last || last.to_uppercase() == last;
    let is_name = (last.chars().count() > 1 && last.chars().all(char::is_alphabetic)) || last.starts_with("xn--");
    host.parse::<IpAddr>().is_ok() || (is_name && one_case && front.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::defanged;

    #[test]
    fn addresses_cannot_be_clicked_and_words_stay() {
        for (text, safe) in [
            ("forwards to a@b.example.", "forwards to a[@]b[.]example[.]"),
            ("at https://b.example/x", "at hxxps[:]//b[.]example/x"),
            ("HTTP://B.EXAMPLE", "hxxp[:]//B[.]EXAMPLE"),
            ("ftp://b.example", "ftp[:]//b[.]example"),
            ("calls collector.example, daily", "calls collector[.]example, daily"),
            ("(www.b.example:8443/x)", "(www[.]b[.]example:8443/x)"),
            (
                "xn--bcher-kva.example bücher.example b.xn--p1ai",
                "xn--bcher-kva[.]example bücher[.]example b[.]xn--p1ai",
            ),
            ("from 192.0.2.7; and 192.0.2.7:443", "from 192[.]0[.]2[.]7; and 192[.]0[.]2[.]7:443"),
            ("from 2001:db8::7", "from 2001[:]db8[:][:]7"),
            ("ForwardTo\tx@b.example\nnext", "ForwardTo\tx[@]b[.]example\nnext"),
        ] {
            assert_eq!(defanged(&text.into()).raw(), safe);
        }
    }

    #[test]
    fn what_is_no_address_stays_as_it_is() {
        for text in [
            "disabled. Twice.",
            "granted for EVERY user: Mail.ReadWrite MailboxSettings.ReadWrite User.Read",
            "audit: Consent to application 2023-12-12T13:57:00.013Z",
            "\"..\": version 1.2; 10.5",
            "",
        ] {
            assert_eq!(defanged(&text.into()).raw(), text);
        }
    }
}
