//! What CloudTrail calls things.

/// Calls on data, which CloudTrail does not record unless asked to.
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html>
pub(crate) fn is_data_plane(service: &str, operation: &str) -> bool {
    match service {
        "kinesis" => matches!(
            operation,
            "PutRecord" | "PutRecords" | "GetRecords" | "GetShardIterator" | "SubscribeToShard" | "ListShards"
        ),
        "sqs" => matches!(
            operation,
            "SendMessage"
                | "SendMessageBatch"
                | "ReceiveMessage"
                | "DeleteMessage"
                | "DeleteMessageBatch"
                | "ChangeMessageVisibility"
                | "ChangeMessageVisibilityBatch"
        ),
        "sns" => matches!(operation, "Publish" | "PublishBatch"),
        "lambda" => matches!(operation, "Invoke" | "InvokeAsync" | "InvokeWithResponseStream"),
        "events" => operation == "PutEvents",
        // <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/logging_cw_api_calls_cwl.html>
        "logs" => matches!(operation, "PutLogEvents" | "GetLogEvents" | "FilterLogEvents"),
        _ => false,
    }
}

/// Calls that change nothing. AssumeRole is one of them for CloudTrail.
pub(crate) fn is_read_only(operation: &str) -> bool {
    names_a_question(operation) || matches!(operation, "AssumeRole" | "TestEventPattern")
}

/// Calls that the event bus does not hear of by default: EventBridge goes by the names of operations.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html>
pub(crate) fn names_a_question(operation: &str) -> bool {
    ["Describe", "Get", "List", "Lookup"].iter().any(|prefix| operation.starts_with(prefix))
}

/// The first part of `eventSource`, which also follows `aws.` in an event's `source`.
pub(crate) fn source(service: &str) -> &str {
    match service {
        "cloudwatch" => "monitoring",
        service => service,
    }
}

/// Where a global service's calls happen; `None` for the others, which have a region.
pub(crate) fn home_region(service: &str) -> Option<&'static str> {
    (service == "iam").then_some("us-east-1")
}

/// Lambda's events carry the date of their interface, and some its version, where that is of 2018 or before; later ones
/// carry none.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html>
pub(crate) fn event_name(service: &str, operation: &'static str) -> &'static str {
    if service != "lambda" {
        return operation;
    }
    match operation {
        "AddLayerVersionPermission" => "AddLayerVersionPermission20181031",
        "AddPermission" => "AddPermission20150331v2",
        "CreateAlias" => "CreateAlias20150331",
        "CreateEventSourceMapping" => "CreateEventSourceMapping20150331",
        "CreateFunction" => "CreateFunction20150331",
        "DeleteAlias" => "DeleteAlias20150331",
        "DeleteEventSourceMapping" => "DeleteEventSourceMapping20150331",
        "DeleteFunction" => "DeleteFunction20150331",
        "DeleteFunctionConcurrency" => "DeleteFunctionConcurrency20171031",
        "DeleteLayerVersion" => "DeleteLayerVersion20181031",
        "GetAccountSettings" => "GetAccountSettings20160819",
        "GetAlias" => "GetAlias20150331",
        "GetEventSourceMapping" => "GetEventSourceMapping20150331",
        "GetFunction" => "GetFunction20150331v2",
        "GetFunctionConfiguration" => "GetFunctionConfiguration20150331v2",
        "GetLayerVersion" => "GetLayerVersion20181031",
        "GetLayerVersionByArn" => "GetLayerVersionByArn20181031",
        "GetLayerVersionPolicy" => "GetLayerVersionPolicy20181031",
        "GetPolicy" => "GetPolicy20150331v2",
        "ListAliases" => "ListAliases20150331",
        "ListEventSourceMappings" => "ListEventSourceMappings20150331",
        "ListFunctions" => "ListFunctions20150331",
        "ListLayerVersions" => "ListLayerVersions20181031",
        "ListLayers" => "ListLayers20181031",
        "ListTags" => "ListTags20170331",
        "ListVersionsByFunction" => "ListVersionsByFunction20150331",
        "PublishLayerVersion" => "PublishLayerVersion20181031",
        "PublishVersion" => "PublishVersion20150331",
        "PutFunctionConcurrency" => "PutFunctionConcurrency20171031",
        "RemoveLayerVersionPermission" => "RemoveLayerVersionPermission20181031",
        "RemovePermission" => "RemovePermission20150331v2",
        "TagResource" => "TagResource20170331v2",
        "UntagResource" => "UntagResource20170331v2",
        "UpdateAlias" => "UpdateAlias20150331",
        "UpdateEventSourceMapping" => "UpdateEventSourceMapping20150331",
        "UpdateFunctionCode" => "UpdateFunctionCode20150331v2",
        "UpdateFunctionConfiguration" => "UpdateFunctionConfiguration20150331v2",
        operation => operation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_not_control() {
        assert!(is_data_plane("kinesis", "PutRecords"));
        assert!(!is_data_plane("kinesis", "CreateStream"));
        assert!(is_data_plane("sns", "Publish"));
        assert!(!is_data_plane("ec2", "TerminateInstances"));
    }

    #[test]
    fn served_lambda_operations_carry_the_date_of_their_interface() {
        for entry in shapes::lambda::SERVICE.operations.iter().filter(|entry| entry.model.is_some()) {
            if is_data_plane("lambda", entry.name) {
                continue;
            }
            let (date, name) = (entry.uri[1..11].replace('-', ""), event_name("lambda", entry.name));
            let dated = format!("{}{date}", entry.name);
            if date.as_str() <= "20181031" {
                assert!(name == dated || name == format!("{dated}v2"), "{name} of {date}");
            } else {
                assert_eq!(name, entry.name);
            }
        }
    }
}
