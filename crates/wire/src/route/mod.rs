//! From the head of a request to a service, an operation and a protocol.

mod pattern;

pub(crate) use pattern::Pattern;

use crate::sigv4::scope_service;
use crate::{ApiError, OperationEntry, ServiceModel, common};
use http::header::{AsHeaderName, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use std::borrow::Cow;
use std::collections::HashMap;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// A protocol that AWS's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`
    AwsJson10,
    /// `application/x-amz-json-1.1`
    AwsJson11,
    /// `application/x-amz-cbor-1.1`, spoken by the AWS SDKs for Java with Kinesis.
    AwsCbor,
    /// A form in, XML out.
    Query,
    /// EC2's variant of it.
    Ec2Query,
    /// Members in path, query string and headers, JSON bodies.
    RestJson,
    /// Smithy RPC v2 with CBOR.
    RpcCbor,
}

impl Protocol {
    /// Whether requests are forms and answers XML.
    pub fn is_query(self) -> bool {
        matches!(self, Protocol::Query | Protocol::Ec2Query)
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Routed {
    /// The service, by its place in the front's list.
    pub service: usize,
    /// The operation.
    pub entry: &'static OperationEntry,
    /// The protocol spoken.
    pub protocol: Protocol,
}

/// Why a request goes nowhere, in the protocol it seems to speak.
#[derive(Debug)]
pub(crate) struct Unrouted {
    pub(crate) service: Option<usize>,
    pub(crate) protocol: Protocol,
    pub(crate) error: ApiError,
}

/// All ways in, built once.
pub(crate) struct Routes {
    models: Vec<&'static ServiceModel>,
    /// Operations that a link without a version may name.
    linked: HashMap<&'static str, usize>,
    by_prefix: HashMap<&'static str, usize>,
    by_path: Vec<(Pattern, usize, &'static OperationEntry)>,
}

impl Routes {
    /// Each service with the operations that may be asked unsigned.
    pub(crate) fn new(services: Vec<(&'static ServiceModel, &'static [&'static str])>) -> Routes {
        let links = services.iter().enumerate().flat_map(|(i, (_, names))| names.iter().map(move |name| (*name, i)));
        let linked = links.collect();
        let models: Vec<_> = services.into_iter().map(|(model, _)| model).collect();
        let numbered = || models.iter().enumerate();
        let by_prefix =
            numbered().filter(|(_, m)| !m.target_prefix.is_empty()).map(|(i, m)| (m.target_prefix, i)).collect();
        let mut by_path: Vec<_> = numbered()
            .filter(|(_, m)| m.protocol == "rest-json")
            .flat_map(|(i, m)| m.operations.iter().map(move |entry| (Pattern::parse(entry.uri), i, entry)))
            .collect();
        by_path.sort_by(|(a, ..), (b, ..)| a.specificity(b));
        Routes { models, linked, by_prefix, by_path }
    }

    /// Finds the way. Where the request itself does not say enough, the credential scope of its signature does.
    pub(crate) fn route(&self, head: &Parts, body: &[u8]) -> Result<Routed, Unrouted> {
        let content_type = header(head, CONTENT_TYPE).unwrap_or("");
        if let Some(target) = header(head, TARGET) {
            return self.by_target(target, content_type);
        }
        let scope = scope_service(head);
        let scope = scope.as_deref();
        if let Some((service, operation)) = rpc_path(head.uri.path())
            && (header(head, "smithy-protocol").is_some() || is_type(content_type, "application/cbor"))
        {
            return self.by_rpc_path(service, operation);
        }
        if let Some((action, version)) = action(head, content_type, body) {
            return self.by_action(&action, &version, scope);
        }
        self.by_path(head, content_type, scope)
    }

    /// The service a request is for, judged by its head alone: for limits that apply before the body is read.
    pub(crate) fn service_of(&self, head: &Parts) -> Option<usize> {
        let prefix = header(head, TARGET).and_then(|t| t.rsplit_once('.')).map(|(prefix, _)| prefix);
        let targeted = prefix.and_then(|prefix| self.by_prefix.get(prefix).copied());
        targeted.or_else(|| self.scoped(&scope_service(head)?))
    }

    fn scoped(&self, scope: &str) -> Option<usize> {
        self.models.iter().position(|m| m.name == scope)
    }

    fn by_target(&self, target: &str, content_type: &str) -> Result<Routed, Unrouted> {
        let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
        let service = self.by_prefix.get(prefix).copied();
        let protocol = if is_type(content_type, "application/x-amz-cbor-1.1") {
            Protocol::AwsCbor
        } else if is_type(content_type, "application/x-amz-json-1.0") {
            Protocol::AwsJson10
        } else if is_type(content_type, "application/x-amz-json-1.1") {
            Protocol::AwsJson11
        } else {
            service.map_or(Protocol::AwsJson11, |i| json_version(self.models[i]))
        };
        let Some(service) = service else {
            let error = unknown(format!("Unknown service in the X-Amz-Target {}", shown(target)));
            return Err(Unrouted { service: None, protocol, error });
        };
        self.entry(service, operation, protocol)
    }

    fn by_rpc_path(&self, id: &str, operation: &str) -> Result<Routed, Unrouted> {
        let protocol = Protocol::RpcCbor;
        // The model's service name is the target prefix in all services that have one; the service id in older clients.
        let service = self.models.iter().position(|m| {
            (!m.target_prefix.is_empty() && m.target_prefix == id)
                || m.service_id == id
                || m.service_id.replace(' ', "") == id
        });
        let Some(service) = service else {
            let error = unknown(format!("Unknown service {}", shown(id)));
            return Err(Unrouted { service: None, protocol, error });
        };
        self.entry(service, operation, protocol)
    }

    fn by_action(&self, action: &str, version: &str, scope: Option<&str>) -> Result<Routed, Unrouted> {
        let speaks_query = |m: &ServiceModel| m.protocol == "query" || m.protocol == "ec2" || m.query_compatible;
        let by_version = || {
            let fits = |m: &&ServiceModel| speaks_query(m) && m.api_version == version;
            let knows = self.models.iter().position(|m| fits(m) && m.operation(action).is_some());
            knows.or_else(|| self.models.iter().position(fits))
        };
        let scoped = scope.and_then(|scope| self.scoped(scope)).filter(|i| speaks_query(self.models[*i]));
        let by_link = || self.linked.get(action).copied().filter(|_| version.is_empty());
        let service = scoped.or_else(by_version).or_else(by_link);
        let ec2 = service.is_some_and(|i| self.models[i].protocol == "ec2");
        let protocol = if ec2 { Protocol::Ec2Query } else { Protocol::Query };
        let refused = |error| Unrouted { service, protocol, error };
        let text = || format!("The action {} is not valid for this web service.", shown(action));
        let Some(index) = service else { return Err(refused(unknown(text()))) };
        match self.models[index].operation(action) {
            Some(entry) => Ok(Routed { service: index, entry, protocol }),
            None => Err(refused(unknown(text()))),
        }
    }

    fn by_path(&self, head: &Parts, content_type: &str, scope: Option<&str>) -> Result<Routed, Unrouted> {
        let scoped = scope.and_then(|scope| self.scoped(scope));
        let path = head.uri.path();
        let query = head.uri.query().unwrap_or("");
        let found = self.by_path.iter().find(|(pattern, service, entry)| {
            scoped.is_none_or(|scoped| scoped == *service)
                && entry.method == head.method.as_str()
                && pattern.labels(path).is_some()
                && pattern.query_fits(query)
        });
        if let Some((_, service, entry)) = found {
            return Ok(Routed { service: *service, entry, protocol: Protocol::RestJson });
        }
        let protocol = self.spoken(content_type, scoped);
        let error = if protocol.is_query() {
            common::MISSING_ACTION.because("The request must contain the parameter Action")
        } else {
            unknown(format!("No operation is at {} {}", head.method, shown(path)))
        };
        Err(Unrouted { service: scoped, protocol, error })
    }

    /// The protocol that someone speaks who asked for nothing we know.
    fn spoken(&self, content_type: &str, scoped: Option<usize>) -> Protocol {
        if is_type(content_type, "application/x-amz-json-1.0") {
            return Protocol::AwsJson10;
        }
        if is_type(content_type, "application/x-amz-json-1.1") {
            return Protocol::AwsJson11;
        }
        if is_type(content_type, "application/x-amz-cbor-1.1") {
            return Protocol::AwsCbor;
        }
        if is_type(content_type, "application/cbor") {
            return Protocol::RpcCbor;
        }
        if is_type(content_type, "application/x-www-form-urlencoded") {
            return Protocol::Query;
        }
        match scoped.map(|i| self.models[i]) {
            Some(model) => match model.protocol {
                "query" => Protocol::Query,
                "ec2" => Protocol::Ec2Query,
                "json" => json_version(model),
                _ => Protocol::RestJson,
            },
            None => Protocol::RestJson,
        }
    }

    fn entry(&self, service: usize, operation: &str, protocol: Protocol) -> Result<Routed, Unrouted> {
        let model = self.models[service];
        match model.operation(operation) {
            Some(entry) => Ok(Routed { service, entry, protocol }),
            None => {
                let error = unknown(format!("{} has no operation {}", model.full_name, shown(operation)));
                Err(Unrouted { service: Some(service), protocol, error })
            }
        }
    }
}

fn unknown(why: String) -> ApiError {
    common::UNKNOWN_OPERATION.because(why)
}

/// What the caller wrote, short enough for an error.
fn shown(text: &str) -> String {
    text.chars().take(256).collect()
}

fn json_version(model: &ServiceModel) -> Protocol {
    if model.json_version == "1.0" { Protocol::AwsJson10 } else { Protocol::AwsJson11 }
}

pub(crate) fn header(head: &Parts, name: impl AsHeaderName) -> Option<&str> {
    head.headers.get(name).and_then(|v| v.to_str().ok())
}

fn is_type(content_type: &str, wanted: &str) -> bool {
    let bare = content_type.split(';').next().unwrap_or("").trim();
    bare.eq_ignore_ascii_case(wanted)
}

/// `/service/{service}/operation/{operation}`, perhaps below a prefix.
fn rpc_path(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    let operation = parts.next()?;
    let fits = parts.next()? == "operation";
    let service = parts.next()?;
    (fits && parts.next()? == "service").then_some((service, operation))
}

/// `Action` and `Version`, from a form or the query string.
fn action<'a>(head: &'a Parts, content_type: &str, body: &'a [u8]) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let form = is_type(content_type, "application/x-www-form-urlencoded");
    let query = head.uri.query().unwrap_or("").as_bytes();
    let parameters = || form_urlencoded::parse(query).chain(form_urlencoded::parse(if form { body } else { b"" }));
    let (_, action) = parameters().find(|(name, _)| name == "Action")?;
    let version = parameters().find(|(name, _)| name == "Version").map(|(_, v)| v).unwrap_or_default();
    Some((action, version))
}
