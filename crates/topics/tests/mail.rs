//! Mails go through a relay, which is asked again where it asks for that.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{House, TOPIC, options};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use topics::{MailRelay, MailTls, Status, TopicsOptions};

type Heard = Arc<Mutex<Vec<String>>>;

/// A relay that answers recipients with these numbers in turn, then always with the last.
async fn talk(stream: DuplexStream, heard: Heard, recipient: u16) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 relay\r\n").await.unwrap();
    let (mut line, mut data) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return;
        }
        let said = line.trim_end().to_owned();
        heard.lock().unwrap().push(said.clone());
        let answer = match said.split(' ').next().unwrap() {
            _ if data && said != "." => continue,
            "." => {
                data = false;
                "250 queued as 7".to_owned()
            }
            "EHLO" => "250-relay\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN".to_owned(),
            "STARTTLS" => "220 go on".to_owned(),
            "AUTH" => "235 welcome".to_owned(),
            "RCPT" => format!("{recipient} recipient"),
            "DATA" => {
                data = true;
                "354 end with a dot".to_owned()
            }
            "QUIT" => return,
            _ => "250 fine".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

fn relay(house: &House, recipients: &'static [u16]) -> Heard {
    let heard = Heard::default();
    let (kept, count, tasks) = (heard.clone(), Mutex::new(0), house.world.tasks.clone());
    house.net.accept_with(move |host, port| {
        assert_eq!((host, port), ("relay.example.com", 587));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let mut count = count.lock().unwrap();
        let recipient = recipients[(*count).min(recipients.len() - 1)];
        *count += 1;
        tasks.spawn(world::Stage::Delivery, "relay", |_| talk(theirs, kept.clone(), recipient));
        Ok(Box::new(ours))
    });
    heard
}

async fn house() -> House {
    let relay = MailRelay {
        host: "relay.example.com".into(),
        port: None,
        tls: MailTls::Starttls,
        from: "Headwater <no-reply@example.com>".into(),
        user: Some("me".into()),
        secret: Some("pw".into()),
        ca: None,
        hello: None,
    };
    relay.check().unwrap();
    let house = House::with(TopicsOptions { mail: Some(relay), ..options() }).await;
    house.topic().await;
    house
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_handed_over_word_by_word() {
    let house = house().await;
    let heard = relay(&house, &[250]);
    house.subscribe("email-json", "ann@example.com", json!({})).await;
    house.wait(5).await;
    let said = heard.lock().unwrap().clone();
    let words = [
        "EHLO localhost",
        "STARTTLS",
        "EHLO localhost",
        "AUTH PLAIN AG1lAHB3",
        "MAIL FROM:<no-reply@example.com>",
        "RCPT TO:<ann@example.com>",
        "DATA",
        "From: \"Headwater\" <no-reply@example.com>",
        "To: ann@example.com",
        "Subject: AWS Notification - Subscription Confirmation",
    ];
    assert_eq!(&said[..words.len()], words);
    assert_eq!(said.last().unwrap(), "QUIT");
    let sent = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!((sent.channel.as_str(), &sent.status), ("email-json", &Status::Sent));
    let question: Value = serde_json::from_str(&sent.body).unwrap();
    let confirm = json!({ "TopicArn": TOPIC, "Token": question["Token"] });
    house.ask("ConfirmSubscription", confirm).await.unwrap();
    house.publish(json!({ "Subject": "Gone" })).await;
    house.wait(5).await;
    assert_eq!(house.metric("NumberOfNotificationsDelivered", "alarms"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_relay_is_asked_again_and_a_refusal_is_final() {
    let house = house().await;
    let heard = relay(&house, &[451, 250]);
    house.subscribe("email", "ann@example.com", json!({})).await;
    house.wait(60).await;
    let tries = |heard: &Heard| heard.lock().unwrap().iter().filter(|line| line.starts_with("RCPT")).count();
    assert_eq!(tries(&heard), 2);
    assert_eq!(house.topics.outbox(1).unwrap()[0].status, Status::Sent);
    let heard = relay(&house, &[550]);
    house.subscribe("email", "bob@example.com", json!({})).await;
    house.wait(3_600).await;
    assert_eq!(tries(&heard), 1);
    assert_eq!(house.delivery.dead(1)[0].code, "550");
}

#[test]
fn relays_that_cannot_be_are_refused() {
    let relay = |change: fn(&mut MailRelay)| {
        let mut relay = MailRelay {
            host: "relay.example.com".into(),
            port: None,
            tls: MailTls::None,
            from: "a@example.com".into(),
            user: None,
            secret: None,
            ca: None,
            hello: None,
        };
        change(&mut relay);
        relay.check()
    };
    assert_eq!(relay(|_| {}), Ok(()));
    assert!(relay(|r| r.from = "a".into()).is_err());
    assert!(relay(|r| r.user = Some("me".into())).is_err());
    assert!(relay(|r| (r.user, r.secret) = (Some("me".into()), Some("pw".into()))).unwrap_err().contains("clear"));
    assert!(relay(|r| r.hello = Some("a b".into())).is_err());
}
