//! Text messages by SMPP, against a message centre that reads bytes.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{House, options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use topics::{SmppGateway, Status, TopicsOptions};

const NUMBER: &str = "+15551230000";

/// What a centre has heard, by command, and what it answers to messages.
#[derive(Default)]
struct Centre {
    heard: Mutex<Vec<(u32, Vec<u8>)>>,
    /// Statuses of its answers to messages, in turn; then none.
    statuses: Mutex<Vec<u32>>,
    /// To be sent after the next message.
    sends: Mutex<Vec<Vec<u8>>>,
    /// Whether it hangs up instead of answering a message, once.
    hangs_up: Mutex<bool>,
}

fn unit(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut out = ((16 + body.len()) as u32).to_be_bytes().to_vec();
    for number in [command, status, sequence] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(body);
    out
}

async fn serve(centre: Arc<Centre>, mut stream: DuplexStream) {
    loop {
        let mut head = [0; 16];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let mut body = vec![0; number(0) as usize - 16];
        stream.read_exact(&mut body).await.unwrap();
        let (command, sequence) = (number(4), number(12));
        centre.heard.lock().unwrap().push((command, body));
        let answer = match command {
            9 => unit(0x8000_0009, 0, sequence, b"centre\0"),
            4 => {
                if std::mem::take(&mut *centre.hangs_up.lock().unwrap()) {
                    return;
                }
                let mut statuses = centre.statuses.lock().unwrap();
                let status = if statuses.is_empty() { 0 } else { statuses.remove(0) };
                unit(0x8000_0004, status, sequence, b"id-7\0")
            }
            0x15 => unit(0x8000_0015, 0, sequence, b""),
            _ => continue,
        };
        stream.write_all(&answer).await.unwrap();
        let sends = if command == 4 { std::mem::take(&mut *centre.sends.lock().unwrap()) } else { vec![] };
        for bytes in sends {
            stream.write_all(&bytes).await.unwrap();
        }
    }
}

/// `deliver_sm` from a number.
fn deliver(from: &str, class: u8, text: &str) -> Vec<u8> {
    let mut body = b"\0\x01\x01".to_vec();
    body.extend_from_slice(from.as_bytes());
    body.extend_from_slice(b"\0\x01\x01555\0");
    body.extend_from_slice(&[class, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend_from_slice(text.as_bytes());
    unit(5, 0, 99, &body)
}

async fn house() -> (House, Arc<Centre>) {
    let gateway = SmppGateway {
        host: "smsc.example.com".into(),
        port: 2775,
        tls: false,
        system_id: "me".into(),
        password: "pw".into(),
        system_type: String::new(),
        from: Some("Ops".into()),
        price_micro_usd: None,
    };
    gateway.check().unwrap();
    let house = House::with(TopicsOptions { smpp: Some(gateway), ..options() }).await;
    let centre = Arc::new(Centre::default());
    let (kept, tasks) = (centre.clone(), house.world.tasks.clone());
    house.net.accept_with(move |host, port| {
        assert_eq!((host, port), ("smsc.example.com", 2775));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let centre = kept.clone();
        tasks.spawn(world::Stage::Store, "centre", |_| serve(centre, theirs));
        Ok(Box::new(ours))
    });
    (house, centre)
}

async fn text(house: &House, message: &str) {
    house.ask("Publish", json!({ "PhoneNumber": NUMBER, "Message": message })).await.unwrap();
    house.wait(5).await;
}

fn messages(centre: &Centre) -> Vec<Vec<u8>> {
    let heard = centre.heard.lock().unwrap();
    heard.iter().filter(|(command, _)| *command == 4).map(|(_, body)| body.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_session_carries_all_messages() {
    let (house, centre) = house().await;
    text(&house, "hello [1]").await;
    text(&house, &"я".repeat(100)).await;
    let binds = centre.heard.lock().unwrap().iter().filter(|(command, _)| *command == 9).count();
    assert_eq!(binds, 1);
    let all = messages(&centre);
    let [short, first, second] = all.as_slice() else { panic!("one message, and one of two parts: {all:?}") };
    assert!(short.starts_with(b"\0\x05\0Ops\0\x01\x0115551230000\0"), "{short:?}");
    assert!(short.ends_with(b"\x0bhello \x1b<1\x1b>"), "in the GSM alphabet: {short:?}");
    let tail = |part: &[u8], length: usize| part[part.len() - length..].to_vec();
    let (one, two) = (tail(first, 140), tail(second, 6 + 66));
    assert_eq!((&one[..3], &one[4..6]), ([5u8, 0, 3].as_slice(), [2u8, 1].as_slice()));
    assert_eq!((one[3], &two[4..6]), (two[3], [2u8, 2].as_slice()), "the same reference");
    assert_eq!(house.topics.outbox(1).unwrap()[0].status, Status::Sent);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_message_is_sent_again_and_a_wrong_number_is_not() {
    let (house, centre) = house().await;
    centre.statuses.lock().unwrap().push(0x58);
    text(&house, "hello").await;
    house.wait(60).await;
    assert_eq!(messages(&centre).len(), 2);
    centre.statuses.lock().unwrap().push(0x0b);
    text(&house, "hello").await;
    house.wait(3_600).await;
    assert_eq!(messages(&centre).len(), 3);
    assert!(house.delivery.dead(1)[0].why.contains("ESME_RINVDSTADR"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_breaks_is_opened_again() {
    let (house, centre) = house().await;
    *centre.hangs_up.lock().unwrap() = true;
    text(&house, "hello").await;
    house.wait(60).await;
    assert_eq!(messages(&centre).len(), 2);
    assert_eq!(house.topics.outbox(1).unwrap()[0].status, Status::Sent);
    // A quiet session is kept alive.
    house.wait(300).await;
    assert!(centre.heard.lock().unwrap().iter().filter(|(command, _)| *command == 0x15).count() >= 9);
}

#[tokio::test(start_paused = true)]
async fn receipts_are_noted_and_stop_is_obeyed() {
    let (house, centre) = house().await;
    let receipt = "id:id-7 sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:UNDELIV err:000 text:";
    *centre.sends.lock().unwrap() =
        vec![deliver("15551230000", 4, receipt), deliver("15551239999", 0, "Stop"), unit(0x7777, 0, 5, b"")];
    text(&house, "hello").await;
    house.wait(1).await;
    let latest = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!((latest.receipt.as_deref(), &latest.status), (Some("UNDELIV"), &Status::Failed("UNDELIV".into())));
    let out = house.ask("ListPhoneNumbersOptedOut", json!({})).await.unwrap();
    assert_eq!(out["phoneNumbers"], json!(["+15551239999"]));
    let answers: Vec<u32> = centre.heard.lock().unwrap().iter().map(|(command, _)| *command).collect();
    assert_eq!(&answers[2..5], [0x8000_0005, 0x8000_0005, 0x8000_0000], "each is answered");
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_session_and_not_the_house() {
    let (house, centre) = house().await;
    centre.sends.lock().unwrap().push(vec![0xff; 64]);
    text(&house, "hello").await;
    text(&house, "again").await;
    assert_eq!(messages(&centre).len(), 2);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(house.topics.outbox(2).unwrap().iter().filter(|n| n.status == Status::Sent).count(), 2);
}
