//! Values out, bytes back; errors; and the whole way through the front.

use crate::house::{KEY, Keys, SECRET, blob, body, call, list, map, structure, text};
use bytes::Bytes;
use names::{CallerKind, Home, Timestamp};
use ring::{digest, hmac};
use shapes::{cloudtrail, ec2, iam, kinesis, lambda, sns, sqs, sts};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use wire::codec::{self, Style};
use wire::{
    ApiError, Call, Front, FrontOptions, Nothing, Observer, Outcome, Protocol, Service, ServiceModel, Value, common,
};
use world::net::Asked;
use world::{BoxFuture, World};

fn encode(
    service: &'static ServiceModel,
    operation: &str,
    protocol: Protocol,
    output: &Value,
) -> http::Response<Bytes> {
    codec::encode(&call(service, operation), protocol, output).unwrap()
}

fn header<'a, B>(answer: &'a http::Response<B>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

#[test]
fn json_answers() {
    let at = Value::Time(Timestamp(1_700_000_000_250_000));
    let record =
        structure([("Data", blob(b"hi")), ("ApproximateArrivalTimestamp", at), ("PartitionKey", text("\"é\n"))]);
    let output = structure([("Records", list([record])), ("MillisBehindLatest", Value::Int(0))]);
    let answer = encode(&kinesis::SERVICE, "GetRecords", Protocol::AwsJson11, &output);
    assert_eq!(
        body(&answer),
        r#"{"Records":[{"Data":"aGk=","ApproximateArrivalTimestamp":1700000000.25,"PartitionKey":"\"é\n"}],"MillisBehindLatest":0}"#
    );
    assert_eq!(header(&answer, "content-type"), "application/x-amz-json-1.1");
    assert_eq!(header(&answer, "x-amzn-requestid"), "request-1");
    let nothing = encode(&kinesis::SERVICE, "CreateStream", Protocol::AwsJson11, &structure([]));
    assert_eq!(body(&nothing), "");
}

#[test]
fn cbor_answers() {
    let at = Value::Time(Timestamp::from_millis(1000));
    let output =
        structure([("Records", list([structure([("Data", blob(b"hi")), ("ApproximateArrivalTimestamp", at)])]))]);
    let answer = encode(&kinesis::SERVICE, "GetRecords", Protocol::AwsCbor, &output);
    let start = b"\xa1\x67Records\x81\xa2\x64Data\x42hi\x78\x1bApproximateArrivalTimestamp\xc1";
    assert_eq!(&answer.body()[..], [&start[..], b"\x19\x03\xe8"].concat());
    let answer = encode(&kinesis::SERVICE, "GetRecords", Protocol::RpcCbor, &output);
    assert_eq!(&answer.body()[..], [&start[..], b"\xfb\x3f\xf0\0\0\0\0\0\0"].concat());
    assert_eq!(header(&answer, "smithy-protocol"), "rpc-v2-cbor");
}

#[test]
fn query_answers() {
    let answer = encode(&sns::SERVICE, "Publish", Protocol::Query, &structure([("MessageId", text("a<b"))]));
    assert_eq!(
        body(&answer),
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
         <MessageId>a&lt;b</MessageId></PublishResult><ResponseMetadata><RequestId>request-1</RequestId>\
         </ResponseMetadata></PublishResponse>\n"
    );
    let topics = list([structure([("TopicArn", text("a"))]), structure([("TopicArn", text("b"))])]);
    let answer = encode(&sns::SERVICE, "ListTopics", Protocol::Query, &structure([("Topics", topics)]));
    assert!(
        body(&answer).contains(
            "<Topics><member><TopicArn>a</TopicArn></member><member><TopicArn>b</TopicArn></member></Topics>"
        )
    );
    let attributes = structure([("Attributes", map([("k", text("v"))]))]);
    let answer = encode(&sns::SERVICE, "GetTopicAttributes", Protocol::Query, &attributes);
    assert!(body(&answer).contains("<Attributes><entry><key>k</key><value>v</value></entry></Attributes>"));
    let user = structure([("UserName", text("u")), ("CreateDate", Value::Time(Timestamp::from_millis(0)))]);
    let answer = encode(&iam::SERVICE, "GetUser", Protocol::Query, &structure([("User", user)]));
    assert!(body(&answer).contains("<CreateDate>1970-01-01T00:00:00Z</CreateDate>"));
    let answer = encode(&iam::SERVICE, "DeleteUser", Protocol::Query, &structure([]));
    assert!(
        body(&answer)
            .contains("<DeleteUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ResponseMetadata>")
    );
}

#[test]
fn query_answers_of_a_service_that_moved_to_json() {
    let message = structure([
        ("Body", text("b")),
        ("Attributes", map([("SentTimestamp", text("1"))])),
        ("MessageAttributes", map([("n", structure([("StringValue", text("v"))]))])),
    ]);
    let output = structure([("Messages", list([message]))]);
    let answer = encode(&sqs::SERVICE, "ReceiveMessage", Protocol::Query, &output);
    assert!(body(&answer).contains(
        "<ReceiveMessageResult><Message><Body>b</Body><Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>\
         <MessageAttribute><Name>n</Name><Value><StringValue>v</StringValue></Value></MessageAttribute></Message>\
         </ReceiveMessageResult>"
    ));
    let output = structure([("QueueUrls", list([text("u")]))]);
    let answer = encode(&sqs::SERVICE, "ListQueues", Protocol::Query, &output);
    assert!(body(&answer).contains("<ListQueuesResult><QueueUrl>u</QueueUrl></ListQueuesResult>"));
}

#[test]
fn ec2_answers() {
    let tags = list([structure([("Key", text("Type")), ("Value", text("Production"))])]);
    let instance = structure([("InstanceId", text("i-1")), ("Tags", tags)]);
    let reservation = structure([("ReservationId", text("r-1")), ("Instances", list([instance]))]);
    let answer = encode(
        &ec2::SERVICE,
        "DescribeInstances",
        Protocol::Ec2Query,
        &structure([("Reservations", list([reservation]))]),
    );
    assert_eq!(
        body(&answer),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>request-1</requestId>\
         <reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId>\
         <tagSet><item><key>Type</key><value>Production</value></item></tagSet></item></instancesSet></item>\
         </reservationSet></DescribeInstancesResponse>\n"
    );
    let answer = encode(&ec2::SERVICE, "CreateTags", Protocol::Ec2Query, &structure([]));
    assert!(body(&answer).contains("<return>true</return>"));
}

#[test]
fn rest_answers() {
    let output = structure([
        ("StatusCode", Value::Int(202)),
        ("FunctionError", text("Unhandled")),
        ("Payload", blob(b"{\"x\":1}")),
    ]);
    let answer = encode(&lambda::SERVICE, "Invoke", Protocol::RestJson, &output);
    assert_eq!(answer.status(), 202);
    assert_eq!(header(&answer, "x-amz-function-error"), "Unhandled");
    assert_eq!(body(&answer), "{\"x\":1}");
    let answer = encode(&lambda::SERVICE, "ListFunctions", Protocol::RestJson, &structure([("Functions", list([]))]));
    assert_eq!((answer.status().as_u16(), body(&answer)), (200, "{\"Functions\":[]}"));
}

#[test]
fn errors_in_every_protocol() {
    let error = kinesis::errors::RESOURCE_NOT_FOUND_EXCEPTION.because("no <s>").with("Extra", Value::Int(1));
    let of = |protocol| codec::encode_error(Some(&kinesis::SERVICE), Some("PutRecord"), protocol, "r", &error);
    let answer = of(Protocol::AwsJson11);
    assert_eq!(answer.status(), 400);
    assert_eq!(body(&answer), r#"{"__type":"ResourceNotFoundException","message":"no <s>","Extra":1}"#);
    assert_eq!(
        &of(Protocol::AwsCbor).body()[..],
        b"\xa3\x66__type\x78\x19ResourceNotFoundException\x67message\x66no <s>\x65Extra\x01"
    );
    let answer = codec::encode_error(Some(&sns::SERVICE), None, Protocol::Query, "r", &error);
    assert_eq!(
        body(&answer),
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>ResourceNotFoundException</Code><Message>no &lt;s&gt;</Message><Extra>1</Extra></Error>\
         <RequestId>r</RequestId></ErrorResponse>\n"
    );
    let answer = of(Protocol::Ec2Query);
    assert!(body(&answer).contains("<Response><Errors><Error><Code>ResourceNotFoundException</Code>"));
    assert!(body(&answer).ends_with("</Error></Errors><RequestID>r</RequestID></Response>\n"));

    let error = lambda::errors::RESOURCE_NOT_FOUND_EXCEPTION.because("gone");
    let answer = codec::encode_error(Some(&lambda::SERVICE), None, Protocol::RestJson, "r", &error);
    assert_eq!(answer.status(), 404);
    assert_eq!(header(&answer, "x-amzn-errortype"), "ResourceNotFoundException");
    assert_eq!(body(&answer), r#"{"Type":"User","Message":"gone","message":"gone"}"#);

    let error = sqs::errors::QUEUE_DOES_NOT_EXIST.because("gone");
    let answer = codec::encode_error(Some(&sqs::SERVICE), None, Protocol::AwsJson10, "r", &error);
    assert_eq!(header(&answer, "x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(header(&answer, "content-type"), "application/x-amz-json-1.0");
}

#[test]
fn secrets_are_not_for_auditors() {
    let key = structure([("UserName", text("u")), ("SecretAccessKey", text("hush"))]);
    let output = structure([("AccessKey", key)]);
    let model = iam::SERVICE.operation("CreateAccessKey").unwrap().model.unwrap();
    let shown = codec::to_json(model.output, &output, Style { redact: true, lower_first: true });
    assert_eq!(
        shown.to_string(),
        r#"{"accessKey":{"userName":"u","secretAccessKey":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#
    );
}

#[derive(Default)]
struct Seen(Mutex<Vec<Outcome>>);

impl Observer for Seen {
    fn wants(&self, _: &str, operation: &str) -> bool {
        operation != "PutRecord"
    }
    fn observe(&self, outcome: Outcome) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.0.lock().unwrap().push(outcome) })
    }
}

struct House {
    front: Arc<Front>,
    seen: Arc<Seen>,
    world: World,
}

async fn create_stream(_: Arc<()>, _: Arc<Call>, input: kinesis::CreateStreamInput) -> Result<Nothing, ApiError> {
    match input.stream_name.as_str() {
        "taken" => Err(kinesis::errors::RESOURCE_IN_USE_EXCEPTION.because("taken")),
        "broken" => panic!("a bug with a secret"),
        "slow" => {
            tokio::task::yield_now().await;
            Ok(Nothing {})
        }
        _ => Ok(Nothing {}),
    }
}

async fn identity(
    _: Arc<()>,
    call: Arc<Call>,
    _: sts::GetCallerIdentityRequest,
) -> Result<sts::GetCallerIdentityResponse, ApiError> {
    Ok(sts::GetCallerIdentityResponse { arn: Some(call.caller.arn.clone()), ..Default::default() })
}

async fn unsubscribe(_: Arc<()>, call: Arc<Call>, _: sns::UnsubscribeInput) -> Result<Nothing, ApiError> {
    match call.caller.kind {
        CallerKind::Anonymous => Ok(Nothing {}),
        _ => Err(common::ACCESS_DENIED.because("signed")),
    }
}

async fn delete_topic(_: Arc<()>, _: Arc<Call>, _: sns::DeleteTopicInput) -> Result<Nothing, ApiError> {
    Ok(Nothing {})
}

fn house() -> House {
    let (world, _) = World::simulated(1);
    let state = Arc::new(());
    let services = vec![
        Service::new(&kinesis::SERVICE)
            .body_limit(1000)
            .extended_ids()
            .on::<kinesis::CreateStreamOp, _, _, _>(&state, create_stream),
        Service::new(&sts::SERVICE).global().on::<sts::GetCallerIdentityOp, _, _, _>(&state, identity),
        Service::new(&sns::SERVICE)
            .unsigned(&["Unsubscribe"])
            .on::<sns::UnsubscribeOp, _, _, _>(&state, unsubscribe)
            .on::<sns::DeleteTopicOp, _, _, _>(&state, delete_topic),
        Service::new(&lambda::SERVICE),
        Service::new(&cloudtrail::SERVICE),
    ];
    let seen = Arc::new(Seen::default());
    let front =
        Front::new(world.clone(), Home::default(), services, Arc::new(Keys), seen.clone(), FrontOptions::default());
    House { front, seen, world }
}

impl House {
    /// Signs the plain way, with strings: nothing here is shared with what it tests.
    fn asked(&self, service: &str, method: &str, uri: &str, headers: &[(&str, &str)], body: &'static str) -> Asked {
        let now = self.world.now();
        let stamp = now.iso_secs().replace(['-', ':'], "");
        let scope = format!("{}/us-east-1/{service}/aws4_request", &stamp[..8]);
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let sha = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let target = headers.iter().find(|(name, _)| *name == "x-amz-target");
        let (extra, names) = match target {
            Some((_, value)) => (format!("x-amz-target:{value}\n"), "host;x-amz-date;x-amz-target"),
            None => (String::new(), "host;x-amz-date"),
        };
        let canonical =
            format!("{method}\n{path}\n{query}\nhost:h\nx-amz-date:{stamp}\n{extra}\n{names}\n{}", sha(body));
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha(&canonical));
        let mut key = format!("AWS4{SECRET}").into_bytes();
        for part in scope.split('/') {
            key = mac(&key, part).as_ref().to_vec();
        }
        let signature = hex(mac(&key, &to_sign).as_ref());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}");
        let mut all = vec![("host", "h"), ("x-amz-date", stamp.as_str()), ("authorization", authorization.as_str())];
        all.extend(headers);
        unsigned(method, uri, &all, body)
    }
}

fn unsigned(method: &str, uri: &str, headers: &[(&str, &str)], body: &'static str) -> Asked {
    let mut builder = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let (head, ()) = builder.body(()).unwrap().into_parts();
    Asked { head, body: Bytes::from_static(body.as_bytes()), peer: "10.0.0.7:5".parse().unwrap() }
}

const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

fn target(operation: &str) -> (&'static str, String) {
    ("x-amz-target", format!("Kinesis_20131202.{operation}"))
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_all_the_way_and_is_observed() {
    let house = house();
    let (name, value) = target("CreateStream");
    let create = |body| house.asked("kinesis", "POST", "/", &[JSON, (name, &value)], body);
    let answer = house.front.answer(create(r#"{"StreamName":"s","ShardCount":1}"#)).await;
    assert_eq!((answer.status().as_u16(), body(&answer)), (200, ""));
    assert!(!header(&answer, "x-amz-id-2").is_empty());
    let answer = house.front.answer(create(r#"{"StreamName":"taken"}"#)).await;
    assert_eq!(body(&answer), r#"{"__type":"ResourceInUseException","message":"taken"}"#);
    let seen = house.seen.0.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].input.as_ref().unwrap().get("StreamName"), Some(&text("s")));
    assert_eq!(seen[0].call.source_ip.to_string(), "10.0.0.7");
    assert_eq!(seen[0].error, None);
    assert_eq!(seen[1].error.as_ref().unwrap().model.name, "ResourceInUseException");
    assert_eq!(seen[1].output, None);
}

#[tokio::test(start_paused = true)]
async fn all_ways_to_an_operation_lead_there() {
    let house = house();
    let ask = |method, uri, headers: &[(&str, &str)], body| house.asked("sts", method, uri, headers, body);
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let answer = house.front.answer(ask("POST", "/", &[FORM], form)).await;
    assert!(body(&answer).contains("<Arn>arn:aws:iam::123456789012:root</Arn>"), "{}", body(&answer));
    let answer = house.front.answer(ask("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[], "")).await;
    assert_eq!(answer.status(), 200);
    let rpc = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let create = "\u{0}"; // not a map: it arrives at the codec and is refused there
    let asked = house.asked("kinesis", "POST", "/service/Kinesis_20131202/operation/CreateStream", &rpc, create);
    let answer = house.front.answer(asked).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "smithy-protocol")), (400, "rpc-v2-cbor"));
    assert!(answer.body().whole().unwrap().windows(22).any(|w| w == b"SerializationException"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_named() {
    let house = house();
    let (name, value) = target("NoSuchThing");
    let answer = house.front.answer(unsigned("POST", "/", &[JSON, (name, &value)], "{}")).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(
        body(&answer),
        r#"{"__type":"UnknownOperationException","message":"Amazon Kinesis has no operation NoSuchThing"}"#
    );
    let (name, value) = target("SplitShard");
    let answer = house.front.answer(house.asked("kinesis", "POST", "/", &[JSON, (name, &value)], "{}")).await;
    assert_eq!(answer.status(), 501);
    assert!(
        body(&answer).contains(
            "Headwater does not serve Amazon Kinesis SplitShard yet. See docs/coverage.md for what it serves."
        )
    );
    let answer = house.front.answer(unsigned("POST", "/", &[FORM], "Action=Nothing&Version=2011-06-15")).await;
    assert!(body(&answer).contains("<Code>InvalidAction</Code>"));
    assert!(body(&answer).contains("The action Nothing is not valid for this web service."));
    let answer = house.front.answer(house.asked("lambda", "GET", "/2015-03-31/functions/", &[], "")).await;
    assert_eq!(answer.status(), 501);
    let answer = house.front.answer(house.asked("lambda", "GET", "/nowhere", &[], "")).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "x-amzn-errortype")), (404, "UnknownOperationException"));
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_in_unsigned() {
    let house = house();
    let (name, value) = target("CreateStream");
    let answer = house.front.answer(unsigned("POST", "/", &[JSON, (name, &value)], "{}")).await;
    assert_eq!(
        (answer.status().as_u16(), body(&answer)),
        (400, r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#)
    );
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let answer = house.front.answer(unsigned("POST", "/", &[FORM], form)).await;
    assert_eq!(answer.status(), 403);
    assert!(body(&answer).contains("<Code>MissingAuthenticationToken</Code>"));
    // A signature for one service opens no other.
    let answer = house.front.answer(house.asked("sts", "POST", "/", &[JSON, (name, &value)], "{}")).await;
    assert!(body(&answer).contains("Credential should be scoped to correct service: 'kinesis'."));
    assert!(house.seen.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn bodies_have_limits() {
    let house = house();
    let (name, value) = target("CreateStream");
    let asked = unsigned("POST", "/", &[JSON, (name, &value)], "");
    assert_eq!(house.front.body_limit(&asked.head), 1000);
    assert_eq!(house.front.body_limit(&unsigned("POST", "/", &[], "").head), 16 << 20);
    let answer = house.front.too_large(&asked.head);
    assert_eq!(answer.status(), 413);
    assert!(body(&answer).contains("RequestEntityTooLargeException"));
}

#[tokio::test(start_paused = true)]
async fn a_link_needs_no_signature_and_opens_nothing_else() {
    let house = house();
    let link = "/?Action=Unsubscribe&SubscriptionArn=a:b";
    let ask = |uri: String| house.front.answer(unsigned("GET", &uri, &[("host", "h")], ""));
    let answer = ask(link.to_owned()).await;
    assert_eq!(answer.status(), 200, "{}", body(&answer));
    assert_eq!(house.seen.0.lock().unwrap()[0].call.caller.kind, CallerKind::Anonymous);
    for other in ["/?Action=DeleteTopic&TopicArn=a", "/?Action=DeleteTopic&TopicArn=a&Version=2010-03-31"] {
        let answer = ask(other.to_owned()).await;
        assert!(answer.status().is_client_error(), "{other}: {}", body(&answer));
    }
    // A signature that is there must fit, in the header or in the link; a good one names its caller.
    let answer = house.front.answer(unsigned("GET", link, &[("host", "h"), ("authorization", "x")], "")).await;
    assert_eq!(answer.status(), 403, "{}", body(&answer));
    let answer = ask(format!("{link}&X-Amz-Signature=00")).await;
    assert_eq!(answer.status(), 403, "{}", body(&answer));
    let signed = house.asked("sns", "GET", "/?Action=Unsubscribe&SubscriptionArn=a%3Ab", &[], "");
    let answer = house.front.answer(signed).await;
    assert!(body(&answer).contains("<Message>signed</Message>"), "{}", body(&answer));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_internal_failure_that_tells_nothing() {
    let house = house();
    let (name, value) = target("CreateStream");
    let asked = house.asked("kinesis", "POST", "/", &[JSON, (name, &value)], r#"{"StreamName":"broken"}"#);
    let answer = house.front.answer(asked).await;
    assert_eq!(answer.status(), 500);
    assert!(body(&answer).contains("InternalFailure") && !body(&answer).contains("secret"), "{}", body(&answer));
    let error = house.seen.0.lock().unwrap()[0].error.clone().unwrap();
    assert_eq!(error.model.name, "InternalFailure");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_is_on_record_all_the_same() {
    let house = house();
    let (name, value) = target("CreateStream");
    let asked = house.asked("kinesis", "POST", "/", &[JSON, (name, &value)], r#"{"StreamName":"slow"}"#);
    let mut answer = Box::pin(house.front.answer(asked));
    let hung_up = std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending())).await;
    assert!(hung_up, "it was under way");
    drop(answer);
    assert!(house.seen.0.lock().unwrap().is_empty());
    house.world.tasks.shut_down(Duration::from_secs(1)).await;
    assert_eq!(house.seen.0.lock().unwrap().len(), 1);
}
