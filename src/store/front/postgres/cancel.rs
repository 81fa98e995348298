//! Requests to cancel. They come over connections of their own, with the number of a connection and its secret.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// The connections that there are.
#[derive(Debug, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicI32,
    connections: Mutex<HashMap<i32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    secret: [u8; 4],
    /// Of the statement that runs.
    running: Option<CancellationToken>,
}

/// A connection's own entry, gone when dropped.
#[derive(Debug)]
pub struct Key {
    /// Its number.
    pub number: i32,
    /// What a request to cancel has to show.
    pub secret: [u8; 4],
    registry: Arc<Inner>,
}

impl Registry {
    /// An entry for a new connection.
    pub fn enter(&self) -> Key {
        let secret: [u8; 4] = rand::random();
        let mut connections = self.0.connections.lock();
        let number = loop {
            let number = self.0.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & i32::MAX;
            if !connections.contains_key(&number) {
                break number;
            }
        };
        connections.insert(number, Entry { secret, running: None });
        Key { number, secret, registry: Arc::clone(&self.0) }
    }

    /// Cancels what the connection runs now, if the secret is right.
    pub fn cancel(&self, number: i32, secret: &[u8]) {
        let connections = self.0.connections.lock();
        let Some(entry) = connections.get(&number) else { return };
        if bool::from(entry.secret.ct_eq(secret))
            && let Some(running) = &entry.running
        {
            running.cancel();
        }
    }
}

impl Key {
    /// A statement begins: its end, if it is cancelled. A request that came earlier is for nothing.
    pub fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        self.set(Some(token.clone()));
        token
    }

    /// It is over.
    pub fn end(&self) {
        self.set(None);
    }

    fn set(&self, running: Option<CancellationToken>) {
        if let Some(entry) = self.registry.connections.lock().get_mut(&self.number) {
            entry.running = running;
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.registry.connections.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_cancels_and_only_what_runs() {
        let registry = Registry::default();
        let (key, other) = (registry.enter(), registry.enter());
        registry.cancel(key.number, &key.secret);
        let token = key.begin();
        let wrong = key.secret.map(|byte| !byte);
        for (number, secret) in [(key.number, &wrong[..]), (other.number, &key.secret), (key.number, &key.secret[..3])]
        {
            registry.cancel(number, secret);
            assert!(!token.is_cancelled());
        }
        registry.cancel(key.number, &key.secret);
        assert!(token.is_cancelled());
        let next = key.begin();
        key.end();
        registry.cancel(key.number, &key.secret);
        assert!(!next.is_cancelled());
        drop(key);
        assert_eq!(registry.0.connections.lock().len(), 1);
    }
}
