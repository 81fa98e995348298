//! Pages that several browsers ask for at the same time, or within a moment, are made once.
//!
//! A page asks the store several statements, and each look at it would ask them anew. So requests for the same
//! address wait for the same page while it is made, and get it for a moment after that: a page may be as old as its
//! [limit](Made::limit). Somebody who looks on does not wait for the next one: it is begun before the old one is over.
//!
//! What nobody waits for any more is not made: the statements of a page end when the last browser leaves. A page
//! that lacks rows is for those who waited for it, and for nobody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, WeakShared};
use maud::html;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::layout::Content;
use super::range::Range;

/// Pages that are kept, and their bytes together.
const MAX_PAGES: usize = 256;
const MAX_BYTES: usize = 32 << 20;

/// A page is at least as old before it is made again as this many times what it took: so a page that is slow to
/// make, which many look at, leaves the store for others.
const PER_WORK: u32 = 10;

/// The age at which no page is shown any more.
const MAX_AGE: Duration = Duration::from_secs(60);

/// A page of a time range may be older by this part of it: what is missing is less than a pixel of its charts.
const PART_OF_RANGE: i64 = 720;

/// How old a page of a time range may be at least.
pub fn step(range: &Range) -> Duration {
    let part = Duration::from_nanos(u64::try_from(range.length() / PART_OF_RANGE).unwrap_or(0));
    part.clamp(Duration::from_secs(1), MAX_AGE)
}

/// What a page is known by: its path and parameters.
pub type Key = String;

/// A page, and whether it has all that it is to have.
pub type Making = BoxFuture<'static, (Content, bool)>;

/// The pages of a port.
#[derive(Debug, Clone, Default)]
pub struct Pages(Arc<Mutex<HashMap<Key, Page>>>);

#[derive(Debug, Default)]
struct Page {
    made: Option<Arc<Made>>,
    /// The next one.
    next: Option<WeakShared<BoxFuture<'static, Arc<Made>>>>,
}

/// A page that was made.
#[derive(Debug)]
struct Made {
    content: Arc<Content>,
    /// When its making began: it has all that was acknowledged before.
    began: Instant,
    took: Duration,
    /// How old it may be at least.
    step: Duration,
}

impl Made {
    /// How old it may be.
    fn limit(&self) -> Duration {
        self.step.max(self.took * PER_WORK).min(MAX_AGE)
    }

    /// The age from which on the next one is made, if somebody looks: so that it is there in time.
    fn renewal(&self) -> Duration {
        let limit = self.limit();
        limit.saturating_sub(self.took * 3).max(limit / 2)
    }
}

impl Page {
    fn is_useful(&self, now: Instant) -> bool {
        let is_young = self.made.as_ref().is_some_and(|made| now.duration_since(made.began) <= made.limit());
        is_young || self.next.as_ref().is_some_and(|next| next.upgrade().is_some())
    }

    fn bytes(&self, key: &Key) -> usize {
        let statements = |content: &Content| content.statements.iter().map(String::len).sum::<usize>();
        let of = |made: &Arc<Made>| made.content.main.0.len() + statements(&made.content);
        key.len() + self.made.as_ref().map_or(0, of)
    }
}

impl Pages {
    /// The page of this key, not older than `step` if it is quickly made; it is made if there is none.
    pub async fn get(&self, key: Key, step: Duration, making: Making) -> Arc<Content> {
        let now = Instant::now();
        let (made, next) = {
            let mut pages = self.0.lock();
            let page = pages.entry(key.clone()).or_default();
            let made = page.made.clone().filter(|made| now.duration_since(made.began) <= made.limit());
            let is_due = made.as_ref().is_none_or(|made| now.duration_since(made.began) >= made.renewal());
            let running = page.next.as_ref().and_then(WeakShared::upgrade);
            let next = match running {
                Some(next) => Some((next, false)),
                None if is_due => {
                    let next = self.clone().make(key, step, making).boxed().shared();
                    page.next = next.downgrade();
                    Some((next, true))
                }
                None => None,
            };
            if next.is_some() {
                pages.retain(|_, page| page.is_useful(now));
            }
            (made, next)
        };
        match (made, next) {
            (Some(made), Some((next, true))) => {
                // Nobody waits for it, so that nobody who leaves ends it.
                tokio::spawn(next);
                Arc::clone(&made.content)
            }
            (Some(made), _) => Arc::clone(&made.content),
            (None, Some((next, _))) => Arc::clone(&next.await.content),
            // There is one or the other.
            (None, None) => Arc::new(html! {}.into()),
        }
    }

    async fn make(self, key: Key, step: Duration, making: Making) -> Arc<Made> {
        let began = Instant::now();
        let (content, is_whole) = making.await;
        let made = Arc::new(Made { content: Arc::new(content), began, took: began.elapsed(), step });
        if is_whole {
            self.keep(key, &made);
        }
        made
    }

    fn keep(&self, key: Key, made: &Arc<Made>) {
        let mut pages = self.0.lock();
        pages.insert(key, Page { made: Some(Arc::clone(made)), next: None });
        let mut bytes: usize = pages.iter().map(|(key, page)| page.bytes(key)).sum();
        while bytes > MAX_BYTES || pages.len() > MAX_PAGES {
            let ages = pages.iter().filter_map(|(key, page)| Some((page.made.as_ref()?.began, key)));
            let Some(oldest) = ages.min().map(|(_, key)| key.clone()) else { break };
            let Some(page) = pages.get_mut(&oldest) else { break };
            bytes -= page.bytes(&oldest);
            page.made = None;
            // Those who wait for its next one go on to do so.
            if page.next.as_ref().is_none_or(|next| next.upgrade().is_none()) {
                pages.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// What pages of an hour have.
    const STEP: Duration = Duration::from_secs(5);

    fn key(address: &str) -> Key {
        address.to_owned()
    }

    /// Pages that say which they are: the first is 1.
    #[derive(Clone)]
    struct Maker {
        begun: Arc<AtomicUsize>,
        /// How many may be finished.
        may: Arc<Semaphore>,
    }

    impl Maker {
        fn new(may: usize) -> Self {
            Maker { begun: Arc::default(), may: Arc::new(Semaphore::new(may)) }
        }

        fn make(&self, is_whole: bool) -> Making {
            let maker = self.clone();
            async move {
                let number = maker.begun.fetch_add(1, Ordering::SeqCst) + 1;
                maker.may.acquire().await.unwrap().forget();
                (content(number.to_string()), is_whole)
            }
            .boxed()
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    fn content(text: impl Into<String>) -> Content {
        maud::PreEscaped(text.into()).into()
    }

    async fn text(asked: impl Future<Output = Arc<Content>>) -> String {
        asked.await.main.0.clone()
    }

    #[tokio::test]
    async fn who_asks_for_the_same_at_the_same_time_gets_the_same() {
        let (pages, maker) = (Pages::default(), Maker::new(0));
        let asked = (0..20).map(|n| pages.get(key(["/a", "/b"][n % 2]), STEP, maker.make(true)));
        let (all, ()) = tokio::join!(join_all(asked), async { maker.may.add_permits(20) });
        let answers: Vec<&str> = all.iter().map(|content| content.main.0.as_str()).collect();
        assert_eq!(maker.begun(), 2, "one for each address");
        assert_eq!(answers[..4], ["1", "2", "1", "2"]);
        assert_eq!(text(pages.get(key("/a"), STEP, maker.make(true))).await, "1", "and for a moment after that");
    }

    #[tokio::test]
    async fn a_page_is_not_older_than_its_limit() {
        let (pages, maker) = (Pages::default(), Maker::new(9));
        let old = |age, took| {
            let began = Instant::now().checked_sub(age).unwrap();
            Arc::new(Made { content: Arc::new(content("old")), began, took, step: STEP })
        };
        let second = Duration::from_secs(1);
        for (age, took, expected) in [
            (5 * second + second / 10, second / 100, "1"),
            // It was slow to make: then it is kept for longer, but not for ever.
            (9 * second, second, "old"),
            (61 * second, 20 * second, "2"),
        ] {
            pages.keep(key("/"), &old(age, took));
            assert_eq!(text(pages.get(key("/"), STEP, maker.make(true))).await, expected, "{age:?}, {took:?}");
        }
    }

    #[tokio::test]
    async fn the_next_page_is_begun_before_the_old_one_is_over() {
        let (pages, maker) = (Pages::default(), Maker::new(0));
        let began = Instant::now().checked_sub(Duration::from_millis(4900)).unwrap();
        let (old, took) = (Arc::new(content("old")), Duration::from_millis(100));
        pages.keep(key("/"), &Arc::new(Made { content: old, began, took, step: STEP }));
        for _ in 0..3 {
            assert_eq!(text(pages.get(key("/"), STEP, maker.make(true))).await, "old");
            tokio::task::yield_now().await;
        }
        assert_eq!(maker.begun(), 1);
        maker.may.add_permits(1);
        let deadline = Instant::now() + Duration::from_secs(30);
        while text(pages.get(key("/"), STEP, maker.make(true))).await == "old" {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        assert_eq!(text(pages.get(key("/"), STEP, maker.make(true))).await, "1");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_made() {
        struct Ends(Arc<AtomicUsize>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (pages, ended) = (Pages::default(), Arc::new(AtomicUsize::new(0)));
        let endless = || {
            let ends = Ends(Arc::clone(&ended));
            async move {
                let _ends = ends;
                pending().await
            }
            .boxed()
        };
        let mut one = Box::pin(pages.get(key("/"), STEP, endless()));
        assert!(futures_util::poll!(&mut one).is_pending());
        let mut other = Box::pin(pages.get(key("/"), STEP, endless()));
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(one);
        assert_eq!(ended.load(Ordering::SeqCst), 0, "the other waits for it");
        drop(other);
        assert_eq!(ended.load(Ordering::SeqCst), 2);
        let maker = Maker::new(1);
        assert_eq!(text(pages.get(key("/"), STEP, maker.make(true))).await, "1");
    }

    #[tokio::test]
    async fn a_page_that_lacks_something_is_not_kept() {
        let (pages, maker) = (Pages::default(), Maker::new(9));
        for (is_whole, expected) in [(false, "1"), (false, "2"), (true, "3"), (true, "3")] {
            assert_eq!(text(pages.get(key("/"), STEP, maker.make(is_whole))).await, expected);
        }
    }

    #[tokio::test]
    async fn pages_are_bounded() {
        let pages = Pages::default();
        for (bytes, pages_made, most) in [(10, 300, MAX_PAGES), (1 << 20, 40, 31), (MAX_BYTES, 1, 0)] {
            for n in 0..pages_made {
                let making = async move { (content("x".repeat(bytes)), true) }.boxed();
                pages.get(key(&n.to_string()), STEP, making).await;
            }
            let held: usize = pages.0.lock().iter().map(|(key, page)| page.bytes(key)).sum();
            assert!(held <= MAX_BYTES, "{held}");
            assert_eq!(pages.0.lock().len(), most, "{bytes}");
            pages.0.lock().clear();
        }
    }

    #[test]
    fn a_page_may_be_as_old_as_a_part_of_its_range() {
        let of = |seconds: i64| {
            let to = seconds * super::super::range::SECOND;
            step(&Range { from: 0, to, last: None, problem: None })
        };
        assert_eq!([1, 300, 3600, 86_400, 30 * 86_400].map(of).map(|step| step.as_secs()), [1, 1, 5, 60, 60]);
    }
}
