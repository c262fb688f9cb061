//! The metrics, by CloudWatch's names.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>

use world::{Signal, Unit};

macro_rules! signals {
    ($($id:ident $name:literal $unit:ident;)*) => {
        $(pub(crate) static $id: Signal =
            Signal { namespace: "AWS/SQS", name: $name, unit: Unit::$unit, dimensions: &["QueueName"] };)*
    };
}

signals! {
    SENT "NumberOfMessagesSent" Count;
    SENT_SIZE "SentMessageSize" Bytes;
    RECEIVED "NumberOfMessagesReceived" Count;
    EMPTY_RECEIVES "NumberOfEmptyReceives" Count;
    DELETED "NumberOfMessagesDeleted" Count;
    DEDUPLICATED "NumberOfDeduplicatedSentMessages" Count;
    VISIBLE "ApproximateNumberOfMessagesVisible" Count;
    NOT_VISIBLE "ApproximateNumberOfMessagesNotVisible" Count;
    DELAYED "ApproximateNumberOfMessagesDelayed" Count;
    AGE "ApproximateAgeOfOldestMessage" Seconds;
}
