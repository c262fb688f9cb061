//! The metrics, by CloudWatch's names.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html>

use world::{Signal, Unit};

macro_rules! signals {
    ($($id:ident $name:literal $unit:ident;)*) => {
        $(pub(crate) static $id: Signal =
            Signal { namespace: "AWS/SNS", name: $name, unit: Unit::$unit, dimensions: &["TopicName"] };)*
    };
}

signals! {
    PUBLISHED "NumberOfMessagesPublished" Count;
    PUBLISH_SIZE "PublishSize" Bytes;
    FILTERED_OUT "NumberOfNotificationsFilteredOut" Count;
    FILTERED_BY_ATTRIBUTES "NumberOfNotificationsFilteredOut-MessageAttributes" Count;
    FILTERED_WITHOUT_ATTRIBUTES "NumberOfNotificationsFilteredOut-NoMessageAttributes" Count;
    FILTERED_BY_BODY "NumberOfNotificationsFilteredOut-MessageBody" Count;
    FILTERED_INVALID_BODY "NumberOfNotificationsFilteredOut-InvalidMessageBody" Count;
    DELIVERED "NumberOfNotificationsDelivered" Count;
    FAILED "NumberOfNotificationsFailed" Count;
    REDRIVEN "NumberOfNotificationsRedrivenToDlq" Count;
    REDRIVE_FAILED "NumberOfNotificationsFailedToRedriveToDlq" Count;
    SMS_SUCCESS "SMSSuccessRate" Count;
}

/// What stands in place of a topic's name where a message went to a phone number directly.
pub(crate) const DIRECT: &str = "PhoneNumber";
