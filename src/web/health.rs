//! The view Health: what `vispyr status` says, what is kept, and the config in force.

use axum::body::Body;
use axum::extract::State;
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{Page, View};
use super::status::{SignalStatus, Status};
use super::text::{bytes, foreign, number, time, time_of, whole};
use super::{Link, Setting, Site, routes};

/// The page.
pub async fn page(State(site): State<Site>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let status = site.view.status().await;
    let content = html! {
        h1 { "Health" }
        (state(&status))
        (ledger(&status.signals))
        (kept(&status.store))
        (store(&status.store))
        (refusals(&status.refusals))
        (errors(&status.last_errors))
        (links(&site.view.links()))
        (settings("The config in force", &site.view.settings()))
        p.muted {
            "For programs: " a href="/api/v1/status" { "/api/v1/status" } ", " a href="/metrics" { "/metrics" } ", "
            a href="/-/ready" { "/-/ready" } ", " a href="/-/healthy" { "/-/healthy" }
        }
    };
    Page::of(View::Health, &params).live().answer(StatusCode::OK, content)
}

/// Whether all is well, in a line.
pub fn state(status: &Status) -> Markup {
    let uptime = crate::duration::Written(std::time::Duration::from_secs(status.uptime_seconds));
    html! {
        @if status.waiting_for.is_empty() { p.state.ok { strong { "Ready" } ", up " (uptime) } }
        @else { p.state.bad role="status" { strong { "Not ready" } ", waiting for " (status.waiting_for.join(", ")) } }
        dl.facts {
            div { dt { "Version" } dd { (status.version) } }
            div { dt { "Memory" } dd { (bytes(status.resident_bytes)) } }
            div { dt { "Free disk" } dd { (bytes(status.disk.free_bytes)) " of " (bytes(status.disk.total_bytes)) } }
            div { dt { "Data" } dd { code { (status.data_dir.display()) } } }
        }
    }
}

fn ledger(signals: &[SignalStatus]) -> Markup {
    let number = |items: u64| whole(i64::try_from(items).unwrap_or(i64::MAX));
    html! {
        section aria-labelledby="ledger" {
            h2 #ledger { "Ledger" }
            p.muted { "Since the start. Each item that is received is acknowledged, once it is safe on disk, or refused." }
            div.scroll tabindex="0" role="region" aria-label="Ledger by signal" { table {
                thead { tr {
                    th scope="col" { "Signal" } th.n scope="col" { "Received" } th.n scope="col" { "Acknowledged" }
                    th.n scope="col" { "Refused items" } th.n scope="col" { "Refused requests" }
                    th.n scope="col" { "Log" } th.n scope="col" { "Sync" } th.n scope="col" { "Damaged records" }
                } }
                tbody { @for signal in signals { tr {
                    th scope="row" { (signal.signal) }
                    td.n { (number(signal.received_items)) } td.n { (number(signal.acknowledged_items)) }
                    td.n { (number(signal.refused_items)) } td.n { (number(signal.refused_requests)) }
                    td.n { (bytes(signal.log.size_bytes)) } td.n { (format!("{:.1} ms", signal.log.sync_milliseconds)) }
                    td.n { (number(signal.log.corrupt_records + signal.log.missing_records)) }
                } } }
            } }
            @for signal in signals {
                @if let Some(problem) = signal.log.problem() {
                    p.problem { "The log of " (signal.signal) " " (problem) }
                }
            }
        }
    }
}

/// A number of the store's status.
fn n(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn nanos(value: &Value) -> Option<i64> {
    value.as_i64().filter(|nanos| *nanos > 0)
}

/// What the store keeps, and for how long there is room.
fn kept(store: &Value) -> Markup {
    let kept = &store["kept"];
    if list(&kept["signals"]).is_empty() {
        return html! {};
    }
    let days = |value: &Value| value.as_f64().map(|days| format!("{} days", number(days)));
    html! {
        section aria-labelledby="kept" {
            h2 #kept { "What is kept" }
            div.scroll tabindex="0" role="region" aria-label="What is kept, by signal" { table {
                thead { tr {
                    th scope="col" { "Signal" } th scope="col" { "Since" } th.n scope="col" { "Rows" }
                    th.n scope="col" { "Files" } th.n scope="col" { "Size" } th.n scope="col" { "A day" }
                    th.n scope="col" { "Kept for" } th.n scope="col" { "Room for" }
                } }
                tbody { @for signal in list(&kept["signals"]) { tr {
                    th scope="row" { (signal["signal"].as_str().unwrap_or("?")) }
                    td { @if let Some(since) = nanos(&signal["since"]) { (time(since)) } @else { "nothing yet" } }
                    td.n { (whole(signal["rows"].as_i64().unwrap_or(0))) } td.n { (n(&signal["files"])) }
                    td.n { (bytes(n(&signal["bytes"]))) }
                    td.n { (bytes(signal["bytes_per_day"].as_f64().unwrap_or(0.0) as u64)) }
                    td.n { (number(n(&signal["max_age_seconds"]) as f64 / 86_400.0)) " days" }
                    td.n { (days(&signal["lasts_days"]).unwrap_or_else(|| "all of it".to_owned())) }
                } } }
            } }
            p.muted {
                (bytes(n(&kept["disk_free"]))) " of the disk are free, " (bytes(n(&kept["min_free_disk"])))
                " stay free" @if let Some(days) = days(&kept["disk_lasts_days"]) { "; that is reached in " (days) } "."
            }
            @if let Some(at) = nanos(&kept["last_early_drop"]["at"]) {
                p.warning { "Rows went before their age, for want of room, at " (time(at)) "." }
            }
        }
    }
}

fn store(store: &Value) -> Markup {
    html! {
        section aria-labelledby="store" {
            h2 #store { "Store" }
            @if store.is_null() {
                p { "This collector has no store (" code { "store.enabled" } " in its config)." }
            } @else if let Some(reason) = store["unreachable"].as_str() {
                p.problem { "The store does not answer: " (reason) }
            } @else {
                p {
                    "DuckDB " (store["duckdb"].as_str().unwrap_or("?")) ", process " (n(&store["pid"])) ", memory "
                    (bytes(n(&store["process"]["resident_bytes"])))
                    ", statements running: " (n(&store["queries_running"]))
                }
                @if let Some(error) = store["seal_error"].as_str() { p.problem { "Rows cannot be sealed: " (error) } }
                @if let Some(error) = store["merge_error"].as_str() { p.problem { "Files cannot be merged: " (error) } }
                @if n(&store["missing_files"]) > 0 {
                    p.problem { (n(&store["missing_files"])) " files are lost, and their rows with them: "
                        @for file in list(&store["lost_files"]).iter().take(5) {
                            code { (file["path"].as_str().unwrap_or("?")) } " (" (file["reason"].as_str().unwrap_or("?")) ") "
                        } }
                }
                div.scroll tabindex="0" role="region" aria-label="Tables of the store" { table {
                    thead { tr {
                        th scope="col" { "Table" } th.n scope="col" { "New rows" } th.n scope="col" { "New files" }
                        th.n scope="col" { "Sealed rows" } th.n scope="col" { "Sealed files" } th.n scope="col" { "Sealed size" }
                    } }
                    tbody { @for table in list(&store["tables"]) { tr {
                        th scope="row" { (table["table"].as_str().unwrap_or("?")) }
                        td.n { (whole(table["level0_rows"].as_i64().unwrap_or(0))) } td.n { (n(&table["level0_files"])) }
                        td.n { (whole(table["sealed_rows"].as_i64().unwrap_or(0))) } td.n { (n(&table["sealed_files"])) }
                        td.n { (bytes(n(&table["sealed_bytes"]))) }
                    } } }
                } }
            }
        }
    }
}

fn refusals(refusals: &Value) -> Markup {
    html! {
        section aria-labelledby="refusals" {
            h2 #refusals { "Refused requests" }
            @if list(refusals).is_empty() { p.muted { "None since the start." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of refused requests" { table {
                    thead { tr {
                        th scope="col" { "Receiver" } th scope="col" { "Signal" } th scope="col" { "Reason" }
                        th.n scope="col" { "Requests" } th scope="col" { "Last" } th scope="col" { "From" } th scope="col" { "Why" }
                    } }
                    tbody { @for one in list(refusals) { tr {
                        @let word = |field: &str| one[field].as_str().unwrap_or("–").to_owned();
                        td { (word("receiver")) } td { (word("signal")) } td { (word("reason")) }
                        td.n { (n(&one["requests"])) }
                        td { @if let Some(at) = nanos(&one["last_time"]) { (time(at)) } }
                        td { (word("peer")) } td { (foreign(&word("last"), 500)) }
                    } } }
                } }
            }
        }
    }
}

fn errors(errors: &Value) -> Markup {
    html! {
        section aria-labelledby="errors" {
            h2 #errors { "Last warnings and errors" }
            @if list(errors).is_empty() { p.muted { "None since the start." } }
            ol.log reversed {
                @for error in list(errors).iter().rev() {
                    li {
                        @if let Some(at) = nanos(&error["time"]) { (time(at)) " " }
                        @let level = error["level"].as_str().unwrap_or("?");
                        span class={ "level " (if level == "ERROR" { "bad" } else { "warn" }) } { (level) } " "
                        (foreign(error["message"].as_str().unwrap_or("?"), 1000))
                    }
                }
            }
        }
    }
}

fn links(links: &[Link]) -> Markup {
    html! {
        section aria-labelledby="addresses" {
            h2 #addresses { "Addresses" }
            ul.plain { @for Link { text, href, about } in links { li {
                @match href { Some(href) => a href=(href) { (text) }, None => code { (text) } }
                span.muted { " " (about) }
            } } }
        }
    }
}

/// Keys of the config.
pub fn settings(title: &str, settings: &[Setting]) -> Markup {
    html! {
        @if !settings.is_empty() {
            section aria-label=(title) {
                details {
                    summary { h2 { (title) } }
                    div.scroll tabindex="0" role="region" aria-label="Keys of the config" { table {
                        thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } } }
                        tbody { @for Setting { key, value } in settings { tr {
                            th scope="row" { code { (key) } }
                            td { @match value { Some(value) => code { (value) }, None => em { "hidden" } } }
                        } } }
                    } }
                }
            }
        }
    }
}

/// The last error of a destination, and whether it goes on.
pub fn condition(failing_since: Option<&str>, last_error: Option<(&str, &str)>) -> Markup {
    html! {
        @match (failing_since, last_error) {
            (Some(since), error) => p.problem {
                "Takes nothing since " (time_of(since)) ": " (foreign(error.map_or("?", |(_, reason)| reason), 1000))
            },
            (None, Some((at, reason))) => p.muted {
                "Last error at " (time_of(at)) ", well since: " (foreign(reason, 1000))
            },
            (None, None) => {}
        }
    }
}
