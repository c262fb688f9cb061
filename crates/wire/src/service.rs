use crate::sigv4::SigningRules;
use crate::{
    ApiError, Call, EventAnswer, EventOperation, FromValue, IntoValue, Opened, Operation, Protocol, ServiceModel,
    Shape, Value, codec, validate,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use world::net::Body;
use world::{BoxFuture, World};

const EXTENDED_ID: http::HeaderName = http::HeaderName::from_static("x-amz-id-2");

/// A routed and authenticated request, not yet decoded.
pub struct Request {
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// Method, target, headers.
    pub head: Arc<http::request::Parts>,
    /// The body.
    pub body: Bytes,
    /// Whether someone will look at the input afterwards, so that it is worth keeping.
    pub observed: bool,
}

/// What a handler gives back: the encoded answer, and what audit may want to know.
pub struct Handled {
    /// The answer or the error, encoded by the front.
    pub result: Result<http::Response<Body>, ApiError>,
    /// The input as decoded; `None` where it could not be, or where a hot way skipped this form.
    pub input: Option<Value>,
    /// The output; `None` on errors and where a hot way skipped this form.
    pub output: Option<Value>,
}

/// A registered operation, its types erased.
pub trait Handler: Send + Sync {
    /// Decodes, validates, runs, encodes.
    fn handle(&self, call: Arc<Call>, request: Request) -> BoxFuture<'static, Handled>;
}

/// What a hot way makes of a request.
pub enum Hot {
    /// The body of the answer, or why there is none.
    Done(Result<Bytes, ApiError>),
    /// It is nothing for a hot way, and nothing has happened yet. The body as it came.
    Pass(Bytes),
}

/// A service's table: operation names to handlers. What is not in it answers with a modelled error.
pub struct Service {
    model: &'static ServiceModel,
    handlers: HashMap<&'static str, Arc<dyn Handler>>,
    body_limit: usize,
    global: bool,
    extended_ids: bool,
    signing: SigningRules,
    unsigned: &'static [&'static str],
}

/// The largest request body of a service that says nothing else.
pub(crate) const DEFAULT_BODY_LIMIT: usize = 16 << 20;

impl Service {
    /// A table without handlers.
    pub fn new(model: &'static ServiceModel) -> Service {
        Service {
            model,
            handlers: HashMap::new(),
            body_limit: DEFAULT_BODY_LIMIT,
            global: false,
            extended_ids: false,
            signing: SigningRules::default(),
            unsigned: &[],
        }
    }

    /// Sets the largest body a request may have; 16 MiB where nothing is said.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Service {
        self.body_limit = bytes;
        self
    }

    /// Says that the service belongs to no region: credentials scoped to `us-east-1` are taken wherever the house is.
    #[must_use]
    pub fn global(mut self) -> Service {
        self.global = true;
        self
    }

    /// Says that answers carry an `x-amz-id-2` besides the request id, as Kinesis' do.
    #[must_use]
    pub fn extended_ids(mut self) -> Service {
        self.extended_ids = true;
        self
    }

    /// Says that the service departs from the general rules of signing.
    #[must_use]
    pub fn signing(mut self, rules: SigningRules) -> Service {
        self.signing = rules;
        self
    }

    /// Names the operations that may be asked without a signature, by whoever has a link: as `?Action=...`, without a
    /// version. Their caller is then [`names::CallerKind::Anonymous`]; a signature that is there must still fit.
    /// Source: <https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html>
    #[must_use]
    pub fn unsigned(mut self, operations: &'static [&'static str]) -> Service {
        self.unsigned = operations;
        self
    }

    pub(crate) fn unsigned_operations(&self) -> &'static [&'static str] {
        self.unsigned
    }

    pub(crate) fn limit(&self) -> usize {
        self.body_limit
    }

    pub(crate) fn is_global(&self) -> bool {
        self.global
    }

    pub(crate) fn signing_rules(&self) -> SigningRules {
        self.signing
    }

    /// Adds the headers that all answers of the service carry.
    pub(crate) fn decorate<B>(&self, world: &World, answer: &mut http::Response<B>) {
        if self.extended_ids {
            let mut random = [0; 72];
            world.entropy.fill(&mut random);
            let id = Bytes::from(base64_simd::STANDARD.encode_to_string(random));
            answer.headers_mut().extend(http::HeaderValue::from_maybe_shared(id).ok().map(|id| (EXTENDED_ID, id)));
        }
    }

    /// Registers a handler: `async fn put_record(streams: Arc<Streams>, call: Arc<Call>, input: PutRecordInput)
    /// -> Result<PutRecordOutput, ApiError>`.
    #[must_use]
    pub fn on<O, S, F, Fut>(mut self, state: &Arc<S>, handler: F) -> Service
    where
        O: Operation,
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Arc<Call>, O::Input) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
    {
        self.insert::<O>(Arc::new(Bound::<O, S, F> { state: state.clone(), handler, operation: PhantomData }));
        self
    }

    /// Registers a handler and a way of its own past it: from the bytes of the request to those of the answer, without the
    /// typed forms between. It must come to what the generic way comes to wherever it does not pass. What it does not want
    /// (other protocols, odd input, anything invalid) goes the generic way, so that the texts of errors have one home.
    #[must_use]
    pub fn on_hot<O, S, H, Hotly, F, Fut>(mut self, state: &Arc<S>, hot: H, handler: F) -> Service
    where
        O: Operation,
        S: Send + Sync + 'static,
        H: Fn(Arc<S>, Protocol, Bytes) -> Hotly + Send + Sync + Clone + 'static,
        Hotly: Future<Output = Hot> + Send + 'static,
        F: Fn(Arc<S>, Arc<Call>, O::Input) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
    {
        let generic = Bound::<O, S, F> { state: state.clone(), handler, operation: PhantomData };
        self.insert::<O>(Arc::new(BoundHot { hot, generic }));
        self
    }

    /// Registers a handler whose answer is a stream of events.
    #[must_use]
    pub fn on_events<O, S, F, Fut>(mut self, state: &Arc<S>, handler: F) -> Service
    where
        O: EventOperation,
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Arc<Call>, O::Input, EventAnswer<O>) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Opened, ApiError>> + Send + 'static,
    {
        self.insert::<O>(Arc::new(BoundEvents::<O, S, F> { state: state.clone(), handler, operation: PhantomData }));
        self
    }

    fn insert<O: Operation>(&mut self, handler: Arc<dyn Handler>) {
        debug_assert!(
            self.model.operation(O::MODEL.name).is_some_and(|entry| entry.model.is_some()),
            "{} is not an operation of {}",
            O::MODEL.name,
            self.model.name
        );
        self.handlers.insert(O::MODEL.name, handler);
    }

    /// The service's model.
    pub fn model(&self) -> &'static ServiceModel {
        self.model
    }

    /// The handler of an operation.
    pub fn handler(&self, operation: &str) -> Option<&Arc<dyn Handler>> {
        self.handlers.get(operation)
    }

    /// The names of the registered operations, sorted: for the coverage page and the tests that pin it.
    pub fn served(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.handlers.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

struct Bound<O: Operation, S, F> {
    state: Arc<S>,
    handler: F,
    operation: PhantomData<fn() -> O>,
}

impl<O, S, F, Fut> Handler for Bound<O, S, F>
where
    O: Operation,
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Arc<Call>, O::Input) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
{
    fn handle(&self, call: Arc<Call>, request: Request) -> BoxFuture<'static, Handled> {
        let (state, handler) = (self.state.clone(), self.handler.clone());
        Box::pin(async move { generic::<O, S, F, Fut>(state, &handler, call, request).await })
    }
}

struct BoundHot<H, G> {
    hot: H,
    generic: G,
}

impl<O, S, H, Hotly, F, Fut> Handler for BoundHot<H, Bound<O, S, F>>
where
    O: Operation,
    S: Send + Sync + 'static,
    H: Fn(Arc<S>, Protocol, Bytes) -> Hotly + Send + Sync + Clone + 'static,
    Hotly: Future<Output = Hot> + Send + 'static,
    F: Fn(Arc<S>, Arc<Call>, O::Input) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
{
    fn handle(&self, call: Arc<Call>, mut request: Request) -> BoxFuture<'static, Handled> {
        let (state, hot, handler) = (self.generic.state.clone(), self.hot.clone(), self.generic.handler.clone());
        Box::pin(async move {
            let body = std::mem::take(&mut request.body);
            match hot(state.clone(), request.protocol, body).await {
                Hot::Done(result) => {
                    let result = result.map(|body| codec::success(&call, request.protocol, body).map(Body::from));
                    Handled { result, input: None, output: None }
                }
                Hot::Pass(body) => {
                    request.body = body;
                    // Boxed, so that the hot way does not carry the room for this one.
                    Box::pin(generic::<O, S, F, Fut>(state, &handler, call, request)).await
                }
            }
        })
    }
}

struct BoundEvents<O, S, F> {
    state: Arc<S>,
    handler: F,
    operation: PhantomData<fn() -> O>,
}

impl<O, S, F, Fut> Handler for BoundEvents<O, S, F>
where
    O: EventOperation,
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Arc<Call>, O::Input, EventAnswer<O>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Result<Opened, ApiError>> + Send + 'static,
{
    fn handle(&self, call: Arc<Call>, request: Request) -> BoxFuture<'static, Handled> {
        let (state, handler) = (self.state.clone(), self.handler.clone());
        Box::pin(async move {
            let (input, kept) = match decoded::<O>(&call, &request) {
                Ok(decoded) => decoded,
                Err(refused) => return *refused,
            };
            let answer = EventAnswer::new(call.clone(), request.protocol);
            match handler(state, call, input, answer).await {
                Ok(Opened { answer, output }) => Handled { result: Ok(answer), input: kept, output: Some(output) },
                Err(error) => Handled { result: Err(error), input: kept, output: None },
            }
        })
    }
}

/// The input, and a copy of it for whoever observes the call; or the refusal.
fn decoded<O: Operation>(call: &Call, request: &Request) -> Result<(O::Input, Option<Value>), Box<Handled>> {
    let refused = |error, input| Box::new(Handled { result: Err(error), input, output: None });
    let value = codec::decode(call, request).map_err(|error| refused(error, None))?;
    if let Err(error) = validate(call.service, O::Input::SCHEMA, &value) {
        return Err(refused(error, Some(value)));
    }
    let kept = request.observed.then(|| value.clone());
    match O::Input::from_value(value) {
        Ok(input) => Ok((input, kept)),
        Err(error) => Err(refused(crate::common::SERIALIZATION.because(error.to_string()), kept)),
    }
}

async fn generic<O, S, F, Fut>(state: Arc<S>, handler: &F, call: Arc<Call>, request: Request) -> Handled
where
    O: Operation,
    F: Fn(Arc<S>, Arc<Call>, O::Input) -> Fut,
    Fut: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
{
    let (input, kept) = match decoded::<O>(&call, &request) {
        Ok(decoded) => decoded,
        Err(refused) => return *refused,
    };
    match handler(state, call.clone(), input).await.and_then(|output| generic_answer(&call, request.protocol, output)) {
        Ok((answer, output)) => Handled { result: Ok(answer.map(Body::from)), input: kept, output: Some(output) },
        Err(error) => Handled { result: Err(error), input: kept, output: None },
    }
}

fn generic_answer<T: IntoValue>(
    call: &Call,
    protocol: Protocol,
    output: T,
) -> Result<(http::Response<Bytes>, Value), ApiError> {
    let value = output.into_value().unwrap_or_else(|| Value::Struct(Vec::new()));
    let answer = codec::encode(call, protocol, &value)?;
    Ok((answer, value))
}
