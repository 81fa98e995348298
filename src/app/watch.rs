//! What is looked at every few seconds: the counters, for rates and charts, the store,
//! whether the logs can take records, and who lags.

use std::sync::Arc;

use parking_lot::Mutex;

use super::history::SAMPLE_EVERY;
use super::lag::Lag;
use super::view::AppView;

/// Looks for ever.
pub async fn run(view: Arc<AppView>, lag: Lag) {
    let lag = Arc::new(Mutex::new(lag));
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // At the start nobody has been sent anything yet, however old it is.
    tick.tick().await;
    let first = view.clone();
    let _ = tokio::task::spawn_blocking(move || first.sample()).await;
    loop {
        tick.tick().await;
        view.ask_store().await;
        let (view, lag) = (view.clone(), lag.clone());
        // It may have to read an index file. One that panics has said so itself.
        let look = move || {
            view.sample();
            view.check_logs();
            lag.lock().look(|name| view.is_store(name));
        };
        let _ = tokio::task::spawn_blocking(look).await;
    }
}
