//! The AWS managed policies that pipelines usually attach, as far as they concern what the house serves. What is not
//! here cannot be attached.
//! Source: <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>

use crate::state::Policy;
use names::Timestamp;
use serde_json::json;

const PREFIX: &str = "arn:aws:iam::aws:policy";

/// Path, name, actions allowed on every resource.
const TABLE: &[(&str, &str, &[&str])] = &[
    (
        "/",
        "AWSCloudTrail_ReadOnlyAccess",
        &["cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*", "cloudtrail:LookupEvents"],
    ),
    (
        "/",
        "AWSLambda_FullAccess",
        &["lambda:*", "kinesis:DescribeStream", "kinesis:ListStreams", "iam:GetRole", "iam:ListRoles", "iam:PassRole"],
    ),
    ("/", "AdministratorAccess", &["*"]),
    ("/", "AmazonEC2FullAccess", &["ec2:*"]),
    ("/", "AmazonEC2ReadOnlyAccess", &["ec2:Describe*"]),
    ("/", "AmazonEventBridgeFullAccess", &["events:*"]),
    ("/", "AmazonKinesisFullAccess", &["kinesis:*"]),
    ("/", "AmazonKinesisReadOnlyAccess", &["kinesis:Get*", "kinesis:List*", "kinesis:Describe*"]),
    ("/", "AmazonSNSFullAccess", &["sns:*"]),
    ("/", "AmazonSNSReadOnlyAccess", &["sns:GetTopicAttributes", "sns:List*"]),
    ("/", "AmazonSQSFullAccess", &["sqs:*"]),
    ("/", "AmazonSQSReadOnlyAccess", &["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueues"]),
    ("/", "CloudWatchLogsFullAccess", &["logs:*"]),
    ("/", "IAMFullAccess", &["iam:*"]),
    ("/", "IAMReadOnlyAccess", &["iam:Get*", "iam:List*"]),
    (
        "/",
        "PowerUserAccess",
        &["ec2:*", "events:*", "kinesis:*", "lambda:*", "logs:*", "sns:*", "sqs:*", "cloudtrail:*"],
    ),
    (
        "/service-role/",
        "AWSLambdaBasicExecutionRole",
        &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    ),
    (
        "/service-role/",
        "AWSLambdaKinesisExecutionRole",
        &[
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            "kinesis:ListStreams",
            "kinesis:SubscribeToShard",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    ("/service-role/", "AWSLambdaRole", &["lambda:InvokeFunction"]),
    (
        "/service-role/",
        "AWSLambdaSQSQueueExecutionRole",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
];

fn policy((path, name, actions): &(&str, &str, &[&str])) -> Policy {
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
    });
    Policy {
        name: (*name).to_owned(),
        path: (*path).to_owned(),
        id: None,
        arn: format!("{PREFIX}{path}{name}"),
        description: None,
        created: Timestamp::from_millis(1_423_180_806_000), // 2015-02-06, when AWS introduced managed policies
        document: document.to_string(),
        tags: Vec::new(),
    }
}

/// The AWS managed policy with this ARN.
pub(crate) fn find(arn: &str) -> Option<Policy> {
    let rest = arn.strip_prefix(PREFIX)?;
    TABLE.iter().find(|(path, name, _)| rest.strip_prefix(path) == Some(name)).map(policy)
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Policy> {
    TABLE.iter().map(policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn each_is_a_policy_and_found_by_its_arn() {
        for policy in all() {
            assert_eq!(document::check_identity(&policy.document), Ok(()), "{}", policy.name);
            assert_eq!(find(&policy.arn).map(|found| found.name), Some(policy.name));
        }
        assert!(find("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole").is_none(), "its path is /service-role/");
    }
}
