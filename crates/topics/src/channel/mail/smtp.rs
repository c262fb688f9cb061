//! The few words of SMTP that hand a mail to a relay. Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH)

use super::letter::{Letter, address};
use super::{MailRelay, MailTls};
use crate::limits::{SMTP_REPLY_BYTES, SMTP_STEP};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use delivery::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::World;
use world::net::{Connection, SendError};

/// Why a mail was not handed over.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not now, or not as the relay is described: another try may do.
    Again(String, String),
    /// The relay will never take this mail.
    Refused(String, String),
}

impl Failure {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Failure::Again(code, why) => Verdict::Again { code, why, after: None },
            Failure::Refused(code, why) => Verdict::Refused { code, why },
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        Failure::Again("SendFailed".into(), error.to_string())
    }
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::Again("SendFailed".into(), format!("the connection to the relay broke: {error}"))
}

/// What the relay said.
struct Reply {
    code: u16,
    text: String,
}

/// A conversation.
struct Talk<'a> {
    world: &'a World,
    connection: Connection,
    /// Read, and not yet looked at.
    ahead: Vec<u8>,
}

impl Talk<'_> {
    async fn say(&mut self, text: &str) -> Result<Reply, Failure> {
        let mut line = text.to_owned();
        line.push_str("\r\n");
        self.write(line.as_bytes()).await?;
        self.hear().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.connection.write_all(bytes).await?;
            self.connection.flush().await
        };
        tokio::select! {
            biased;
            written = written => written.map_err(|error| broken(&error)),
            () = self.world.clock.sleep(SMTP_STEP) => Err(SendError::Timeout(SMTP_STEP).into()),
        }
    }

    async fn hear(&mut self) -> Result<Reply, Failure> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
            let Some(code) = code.filter(|code| (200..600).contains(code)) else {
                return Err(Failure::Again("BadReply".into(), format!("the relay said {line:?}")));
            };
            text.push_str(line.get(4..).unwrap_or_default());
            text.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text: text.trim_end().to_owned() });
            }
            if text.len() > SMTP_REPLY_BYTES {
                return Err(Failure::Again("BadReply".into(), "the relay does not stop talking".into()));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.ahead.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.ahead.len() > SMTP_REPLY_BYTES {
                return Err(Failure::Again("BadReply".into(), "the relay's line does not end".into()));
            }
            let mut buffer = [0; 1024];
            let read = tokio::select! {
                biased;
                read = self.connection.read(&mut buffer) => read.map_err(|error| broken(&error))?,
                () = self.world.clock.sleep(SMTP_STEP) => return Err(SendError::Timeout(SMTP_STEP).into()),
            };
            if read == 0 {
                return Err(Failure::Again("SendFailed".into(), "the relay hung up".into()));
            }
            self.ahead.extend_from_slice(&buffer[..read]);
        }
    }
}

impl Reply {
    /// What has to do with the relay and not with the mail: whatever is wrong there may be put right.
    fn of_relay(self, doing: &str) -> Result<Reply, Failure> {
        if self.code < 400 { Ok(self) } else { Err(Failure::Again(self.code.to_string(), self.told(doing))) }
    }

    /// What has to do with the mail: a refusal is final where its number says so.
    fn of_mail(self, doing: &str) -> Result<Reply, Failure> {
        match self.code {
            ..400 => Ok(self),
            400..500 => Err(Failure::Again(self.code.to_string(), self.told(doing))),
            _ => Err(Failure::Refused(self.code.to_string(), self.told(doing))),
        }
    }

    fn told(&self, doing: &str) -> String {
        format!("{doing}: {} {}", self.code, self.text)
    }

    fn offers(&self, what: &str) -> Option<&str> {
        let named = |line: &&str| line.split([' ', '=']).next().is_some_and(|word| word.eq_ignore_ascii_case(what));
        self.text.lines().skip(1).find(named)
    }
}

/// Hands a mail to the relay; gives its answer.
pub(super) async fn send(world: &World, relay: &MailRelay, letter: &Letter<'_>) -> Result<String, Failure> {
    let (mut talk, hello) = open(world, relay).await?;
    if let Some((user, secret)) = relay.user.as_deref().zip(relay.secret.as_deref()) {
        log_in(&mut talk, &hello, user, secret).await?;
    }
    let from = address(&relay.from).unwrap_or(&relay.from);
    talk.say(&format!("MAIL FROM:<{from}>")).await?.of_relay("the sender")?;
    talk.say(&format!("RCPT TO:<{}>", letter.to)).await?.of_mail("the recipient")?;
    talk.say("DATA").await?.of_mail("the mail")?;
    let mut mail = letter.bytes();
    mail.push_str(".\r\n");
    talk.write(mail.as_bytes()).await?;
    let answer = talk.hear().await?.of_mail("the mail")?;
    // It is the relay's from here on, whatever it says to a farewell.
    let _ = talk.write(b"QUIT\r\n").await;
    Ok(format!("{} {}", answer.code, answer.text))
}

async fn open<'a>(world: &'a World, relay: &MailRelay) -> Result<(Talk<'a>, Reply), Failure> {
    let authority = match &relay.ca {
        None => None,
        Some(path) => {
            let read = world.disk.read(path);
            let why =
                |error: std::io::Error| Failure::Again("NoAuthority".into(), format!("{}: {error}", path.display()));
            Some(read.map_err(why)?)
        }
    };
    let secure = async |connection| {
        world.net.secure(connection, &relay.host, authority.as_deref(), SMTP_STEP).await.map_err(Failure::from)
    };
    let mut connection = world.net.connect(&relay.host, relay.port(), SMTP_STEP).await?;
    if relay.tls == MailTls::Implicit {
        connection = secure(connection).await?;
    }
    let mut talk = Talk { world, connection, ahead: Vec::new() };
    talk.hear().await?.of_relay("the greeting")?;
    let name = format!("EHLO {}", relay.hello.as_deref().unwrap_or("localhost"));
    let mut hello = talk.say(&name).await?.of_relay("EHLO")?;
    if relay.tls == MailTls::Starttls {
        if hello.offers("STARTTLS").is_none() {
            return Err(Failure::Again("NoStartTls".into(), "the relay offers no STARTTLS".into()));
        }
        talk.say("STARTTLS").await?.of_relay("STARTTLS")?;
        // What somebody may have slipped in before TLS began is not the relay's.
        talk = Talk { world, connection: secure(talk.connection).await?, ahead: Vec::new() };
        hello = talk.say(&name).await?.of_relay("EHLO")?;
    }
    Ok((talk, hello))
}

async fn log_in(talk: &mut Talk<'_>, hello: &Reply, user: &str, secret: &str) -> Result<(), Failure> {
    let ways = hello.offers("AUTH").unwrap_or_default().to_ascii_uppercase();
    let has = |way: &str| ways.split([' ', '=']).any(|word| word == way);
    if has("PLAIN") || !has("LOGIN") {
        let login = STANDARD.encode(format!("\0{user}\0{secret}"));
        talk.say(&format!("AUTH PLAIN {login}")).await?.of_relay("AUTH")?;
        return Ok(());
    }
    for (word, doing) in
        [("AUTH LOGIN".to_owned(), "AUTH"), (STANDARD.encode(user), "the user"), (STANDARD.encode(secret), "AUTH")]
    {
        talk.say(&word).await?.of_relay(doing)?;
    }
    Ok(())
}
