//! Which resources a record names: for LookupEvents by ResourceType and ResourceName.
//! Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events-supported-resource-types.html>

use crate::limits::PAGE;
use serde_json::Value as Json;

/// Service, member at the top of the parameters or elements (or below, with a dot), type.
const TABLE: &[(&str, &str, &str)] = &[
    ("kinesis", "streamName", "AWS::Kinesis::Stream"),
    ("kinesis", "streamARN", "AWS::Kinesis::Stream"),
    ("lambda", "functionName", "AWS::Lambda::Function"),
    ("lambda", "functionArn", "AWS::Lambda::Function"),
    ("sns", "topicArn", "AWS::SNS::Topic"),
    ("sns", "subscriptionArn", "AWS::SNS::Subscription"),
    ("sqs", "queueName", "AWS::SQS::Queue"),
    ("sqs", "queueUrl", "AWS::SQS::Queue"),
    ("iam", "userName", "AWS::IAM::User"),
    ("iam", "roleName", "AWS::IAM::Role"),
    ("iam", "policyName", "AWS::IAM::Policy"),
    ("iam", "policyArn", "AWS::IAM::Policy"),
    ("iam", "accessKeyId", "AWS::IAM::AccessKey"),
    ("iam", "accessKey.accessKeyId", "AWS::IAM::AccessKey"),
    ("sts", "roleArn", "AWS::IAM::Role"),
    ("events", "rule", "AWS::Events::Rule"),
    ("events", "ruleArn", "AWS::Events::Rule"),
    ("events", "eventBusName", "AWS::Events::EventBus"),
];

/// Types and names, each pair once.
pub(crate) fn named(service: &str, operation: &str, request: &Json, response: &Json) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |kind: &str, name: &Json| {
        let Some(name) = name.as_str() else { return };
        let pair = (kind.to_owned(), name.to_owned());
        if out.len() < PAGE && !out.contains(&pair) {
            out.push(pair);
        }
    };
    for json in [request, response] {
        for (_, path, kind) in TABLE.iter().filter(|(of, ..)| *of == service) {
            let found = path.split('.').try_fold(json, |json, key| json.get(key));
            add(kind, found.unwrap_or(&Json::Null));
        }
        match service {
            "ec2" => {
                for (set, key) in [("instancesSet", "instanceId"), ("resourcesSet", "resourceId")] {
                    let items = json[set]["items"].as_array().map_or(&[][..], Vec::as_slice);
                    items.iter().for_each(|item| add("AWS::EC2::Instance", &item[key]));
                }
            }
            "events" if operation.ends_with("Rule") => add("AWS::Events::Rule", &json["name"]),
            "events" if operation.ends_with("EventBus") => add("AWS::Events::EventBus", &json["name"]),
            "sns" if operation == "CreateTopic" => add("AWS::SNS::Topic", &json["name"]),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instances_keys_and_rules_are_found() {
        let set = json!({ "instancesSet": { "items": [{ "instanceId": "i-1" }] } });
        assert_eq!(named("ec2", "TerminateInstances", &set, &set), [("AWS::EC2::Instance".into(), "i-1".into())]);
        let key = named("iam", "CreateAccessKey", &Json::Null, &json!({ "accessKey": { "accessKeyId": "AKIA1" } }));
        assert_eq!(key, [("AWS::IAM::AccessKey".into(), "AKIA1".into())]);
        let rule = named("events", "PutRule", &json!({ "name": "r" }), &Json::Null);
        assert_eq!(rule, [("AWS::Events::Rule".into(), "r".into())]);
    }
}
