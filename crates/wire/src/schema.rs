use crate::ErrorModel;

/// What a shape looks like: one static per shape of a service's model, generated into the `shapes` crate.
#[derive(Debug)]
pub struct Schema {
    /// The shape's name in the model.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its constraints.
    pub limits: Limits,
    /// Whether the model marks it as secret: never logged, never audited.
    pub sensitive: bool,
}

/// The kinds of shapes.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 32-bit number.
    Integer,
    /// A 64-bit number.
    Long,
    /// A 32-bit floating-point number.
    Float,
    /// A 64-bit floating-point number.
    Double,
    /// Text.
    String,
    /// Bytes; base64 in JSON and XML.
    Blob,
    /// A point in time.
    Timestamp(Option<TimeFormat>),
    /// A list.
    List {
        /// The member's shape.
        member: &'static Schema,
        /// The member's name in XML and query (`member` where the model is silent).
        member_name: Option<&'static str>,
        /// Whether query and XML omit the list's own level.
        flattened: bool,
    },
    /// A map with text keys.
    Map {
        /// The keys' shape.
        key: &'static Schema,
        /// The values' shape.
        value: &'static Schema,
        /// The key's name in XML and query (`key` where the model is silent).
        key_name: Option<&'static str>,
        /// The value's name (`value` where the model is silent).
        value_name: Option<&'static str>,
        /// Whether query and XML omit the map's own level.
        flattened: bool,
    },
    /// A structure.
    Structure {
        /// Its members, in the model's order.
        members: &'static [Member],
        /// The member that is the whole body (REST), if any.
        payload: Option<&'static str>,
    },
}

/// How a timestamp is written where the model overrides the protocol's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2017-10-03T19:46:45Z`
    Iso8601,
    /// Seconds since the epoch.
    UnixTimestamp,
    /// `Tue, 03 Oct 2017 19:46:45 GMT`
    Rfc822,
}

/// The constraints of a shape. Lengths for text, blobs, lists and maps; values for numbers.
#[derive(Debug)]
pub struct Limits {
    /// The least length or value.
    pub min: Option<i64>,
    /// The greatest length or value.
    pub max: Option<i64>,
    /// A regular expression that the whole text must match.
    pub pattern: Option<&'static str>,
    /// The values allowed; empty for any.
    pub values: &'static [&'static str],
}

impl Limits {
    /// No constraint.
    pub const NONE: Limits = Limits { min: None, max: None, pattern: None, values: &[] };
}

/// A structure's member.
#[derive(Debug)]
pub struct Member {
    /// The member's name in the model, such as `StreamName`.
    pub name: &'static str,
    /// Its name on the wire (`locationName`, or the same).
    pub wire: &'static str,
    /// Its name in EC2's query protocol, where the model gives one.
    pub query_name: Option<&'static str>,
    /// Where it travels.
    pub place: Place,
    /// Whether the model requires it.
    pub required: bool,
    /// Its shape.
    pub schema: &'static Schema,
}

/// Where a member travels (REST protocols; always `Body` elsewhere).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the body.
    Body,
    /// In the header named by `wire`.
    Header,
    /// In all headers that start with `wire`.
    Headers,
    /// In the query string.
    Query,
    /// In the path.
    Uri,
    /// As the status code.
    Status,
}

/// An operation that the house serves.
#[derive(Debug)]
pub struct OperationModel {
    /// Its name, such as `PutRecord`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path pattern, such as `/2015-03-31/functions/{FunctionName}`.
    pub uri: &'static str,
    /// The status of a success.
    pub status: u16,
    /// The input's structure.
    pub input: &'static Schema,
    /// The output's structure.
    pub output: &'static Schema,
    /// The element around the output in query answers, such as `PublishResult`; `None` where there is no output.
    pub result_wrapper: Option<&'static str>,
    /// The errors the model lists.
    pub errors: &'static [&'static ErrorModel],
}

/// A line in a service's table of all operations, served or not.
#[derive(Debug)]
pub struct OperationEntry {
    /// Its name.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path pattern.
    pub uri: &'static str,
    /// Its model, where the house serves it.
    pub model: Option<&'static OperationModel>,
}

/// A service as its model describes it.
#[derive(Debug)]
pub struct ServiceModel {
    /// The short name in ARNs and credential scopes, such as `kinesis`.
    pub name: &'static str,
    /// The name in Smithy-RPC paths, such as `Kinesis`.
    pub service_id: &'static str,
    /// What a person calls it, such as `Amazon Kinesis`.
    pub full_name: &'static str,
    /// The API version, such as `2013-12-02`.
    pub api_version: &'static str,
    /// The model's first protocol: `json`, `query`, `ec2`, `rest-json` or `smithy-rpc-v2-cbor`.
    pub protocol: &'static str,
    /// The JSON version: `1.0` or `1.1`.
    pub json_version: &'static str,
    /// What comes before the dot in X-Amz-Target; empty where the service has no JSON protocol.
    pub target_prefix: &'static str,
    /// The XML namespace of answers; empty where there is none.
    pub xml_namespace: &'static str,
    /// Whether the service moved from query to JSON and still gives query error codes (`x-amzn-query-error`).
    pub query_compatible: bool,
    /// All operations, sorted by name.
    pub operations: &'static [OperationEntry],
}

impl ServiceModel {
    /// The entry of an operation.
    pub fn operation(&self, name: &str) -> Option<&'static OperationEntry> {
        self.operations.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|i| &self.operations[i])
    }
}

impl Schema {
    /// The members of a structure; empty for other kinds.
    pub fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure { members, .. } => members,
            _ => &[],
        }
    }
    /// The members' shape of a list.
    pub fn list_member(&self) -> Option<&'static Schema> {
        match self.kind {
            Kind::List { member, .. } => Some(member),
            _ => None,
        }
    }
    /// The values' shape of a map.
    pub fn map_value(&self) -> Option<&'static Schema> {
        match self.kind {
            Kind::Map { value, .. } => Some(value),
            _ => None,
        }
    }
    /// A structure without members: input or output of operations that have none.
    pub const fn unit(name: &'static str) -> Schema {
        Schema { name, kind: Kind::Structure { members: &[], payload: None }, limits: Limits::NONE, sensitive: false }
    }
}
