use crate::channel::{HttpTarget, MailTarget, SmsProvider, SmsTarget, Way};
use crate::error::{invalid_because, no_topic};
use crate::filter::Filters;
use crate::outbox::{Notification, Outbox};
use crate::state::State;
use crate::target::TopicTarget;
use crate::{api, tasks};
use delivery::{Delivery, Target};
use names::{Arn, Home};
use std::sync::Arc;
use store::{Catalog, Store, StoreError};
use wire::ApiError;
use world::World;

/// All topics of the house.
pub struct Topics {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) filters: Filters,
    outbox: Arc<Outbox>,
    sms: Option<SmsProvider>,
    public_url: Option<String>,
}

/// What the configuration says.
#[derive(Default)]
pub struct TopicsOptions {
    /// Who sends text messages; without one they stay in the outbox.
    pub sms: Option<SmsProvider>,
    /// Scheme and authority under which subscribers outside reach the house, for the links in notifications. Without it
    /// the authority that the subscriber's client used is taken.
    pub public_url: Option<String>,
}

impl Topics {
    /// Opens all topics.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        options: TopicsOptions,
    ) -> Result<Arc<Topics>, StoreError> {
        let catalog = Catalog::open(&store, "topics").await?;
        let outbox = Arc::new(Outbox::open(&store).await?);
        let public_url = options.public_url.map(|url| url.trim_end_matches('/').to_owned());
        let filters = Filters::default();
        Ok(Arc::new(Topics { world, home, delivery, catalog, filters, outbox, sms: options.sms, public_url }))
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> wire::Service {
        api::service(self)
    }

    /// The pushed doors, to be registered with `delivery`: the topics themselves, and the ways out of the house.
    pub fn targets(self: &Arc<Self>) -> Vec<(&'static str, &'static str, Arc<dyn Target>)> {
        let way = || Way { world: self.world.clone(), outbox: self.outbox.clone() };
        vec![
            ("sns", "", Arc::new(TopicTarget(self.clone()))),
            ("sms", "", Arc::new(SmsTarget { way: way(), provider: self.sms.clone() })),
            ("email", "", Arc::new(MailTarget { way: way() })),
            ("http", "", Arc::new(HttpTarget { way: way() })),
        ]
    }

    /// The woken door: subscriptions that nobody confirms are forgotten.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
    }

    /// The latest notifications that left the house, or would have left it had there been a provider; newest first.
    pub fn outbox(&self, limit: usize) -> Result<Vec<Notification>, StoreError> {
        self.outbox.latest(limit)
    }

    /// The ARN of the topic of this name.
    pub(crate) fn arn(&self, name: &str) -> Arn {
        self.home.arn("sns", name)
    }

    /// The name of the topic that a request's `TopicArn` means, whether or not there is one.
    pub(crate) fn name(&self, arn: &str) -> Result<String, ApiError> {
        let parsed: Arn =
            arn.parse().map_err(|_| invalid_because("TopicArn", "An ARN must have at least 6 elements"))?;
        let here = parsed.service() == "sns"
            && parsed.account() == self.home.account.as_str()
            && parsed.region() == self.home.region.as_str();
        if parsed.service() != "sns" || parsed.resource().contains(':') {
            return Err(invalid_because("TopicArn", "not the ARN of a topic"));
        }
        if here { Ok(parsed.resource().to_owned()) } else { Err(no_topic()) }
    }

    /// Topic and id of a subscription's ARN.
    pub(crate) fn subscription_of(&self, arn: &str) -> Result<(String, String), ApiError> {
        let refuse = || invalid_because("SubscriptionArn", "not the ARN of a subscription");
        let parsed: Arn = arn.parse().map_err(|_| refuse())?;
        let (topic, id) = parsed.resource().split_once(':').ok_or_else(refuse)?;
        if parsed.service() != "sns" || *parsed.as_str() != format!("{}:{id}", self.arn(topic)) {
            return Err(refuse());
        }
        Ok((topic.to_owned(), id.to_owned()))
    }

    /// Scheme and authority for links, as this caller reaches us.
    pub(crate) fn base(&self, call: &wire::Call) -> String {
        let own = || format!("{}://{}", if call.tls { "https" } else { "http" }, call.host);
        self.public_url.clone().unwrap_or_else(own)
    }
}
