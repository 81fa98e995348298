//! Files of speedscope, good and hostile.

use super::*;

fn refusal(profile: &str) -> String {
    let body = format!(r#"{{"shared":{{"frames":[{{"name":"a"}},{{"name":"b"}}]}},"profiles":[{profile}]}}"#);
    let told = |result: Result<(), SpeedscopeError>| result.map_or_else(|error| error.to_string(), |()| "none".into());
    let refusal = told(check(body.as_bytes()));
    assert_eq!(refusal, told(File::parse(body.as_bytes()).map(drop)), "one that is kept is read alike");
    refusal
}

#[test]
fn profiles_hold_together() {
    let sampled = |samples, weights| format!(r#"{{"type":"sampled","samples":{samples},"weights":{weights}}}"#);
    assert_eq!(refusal(&sampled("[[0,1],[]]", "[1,2.5]")), "none");
    assert_eq!(refusal(&sampled("[[0]]", "[]")), "speedscope: profiles[0]: 1 samples have 0 weights");
    assert_eq!(refusal(&sampled("[[2]]", "[1]")), "speedscope: profiles[0]: frame 2 is not in the file, which has 2");
    assert_eq!(refusal(r#"{"type":"sampled","samples":[]}"#), "speedscope: profiles[0]: missing field `weights`");
    assert!(refusal(r#"{"type":"other"}"#).contains("unknown variant `other`"));
    let evented = |events| format!(r#"{{"type":"evented","startValue":0,"events":[{events}]}}"#);
    let event = |kind: &str, frame: u32, at: u32| format!(r#"{{"type":"{kind}","frame":{frame},"at":{at}}}"#);
    let events = |events: &[(&str, u32, u32)]| {
        let events: Vec<String> = events.iter().map(|(kind, frame, at)| event(kind, *frame, *at)).collect();
        refusal(&evented(events.join(",")))
    };
    assert_eq!(events(&[("O", 0, 1), ("O", 1, 1), ("C", 1, 2), ("C", 0, 3)]), "none");
    assert!(events(&[("O", 0, 2), ("C", 0, 1)]).contains("events[1] is earlier than the one before"));
    assert!(events(&[("O", 0, 1), ("C", 1, 2)]).contains("events[1] closes a frame that is not the last open one"));
    assert!(events(&[("C", 0, 1)]).contains("events[0] closes a frame"));
}

#[test]
fn profiles_are_no_more_than_are_kept() {
    let empty = r#"{"type":"sampled","samples":[],"weights":[]}"#;
    assert_eq!(refusal(&vec![empty; MAX_PROFILES].join(",")), "none");
    assert!(refusal(&vec![empty; MAX_PROFILES + 1].join(",")).contains("10001 profiles"));
}

#[test]
fn events_do_not_ask_for_endless_work() {
    let open: Vec<String> = (0..20_000).map(|at| format!(r#"{{"type":"O","frame":0,"at":{at}}}"#)).collect();
    let profile = format!(r#"{{"type":"evented","startValue":0,"events":[{}]}}"#, open.join(","));
    assert!(refusal(&profile).contains("too many events"));
}

#[test]
fn stacks_come_with_their_values() {
    let profiles = r#"{"weights":[1,2.5],"samples":[[0,1],[]],"type":"sampled"},
        {"type":"evented","events":[{"type":"O","frame":1,"at":1},{"type":"C","frame":1,"at":3}],"startValue":0}"#;
    let body = format!(r#"{{"profiles":[{profiles}],"shared":{{"frames":[{{"name":"a"}},{{"name":"b"}}]}}}}"#);
    let file = File::parse(body.as_bytes()).expect("good");
    let mut stacks = Vec::new();
    for profile in file.profiles() {
        let each = |stack: &[u32], value: f64| {
            stacks.push((stack.to_vec(), value));
            Ok::<_, ()>(())
        };
        profile.stacks(each).expect("all");
    }
    assert_eq!(stacks, [(vec![0, 1], 1.0), (vec![], 2.5), (vec![1], 2.0)]);
    assert_eq!(file.frames()[1].name, "b");
}
