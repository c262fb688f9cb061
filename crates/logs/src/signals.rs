//! The metrics, by CloudWatch's names.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html>

use world::{Signal, Unit};

macro_rules! signals {
    ($($id:ident $name:literal $unit:ident;)*) => {
        $(pub(crate) static $id: Signal =
            Signal { namespace: "AWS/Logs", name: $name, unit: Unit::$unit, dimensions: &["LogGroupName"] };)*
    };
}

signals! {
    INCOMING_BYTES "IncomingBytes" Bytes;
    INCOMING_EVENTS "IncomingLogEvents" Count;
}
