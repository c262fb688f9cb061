//! The requests that are sent, and what their answers mean. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html>

use super::auth::{Auth, Http, OAuth, Parameter, Scheme};
use crate::http::Filled;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::Duration;

const USER_AGENT: HeaderValue = HeaderValue::from_static("Amazon/EventBridge/ApiDestinations");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What stays as it is in a query or a path: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that a destination's parameters may not set, because the request's own are of no other use.
const OWN: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// Whether a text is where a request can go: TLS, or this machine itself.
pub(crate) fn endpoint(text: &str) -> Result<(), &'static str> {
    let uri: Uri = text.replace('*', "x").parse().map_err(|_| "it is not a URL.")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("it has no host.")?;
    match uri.scheme_str() {
        Some("https") => Ok(()),
        // Nobody can listen there but this machine.
        Some("http") if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => Ok(()),
        _ => Err("it must start with https://, or with http:// on this machine."),
    }
}

/// Why no request can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(String);

/// The request that carries a body to a destination. The connection's parameters come before the target's.
pub(crate) fn invocation(
    (method, endpoint): (&str, &str),
    auth: &Auth,
    token: Option<&str>,
    filled: &Filled,
    body: Bytes,
) -> Result<http::Request<Bytes>, Unfit> {
    let target = with_path(endpoint, &filled.path)?;
    let query = filled.query.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let uri = with_query(&target, query.chain(pairs(&auth.http.query)));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, JSON);
    let wanted = filled.headers.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in wanted.chain(pairs(&auth.http.headers)) {
        insert(&mut headers, key, value)?;
    }
    match &auth.scheme {
        Scheme::Basic { username, password } => {
            let login = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
            insert(&mut headers, "authorization", &login)?;
        }
        Scheme::ApiKey { name, value } => insert(&mut headers, name, value)?,
        Scheme::OAuth(_) => {
            insert(&mut headers, "authorization", &format!("Bearer {}", token.unwrap_or_default()))?;
        }
    }
    headers.insert(header::USER_AGENT, USER_AGENT);
    let body = with_parameters(body, &auth.http.body);
    build(method, &uri, headers, body)
}

/// The request for a token. Client id and secret go with the parameters in the body, or in the query where a method has
/// none, as RFC 6749 allows beside the header.
pub(crate) fn for_token(oauth: &OAuth) -> Result<http::Request<Bytes>, Unfit> {
    let Http { headers: wanted, query, body } = &oauth.http;
    let mut form: Vec<(&str, &str)> = pairs(body).collect();
    for (key, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", oauth.client_id.as_str()),
        ("client_secret", oauth.client_secret.as_str()),
    ] {
        if !form.iter().any(|(known, _)| *known == key) {
            form.push((key, value));
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let (uri, text) = match oauth.method.as_str() {
        "GET" => (with_query(&oauth.endpoint, pairs(query).chain(form)), String::new()),
        _ => {
            headers.insert(header::CONTENT_TYPE, form_type.clone());
            (with_query(&oauth.endpoint, pairs(query)), encoded(form))
        }
    };
    for (key, value) in pairs(wanted) {
        insert(&mut headers, key, value)?;
    }
    headers.insert(header::USER_AGENT, USER_AGENT);
    // A caller that asks for JSON gets the same parameters as JSON.
    let as_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body = if as_json { json_of(&text) } else { text };
    build(&oauth.method, &uri, headers, Bytes::from(body))
}

fn json_of(form: &str) -> String {
    let pairs = form_urlencoded::parse(form.as_bytes());
    Value::Object(pairs.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect()).to_string()
}

fn build(method: &str, uri: &str, headers: HeaderMap, body: Bytes) -> Result<http::Request<Bytes>, Unfit> {
    let method: Method = method.parse().map_err(|_| Unfit(format!("{method} is not a method")))?;
    let uri: Uri =
        uri.parse().map_err(|error| Unfit(format!("the endpoint with its parameters is no URL: {error}")))?;
    let mut request = http::Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}

fn pairs(all: &[Parameter]) -> impl Iterator<Item = (&str, &str)> {
    all.iter().map(|p| (p.key.as_str(), p.value.as_str()))
}

/// A value is not repeated in the error: it may be a secret.
fn insert(headers: &mut HeaderMap, key: &str, value: &str) -> Result<(), Unfit> {
    let name: HeaderName = key.parse().map_err(|_| Unfit(format!("{key} is not the name of a header")))?;
    if OWN.contains(&name) {
        return Ok(());
    }
    let value =
        HeaderValue::from_str(value).map_err(|_| Unfit(format!("the value of {key} cannot stand in a header")))?;
    headers.insert(name, value);
    Ok(())
}

/// Each `*` gives way to the next value; those that none is left for, to nothing. A value that would climb out of the
/// endpoint's path is refused: what is in an event must not choose who else gets the connection's credentials.
fn with_path(endpoint: &str, values: &[String]) -> Result<String, Unfit> {
    if values.iter().any(|value| matches!(value.as_str(), "." | "..")) {
        return Err(Unfit("a path parameter is . or .., which would leave the endpoint's path".into()));
    }
    let mut parts = endpoint.split('*');
    let mut target = parts.next().unwrap_or_default().to_owned();
    for (place, part) in parts.enumerate() {
        let value = values.get(place).map_or("", String::as_str);
        target.extend(utf8_percent_encode(value, RESERVED));
        target.push_str(part);
    }
    Ok(target)
}

fn encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn with_query<'a>(target: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let query: Vec<String> = pairs.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    match (query.is_empty(), target.contains('?')) {
        (true, _) => target.to_owned(),
        (false, known) => format!("{target}{}{}", if known { '&' } else { '?' }, query.join("&")),
    }
}

/// The connection's body parameters, added where the body is a JSON object.
fn with_parameters(body: Bytes, parameters: &[Parameter]) -> Bytes {
    if parameters.is_empty() {
        return body;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&body) else { return body };
    for Parameter { key, value, .. } in parameters {
        members.insert(key.clone(), Value::String(value.clone()));
    }
    Bytes::from(Value::Object(members).to_string())
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    Taken,
    /// The credentials are no longer good.
    Unauthorized,
    Again {
        after: Option<Duration>,
    },
    Refused,
}

/// 401 and 407 ask for a new token; 408, 409, 425, 429 and all of 5xx may pass.
pub(crate) fn meaning(status: StatusCode, headers: &HeaderMap) -> Meaning {
    match status.as_u16() {
        200..=299 => Meaning::Taken,
        401 | 407 => Meaning::Unauthorized,
        409 | 429 | 500..=599 => Meaning::Again { after: retry_after(headers) },
        _ => Meaning::Refused,
    }
}

/// `Retry-After` in seconds. A date would need a clock that agrees with theirs, and is left to the back-off.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(key: &str, value: &str) -> Parameter {
        Parameter { key: key.into(), value: value.into(), secret: true }
    }

    fn auth(scheme: Scheme) -> Auth {
        let http = Http {
            headers: vec![parameter("X-Team", "a")],
            query: vec![parameter("k", "v&w")],
            body: vec![parameter("tenant", "t")],
        };
        Auth { scheme, http }
    }

    #[test]
    fn an_invocation_carries_all_parameters() {
        let filled = Filled {
            path: vec!["a/b".into(), "ü".into()],
            headers: [("X-Team".to_owned(), "b".to_owned()), ("Host".to_owned(), "evil".to_owned())].into(),
            query: [("q".to_owned(), "1 2".to_owned())].into(),
        };
        let basic = auth(Scheme::Basic { username: "u".into(), password: "p".into() });
        let to = ("PUT", "https://example.com/x/*/y/*/*?z=0");
        let request = invocation(to, &basic, None, &filled, Bytes::from_static(br#"{"a":1}"#)).unwrap();
        assert_eq!(request.uri(), "https://example.com/x/a%2Fb/y/%C3%BC/?z=0&q=1%202&k=v%26w");
        assert_eq!((request.method().as_str(), &request.body()[..]), ("PUT", &br#"{"a":1,"tenant":"t"}"#[..]));
        let climbs = Filled { path: vec!["a".into(), "..".into()], ..filled.clone() };
        assert!(invocation(to, &basic, None, &climbs, Bytes::new()).is_err(), "an event does not choose the path");
        // The connection's value wins.
        assert_eq!(request.headers()["x-team"], "a");
        assert_eq!(request.headers()["authorization"], "Basic dTpw");
        assert_eq!(request.headers()["content-type"], "application/json; charset=utf-8");
        assert!(!request.headers().contains_key("host"));
        let bad = auth(Scheme::ApiKey { name: "X-Key".into(), value: "s\necret".into() });
        let error = invocation(to, &bad, None, &filled, Bytes::new()).unwrap_err();
        assert!(!error.to_string().contains("ecret"), "{error}");
    }

    #[test]
    fn tokens_are_asked_for_as_rfc_6749_says() {
        let mut oauth = OAuth {
            client_id: "id".into(),
            client_secret: "s&".into(),
            endpoint: "https://auth.example/token".into(),
            method: "POST".into(),
            http: Http { body: vec![parameter("audience", "x")], ..Default::default() },
        };
        let request = for_token(&oauth).unwrap();
        assert_eq!(&request.body()[..], b"audience=x&grant_type=client_credentials&client_id=id&client_secret=s%26");
        oauth.http.headers = vec![parameter("Content-Type", "application/json")];
        let json: Value = serde_json::from_slice(for_token(&oauth).unwrap().body()).unwrap();
        assert_eq!(
            (json["client_secret"].as_str(), json["grant_type"].as_str()),
            (Some("s&"), Some("client_credentials"))
        );
        oauth.method = "GET".into();
        assert!(for_token(&oauth).unwrap().uri().query().unwrap().contains("client_secret=s%26"));
    }

    #[test]
    fn answers_mean_what_aws_says() {
        let headers: HeaderMap = [(header::RETRY_AFTER, HeaderValue::from_static("7"))].into_iter().collect();
        let say = |status: u16| meaning(StatusCode::from_u16(status).unwrap(), &headers);
        let again = Meaning::Again { after: Some(Duration::from_secs(7)) };
        assert_eq!(
            (say(200), say(204), say(401), say(407)),
            (Meaning::Taken, Meaning::Taken, Meaning::Unauthorized, Meaning::Unauthorized)
        );
        assert_eq!((say(409), say(429), say(500), say(503)), (again.clone(), again.clone(), again.clone(), again));
        assert_eq!(
            (say(400), say(403), say(404), say(302)),
            (Meaning::Refused, Meaning::Refused, Meaning::Refused, Meaning::Refused)
        );
    }

    #[test]
    fn requests_leave_the_machine_over_tls_only() {
        for good in ["https://example.com/*", "http://localhost:1/x", "http://127.0.0.1:9", "http://[::1]/"] {
            assert_eq!(endpoint(good), Ok(()), "{good}");
        }
        for bad in ["http://example.com", "ftp://localhost", "example.com", "https://", ""] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
