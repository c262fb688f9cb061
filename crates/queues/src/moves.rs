//! Tasks that move messages out of dead-letter queues. A task is in the catalog: it goes on after a restart, and what it
//! moved is in one queue or the other whatever happens.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>

use crate::limits::{MOVE_AGE, MOVE_STEP};
use crate::message::Message;
use crate::room::Room;
use crate::state::{Change, Move, MoveStatus};
use crate::{Queues, intake};
use names::Arn;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Received, StoreError};
use world::{Stage, Stop};

/// Moved messages are this long invisible to others, in case that the move of a batch fails.
const VISIBILITY: Duration = Duration::from_secs(60);
/// The catalog learns how far a move is at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// What a step of a move came to.
enum Step {
    /// So many messages were moved.
    Moved(u64),
    /// There is nothing left to move.
    Done,
    /// It cannot go on.
    Failed(&'static str),
}

/// Goes on with the moves that were under way.
pub(crate) fn start(queues: &Arc<Queues>) {
    for known in queues.catalog.read(|state| state.moves.clone()) {
        if known.status.is_active() {
            run(queues, known);
        }
    }
}

/// Starts the task of a move.
pub(crate) fn run(queues: &Arc<Queues>, task: Move) {
    let (queues, tasks) = (queues.clone(), queues.world.tasks.clone());
    let name = format!("queue move {}", task.from.resource());
    tasks.spawn(Stage::Sources, name, |stop| async move {
        let (id, from) = (task.id.clone(), task.from.clone());
        if let Err(error) = work(&queues, task, stop).await {
            tracing::error!(%error, queue = %from, id, "a move of messages has stopped; the next start goes on with it");
        }
    });
}

async fn work(queues: &Arc<Queues>, task: Move, mut stop: Stop) -> Result<(), StoreError> {
    let mut moved = task.moved;
    let mut noted = queues.world.now();
    loop {
        if stop.is_set() {
            return Ok(());
        }
        if status(queues, &task.id) != Some(MoveStatus::Running) {
            return note(queues, &task.id, moved, MoveStatus::Cancelled).await;
        }
        let step = match queues.of(&task.from).filter(|room| room.life == task.life) {
            None => Step::Failed("AWS.SimpleQueueService.NonExistentQueue"),
            Some(_) if queues.world.now().since(task.started) >= MOVE_AGE => Step::Failed("TimeLimitExceeded"),
            Some(from) => step(queues, &from, &task).await?,
        };
        match step {
            Step::Moved(more) => moved += more,
            Step::Done => return note(queues, &task.id, moved, MoveStatus::Completed).await,
            Step::Failed(why) => return note(queues, &task.id, moved, MoveStatus::Failed(why.to_owned())).await,
        }
        if queues.world.now().since(noted) >= NOTE_EVERY {
            noted = queues.world.now();
            note(queues, &task.id, moved, MoveStatus::Running).await?;
        }
        if let (Some(per_s), Step::Moved(more)) = (task.per_s, step) {
            tokio::select! {
                biased;
                () = stop.wait() => {}
                () = queues.world.clock.sleep(Duration::from_secs_f64(more as f64 / f64::from(per_s))) => {}
            }
        }
    }
}

fn status(queues: &Queues, id: &str) -> Option<MoveStatus> {
    queues.catalog.read(|state| state.moves.iter().find(|known| known.id == id).map(|known| known.status.clone()))
}

/// Notes how far a move is. Somebody may have asked for its end meanwhile: that it runs does not undo this.
async fn note(queues: &Queues, id: &str, moved: u64, status: MoveStatus) -> Result<(), StoreError> {
    let change = |status| Change::MoveNoted { id: id.to_owned(), moved, status };
    queues
        .catalog
        .change(|state| {
            let known = state.moves.iter().find(|known| known.id == id).map(|known| known.status.clone());
            Ok(match (known, status) {
                (None, _) => (vec![], ()),
                (Some(MoveStatus::Cancelling), MoveStatus::Running) => (vec![change(MoveStatus::Cancelling)], ()),
                (Some(_), status) => (vec![change(status)], ()),
            })
        })
        .await
}

async fn step(queues: &Queues, from: &Arc<Room>, task: &Move) -> Result<Step, StoreError> {
    let most = task.per_s.map_or(MOVE_STEP, |per_s| (per_s as usize / 10).clamp(1, MOVE_STEP));
    let mut got = from.messages.receive(most, VISIBILITY).await?;
    let later: Vec<Received> = got.extract_if(.., |received| received.id >= task.upto).collect();
    give_back(queues, from, &later).await?;
    if got.is_empty() {
        return Ok(Step::Done);
    }
    let sorted = match sort(queues, task, &got) {
        Ok(sorted) => sorted,
        Err(why) => {
            give_back(queues, from, &got).await?;
            return Ok(Step::Failed(why));
        }
    };
    for (to, ids, messages) in sorted {
        intake::forward(queues, (from, &to), ids, messages).await?;
    }
    Ok(Step::Moved(got.len() as u64))
}

async fn give_back(queues: &Queues, from: &Room, messages: &[Received]) -> Result<(), StoreError> {
    for message in messages {
        from.messages.postpone(message.id, queues.world.now()).await?;
    }
    Ok(())
}

/// Messages of one destination.
type Share = (Arc<Room>, Vec<u64>, Vec<Message>);

/// Which message goes where. Moved messages are new ones: they get a new id and begin their life.
fn sort(queues: &Queues, task: &Move, got: &[Received]) -> Result<Vec<Share>, &'static str> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for received in got {
        let message = Message::decode(received.body.clone()).map_err(|_| "InvalidMessageContents")?;
        let to: Arn = match (&task.to, &message.moved_from) {
            (Some(to), _) => to.clone(),
            (None, Some(origin)) => origin.parse().map_err(|_| "CouldNotDetermineMessageSource")?,
            (None, None) => return Err("CouldNotDetermineMessageSource"),
        };
        let room = queues.of(&to).ok_or("AWS.SimpleQueueService.NonExistentQueue")?;
        if message.size() > room.settings().max_bytes as usize {
            return Err("InvalidMessageSize");
        }
        let message = Message { id: intake::new_id(queues), sent_at: queues.world.now(), moved_from: None, ..message };
        let share = shares.entry(to.to_string()).or_insert_with(|| (room, Vec::new(), Vec::new()));
        share.1.push(received.id);
        share.2.push(message);
    }
    Ok(shares.into_values().collect())
}
