//! Function URLs: who may ask, what the function sees, what the client gets.
#![allow(clippy::unwrap_used)]

mod scripted;

use bytes::Bytes;
use functions::UrlRequest;
use http::StatusCode;
use names::{Caller, Home};
use scripted::{Act, House};
use serde_json::{Value, json};

async fn get(house: &House, id: &str, path: &str, caller: Option<Caller>) -> http::Response<Bytes> {
    let request = http::Request::get(format!("{path}?q=1")).header("origin", "https://a.example").body(()).unwrap();
    let (head, ()) = request.into_parts();
    let peer = [127, 0, 0, 1].into();
    let request = UrlRequest { id, path, head: &head, body: &Bytes::new(), peer };
    let (head, mut body) = house.functions.answer_url(request, caller).await.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece);
    }
    http::Response::from_parts(head, bytes.into())
}

fn id(made: &Value) -> String {
    let url = made["FunctionUrl"].as_str().unwrap();
    let id = url.strip_prefix("http://").unwrap().split('.').next().unwrap();
    assert_eq!(url, format!("http://{id}.lambda-url.us-east-1.localhost:4566/"));
    id.to_owned()
}

fn somebody() -> Caller {
    Caller::root(&Home::default().account, "test")
}

#[tokio::test(start_paused = true)]
async fn an_open_url_asks_the_policy_first() {
    let house = House::new().await;
    house.make("f", "1").await;
    let made = house
        .ask(
            "CreateFunctionUrlConfig",
            json!({"FunctionName": "f", "AuthType": "NONE",
        "Cors": {"AllowOrigins": ["*"]}}),
        )
        .await;
    let id = id(&made);
    assert_eq!(house.functions.url_is_signed(&id), Some(false));
    let refused = get(&house, &id, "/", None).await;
    assert_eq!((refused.status(), &refused.body()[..]), (StatusCode::FORBIDDEN, &br#"{"Message":"Forbidden"}"#[..]));
    let added = house
        .ask(
            "AddPermission",
            json!({"FunctionName": "f", "StatementId": "s", "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}),
        )
        .await;
    assert!(added["Statement"].as_str().unwrap().contains(r#""lambda:FunctionUrlAuthType":"NONE""#));
    house.script(|seen| Act::Answer(json!({"statusCode": 202, "body": seen.event["rawPath"], "cookies": ["a=b"]})));
    let answer = get(&house, &id, "/x/y", None).await;
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::ACCEPTED, &b"/x/y"[..]));
    assert_eq!(answer.headers()["set-cookie"], "a=b");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let event = house.seen(|seen| seen.event.clone()).remove(0);
    assert_eq!(event["queryStringParameters"], json!({"q": "1"}));
    assert_eq!(event["requestContext"]["domainName"], format!("{id}.lambda-url.us-east-1.localhost"));
    house.script(|_| Act::Fail(json!({"errorType": "E", "errorMessage": "m"})));
    assert_eq!(get(&house, &id, "/", None).await.status(), StatusCode::BAD_GATEWAY);
    house.ask("PutFunctionConcurrency", json!({"FunctionName": "f", "ReservedConcurrentExecutions": 0})).await;
    assert_eq!(get(&house, &id, "/", None).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn a_signed_url_wants_to_know_who_asks() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"Publish": true})).await;
    house.ask("CreateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"})).await;
    let input = json!({"FunctionName": "f", "Qualifier": "live", "AuthType": "AWS_IAM"});
    let made = house.ask("CreateFunctionUrlConfig", input.clone()).await;
    assert_eq!(made["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
    assert_eq!(house.refused("CreateFunctionUrlConfig", input).await.0, "ResourceConflictException");
    let id = id(&made);
    assert_eq!(house.functions.url_is_signed(&id), Some(true));
    assert_eq!(get(&house, &id, "/", None).await.status(), StatusCode::FORBIDDEN);
    let answer = get(&house, &id, "/", Some(somebody())).await;
    let event: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(event["requestContext"]["authorizer"]["iam"]["accessKey"], "test");
    assert_eq!(house.seen(|seen| seen.env["AWS_LAMBDA_FUNCTION_VERSION"].clone()), ["1"]);
    let changed = house
        .ask("UpdateFunctionUrlConfig", json!({"FunctionName": "f", "Qualifier": "live", "AuthType": "NONE"}))
        .await;
    assert_eq!((&changed["AuthType"], &changed["FunctionUrl"]), (&json!("NONE"), &made["FunctionUrl"]));
    let house = house.restart().await;
    let listed = house.ask("ListFunctionUrlConfigs", json!({"FunctionName": "f"})).await;
    assert_eq!(listed["FunctionUrlConfigs"][0]["FunctionUrl"], made["FunctionUrl"]);
    let input = json!({"FunctionName": "f", "Qualifier": "1", "AuthType": "NONE"});
    assert!(house.answer("CreateFunctionUrlConfig", input).await.is_err(), "a version has none");
    assert_eq!(listed["FunctionUrlConfigs"][0]["InvokeMode"], "BUFFERED");
    let input = json!({"FunctionName": "f", "Qualifier": "live", "InvokeMode": "RESPONSE_STREAM"});
    assert_eq!(house.ask("UpdateFunctionUrlConfig", input).await["InvokeMode"], "RESPONSE_STREAM");
    let house = house.restart().await;
    let asked = house.ask("GetFunctionUrlConfig", json!({"FunctionName": "f", "Qualifier": "live"})).await;
    assert_eq!(asked["InvokeMode"], "RESPONSE_STREAM");
    house.ask("DeleteFunctionUrlConfig", json!({"FunctionName": "f", "Qualifier": "live"})).await;
    assert_eq!(house.functions.url_is_signed(&id), None);
    assert_eq!(get(&house, &id, "/", Some(somebody())).await.status(), StatusCode::FORBIDDEN);
}
