use crate::channel::{
    Chat, ChatOptions, ChatTarget, Gateway, HttpTarget, MailRelay, MailTarget, Receipts, SmppGateway, SmsProvider,
    SmsTarget, Smsc, Way,
};
use crate::error::{invalid_because, no_topic};
use crate::fanout::PRINCIPAL;
use crate::feedback::LogSink;
use crate::fifo::Fifo;
use crate::filter::Filters;
use crate::outbox::{Notification, Outbox};
use crate::quota::Quotas;
use crate::signing::{Signer, SigningKey};
use crate::state::State;
use crate::target::TopicTarget;
use crate::{api, tasks};
use delivery::{Delivery, Envelope, Settled, Target};
use names::{Arn, Home};
use policies::Identities;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use store::{Catalog, Store, StoreError};
use tokio::sync::OnceCell;
use wire::ApiError;
use world::World;

/// All topics of the house.
pub struct Topics {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) identities: Arc<dyn Identities>,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) filters: Filters,
    pub(crate) fifo: Fifo,
    pub(crate) quotas: Option<Quotas>,
    pub(crate) gateway: Gateway,
    pub(crate) chats: [ChatOptions; 3],
    pub(crate) log: OnceLock<LogSink>,
    signer: OnceCell<Signer>,
    pub(crate) receipts: Receipts,
    pub(crate) outbox: Arc<Outbox>,
    options: TopicsOptions,
}

/// What the configuration says.
#[derive(Debug, Clone, Default)]
pub struct TopicsOptions {
    /// Whether so many messages are taken in a second and no more, as at AWS.
    pub throttle: bool,
    /// Where the key that signs notifications lies; made there when it is first needed.
    pub data_dir: PathBuf,
    /// A key of one's own instead.
    pub signing: Option<SigningKey>,
    /// What is said of Slack.
    pub slack: ChatOptions,
    /// What is said of PagerDuty.
    pub pagerduty: ChatOptions,
    /// What is said of Teams.
    pub teams: ChatOptions,
    /// Who sends text messages; without one they stay in the outbox.
    pub sms: Option<SmsProvider>,
    /// The message centre that takes text messages, in place of `sms`.
    pub smpp: Option<SmppGateway>,
    /// Who takes mails; without one they stay in the outbox.
    pub mail: Option<MailRelay>,
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
        identities: Arc<dyn Identities>,
        options: TopicsOptions,
    ) -> Result<Arc<Topics>, StoreError> {
        let catalog = Catalog::open(&store, "topics").await?;
        let outbox = Arc::new(Outbox::open(&store).await?);
        let fifo = Fifo::open(&store, world.now()).await?;
        let centre = options.smpp.clone().map(|gateway| Gateway::Smpp(Arc::new(Smsc::new(gateway))));
        let gateway = centre.or_else(|| options.sms.clone().map(Gateway::Http)).unwrap_or(Gateway::None);
        let chats = [options.slack.clone(), options.pagerduty.clone(), options.teams.clone()];
        let quotas = options.throttle.then(|| Quotas::new(world.clock.monotonic()));
        let topics = Arc::new(Topics {
            world,
            home,
            delivery,
            identities,
            catalog,
            filters: Filters::default(),
            fifo,
            quotas,
            gateway,
            chats,
            log: OnceLock::new(),
            signer: OnceCell::new(),
            receipts: Receipts::default(),
            outbox,
            options,
        });
        let told = Arc::downgrade(&topics);
        let listener = move |envelope: &Envelope, settled: &Settled<'_>| {
            if let Some(topics) = told.upgrade() {
                topics.settled(envelope, settled);
            }
        };
        topics.delivery.listen(PRINCIPAL, Arc::new(listener));
        Ok(topics)
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> wire::Service {
        api::service(self)
    }

    /// The pushed doors, to be registered with `delivery`: the topics themselves, and the ways out of the house.
    pub fn targets(self: &Arc<Self>) -> Vec<(&'static str, &'static str, Arc<dyn Target>)> {
        let way = || Way { world: self.world.clone(), outbox: self.outbox.clone() };
        let mut all: Vec<(&'static str, &'static str, Arc<dyn Target>)> = vec![
            ("sns", "", Arc::new(TopicTarget(self.clone()))),
            ("sms", "", Arc::new(SmsTarget { way: way(), topics: self.clone() })),
            ("email", "", Arc::new(MailTarget { way: way(), relay: self.options.mail.clone() })),
            ("http", "", Arc::new(HttpTarget::new(way()))),
        ];
        for (chat, options) in Chat::ALL.into_iter().zip(&self.chats) {
            all.push((chat.as_str(), "", Arc::new(ChatTarget::new(chat, way(), options))));
        }
        all
    }

    /// Where the lines about deliveries go that topics may ask for; without it they are refused.
    pub fn log_to(&self, sink: LogSink) {
        // The first stays: the house has one place for logs.
        let _ = self.log.set(sink);
    }

    /// The certificate of this name, for those who verify notifications.
    pub async fn certificate(&self, name: &str) -> Option<String> {
        let signer = self.signer().await.ok()?;
        signer.certificate(name).map(str::to_owned)
    }

    /// Who signs.
    pub(crate) async fn signer(&self) -> Result<&Signer, ApiError> {
        let open = || async {
            if let Some(given) = &self.options.signing {
                return Signer::new(&self.world, given);
            }
            let (world, home, dir) = (self.world.clone(), self.home.clone(), self.options.data_dir.clone());
            // Making a key takes long.
            let opened = tokio::task::spawn_blocking(move || Signer::open(&world, &home, &dir));
            opened.await.map_err(|error| error.to_string())?
        };
        self.signer.get_or_try_init(open).await.map_err(ApiError::fault)
    }

    /// What a part of a text message costs, in millionths of a dollar.
    pub(crate) fn price_micro_usd(&self) -> Option<u64> {
        self.gateway.price_micro_usd()
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
        let here = parsed.service() == "sns" && self.home.holds(&parsed);
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
        self.options.public_url.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }
}
