//! How much of one signal may be on its way to the engine: what is not visible there yet.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::protocol::WINDOW;
use crate::wal::Position;

/// The window of one signal on one connection.
#[derive(Debug, Default)]
pub struct Window {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    flying: VecDeque<(Position, usize)>,
}

impl Window {
    /// Waits for room for a record, and takes it. A record larger than the window goes alone.
    pub async fn enter(&self, position: Position, bytes: usize) {
        loop {
            let freed = self.freed.notified();
            if self.try_enter(position, bytes) {
                return;
            }
            freed.await;
        }
    }

    fn try_enter(&self, position: Position, bytes: usize) -> bool {
        let mut state = self.state.lock();
        if state.bytes > 0 && state.bytes + bytes > WINDOW {
            return false;
        }
        state.bytes += bytes;
        state.flying.push_back((position, bytes));
        true
    }

    /// Everything before `position` is visible.
    pub fn leave(&self, position: Position) {
        let mut state = self.state.lock();
        while state.flying.front().is_some_and(|(p, _)| *p < position) {
            let (_, bytes) = state.flying.pop_front().unwrap_or_default();
            state.bytes -= bytes;
        }
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn it_opens_as_rows_become_visible() {
        let window = Window::default();
        assert!(window.try_enter(Position(0), WINDOW * 2), "a large one goes alone");
        assert!(!window.try_enter(Position(1), 1));
        window.leave(Position(0));
        assert!(!window.try_enter(Position(1), 1), "record 0 is not visible yet");
        let mut waiting = pin!(window.enter(Position(1), WINDOW));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        window.leave(Position(1));
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        assert!(!window.try_enter(Position(2), 1));
    }
}
