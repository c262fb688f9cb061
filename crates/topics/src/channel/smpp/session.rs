//! A session with a message centre: a task that owns the connection.

use super::super::gsm::{self, Alphabet};
use super::pdu::{Body, Pdu, Short, status};
use super::{SmppGateway, again};
use crate::limits::{SMPP_ENQUIRE, SMPP_TIMEOUT, SMPP_WINDOW};
use crate::texting::says_stop;
use crate::{Topics, phone};
use delivery::Verdict;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use world::net::Connection;
use world::{Stage, Stop};

/// Something to be sent that has an answer.
pub(super) struct Ask {
    pub(super) body: Body,
    pub(super) answer: oneshot::Sender<Pdu>,
}

/// A connection that is bound.
pub(super) struct Session {
    reader: ReadHalf<Connection>,
    writer: WriteHalf<Connection>,
    /// Read, and not yet a whole unit.
    ahead: Vec<u8>,
    sequence: u32,
    asked: BTreeMap<u32, oneshot::Sender<Pdu>>,
    /// Whether the centre still owes a sign of life.
    enquired: bool,
    topics: Weak<Topics>,
}

impl Session {
    /// Connects and binds; what is asked of it goes through the channel that is returned.
    pub(super) async fn open(topics: &Arc<Topics>, gateway: &SmppGateway) -> Result<mpsc::Sender<Ask>, Verdict> {
        let net = &topics.world.net;
        let failed = |error: world::net::SendError| again("SendFailed", error.to_string());
        let mut connection = net.connect(&gateway.host, gateway.port, SMPP_TIMEOUT).await.map_err(failed)?;
        if gateway.tls {
            connection = net.secure(connection, &gateway.host, None, SMPP_TIMEOUT).await.map_err(failed)?;
        }
        let (reader, writer) = tokio::io::split(connection);
        let (topics_weak, asked) = (Arc::downgrade(topics), BTreeMap::new());
        let mut session =
            Session { reader, writer, ahead: Vec::new(), sequence: 0, asked, enquired: false, topics: topics_weak };
        let bind = Body::Bind {
            system_id: gateway.system_id.clone(),
            password: gateway.password.clone(),
            system_type: gateway.system_type.clone(),
        };
        let broken = |why: String| again("BindFailed", why);
        session.ask(bind).await.map_err(broken)?;
        let answer = session.unit().await.map_err(broken)?;
        if answer.status != status::OK || !matches!(answer.body, Body::BindAnswer(_)) {
            return Err(again("BindFailed", format!("the message centre answered {}", status::name(answer.status))));
        }
        let (asks, queue) = mpsc::channel(SMPP_WINDOW);
        let clock = topics.world.clock.clone();
        topics.world.tasks.spawn(Stage::Delivery, "smpp", move |stop| async move {
            if let Err(why) = session.run(queue, stop, clock).await {
                tracing::warn!(why, "the session with the message centre ended");
            }
        });
        Ok(asks)
    }

    /// Sends and receives until the connection ends, nobody asks any more or the house stops.
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Ask>,
        mut stop: Stop,
        clock: Arc<dyn world::Clock>,
    ) -> Result<(), String> {
        loop {
            let mut buffer = [0; 4096];
            tokio::select! {
                biased;
                () = stop.wait() => return self.ask(Body::Unbind).await.map(drop),
                read = self.reader.read(&mut buffer) => {
                    let read = read.map_err(|error| error.to_string())?;
                    if read == 0 {
                        return Err("the message centre hung up".into());
                    }
                    self.ahead.extend_from_slice(&buffer[..read]);
                    while let Some(pdu) = self.next()? {
                        if !self.take(pdu).await? {
                            return Ok(());
                        }
                    }
                }
                ask = queue.recv(), if self.asked.len() < SMPP_WINDOW => match ask {
                    Some(Ask { body, answer }) => {
                        let sequence = self.ask(body).await?;
                        // Whoever no longer waits for an answer takes no place.
                        self.asked.retain(|_, waiting| !waiting.is_closed());
                        self.asked.insert(sequence, answer);
                    }
                    None => return self.ask(Body::Unbind).await.map(drop),
                },
                () = clock.sleep(SMPP_ENQUIRE) => {
                    if std::mem::replace(&mut self.enquired, true) {
                        return Err("the message centre gives no sign of life".into());
                    }
                    self.ask(Body::Enquire).await?;
                }
            }
        }
    }

    /// Whether to go on.
    async fn take(&mut self, pdu: Pdu) -> Result<bool, String> {
        self.enquired = false;
        if pdu.body.is_answer() {
            if let Some(waiting) = self.asked.remove(&pdu.sequence) {
                // Whoever asked may have gone.
                let _ = waiting.send(pdu);
            }
            return Ok(true);
        }
        let answer = match pdu.body {
            Body::Deliver(short) => {
                if let Some(topics) = self.topics.upgrade() {
                    hear(&topics, &short).await;
                }
                Body::DeliverAnswer
            }
            Body::Enquire => Body::EnquireAnswer,
            Body::Unbind => {
                self.write(Pdu { status: status::OK, sequence: pdu.sequence, body: Body::UnbindAnswer }).await?;
                return Ok(false);
            }
            _ => Body::Nack,
        };
        // 3: no such command.
        let status = if answer == Body::Nack { 3 } else { status::OK };
        self.write(Pdu { status, sequence: pdu.sequence, body: answer }).await?;
        Ok(true)
    }

    async fn ask(&mut self, body: Body) -> Result<u32, String> {
        // From 1 to 0x7fffffff, and from there on again.
        self.sequence = self.sequence % 0x7fff_ffff + 1;
        let sequence = self.sequence;
        self.write(Pdu { status: status::OK, sequence, body }).await?;
        Ok(sequence)
    }

    async fn write(&mut self, pdu: Pdu) -> Result<(), String> {
        self.writer.write_all(&pdu.encode()).await.map_err(|error| error.to_string())?;
        self.writer.flush().await.map_err(|error| error.to_string())
    }

    fn next(&mut self) -> Result<Option<Pdu>, String> {
        let Some((pdu, length)) = Pdu::decode(&self.ahead).map_err(|broken| broken.to_string())? else {
            return Ok(None);
        };
        self.ahead.drain(..length);
        Ok(Some(pdu))
    }

    async fn unit(&mut self) -> Result<Pdu, String> {
        loop {
            if let Some(pdu) = self.next()? {
                return Ok(pdu);
            }
            let mut buffer = [0; 4096];
            match self.reader.read(&mut buffer).await {
                Ok(0) => return Err("the message centre hung up".into()),
                Ok(read) => self.ahead.extend_from_slice(&buffer[..read]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// A receipt, or a message from a phone.
async fn hear(topics: &Topics, short: &Short) {
    let alphabet = if short.coding == 8 { Alphabet::Ucs2 } else { Alphabet::Gsm7 };
    if short.esm_class & 0x3c != 0 {
        // A receipt is ASCII whatever it says of itself.
        let text = String::from_utf8_lossy(&short.message).into_owned();
        let of = |name: &str| text.split(name).nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        let id = short.receipted.clone().or_else(|| of("id:")).unwrap_or_default();
        let state = of("stat:").unwrap_or_default();
        topics.receipt(&id, &state).await;
    } else if says_stop(&gsm::text(&short.message, alphabet))
        && let Some(number) = phone::e164(&short.source.text)
    {
        topics.opt_out(&number).await;
    }
}
