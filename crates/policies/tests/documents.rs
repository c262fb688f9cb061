//! What is taken, what is refused by name, and who is who.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use names::{Account, Arn, Caller, CallerKind, Timestamp};
use policies::{Decision, Policy, PolicyError, Refusal, Request, Who, admit};
use serde_json::{Value, json};

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:t";

fn home() -> Account {
    Account::parse("000000000000").unwrap()
}

fn one(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

fn with(name: &str, value: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": TOPIC});
    match value {
        Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
        value => statement[name] = value,
    }
    statement
}

fn error(text: &str) -> PolicyError {
    Policy::parse(text, "sns").unwrap_err()
}

fn decide(statement: Value, who: Who<'_>) -> Decision {
    let owner = home();
    let request = Request::new(who, "sns:Publish", TOPIC, &owner);
    let request = request.asked("203.0.113.7".parse().unwrap(), true, "boto3", Timestamp::from_millis(0));
    Policy::parse(&one(statement), "sns").unwrap().decide(&request)
}

fn caller(kind: CallerKind, account: &str, arn: &str, id: &str) -> Caller {
    let account = Account::parse(account).unwrap();
    Caller { kind, account, arn: arn.into(), principal_id: id.into(), access_key_id: "AKIA".into() }
}

#[test]
fn what_cannot_be_judged_is_refused_by_name() {
    let condition = |operator: &str, value: Value| one(with("Condition", json!({operator: {"aws:SourceIp": value}})));
    for operator in
        ["StringMatches", "ForSomeValues:StringEquals", "NullIfExists", "IpAddressNot", "NumericNotLike", "DateBefore"]
    {
        assert_eq!(error(&condition(operator, json!("1"))), PolicyError::Operator(operator.into()));
    }
    for (operator, value) in [
        ("NumericEquals", "x"),
        ("DateEquals", "soon"),
        ("Bool", "yes"),
        ("IpAddress", "10/8"),
        ("ArnLike", "*:t"),
        ("Null", "1"),
    ] {
        let wrong = PolicyError::Value { operator: operator.into(), value: value.into() };
        assert_eq!(error(&condition(operator, json!(value))), wrong);
    }
    assert_eq!(error(&condition("StringEquals", json!({"a": "b"}))), PolicyError::Condition);
    assert!(matches!(error(&condition("StringEquals", json!("${aws:userid"))), PolicyError::Variable(_)));
    assert_eq!(error(&one(with("Condition", json!([])))), PolicyError::Condition);
    assert_eq!(error(&one(with("Effekt", json!("Allow")))), PolicyError::Member("Effekt".into()));
    assert_eq!(error(&one(with("Effect", json!("Maybe")))), PolicyError::Effect);
    assert_eq!(error(&one(with("Principal", Value::Null))), PolicyError::NoPrincipal);
    assert_eq!(error(&one(with("NotPrincipal", json!("*")))), PolicyError::Both("Principal"));
    assert_eq!(error(&one(with("NotAction", json!("sns:*")))), PolicyError::Both("Action"));
    assert_eq!(error(&one(with("Action", Value::Null))), PolicyError::NoAction);
    assert_eq!(error(&one(with("NotResource", json!("*")))), PolicyError::Both("Resource"));
    assert_eq!(error(&one(with("Action", json!([])))), PolicyError::NoAction);
    assert_eq!(error(&one(with("Action", json!({})))), PolicyError::NotText("Action"));
    assert_eq!(error(&one(with("Resource", json!([])))), PolicyError::NoResource);
    assert_eq!(error(&one(with("Effect", Value::Null))), PolicyError::NoEffect);
    assert_eq!(error(&one(with("Action", json!("sqs:SendMessage")))), PolicyError::Action("sqs:SendMessage".into()));
    assert_eq!(error(r#"{"Version":"2020-01-01","Statement":[]}"#), PolicyError::Version);
    assert_eq!(error(r#"{"Statement":[]}"#), PolicyError::NoStatement);
    assert_eq!(error(r#"{"Statement":["x"]}"#), PolicyError::NoStatement);
    assert_eq!(
        error(&one(json!([with("Sid", json!("s")), with("Sid", json!("s"))]))),
        PolicyError::SidTwice("s".into())
    );
    let twice = one(with("Sid", json!("s"))).replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Effect":"Deny""#);
    assert_eq!(error("[]"), PolicyError::NotObject);
    for text in ["", "{", &twice] {
        assert!(matches!(error(text), PolicyError::NotJson(_)), "{text}");
    }
}

#[test]
fn principals_that_cannot_be_are_refused() {
    for bad in [
        json!("alice"),
        json!({}),
        json!({"AWS": []}),
        json!({"AWS": "alice"}),
        json!({"AWS": "arn:aws:iam::000000000000:user/*"}),
        json!({"AWS": "arn:aws:sqs:us-east-1:000000000000:q"}),
        json!({"Service": "*"}),
        json!({"Service": "sns"}),
        json!({"Star": "*"}),
        json!(["*"]),
    ] {
        assert!(matches!(error(&one(with("Principal", bad.clone()))), PolicyError::Principal(_)), "{bad}");
    }
}

#[test]
fn callers_are_known_by_their_names() {
    let ann = caller(
        CallerKind::User { name: "ann".into() },
        "000000000000",
        "arn:aws:iam::000000000000:user/ann",
        "AIDAANNANNANNANN",
    );
    let role_arn = "arn:aws:iam::000000000000:role/r".to_owned();
    let kind =
        CallerKind::AssumedRole { role: "r".into(), role_arn, role_id: "AROARRRRRRRRRRRR".into(), session: "s".into() };
    let session = caller(kind, "000000000000", "arn:aws:sts::000000000000:assumed-role/r/s", "AROARRRRRRRRRRRR:s");
    let nobody = Caller::anonymous(&home());
    let lambda = Caller::service(&home(), "lambda.amazonaws.com");
    let role: Arn = "arn:aws:iam::000000000000:role/r".parse().unwrap();
    let is = |principal: Value, who: Who<'_>| decide(with("Principal", principal), who) == Decision::Allowed;
    for who in [Who::Caller(&ann), Who::Caller(&session), Who::Caller(&nobody), Who::Role(&role), Who::Service("x.y")] {
        assert!(is(json!("*"), who) && is(json!({"AWS": "*"}), who));
        assert!(!is(json!({"Federated": "cognito-identity.amazonaws.com", "CanonicalUser": "79a5"}), who));
    }
    for account in ["000000000000", "arn:aws:iam::000000000000:root"] {
        let account = json!({"AWS": account});
        assert!(is(account.clone(), Who::Caller(&ann)) && is(account.clone(), Who::Role(&role)));
        assert!(!is(account.clone(), Who::Caller(&nobody)) && !is(account.clone(), Who::Service("x.y")));
        assert!(!is(account, Who::Caller(&lambda)));
    }
    assert!(is(json!({"AWS": ann.arn}), Who::Caller(&ann)) && !is(json!({"AWS": ann.arn}), Who::Caller(&session)));
    assert!(is(json!({"AWS": "AIDAANNANNANNANN"}), Who::Caller(&ann)));
    for name in [role.as_str(), session.arn.as_str(), "AROARRRRRRRRRRRR"] {
        assert!(is(json!({"AWS": ["arn:aws:iam::111111111111:root", name]}), Who::Caller(&session)), "{name}");
    }
    assert!(is(json!({"AWS": role.as_str()}), Who::Role(&role)));
    assert!(is(json!({"Service": "lambda.amazonaws.com"}), Who::Caller(&lambda)));
}

#[test]
fn what_is_known_of_a_request_can_be_asked() {
    let ann = caller(
        CallerKind::User { name: "ann".into() },
        "000000000000",
        "arn:aws:iam::000000000000:user/ann",
        "AIDAANNANNANNANN",
    );
    let holds = |condition: Value| decide(with("Condition", condition), Who::Caller(&ann)) == Decision::Allowed;
    assert!(holds(json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}})));
    assert!(!holds(json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.7"}})));
    assert!(holds(json!({"Bool": {"aws:SecureTransport": true}, "StringEquals": {"AWS:PrincipalType": "User"}})));
    assert!(holds(json!({"DateLessThanEquals": {"aws:CurrentTime": "1970-01-01T01:00:00+01:00"}})));
    assert!(holds(json!({"NumericLessThan": {"aws:EpochTime": 1}})));
    assert!(holds(json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/${aws:username}"}})));
    assert!(!holds(json!({"StringNotEquals": {"aws:userid": "${k:absent}"}})));
    assert!(holds(json!({"StringNotEquals": {"aws:userid": "${k:absent, 'x'}"}})));
    let mut deny = with("Condition", json!({"StringEquals": {"aws:userid": "${k:absent}"}}));
    deny["Effect"] = json!("Deny");
    assert_eq!(decide(deny, Who::Caller(&ann)), Decision::Denied);
}

#[test]
fn services_need_a_statement_and_the_accounts_own_do_not() {
    let (owner, role) = (home(), Arn::new("iam", "", "000000000000", "role/r"));
    let foreign = Arn::new("iam", "", "111111111111", "role/r");
    let nobody = Caller::anonymous(&owner);
    let ask = |who| Request::new(who, "sns:Publish", TOPIC, &owner);
    assert_eq!(admit(None, &ask(Who::Service("events.amazonaws.com"))), Err(Refusal::NotAllowed));
    assert_eq!(admit(None, &ask(Who::service("events.amazonaws.com", Some(&role)))), Ok(()));
    assert_eq!(admit(None, &ask(Who::Role(&foreign))), Err(Refusal::NotAllowed));
    assert_eq!(admit(None, &ask(Who::Caller(&nobody))), Err(Refusal::NotAllowed));
    assert_eq!(admit(Some(&Policy::nobody("sns")), &ask(Who::Role(&role))), Err(Refusal::Denied));
    let lets_in = Policy::parse(&one(with("Principal", json!({"Service": "events.amazonaws.com"}))), "sns").unwrap();
    let (events, nothing) = (ask(Who::Service("events.amazonaws.com")), Policy::empty("sns"));
    assert_eq!(admit([&nothing, &lets_in], &events), Ok(()));
    assert_eq!(admit([&nothing, &nothing], &events), Err(Refusal::NotAllowed));
    assert_eq!(admit([&lets_in, &Policy::nobody("sns")], &events), Err(Refusal::Denied));
    let text = ask(Who::Service("events.amazonaws.com")).refused(Refusal::NotAllowed);
    assert_eq!(
        text,
        format!(
            "User: events.amazonaws.com is not authorized to perform: sns:Publish on resource: {TOPIC} because no resource-based policy allows the sns:Publish action"
        )
    );
}

#[test]
fn statements_come_and_go_by_their_ids() {
    let policy = Policy::empty("sns").with_head("2008-10-17", "id").unwrap();
    assert_eq!((policy.text(), policy.is_empty()), (None, true));
    let policy = policy.put(with("Sid", json!("a"))).unwrap().put(with("Sid", json!("b"))).unwrap();
    let policy = policy.put(with("Sid", json!("a"))).unwrap();
    assert!(policy.has("a") && policy.len() == 2);
    let expected =
        json!({"Version": "2008-10-17", "Id": "id", "Statement": [with("Sid", json!("b")), with("Sid", json!("a"))]});
    assert_eq!(serde_json::from_str::<Value>(&policy.text().unwrap()).unwrap(), expected);
    assert_eq!(Policy::parse(&policy.text().unwrap(), "sns").as_ref(), Ok(&policy));
    assert_eq!(policy.without("c"), policy);
    assert!(policy.without("a").without("b").is_empty());
    assert!(policy.put(with("Effect", json!("?"))).is_err());
}

#[test]
fn trust_policies_name_who_assumes_and_nothing_else() {
    let read = |name: &str, value: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"});
        statement[name] = value;
        Policy::parse_trust(&one(statement))
    };
    for name in ["Resource", "NotResource", "NotPrincipal", "NotAction"] {
        assert_eq!(read(name, json!("*")), Err(PolicyError::Prohibited(name)));
    }
    assert_eq!(read("Action", json!("sns:Publish")), Err(PolicyError::Action("sns:Publish".into())));
    assert_eq!(read("Action", json!("*")), Err(PolicyError::Action("*".into())));
    assert_eq!(read("Action", json!("AssumeRole")), Err(PolicyError::NoVendor("AssumeRole".into())));
    assert_eq!(read("Sid", json!("a b")), Err(PolicyError::Sid("a b".into())));
    let keyless = json!({"StringEquals": {"ExternalId": "1"}});
    assert_eq!(read("Condition", keyless), Err(PolicyError::NoVendor("ExternalId".into())));
    let alice = "arn:aws:iam::000000000000:user/alice";
    let named = read("Principal", json!({"AWS": [alice, "000000000000"], "Service": "a.b"})).unwrap();
    assert_eq!(named.principals().collect::<Vec<_>>(), [alice, "000000000000"]);
}

#[test]
fn principals_that_are_not_there_are_found() {
    let (alice, bob) = ("arn:aws:iam::000000000000:user/alice", "arn:aws:iam::000000000000:user/bob");
    let check = |statement: Value| Policy::parse(&one(statement), "sns").unwrap().check_principals(|name| name != bob);
    let gone = Err(PolicyError::NoSuchPrincipal(format!("\"AWS\":\"{bob}\"")));
    for fine in [json!("*"), json!({"AWS": "*"}), json!({"AWS": [alice, "000000000000"], "Service": "a.b"})] {
        assert_eq!(check(with("Principal", fine.clone())), Ok(()), "{fine}");
    }
    assert_eq!(check(with("Principal", json!({"AWS": bob}))), gone);
    assert_eq!(check(json!([with("Sid", json!("s")), with("Principal", json!({"AWS": [alice, bob]}))])), gone);
    let mut others = with("Principal", Value::Null);
    (others["NotPrincipal"], others["Effect"]) = (json!({"AWS": [bob]}), json!("Deny"));
    assert_eq!(check(others), gone);
}

#[test]
fn a_star_lets_no_service_assume_and_denies_them_all() {
    let owner = home();
    let decide = |effect: &str, principal: Value, who: Who<'_>| {
        let allow = json!({"Effect": "Allow", "Principal": {"Service": "a.b"}, "Action": "sts:*"});
        let other = json!({"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"});
        let policy = Policy::parse_trust(&one(json!([allow, other]))).unwrap();
        policy.decide(&Request::new(who, "sts:AssumeRole", "arn:aws:iam::000000000000:role/r", &owner))
    };
    let alice = caller(
        CallerKind::User { name: "alice".into() },
        "000000000000",
        "arn:aws:iam::000000000000:user/alice",
        "AIDAAAAAAAAAAAAAAAAAA",
    );
    let nobody = Caller::anonymous(&owner);
    for star in [json!("*"), json!({"AWS": "*"})] {
        assert_eq!(decide("Allow", star.clone(), Who::Service("c.d")), Decision::Open);
        assert_eq!(decide("Allow", star.clone(), Who::Caller(&nobody)), Decision::Open);
        assert_eq!(decide("Allow", star.clone(), Who::Caller(&alice)), Decision::Allowed);
        assert_eq!(decide("Deny", star, Who::Service("a.b")), Decision::Denied);
    }
}

#[test]
fn identity_policies_name_resources_and_no_principal() {
    let read = |name: &str, value: Value| {
        let mut statement =
            json!({"Effect": "Allow", "Action": ["s3:Get*", "*"], "Resource": "arn:aws:s3:::b/${aws:username}"});
        match value {
            Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
            value => statement[name] = value,
        }
        Policy::parse_identity(&one(statement))
    };
    assert_eq!(read("Principal", json!("*")), Err(PolicyError::Prohibited("Principal")));
    assert_eq!(read("Action", json!("a:b:c")), Err(PolicyError::Colons("a:b:c".into())));
    assert_eq!(read("Action", json!("Get*")), Err(PolicyError::NoVendor("Get*".into())));
    assert_eq!(read("Resource", Value::Null), Err(PolicyError::NoResource));
    assert_eq!(read("Resource", json!("bucket")), Err(PolicyError::NoArn("bucket".into())));
    let (policy, owner) = (read("Sid", json!("a")).unwrap(), home());
    let alice = caller(CallerKind::User { name: "alice".into() }, "000000000000", "a", "AIDA");
    let ask = |resource| policy.decide(&Request::new(Who::Caller(&alice), "s3:GetObject", resource, &owner));
    assert_eq!(ask("arn:aws:s3:::b/alice"), Decision::Allowed);
    assert_eq!(ask("arn:aws:s3:::b/bob"), Decision::Open);
}
