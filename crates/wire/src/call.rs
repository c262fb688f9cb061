use crate::{OperationModel, ServiceModel};
use names::{Caller, Timestamp, TraceContext};
use std::net::{IpAddr, Ipv4Addr};

/// The circumstances of one call: who asks for what, from where, when.
#[derive(Debug, Clone)]
pub struct Call {
    /// The service asked.
    pub service: &'static ServiceModel,
    /// The operation asked for.
    pub operation: &'static OperationModel,
    /// Who asks: the signature has been verified.
    pub caller: Caller,
    /// The id that the answer carries.
    pub request_id: String,
    /// The address the request came from.
    pub source_ip: IpAddr,
    /// The `User-Agent` header, at most 1 KiB of it.
    pub user_agent: String,
    /// The authority the client used, such as `127.0.0.1:4566`: for URLs in answers (queues).
    pub host: String,
    /// Whether the client came over TLS.
    pub tls: bool,
    /// When the call arrived.
    pub at: Timestamp,
    /// The trace the call belongs to, from `X-Amzn-Trace-Id`.
    pub trace: Option<TraceContext>,
}

impl Call {
    /// A call that came over no socket, as tests make them: from this machine, in the clear, by a client without a name.
    pub fn local(
        service: &'static ServiceModel,
        operation: &'static OperationModel,
        caller: Caller,
        at: Timestamp,
    ) -> Call {
        Call {
            service,
            operation,
            caller,
            request_id: "r".to_owned(),
            source_ip: Ipv4Addr::LOCALHOST.into(),
            user_agent: String::new(),
            host: "localhost:4566".to_owned(),
            tls: false,
            at,
            trace: None,
        }
    }
}
