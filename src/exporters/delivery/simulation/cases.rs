//! What the simulated destination does: anything, and some things that are worth a look of their own.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(4000)))]

    #[test]
    fn whatever_the_destination_does(world in world()) {
        deliver(&world)?;
    }

    #[test]
    fn whatever_the_destination_does_in_its_own_time(world in world(), slow in 1u64..30_000) {
        deliver(&World { slow, ..world })?;
    }
}

fn quiet(ordered: bool, records: Vec<u8>) -> World {
    World {
        ordered,
        concurrency: 4,
        records,
        bad: BTreeSet::new(),
        poison: BTreeSet::new(),
        fails: Later::ServerError,
        asks: None,
        chance: 0,
        drops: 0,
        slow: 0,
        refuses_nothing: false,
        too_many: 1000,
        outages: Vec::new(),
        seed: 1,
    }
}

#[test]
fn what_was_refused_in_an_outage_and_then_put_off_is_not_set_aside_in_the_next() {
    let refuses = |from, length| (from, length, Outage::Refuses);
    deliver(&World {
        bad: [32].into(),
        poison: [19, 41].into(),
        fails: Later::Unavailable,
        asks: Some(10),
        too_many: 10,
        outages: vec![refuses(4447, 41872), refuses(75698, 13603)],
        seed: 88809701686249615,
        ..quiet(false, vec![2, 3, 5, 4, 1, 4, 2, 7, 2, 6, 6, 0])
    })
    .unwrap();
}

#[test]
fn an_outage_in_the_middle_of_a_search_is_waited_for() {
    deliver(&World {
        concurrency: 1,
        poison: [10].into(),
        asks: Some(13),
        too_many: 17,
        outages: vec![(13_267, 935, Outage::ServerError)],
        seed: 16_111_835_381_725_158_227,
        ..quiet(false, vec![4, 0, 6, 7, 5, 5, 0])
    })
    .unwrap();
}

/// All that is left are items over which the server fails, and each answer takes longer than the pause.
#[test]
fn a_server_that_is_slow_to_fail_is_told_from_items_by_what_comes_later() {
    deliver(&World {
        concurrency: 1,
        poison: [5, 8, 18, 40].into(),
        asks: Some(1),
        slow: 21_951,
        too_many: 2,
        outages: vec![(33_959, 12_212, Outage::Refuses)],
        seed: 7_399_318_618_824_766_930,
        ..quiet(false, vec![5, 6, 2, 5, 6, 4, 5, 1, 6, 1, 6, 5, 3, 5])
    })
    .unwrap();
}

/// In doubt: each one that is held has a bad item in it, or one over which the server fails.
#[test]
fn it_ends_if_nothing_whole_can_be_accepted() {
    deliver(&World {
        bad: [27, 28, 30].into(),
        poison: [29].into(),
        fails: Later::Unavailable,
        refuses_nothing: true,
        too_many: 7,
        seed: 0,
        ..quiet(true, vec![4, 2, 7, 0, 0, 1, 4, 7, 0, 5, 3, 4])
    })
    .unwrap();
}

/// One is refused over and over, since the server fails over the one behind it.
#[test]
fn many_refusals_of_one_are_not_refusals_of_many() {
    deliver(&World {
        bad: [28, 30].into(),
        poison: [7, 29].into(),
        fails: Later::Unavailable,
        too_many: 2,
        outages: vec![(0, 14_657, Outage::ServerError)],
        seed: 25_079_766_791_155,
        ..quiet(true, vec![0, 5, 1, 6, 2, 1, 3, 3, 4, 7])
    })
    .unwrap();
}

#[test]
fn it_ends_if_each_so_manieth_request_is_dropped() {
    for drops in 3..9 {
        for last in 1..4 {
            for seed in 0..20 {
                for ordered in [true, false] {
                    let bad = (14 - last..14).collect();
                    deliver(&World { bad, drops, seed, ..quiet(ordered, vec![7, 7]) })
                        .unwrap_or_else(|error| panic!("{drops} {last} {seed} {ordered}: {error}"));
                }
            }
        }
    }
}

#[test]
fn a_long_run_of_poison_in_metrics_ends() {
    let poison = (3..9).collect();
    deliver(&World { poison, ..quiet(true, vec![7; 3]) }).unwrap();
}

#[test]
fn a_long_outage_sets_nothing_aside() {
    for outage in [Outage::ServerError, Outage::Unanswered, Outage::Unavailable, Outage::Refuses] {
        for ordered in [true, false] {
            let outages = vec![(0, 2 * 3_600_000, outage)];
            deliver(&World { outages, ..quiet(ordered, vec![7; 15]) }).unwrap();
        }
    }
}

#[test]
fn an_item_that_is_never_answered_is_set_aside() {
    for fails in [Later::Unanswered, Later::Unavailable, Later::ServerError] {
        for ordered in [true, false] {
            for asks in [None, Some(5)] {
                let poison = [0, 17, 18, 60].into();
                deliver(&World { poison, fails, asks, ..quiet(ordered, vec![7; 12]) }).unwrap();
            }
        }
    }
}

#[test]
fn failures_by_chance_set_nothing_aside() {
    for fails in [Later::ServerError, Later::Unanswered, Later::Unavailable] {
        for (chance, seeds) in [(5, 0..100), (30, 0..100), (50, 0..30)] {
            for seed in seeds {
                for ordered in [true, false] {
                    deliver(&World { fails, chance, seed, ..quiet(ordered, vec![7; 40]) })
                        .unwrap_or_else(|error| panic!("{fails:?} {chance} {seed} {ordered}: {error}"));
                }
            }
        }
    }
}

#[test]
fn a_run_of_refusals_among_what_is_accepted_is_set_aside() {
    for refuses_nothing in [false, true] {
        for ordered in [true, false] {
            let bad = (21..49).collect();
            deliver(&World { bad, refuses_nothing, ..quiet(ordered, vec![7; 15]) }).unwrap();
        }
    }
}

/// Requests that a destination gets which refuses everything, while the clock runs on.
fn refused_for(ordered: bool, time: Duration, refuses_nothing: bool) -> (usize, usize) {
    let joining = Joining {
        passes: Vec::new(),
        target: Compression::Identity,
        join_compressed: false,
        max_size: 1 << 20,
        max_items: 5000,
        large: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let rules = Rules { ordered, concurrency: 4, window: 1 << 20, joining };
    let mut engine = Engine::new(rules, Backoff::with_seed(1));
    let begin = Instant::now();
    let (mut now, mut read, mut requests, mut kept) = (begin, 0, 0, 0);
    while now - begin < time {
        while engine.wants_more() {
            engine.read(record(read, &(0..100).collect::<Vec<u64>>()), true);
            read += 1;
        }
        let refused = Outcome::Refused { reason: "no".to_owned() };
        match engine.next(now) {
            Step::Send(ticket) => {
                requests += 1;
                engine.answered(ticket.id, &refused, now);
            }
            Step::Probe(_) if refuses_nothing => engine.probed(&refused, now),
            Step::Probe(_) => engine.probed(&Outcome::ACCEPTED, now),
            Step::Keep(undeliverable) => {
                kept += 1;
                engine.kept(&undeliverable);
                if kept == 1000 {
                    break;
                }
            }
            Step::Wait(until) => now = until.unwrap(),
        }
        assert!(refuses_nothing || engine.settle(Position(0)).is_none_or(|(next, _)| next.0 > 0));
        assert!(!refuses_nothing || engine.settle(Position(0)).is_none(), "the cursor stays");
    }
    (requests, kept)
}

#[test]
fn a_destination_that_refuses_everything_gets_little_and_loses_nothing() {
    for ordered in [true, false] {
        let (requests, kept) = refused_for(ordered, Duration::from_secs(3600), true);
        assert_eq!(kept, 0, "nothing is set aside");
        // 64 until it is in doubt, then two every 30 s.
        assert!((64..450).contains(&requests), "{requests}");
        // It looks into requests and wants none of these, which are too old for it, say: whole
        // records are set aside, not their items.
        let (requests, kept) = refused_for(ordered, Duration::from_secs(3600), false);
        assert_eq!(kept, 1000);
        assert!(requests < 4000, "{requests}");
    }
}
