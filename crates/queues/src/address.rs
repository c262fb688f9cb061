//! Names and URLs of queues.

use crate::limits::NAME_LENGTH;
use names::Home;

/// Whether a queue may be called this.
pub(crate) fn is_name(name: &str) -> bool {
    NAME_LENGTH.contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `http://127.0.0.1:4566/000000000000/orders`: built from the authority the caller used, so that what is reached once
/// is reached again.
pub(crate) fn url(tls: bool, host: &str, home: &Home, name: &str) -> String {
    format!("{}://{host}/{}/{name}", if tls { "https" } else { "http" }, home.account)
}

/// A queue's account and name out of its URL, or nothing where it is no queue's URL. Any host will do: the same house is
/// reached under many, and clients keep URLs.
pub(crate) fn parse(url: &str) -> Option<(&str, &str)> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => url.trim_start_matches('/'),
    };
    let (account, name) = path.trim_end_matches('/').rsplit_once('/')?;
    let account = account.rsplit('/').next().unwrap_or(account);
    let fine = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty();
    fine.then_some((account, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_whatever_their_host() {
        for url in [
            "http://127.0.0.1:4566/000000000000/orders",
            "https://sqs.us-east-1.amazonaws.com/000000000000/orders",
            "https://sqs.us-east-1.amazonaws.com/000000000000/orders/",
            "http://localhost/queue/us-east-1/000000000000/orders",
            "/000000000000/orders",
            "000000000000/orders",
        ] {
            assert_eq!(parse(url), Some(("000000000000", "orders")), "{url}");
        }
        for url in ["", "orders", "http://localhost", "http://localhost/orders", "http://localhost/12/orders"] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn a_url_leads_back_to_its_queue() {
        let home = Home::default();
        let url = url(false, "localhost:4566", &home, "a-b_C");
        assert_eq!(url, "http://localhost:4566/000000000000/a-b_C");
        assert_eq!(parse(&url), Some(("000000000000", "a-b_C")));
    }

    #[test]
    fn names() {
        assert!(is_name("a"));
        assert!(is_name(&"a".repeat(80)));
        assert!(!is_name(&"a".repeat(81)));
        assert!(!is_name(""));
        assert!(!is_name("a.fifo"));
        assert!(!is_name("a/b"));
    }
}
