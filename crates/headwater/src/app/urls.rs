//! URLs of functions: by their own hosts, and below a path of ours for clients whose resolver knows no such hosts.

use super::App;
use bytes::Bytes;
use functions::UrlRequest;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use world::net::{Asked, Body};

/// Below this: the id of the URL, then the path.
const BELOW: &str = "/_headwater/lambda-url/";

/// Whose URL a request is for, and the path below it.
pub(super) fn place(head: &Parts) -> Option<(String, String)> {
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix(BELOW) {
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((id.to_owned(), format!("/{path}")));
    }
    let host = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| head.uri.authority().map(|authority| authority.as_str()))?;
    let (id, rest) = host.split_once('.')?;
    rest.starts_with("lambda-url.").then(|| (id.to_ascii_lowercase(), path.to_owned()))
}

/// The answer to a link to a package; the link itself is the right to have it.
pub(super) fn package(package: Result<Bytes, &'static str>) -> Response<Bytes> {
    let (status, kind, body) = match package {
        Ok(zip) => (StatusCode::OK, "application/zip", zip),
        Err(why) => (StatusCode::FORBIDDEN, "text/plain", Bytes::from_static(why.as_bytes())),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

impl App {
    pub(super) async fn answer_url(&self, id: &str, path: &str, asked: &Asked) -> Response<Body> {
        let functions = &self.house.functions;
        let signed = functions.url_is_signed(id) == Some(true);
        // Who does not sign well is nobody.
        let caller = if signed { self.house.front.signer(asked, "lambda").ok() } else { None };
        let request = UrlRequest { id, path, head: &asked.head, body: &asked.body, peer: asked.peer.ip() };
        functions.answer_url(request, caller).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_known_by_host_and_by_path() {
        let place = |uri: &str, host: &str| {
            place(&http::Request::get(uri).header("host", host).body(()).unwrap().into_parts().0)
        };
        let told = |id: &str, path: &str| Some((id.to_owned(), path.to_owned()));
        assert_eq!(place("/a/b", "abc.lambda-url.us-east-1.localhost:4566"), told("abc", "/a/b"));
        assert_eq!(place("/_headwater/lambda-url/abc", "127.0.0.1:4566"), told("abc", "/"));
        assert_eq!(place("/_headwater/lambda-url/abc/x/y?z", "127.0.0.1:4566"), told("abc", "/x/y"));
        assert_eq!(place("/_headwater/health", "127.0.0.1:4566"), None);
        assert_eq!(place("/", "queue.localhost"), None);
    }
}
