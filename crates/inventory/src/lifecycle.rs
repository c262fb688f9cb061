//! An instance's states and what moves it from one to another.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>

use names::Timestamp;
use serde::{Deserialize, Serialize};
use shapes::ec2::{InstanceState, InstanceStateName};
use std::time::Duration;

/// Where an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

/// What may be asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
    Terminate,
}

impl Phase {
    /// The phase at `now` of an instance that entered this one at `since`: passing phases pass.
    pub(crate) fn at(self, since: Timestamp, settle: Duration, now: Timestamp) -> Phase {
        match self {
            Phase::Pending if now >= since.plus(settle) => Phase::Running,
            Phase::Stopping if now >= since.plus(settle) => Phase::Stopped,
            Phase::ShuttingDown if now >= since.plus(settle) => Phase::Terminated,
            phase => phase,
        }
    }

    /// The phase that an action leads to, the same where there is nothing to do; `None` where it cannot be done.
    pub(crate) fn after(self, action: Action) -> Option<Phase> {
        match (action, self) {
            (Action::Terminate, Phase::Terminated | Phase::ShuttingDown) => Some(self),
            (Action::Terminate, _) => Some(Phase::ShuttingDown),
            (Action::Stop, Phase::Running) => Some(Phase::Stopping),
            (Action::Stop, Phase::Stopping | Phase::Stopped) => Some(self),
            (Action::Start, Phase::Stopped) => Some(Phase::Pending),
            (Action::Start, Phase::Pending | Phase::Running) => Some(self),
            (Action::Stop, Phase::Pending | Phase::ShuttingDown | Phase::Terminated)
            | (Action::Start, Phase::Stopping | Phase::ShuttingDown | Phase::Terminated) => None,
        }
    }

    pub(crate) fn shape(self) -> InstanceState {
        let (code, name) = match self {
            Phase::Pending => (0, InstanceStateName::Pending),
            Phase::Running => (16, InstanceStateName::Running),
            Phase::ShuttingDown => (32, InstanceStateName::ShuttingDown),
            Phase::Terminated => (48, InstanceStateName::Terminated),
            Phase::Stopping => (64, InstanceStateName::Stopping),
            Phase::Stopped => (80, InstanceStateName::Stopped),
        };
        InstanceState { code: Some(code), name: Some(name) }
    }
}

impl Action {
    /// As in "not in a state from which it can be ...".
    pub(crate) fn participle(self) -> &'static str {
        match self {
            Action::Start => "started",
            Action::Stop => "stopped",
            Action::Terminate => "terminated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_phases_pass_with_time() {
        let (since, settle) = (Timestamp::from_millis(1000), Duration::from_millis(500));
        let at = |phase: Phase, ms| phase.at(since, settle, Timestamp::from_millis(ms));
        assert_eq!(at(Phase::Pending, 1499), Phase::Pending);
        assert_eq!(at(Phase::Pending, 1500), Phase::Running);
        assert_eq!(at(Phase::Stopping, 1500), Phase::Stopped);
        assert_eq!(at(Phase::ShuttingDown, 1500), Phase::Terminated);
        assert_eq!(at(Phase::Running, 99_999), Phase::Running);
    }

    #[test]
    fn nothing_comes_back_from_termination() {
        for action in [Action::Start, Action::Stop] {
            assert_eq!(Phase::Terminated.after(action), None);
            assert_eq!(Phase::ShuttingDown.after(action), None);
        }
        assert_eq!(Phase::Terminated.after(Action::Terminate), Some(Phase::Terminated));
        assert_eq!(Phase::Stopped.after(Action::Terminate), Some(Phase::ShuttingDown));
    }
}
