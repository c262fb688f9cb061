//! API destinations and their connections: what is sent, how it is let in, what becomes of refusals.

// Helpers of tests unwrap as tests do, and clippy does not see that they are such.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use delivery::Envelope;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{House, QUEUE, house, life, text};
use world::disk::SimDisk;
use world::net::SendError;

type Seen = Arc<Mutex<Vec<http::Request<Bytes>>>>;

/// Answers with what `answer` says to the request and its number among those to the same path.
fn listen(
    house: &House,
    answer: impl Fn(&http::Request<Bytes>, usize) -> (u16, String) + Send + Sync + 'static,
) -> Seen {
    let seen = Seen::default();
    let kept = seen.clone();
    house.net.answer_with(move |request| {
        let mut kept = kept.lock().unwrap();
        let before = kept.iter().filter(|other| other.uri().path() == request.uri().path()).count();
        kept.push(request.clone());
        let (status, body) = answer(request, before);
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(response)
    });
    seen
}

async fn connection(house: &House, kind: &str, parameters: Value) -> Value {
    let input = json!({"Name": "c", "AuthorizationType": kind, "AuthParameters": parameters});
    house.done("CreateConnection", input).await
}

async fn api_key(house: &House) -> Value {
    connection(house, "API_KEY", json!({"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "hush"}})).await
}

/// A rule whose one target is a destination with this endpoint.
async fn send_to(house: &House, connection: &Value, more: Value, target: Value) {
    let mut input = json!({"Name": "d", "ConnectionArn": connection["ConnectionArn"], "HttpMethod": "POST",
        "InvocationEndpoint": "https://api.example/in"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = house.done("CreateApiDestination", input).await;
    let mut put = json!({"Id": "1", "Arn": made["ApiDestinationArn"], "DeadLetterConfig": {"Arn": QUEUE}});
    put.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    house.rule("r", "shop", json!([put])).await;
}

fn why(letter: &Envelope) -> Value {
    serde_json::from_str(&letter.attributes[delivery::attribute::MESSAGE_ATTRIBUTES]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_becomes_a_request() {
    let house = house().await;
    let seen = listen(&house, |_, _| (200, String::new()));
    let auth = json!({"BasicAuthParameters": {"Username": "u", "Password": "hush"},
        "InvocationHttpParameters": {"HeaderParameters": [{"Key": "X-A", "Value": "shown", "IsValueSecret": false},
            {"Key": "X-B", "Value": "hush", "IsValueSecret": true}]}});
    let made = connection(&house, "BASIC", auth).await;
    assert_eq!(made["ConnectionState"], "AUTHORIZED");
    let more = json!({"InvocationEndpoint": "https://api.example/*/items", "HttpMethod": "PUT"});
    let http = json!({"PathParameterValues": ["$.detail.id"], "QueryStringParameters": {"v": "1"}});
    send_to(&house, &made, more, json!({"HttpParameters": http, "InputPath": "$.detail"})).await;
    house.put("shop", r#"{"id":"a b"}"#).await;
    assert!(house.taken().await.is_empty());
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].method().as_str(), seen[0].uri().to_string().as_str()),
        ("PUT", "https://api.example/a%20b/items?v=1")
    );
    assert_eq!(&seen[0].body()[..], br#"{"id":"a b"}"#);
    let (basic, hush) = (http::HeaderValue::from_static("Basic dTpodXNo"), http::HeaderValue::from_static("hush"));
    assert_eq!((&seen[0].headers()["authorization"], &seen[0].headers()["x-b"]), (&basic, &hush));
    let shown = house.done("DescribeConnection", json!({"Name": "c"})).await;
    assert!(!shown.to_string().contains("hush"), "{shown}");
    assert_eq!(shown["AuthParameters"]["BasicAuthParameters"], json!({"Username": "u"}));
    let headers = &shown["AuthParameters"]["InvocationHttpParameters"]["HeaderParameters"];
    assert_eq!(headers[0], json!({"Key": "X-A", "Value": "shown", "IsValueSecret": false}));
    assert_eq!(headers[1], json!({"Key": "X-B", "IsValueSecret": true}));
    let listed = house.done("ListTargetsByRule", json!({"Rule": "r"})).await;
    assert_eq!(listed["Targets"][0]["HttpParameters"], http);
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_what_does_not_is_a_dead_letter() {
    let house = house().await;
    let statuses = [429, 503, 409, 200];
    let seen = listen(&house, move |_, before| (statuses.get(before).copied().unwrap_or(400), String::new()));
    let made = api_key(&house).await;
    send_to(&house, &made, json!({}), json!({})).await;
    house.put("shop", "{}").await;
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(seen.lock().unwrap().len(), 4);
    assert_eq!(seen.lock().unwrap()[3].headers()["x-key"], "hush");
    let id = house.put("shop", "{}").await;
    let taken = house.taken().await;
    assert_eq!((taken.len(), taken[0].to.as_str(), taken[0].id.as_str()), (1, QUEUE, id.as_str()));
    assert_eq!(why(&taken[0])["ERROR_CODE"]["StringValue"], "SDK_CLIENT_ERROR");
    assert!(!text(&taken[0]).contains("hush"));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let house = house().await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let (kept, world) = (times.clone(), house.world.clone());
    house.net.answer_with(move |_| {
        let mut kept = kept.lock().unwrap();
        kept.push(world.now());
        let mut response = http::Response::new(Bytes::new());
        if kept.len() == 1 {
            *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert("retry-after", "90".parse().unwrap());
        }
        Ok(response)
    });
    let made = api_key(&house).await;
    send_to(&house, &made, json!({}), json!({})).await;
    house.put("shop", "{}").await;
    house.wait(Duration::from_secs(200)).await;
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 2);
    assert!(times[1].since(times[0]) >= Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_and_anew_when_it_is_refused() {
    let house = house().await;
    let seen = listen(&house, |request, before| match request.uri().path() {
        "/token" => (200, json!({"access_token": format!("t{before}"), "expires_in": 3600}).to_string()),
        _ if request.headers()["authorization"] == "Bearer t1" => (200, String::new()),
        _ if before < 2 => (200, String::new()),
        _ => (401, String::new()),
    });
    let client = json!({"ClientID": "id", "ClientSecret": "hush"});
    let oauth = json!({"OAuthParameters": {"ClientParameters": client, "HttpMethod": "POST",
        "AuthorizationEndpoint": "https://auth.example/token"}});
    let made = connection(&house, "OAUTH_CLIENT_CREDENTIALS", oauth).await;
    assert_eq!(made["ConnectionState"], "AUTHORIZING");
    house.wait(Duration::from_millis(10)).await;
    assert_eq!(house.done("DescribeConnection", json!({"Name": "c"})).await["ConnectionState"], "AUTHORIZED");
    send_to(&house, &made, json!({}), json!({})).await;
    for _ in 0..4 {
        house.put("shop", "{}").await;
    }
    assert!(house.taken().await.is_empty());
    let paths: Vec<String> = seen.lock().unwrap().iter().map(|r| r.uri().path().to_owned()).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/token").count(), 2, "{paths:?}");
    assert_eq!(house.done("DescribeApiDestination", json!({"Name": "d"})).await["ApiDestinationState"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_let_in_says_so_and_is_tried_again() {
    let house = house().await;
    let seen = listen(&house, |request, before| match (request.uri().path(), before) {
        ("/token", 0 | 1) => (403, "hush".to_owned()),
        ("/token", _) => (200, r#"{"access_token":"t","expires_in":"60"}"#.to_owned()),
        _ => (200, String::new()),
    });
    let client = json!({"ClientID": "id", "ClientSecret": "hush"});
    let oauth = json!({"OAuthParameters": {"ClientParameters": client, "HttpMethod": "GET",
        "AuthorizationEndpoint": "https://auth.example/token"}});
    let made = connection(&house, "OAUTH_CLIENT_CREDENTIALS", oauth).await;
    house.wait(Duration::from_millis(10)).await;
    let shown = house.done("DescribeConnection", json!({"Name": "c"})).await;
    assert_eq!(
        (&shown["ConnectionState"], shown["StateReason"].as_str().unwrap().contains("403")),
        (&json!("DEAUTHORIZED"), true)
    );
    assert!(!shown.to_string().contains("hush"));
    send_to(&house, &made, json!({}), json!({})).await;
    house.put("shop", "{}").await;
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(seen.lock().unwrap().iter().filter(|r| r.uri().path() == "/in").count(), 1);
    let shown = house.done("DescribeConnection", json!({"Name": "c"})).await;
    assert_eq!((&shown["ConnectionState"], shown.get("StateReason")), (&json!("AUTHORIZED"), None));
}

#[tokio::test(start_paused = true)]
async fn a_deauthorized_connection_has_no_secret_left() {
    let house = house().await;
    let seen = listen(&house, |_, _| (200, String::new()));
    let made = api_key(&house).await;
    send_to(&house, &made, json!({}), json!({})).await;
    let done = house.done("DeauthorizeConnection", json!({"Name": "c"})).await;
    assert_eq!(done["ConnectionState"], "DEAUTHORIZED");
    assert_eq!(house.done("DescribeApiDestination", json!({"Name": "d"})).await["ApiDestinationState"], "INACTIVE");
    house.put("shop", "{}").await;
    let taken = house.taken().await;
    assert_eq!(why(&taken[0])["ERROR_CODE"]["StringValue"], "CONNECTION_FAILURE");
    assert!(seen.lock().unwrap().is_empty());
    let (name, _) = house.refused("UpdateConnection", json!({"Name": "c"})).await;
    assert_eq!(name, "ValidationException");
    let anew = json!({"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "new"}});
    house.done("UpdateConnection", json!({"Name": "c", "AuthParameters": anew})).await;
    house.put("shop", "{}").await;
    assert!(house.taken().await.is_empty());
    assert_eq!(seen.lock().unwrap()[0].headers()["x-key"], "new");
    house.done("DeleteConnection", json!({"Name": "c"})).await;
    house.put("shop", "{}").await;
    assert_eq!(why(&house.taken().await[0])["ERROR_CODE"]["StringValue"], "NO_RESOURCE");
}

#[tokio::test(start_paused = true)]
async fn invocations_keep_the_rate() {
    let house = house().await;
    let seen = listen(&house, |_, _| (200, String::new()));
    let made = api_key(&house).await;
    send_to(&house, &made, json!({"InvocationRateLimitPerSecond": 5}), json!({})).await;
    for _ in 0..30 {
        house.put("shop", "{}").await;
    }
    house.wait(Duration::from_secs(2)).await;
    let after_two = seen.lock().unwrap().len();
    assert!((9..=12).contains(&after_two), "{after_two}");
    house.wait(Duration::from_secs(5)).await;
    assert_eq!(seen.lock().unwrap().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_tried_again() {
    let house = house().await;
    let up = Arc::new(Mutex::new(false));
    let (look, got) = (up.clone(), Arc::new(Mutex::new(0)));
    let count = got.clone();
    house.net.answer_with(move |_| match *look.lock().unwrap() {
        false => Err(SendError::Connect("refused".to_owned())),
        true => {
            *count.lock().unwrap() += 1;
            Ok(http::Response::new(Bytes::new()))
        }
    });
    let made = api_key(&house).await;
    send_to(&house, &made, json!({}), json!({})).await;
    house.put("shop", "{}").await;
    house.wait(Duration::from_secs(3600)).await;
    *up.lock().unwrap() = true;
    house.wait(Duration::from_secs(3600)).await;
    assert_eq!(*got.lock().unwrap(), 1);
    assert!(house.taken().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused() {
    let house = house().await;
    let made = api_key(&house).await;
    let destination = |endpoint: &str, connection: &str| json!({"Name": "d", "ConnectionArn": connection, "HttpMethod": "POST", "InvocationEndpoint": endpoint});
    let arn = made["ConnectionArn"].as_str().unwrap();
    let refused = house.refused("CreateApiDestination", destination("http://api.example/", arn)).await;
    assert!(refused.1.contains("must start with https://"), "{refused:?}");
    let other = format!("{}x", &arn[..arn.len() - 1]);
    assert_eq!(
        house.refused("CreateApiDestination", destination("https://a.example/", &other)).await.0,
        "ResourceNotFoundException"
    );
    let again = json!({"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters":
        {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}});
    assert_eq!(house.refused("CreateConnection", again).await.0, "ResourceAlreadyExistsException");
    let mismatch = json!({"Name": "e", "AuthorizationType": "BASIC", "AuthParameters":
        {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}});
    let refused = house.refused("CreateConnection", mismatch).await;
    assert!(refused.1.contains("BasicAuthParameters must be specified"), "{refused:?}");
    let key = json!({"Name": "e", "AuthorizationType": "API_KEY", "KmsKeyIdentifier": "k", "AuthParameters":
        {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}});
    assert!(house.refused("CreateConnection", key).await.1.contains("KmsKeyIdentifier"));
    for operation in ["DescribeConnection", "DeleteConnection", "DeauthorizeConnection", "DescribeApiDestination"] {
        assert_eq!(house.refused(operation, json!({"Name": "none"})).await.0, "ResourceNotFoundException");
    }
}

#[test]
fn secrets_are_on_disk_only_sealed_and_survive() {
    let disk = Arc::new(SimDisk::new(3));
    life(&disk, 1, |house| async move {
        house.start();
        let made = api_key(&house).await;
        send_to(&house, &made, json!({}), json!({})).await;
    });
    disk.crash();
    life(&disk, 2, |house| async move {
        for file in house.world.disk.list(std::path::Path::new("/data/journal")).unwrap() {
            let bytes = house.world.disk.read(&std::path::Path::new("/data/journal").join(&file.name)).unwrap();
            assert!(!bytes.windows(4).any(|window| window == b"hush"), "{}", file.name);
        }
        let seen = listen(&house, |_, _| (200, String::new()));
        house.start();
        house.put("shop", "{}").await;
        assert!(house.taken().await.is_empty());
        assert_eq!(seen.lock().unwrap()[0].headers()["x-key"], "hush");
    });
}
