//! The page where the port asks for credentials: a form, a session, the way out.

use http::{HeaderMap, Request};
use http_body_util::Full;

use crate::harness::{Answer, Options, Vispyr, send};

const TOKEN: &str = "secret-of-sixteen-letters";

struct Locked {
    vispyr: Vispyr,
    folder: tempfile::TempDir,
}

/// With a token and two users.
async fn locked() -> Locked {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("tokens"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(file("users"), "ann:pass word:1\nbob:another-password\n").unwrap();
    let config = format!(
        "[store]\nenabled = false\n[auth]\nbearer_tokens_file = {:?}\nbasic_users_file = {:?}\n",
        file("tokens"),
        file("users")
    );
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    Locked { vispyr, folder }
}

/// What a browser sends.
async fn browse(vispyr: &Vispyr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(vispyr.url("web", path)).header("accept", "text/html");
    if method == "POST" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The token of the form.
fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

async fn log_in(vispyr: &Vispyr, fields: &str, headers: &[(&str, &str)]) -> Answer {
    let page = browse(vispyr, "GET", "/login?next=%2Fhealth", &[], "").await;
    let body = format!("form={}&next=%2Fhealth&{fields}", form_token(&page.text()));
    browse(vispyr, "POST", "/login", headers, &body).await
}

/// Name and value of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    header(&answer.headers, "set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_by_a_form_and_out_again() {
    let Locked { vispyr, folder: _folder } = locked().await;
    // A browser is led to the form, and back to where it wanted to go.
    let page = browse(&vispyr, "GET", "/health?zone=utc", &[], "").await;
    assert_eq!(page.status, 401);
    assert!(!header(&page.headers, "www-authenticate").to_lowercase().contains("basic"), "no window of the browser");
    assert!(page.text().contains("0;url=/login?next=%2Fhealth%3Fzone%3Dutc"), "{}", page.text());
    for secret in ["fields", "data_dir", "resident"] {
        assert!(!page.text().contains(secret));
    }
    let form = browse(&vispyr, "GET", "/login?next=%2Fhealth", &[], "").await;
    assert_eq!(form.status, 200);
    let style = form.text().split('"').find(|part| part.ends_with("style.css")).unwrap().to_owned();
    assert_eq!(browse(&vispyr, "GET", &style, &[], "").await.status, 200);

    for fields in ["user=ann&password=pass+word%3A1", &format!("token={TOKEN}")] {
        let entered = log_in(&vispyr, fields, &[]).await;
        assert_eq!((entered.status, header(&entered.headers, "location")), (303, "/health".to_owned()));
        let set = header(&entered.headers, "set-cookie");
        assert!(set.contains("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{set}");
        assert!(set.starts_with(&format!("vispyr-{}=", vispyr.address("web").port())), "{set}");
        let cookie = cookie(&entered);
        let page = browse(&vispyr, "GET", "/health", &[("cookie", &cookie)], "").await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Log out"), "{}", page.text());
        // Who is in does not see the form.
        assert_eq!(browse(&vispyr, "GET", "/login", &[("cookie", &cookie)], "").await.status, 303);
        // The way out takes a form of ours.
        let no = browse(&vispyr, "POST", "/logout", &[("cookie", &cookie)], "form=guess").await;
        assert_eq!(no.status, 403);
        let way_out = browse(&vispyr, "GET", "/logout", &[("cookie", &cookie)], "").await;
        let body = format!("form={}", form_token(&way_out.text()));
        let foreign = [("cookie", cookie.as_str()), ("origin", "http://evil.example")];
        assert_eq!(browse(&vispyr, "POST", "/logout", &foreign, &body).await.status, 403);
        assert_eq!(browse(&vispyr, "GET", "/health", &[("cookie", &cookie)], "").await.status, 200);
        let out = browse(&vispyr, "POST", "/logout", &[("cookie", &cookie)], &body).await;
        assert_eq!((out.status, header(&out.headers, "location")), (303, "/login".to_owned()));
        assert_eq!(browse(&vispyr, "GET", "/health", &[("cookie", &cookie)], "").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_are_asked_as_before() {
    let Locked { vispyr, folder: _folder } = locked().await;
    let ask = |headers: Vec<(&'static str, String)>| {
        let mut request = Request::get(vispyr.url("web", "/metrics"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        send(request.body(Full::default()).unwrap())
    };
    let bare = ask(vec![]).await.unwrap();
    assert_eq!(bare.status, 401);
    let challenges: Vec<_> = bare.headers.get_all("www-authenticate").iter().map(|one| one.to_str().unwrap()).collect();
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    assert_eq!(ask(vec![("authorization", format!("Bearer {TOKEN}"))]).await.unwrap().status, 200);
    // What is shown counts, whatever cookie there is beside it.
    let cookie = cookie(&log_in(&vispyr, &format!("token={TOKEN}"), &[]).await);
    assert_eq!(ask(vec![("cookie", cookie.clone())]).await.unwrap().status, 200);
    let wrong = vec![("cookie", cookie), ("authorization", "Bearer wrong".to_owned())];
    assert_eq!(ask(wrong).await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_waits_and_forms_of_others_are_not_taken() {
    let Locked { vispyr, folder: _folder } = locked().await;
    let right = format!("token={TOKEN}");
    for headers in [&[("origin", "http://evil.example")][..], &[("sec-fetch-site", "cross-site")]] {
        let answer = log_in(&vispyr, &right, headers).await;
        assert_eq!(answer.status, 403);
        assert_eq!(header(&answer.headers, "set-cookie"), "");
    }
    let old = browse(&vispyr, "POST", "/login", &[], &format!("form={}&{right}", "0".repeat(32))).await;
    assert_eq!(old.status, 403, "{}", old.text());
    // The next page is one of ours.
    let page = browse(&vispyr, "GET", "/login?next=%2F%2Fevil.example", &[], "").await.text();
    assert!(!page.contains("evil.example"), "{page}");
    let program = |token: &str| {
        let request = Request::get(vispyr.url("web", "/metrics")).header("authorization", format!("Bearer {token}"));
        send(request.body(Full::default()).unwrap())
    };
    assert_eq!(program(TOKEN).await.unwrap().status, 200);
    for wrong in ["user=ann&password=wrong", "user=nobody&password=x", "token=wrong-wrong-wrong-wrong"] {
        let answer = log_in(&vispyr, wrong, &[]).await;
        assert_eq!((answer.status, header(&answer.headers, "set-cookie")), (401, String::new()));
        assert!(answer.text().contains("These are no credentials"), "{}", answer.text());
    }
    // The fourth is not looked at, right or not, by the form or in a header.
    let right_user = "user=ann&password=pass+word%3A1";
    let answer = log_in(&vispyr, right_user, &[]).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = header(&answer.headers, "retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    // Programs that were let in before, and those with a token of yesterday, are answered as ever.
    for _ in 0..5 {
        assert_eq!(program(TOKEN).await.unwrap().status, 200);
        assert_eq!(program("wrong-wrong-wrong-wrong").await.unwrap().status, 401);
    }
    let again = || async { (log_in(&vispyr, right_user, &[]).await.status == 303).then_some(()) };
    vispyr.wait("the wait is over", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_in_headers_waits_as_in_the_form() {
    let Locked { vispyr, folder: _folder } = locked().await;
    let guess = |path: &'static str, authorization: String| {
        let request = Request::get(vispyr.url("web", path)).header("authorization", authorization);
        send(request.body(Full::default()).unwrap())
    };
    for (n, path) in ["/metrics", "/api/v1/status", "/"].into_iter().enumerate() {
        assert_eq!(guess(path, format!("Bearer guess-number-{n}")).await.unwrap().status, 401);
    }
    for path in ["/metrics", "/api/v1/status", "/"] {
        let answer = guess(path, format!("Bearer {TOKEN}")).await.unwrap();
        assert_eq!(answer.status, 429, "{path}");
        let wait: u64 = header(&answer.headers, "retry-after").parse().unwrap();
        assert!((1..=2).contains(&wait), "{wait}");
        assert!(answer.text().contains("too many wrong credentials"), "{}", answer.text());
    }
    // The form is no other way, and what needs nothing is open.
    assert_eq!(log_in(&vispyr, &format!("token={TOKEN}"), &[]).await.status, 429);
    assert_eq!(
        send(Request::get(vispyr.url("web", "/-/ready")).body(Full::default()).unwrap()).await.unwrap().status,
        200
    );
    let again = || async { (guess("/metrics", format!("Bearer {TOKEN}")).await.unwrap().status == 200).then_some(()) };
    vispyr.wait("the wait is over", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_and_its_tail_end_with_their_user() {
    let Locked { vispyr, folder } = locked().await;
    let ann = cookie(&log_in(&vispyr, "user=ann&password=pass+word%3A1", &[]).await);
    let bob = cookie(&log_in(&vispyr, "user=bob&password=another-password", &[]).await);
    let mut tails = Vec::new();
    for cookie in [&ann, &bob] {
        assert_eq!(browse(&vispyr, "GET", "/health", &[("cookie", cookie)], "").await.status, 200);
        let stream = tokio::net::TcpStream::connect(vispyr.address("web")).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/api/v1/tail").header("host", "localhost").header("cookie", cookie.as_str());
        let answer = sender.send_request(request.body(Full::<bytes::Bytes>::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        tails.push(answer.into_body());
    }
    std::fs::write(folder.path().join("users"), "bob:another-password\n").unwrap();
    crate::harness::signal(vispyr.pid(), rustix::process::Signal::HUP);
    let gone =
        || async { (browse(&vispyr, "GET", "/health", &[("cookie", &ann)], "").await.status == 401).then_some(()) };
    vispyr.wait("the session has gone", gone).await;
    assert_eq!(browse(&vispyr, "GET", "/health", &[("cookie", &bob)], "").await.status, 200);
    let end = http_body_util::BodyExt::collect(tails.remove(0));
    tokio::time::timeout(crate::harness::DEADLINE, end).await.expect("the tail ends").unwrap();
    let other = http_body_util::BodyExt::frame(&mut tails[0]);
    assert!(futures_util::FutureExt::now_or_never(other).is_none(), "the other one goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_without_credentials_has_no_form() {
    let vispyr = Vispyr::start(Options { command: "collector", ..Options::config("[store]\nenabled = false\n") }).await;
    let answer = browse(&vispyr, "GET", "/login?next=%2Flogs", &[], "").await;
    assert_eq!((answer.status, header(&answer.headers, "location").as_str()), (303, "/logs"));
    assert!(!browse(&vispyr, "GET", "/health", &[], "").await.text().contains("Log out"));
}
