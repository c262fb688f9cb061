//! One invocation in one process.

use super::pool::Next;
use super::report::{self, Ending};
use super::sandbox::{Event, Gone, Order, Sandbox, millis};
use super::word::Word;
use super::{FunctionSpec, Invocation, InvokeError, InvokeOutcome, Report, api, extensions, limits};
use tokio::sync::oneshot;
use world::BoxFuture;

/// An invocation that is over.
struct Over {
    id: String,
    spec: std::sync::Arc<FunctionSpec>,
    ending: Ending,
    report: Report,
    answer: Option<oneshot::Sender<Result<Result<InvokeOutcome, InvokeError>, Gone>>>,
}

impl Over {
    /// Answers who waits for the invocation, once.
    fn tell(&mut self, log_tail: String) {
        if let Some(answer) = self.answer.take() {
            let (payload, error) = self.ending.answer(&self.id, self.spec.timeout);
            let _ = answer.send(Ok(Ok(InvokeOutcome { payload, error, log_tail, report: self.report })));
        }
    }
}

impl Sandbox {
    /// Runs one invocation; `starting`: the process has just been started for it, after a start that failed. What it is to
    /// do then.
    pub(super) async fn carry(&mut self, order: Order, starting: bool) -> Next<Order> {
        let Order { invocation, spec, answer, sink } = order;
        let clock = self.house.world.clock.clone();
        self.tail.get_or_insert_default();
        let begun = clock.monotonic();
        let deadline = &mut clock.sleep(spec.timeout);
        // One that was used before and ends before it takes this has nothing to do with it.
        let used = !starting && self.init_ms.is_none();
        if used && let Err(Ending::Exited(_)) = self.until_ready(deadline).await {
            self.house.pool.remove(self.id);
            let _ = answer.send(Err(Gone));
            return Next::End;
        }
        self.sink = sink;
        self.say(&Word::Start { id: &invocation.request_id, arn: &spec.arn });
        let ready = if starting { self.until_ready(deadline).await } else { Ok(()) };
        let (ending, was_ready) = match ready {
            Ok(()) => {
                if starting {
                    self.child.throttle();
                }
                (self.run(&invocation, &spec, deadline).await, true)
            }
            Err(ending) => {
                let ms = millis(clock.monotonic().saturating_sub(self.started));
                self.say(&Word::InitEnd { status: ending.init_status(), kept: self.kept, phase: "invoke", ms });
                (ending, false)
            }
        };
        (self.sink, self.relaying) = (None, None);
        let alive = was_ready && ending.leaves_process();
        let duration_ms = millis(clock.monotonic().saturating_sub(begun));
        let init_ms = self.init_ms.take();
        let billed_ms = report::billed_ms(duration_ms, init_ms);
        let report = Report { duration_ms, billed_ms, memory_mb: spec.memory_mb, max_memory_mb: 0, init_ms };
        let over = Over { id: invocation.request_id, spec, ending, report, answer: Some(answer) };
        self.see_off(over, alive, invocation.tail, deadline).await
    }

    /// Answers, and writes down what there was.
    async fn see_off(
        &mut self,
        mut over: Over,
        alive: bool,
        tail: bool,
        late: &mut BoxFuture<'static, ()>,
    ) -> Next<Order> {
        if alive && !tail && self.extensions.are_done() {
            // Nobody has to wait for what is only written down. Each who is told goes on at once, in this very thread:
            // to wake another takes longer than all that is done here.
            let next = self.house.pool.next(self.id, self.house.world.now());
            over.tell(String::new());
            tokio::task::yield_now().await;
            self.acknowledge();
            tokio::task::yield_now().await;
            self.write_down(&mut over);
            self.tail = None;
            return next;
        }
        if !alive && !self.extensions.want_shutdown() {
            // What it has written is read before it goes.
            self.read_output();
            self.child.kill();
        }
        self.write_down(&mut over);
        let log = self.tail.take().unwrap_or_default().finish();
        // Extensions go on with what they have to do; whoever waits for the function has its answer.
        if alive && !self.extensions.are_done() {
            over.tell(log.clone());
            self.acknowledge();
        }
        let next = if alive && self.extensions_rest(late).await {
            self.house.pool.next(self.id, self.house.world.now())
        } else {
            self.house.pool.remove(self.id);
            Next::End
        };
        over.tell(log);
        self.acknowledge();
        next
    }

    /// Answers the runtime's request with its response.
    fn acknowledge(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            let _ = receipt.send(api::accepted());
        }
    }

    fn read_output(&mut self) {
        for line in self.output.written() {
            self.heard(line);
        }
    }

    fn write_down(&mut self, over: &mut Over) {
        over.report.max_memory_mb = self.child.peak_memory().div_ceil(1 << 20);
        self.read_output();
        let (id, ending, report) = (&over.id, &over.ending, &over.report);
        self.say(&Word::Done { id, ending, report });
        self.say(&Word::Report { id, ending, report });
    }

    /// Waits until the extensions are through with an invocation. Whether they are, and all of the process is there.
    async fn extensions_rest(&mut self, late: &mut BoxFuture<'static, ()>) -> bool {
        while !self.extensions.are_done() {
            if let Some(ending) = self.step(late, None).await {
                tracing::warn!(function = self.spec.name, ?ending, "extensions did not finish with an invocation");
                return false;
            }
        }
        true
    }

    /// Waits until the runtime has asked for an invocation.
    async fn until_ready(&mut self, late: &mut BoxFuture<'static, ()>) -> Result<(), Ending> {
        loop {
            if self.is_ready() {
                return Ok(());
            }
            if let Some(ending) = self.step(late, None).await {
                return Err(ending);
            }
        }
    }

    /// Hands the invocation over and waits for its end.
    async fn run(&mut self, invocation: &Invocation, spec: &FunctionSpec, late: &mut BoxFuture<'static, ()>) -> Ending {
        let deadline = self.house.world.now().plus(spec.timeout).millis();
        loop {
            if let Err(ending) = self.until_ready(late).await {
                return ending;
            }
            let waiting = self.waiting.take().expect("it was ready");
            if waiting.send(api::next(invocation, spec, deadline)).is_ok() {
                self.extensions.invoke(&extensions::invoke_event(invocation, spec, deadline));
                break;
            }
        }
        loop {
            let id = Some(invocation.request_id.as_str());
            match self.step(late, id).await {
                Some(Ending::Truncated) => return self.why_truncated().await,
                Some(ending @ Ending::Exited(_)) if self.relaying.is_some() => {
                    return self.last_pieces(id, late).await.unwrap_or(ending);
                }
                Some(ending) => return ending,
                None => {}
            }
        }
    }

    /// A response breaks off where its process ends, mostly: then that is what is told.
    async fn why_truncated(&mut self) -> Ending {
        let soon = &mut self.house.world.clock.sleep(limits::LAST_WORD);
        loop {
            match self.step(soon, None).await {
                Some(Ending::Exited(exit)) => return Ending::Exited(exit),
                Some(Ending::TimedOut) => return Ending::Truncated,
                _ => {}
            }
        }
    }

    /// What a process wrote before it ended is passed on, at its pace, while the invocation may run. The response may even
    /// be whole.
    async fn last_pieces(&mut self, id: Option<&str>, late: &mut BoxFuture<'static, ()>) -> Option<Ending> {
        loop {
            let call = tokio::select! {
                biased;
                () = &mut *late => return None,
                call = self.calls.recv() => call?,
            };
            match self.take(Event::Call(call), id) {
                Some(Ending::Truncated) => return None,
                None => {}
                ending => return ending,
            }
        }
    }

    pub(super) async fn step(&mut self, late: &mut BoxFuture<'static, ()>, running: Option<&str>) -> Option<Ending> {
        let event: Event = self.event(late).await;
        self.take(event, running)
    }
}
