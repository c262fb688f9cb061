//! Function URLs: an HTTP request becomes an event, an answer of the function an HTTP response. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use names::{Caller, CallerKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A URL of a function as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Url {
    /// What its host begins with.
    pub(crate) id: String,
    /// Whether requests have to be signed.
    pub(crate) signed: bool,
    /// Whether the function's response is passed on as it comes.
    #[serde(default)]
    pub(crate) streams: bool,
    /// What browsers of other sites may do.
    pub(crate) cors: Option<Cors>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it last changed.
    pub(crate) modified: Timestamp,
}

/// What browsers of other sites may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cors {
    /// Whether they may send credentials.
    pub(crate) credentials: Option<bool>,
    /// Headers they may send.
    pub(crate) headers: Option<Vec<String>>,
    /// Methods they may use.
    pub(crate) methods: Option<Vec<String>>,
    /// The sites.
    pub(crate) origins: Option<Vec<String>>,
    /// Headers they may read.
    pub(crate) exposed: Option<Vec<String>>,
    /// How many seconds they may remember that.
    pub(crate) max_age: Option<u32>,
}

/// A request to a URL.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    /// The path below the URL, with its slash.
    pub(crate) path: &'a str,
    /// The host by which the URL is known.
    pub(crate) domain: &'a str,
    /// The scheme by which the house is reached, and the port where it is not that of the scheme.
    pub(crate) door: (&'a str, Option<&'a str>),
    pub(crate) url_id: &'a str,
    pub(crate) peer: IpAddr,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) request_id: &'a str,
    pub(crate) at: Timestamp,
}

/// The event, in the payload format 2.0.
pub(crate) fn event(asked: &Asked<'_>) -> Value {
    let head = asked.head;
    let query = head.uri.query().unwrap_or_default();
    let (body, encoded) = body_text(&head.headers, asked.body);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": asked.path,
        "rawQueryString": query,
        "headers": headers(asked),
        "requestContext": context(asked),
        "isBase64Encoded": encoded,
    });
    let parameters = parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = Value::Object(parameters);
    }
    let cookies: Vec<&str> = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';').map(str::trim))
        .filter(|cookie| !cookie.is_empty())
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if let Some(body) = body {
        event["body"] = body.into();
    }
    event
}

fn headers(asked: &Asked<'_>) -> Map<String, Value> {
    let mut all = Map::new();
    for name in asked.head.headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<String> = asked
            .head
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        all.insert(name.as_str().to_owned(), values.join(",").into());
    }
    all.insert("host".to_owned(), asked.domain.into());
    let (scheme, port) = asked.door;
    let port = port.unwrap_or(if scheme == "https" { "443" } else { "80" });
    // What stands before the house knows better.
    for (name, value) in
        [("x-forwarded-for", &*asked.peer.to_string()), ("x-forwarded-proto", scheme), ("x-forwarded-port", port)]
    {
        all.entry(name).or_insert_with(|| value.into());
    }
    all
}

/// Values of a parameter that comes several times are joined by commas.
fn parameters(query: &str) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match all.get_mut(name.as_ref()) {
            Some(Value::String(known)) => {
                known.push(',');
                known.push_str(&value);
            }
            _ => drop(all.insert(name.into_owned(), value.into_owned().into())),
        }
    }
    all
}

fn context(asked: &Asked<'_>) -> Value {
    let agent = asked.head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut context = json!({
        "accountId": asked.caller.map_or("anonymous", |caller| caller.account.as_str()),
        "apiId": asked.url_id,
        "domainName": asked.domain,
        "domainPrefix": asked.url_id,
        "http": {
            "method": asked.head.method.as_str(),
            "path": asked.path,
            "protocol": "HTTP/1.1",
            "sourceIp": asked.peer.to_string(),
            "userAgent": agent,
        },
        "requestId": asked.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": clf(asked.at),
        "timeEpoch": asked.at.millis(),
    });
    if let Some(caller) = asked.caller.filter(|caller| caller.kind != CallerKind::Anonymous) {
        context["authorizer"] = json!({"iam": {
            "accessKey": caller.access_key_id,
            "accountId": caller.account.as_str(),
            "callerId": caller.principal_id,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": caller.arn,
            "userId": caller.principal_id,
        }});
    }
    context
}

/// `12/Mar/2020:19:03:58 +0000`.
fn clf(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = at.civil();
    let month = MONTHS[(month as usize + 11) % 12];
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// A body as text, or in base64 where its type says that it is none.
fn body_text(headers: &HeaderMap, body: &Bytes) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let texts = ["application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded"];
    let is_text = kind.starts_with("text/")
        || texts.contains(&kind.as_str())
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    match std::str::from_utf8(body) {
        Ok(text) if is_text && kind != "application/x-www-form-urlencoded" => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

/// The response that a function's answer asks for; `None` where it is none.
pub(crate) fn response(answer: &Bytes) -> Option<Response<Bytes>> {
    let value = serde_json::from_slice::<Value>(answer).ok()?;
    // Without a status code the answer itself is the body.
    if value.get("statusCode").is_none() {
        let text = value.as_str().map_or_else(|| answer.clone(), |text| Bytes::from(text.to_owned()));
        return Some(plain(text));
    }
    let body = match value.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if value.get("isBase64Encoded") == Some(&Value::Bool(true)) => {
            STANDARD.decode(text).ok()?.into()
        }
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(other) => Bytes::from(other.to_string()),
    };
    Some(head(&value, JSON)?.map(|()| body))
}

fn status_code(given: &Value) -> Option<StatusCode> {
    let code = given.as_u64().or_else(|| given.as_str()?.parse().ok())?;
    // Those below 200 are the server's own to send: they end no answer.
    StatusCode::from_u16(u16::try_from(code).ok()?).ok().filter(|code| (200..600).contains(&code.as_u16()))
}

/// Status, headers and cookies as a function asks for them, and what the body is where it does not say. `None`: no response
/// can have them; none is left out without a word.
pub(crate) fn head(asked: &Value, kind: HeaderValue) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = asked.get("statusCode").map_or(Some(StatusCode::OK), status_code)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
    if let Some(fields) = given("headers") {
        for (name, value) in fields.as_object()? {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            headers.try_insert(HeaderName::from_bytes(name.as_bytes()).ok()?, field(&text)?).ok()?;
        }
    }
    if let Some(cookies) = given("cookies") {
        for cookie in cookies.as_array()? {
            headers.try_append(header::SET_COOKIE, field(cookie.as_str()?)?).ok()?;
        }
    }
    // Whoever sends the bytes says how many they are.
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    Some(response)
}

/// What a header says; beyond ASCII in UTF-8.
fn field(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

fn whole(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The answer of a function that is passed on as it is.
pub(crate) fn plain(body: Bytes) -> Response<Bytes> {
    whole(StatusCode::OK, body)
}

/// What says why there is no answer of the function.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Response<Bytes> {
    whole(status, json!({"Message": message}).to_string().into())
}

/// The answer to a function that answered what is no response. AWS gives no reason either.
pub(crate) fn malformed(function: &str) -> Response<Bytes> {
    tracing::warn!(function, "what a function answered to its url is no http response");
    bad_gateway()
}

/// The answer to a function that failed.
pub(crate) fn bad_gateway() -> Response<Bytes> {
    whole(StatusCode::BAD_GATEWAY, Bytes::from_static(b"Internal Server Error"))
}

impl Cors {
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let allowed = self.origins.as_deref().unwrap_or_default();
        let text = origin.to_str().ok()?;
        let any = allowed.iter().any(|allowed| allowed == "*");
        if any && self.credentials != Some(true) {
            return Some(HeaderValue::from_static("*"));
        }
        (any || allowed.iter().any(|allowed| allowed == text)).then(|| origin.clone())
    }

    /// The answer to a browser that asks before it asks; the function is not run for it.
    pub(crate) fn preflight(&self, head: &Parts) -> Option<Response<Bytes>> {
        if head.method != Method::OPTIONS || !head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Bytes::new());
        if self.apply(&head.headers, &mut response) {
            let lists = [
                (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
                (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            ];
            for (name, list) in lists {
                insert(&mut response, name, list.as_ref().map(|list| list.join(",")));
            }
            insert(&mut response, header::ACCESS_CONTROL_MAX_AGE, self.max_age.map(|age| age.to_string()));
        }
        Some(response)
    }

    /// Says on an answer what the browser may do with it. Whether the site is one that may anything.
    pub(crate) fn apply<B>(&self, asked: &HeaderMap, response: &mut Response<B>) -> bool {
        let Some(origin) = self.origin(asked) else { return false };
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        insert(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.as_ref().map(|list| list.join(",")));
        let credentials = (self.credentials == Some(true)).then(|| "true".to_owned());
        insert(response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        true
    }
}

fn insert<B>(response: &mut Response<B>, name: HeaderName, text: Option<String>) {
    let value = text.filter(|text| !text.is_empty()).and_then(|text| HeaderValue::from_str(&text).ok());
    if let Some(value) = value {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn asked<'a>(head: &'a Parts, body: &'a Bytes) -> Asked<'a> {
        Asked {
            head,
            body,
            path: "/my/path",
            domain: "abc.lambda-url.us-east-1.localhost:4566",
            door: ("http", Some("4566")),
            url_id: "abc",
            peer: [127, 0, 0, 1].into(),
            caller: None,
            request_id: "r",
            at: Timestamp::from_millis(1_583_348_638_390),
        }
    }

    #[test]
    fn a_function_answers_with_final_states_only() {
        assert_eq!(status_code(&json!(204)), Some(StatusCode::NO_CONTENT));
        assert_eq!(status_code(&json!("418")), Some(StatusCode::IM_A_TEAPOT));
        for given in [json!(101), json!(199), json!(600), json!(-1), json!(null)] {
            assert_eq!(status_code(&given), None, "{given}");
        }
    }

    #[test]
    fn a_request_becomes_the_documented_event() {
        let head = head(
            "POST",
            "/my/path?a=1&a=2&b=x%20y",
            &[("cookie", "c1=1; c2=2"), ("header1", "v1"), ("header1", "v2"), ("content-type", "application/json")],
        );
        let event = event(&asked(&head, &Bytes::from_static(b"{}")));
        assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/my/path"), &json!("a=1&a=2&b=x%20y")));
        assert_eq!(event["cookies"], json!(["c1=1", "c2=2"]));
        assert_eq!(event["headers"]["header1"], "v1,v2");
        assert_eq!(event["headers"].get("cookie"), None);
        let told = ["x-forwarded-proto", "x-forwarded-port"].map(|name| event["headers"][name].as_str());
        assert_eq!(told, [Some("http"), Some("4566")]);
        assert_eq!(event["queryStringParameters"], json!({"a": "1,2", "b": "x y"}));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        let context = &event["requestContext"];
        assert_eq!((&context["accountId"], &context["apiId"]), (&json!("anonymous"), &json!("abc")));
        assert_eq!(context["time"], "04/Mar/2020:19:03:58 +0000");
        assert_eq!(context["timeEpoch"], 1_583_348_638_390_i64);
        assert_eq!(context["http"]["method"], "POST");
    }

    #[test]
    fn what_is_no_text_travels_in_base64() {
        let head = head("POST", "/", &[("content-type", "image/png")]);
        let event = event(&asked(&head, &Bytes::from_static(b"\xff\x00")));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        assert!(event.get("cookies").is_none() && event.get("queryStringParameters").is_none());
    }

    #[test]
    fn answers_with_and_without_a_form() {
        let response = |answer: Bytes| response(&answer).unwrap();
        let plain = response(Bytes::from_static(br#"{"message":"hi"}"#));
        assert_eq!((plain.status(), &plain.body()[..]), (StatusCode::OK, &br#"{"message":"hi"}"#[..]));
        assert_eq!(plain.headers()["content-type"], "application/json");
        assert_eq!(&response(Bytes::from_static(b"\"text\"")).body()[..], b"text");
        let formed = json!({
            "statusCode": 201, "headers": {"Content-Type": "text/plain", "X-A": 1, "X-B": "é", "content-length": "99"},
            "body": "aGk=", "isBase64Encoded": true, "cookies": ["a=1", "b=2"],
        });
        let formed = response(formed.to_string().into());
        assert_eq!((formed.status(), &formed.body()[..]), (StatusCode::CREATED, &b"hi"[..]));
        assert_eq!(
            (&formed.headers()["content-type"], &formed.headers()["x-a"]),
            (&"text/plain".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!(formed.headers()["x-b"].as_bytes(), "é".as_bytes());
        assert_eq!(formed.headers().get_all("set-cookie").iter().count(), 2);
        assert!(formed.headers().get("content-length").is_none());
    }

    #[test]
    fn what_is_no_response_is_refused_as_a_whole() {
        for bad in [
            "nonsense",
            r#"{"statusCode":99999}"#,
            r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"headers":{"x y":"1"}}"#,
            r#"{"statusCode":200,"headers":{"x":"1\r\ny: 2"}}"#,
            r#"{"statusCode":200,"headers":["x"]}"#,
            r#"{"statusCode":200,"cookies":["a=\n"]}"#,
            r#"{"statusCode":200,"cookies":"a=1"}"#,
        ] {
            assert!(response(&Bytes::from_static(bad.as_bytes())).is_none(), "{bad}");
        }
        // More of them than a response can have.
        let many: Map<String, Value> = (0..30_000).map(|n| (format!("x{n}"), Value::from("1"))).collect();
        let many = serde_json::json!({"statusCode": 200, "headers": many}).to_string();
        assert!(response(&Bytes::from(many)).is_none());
        let nothing = response(&Bytes::from_static(br#"{"statusCode":200,"headers":null,"cookies":null}"#));
        assert_eq!(nothing.unwrap().headers().len(), 1, "what is null is not there");
    }

    #[test]
    fn other_sites_may_what_is_configured() {
        let cors = Cors {
            origins: Some(vec!["https://a.example".into()]),
            methods: Some(vec!["GET".into(), "POST".into()]),
            headers: Some(vec!["x-one".into()]),
            credentials: Some(true),
            max_age: Some(60),
            exposed: None,
        };
        let ask = |origin| head("OPTIONS", "/", &[("origin", origin), ("access-control-request-method", "POST")]);
        let good = cors.preflight(&ask("https://a.example")).unwrap();
        for (name, value) in [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-methods", "GET,POST"),
            ("access-control-allow-headers", "x-one"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "60"),
        ] {
            assert_eq!(good.headers()[name], value, "{name}");
        }
        assert!(cors.preflight(&ask("https://b.example")).unwrap().headers().is_empty());
        assert!(cors.preflight(&head("OPTIONS", "/", &[])).is_none(), "any other request is the function's");
        let any = Cors { origins: Some(vec!["*".into()]), ..Cors::default() };
        let mut response = response(&Bytes::from_static(b"1")).unwrap();
        assert!(any.apply(&ask("https://b.example").headers, &mut response));
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
}
