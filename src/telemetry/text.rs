//! The two text formats of `/metrics`. prometheus-client writes OpenMetrics 1.0; a scraper that
//! does not ask for that gets the older format (`text/plain; version=0.0.4`), in which a
//! counter's name has its `_total` in the comments, too.

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, 0.0.4.
    Prometheus,
}

impl TextFormat {
    /// What a client with this `Accept` header is to get.
    pub fn negotiate(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { TextFormat::OpenMetrics } else { TextFormat::Prometheus }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            TextFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            TextFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Turns OpenMetrics text into this format.
    pub fn convert(self, open_metrics: String) -> String {
        match self {
            TextFormat::OpenMetrics => open_metrics,
            TextFormat::Prometheus => to_prometheus(&open_metrics),
        }
    }
}

fn to_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            // The name depends on the type, which comes in the next line.
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, words)) = help.take().filter(|(of, _)| *of == name) {
                text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {}\n", if kind == "unknown" { "untyped" } else { kind }));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_their_samples() {
        let open = "# HELP a_items Items.\n# TYPE a_items counter\na_items_total{b=\"c\"} 1\n\
                    # HELP d Now.\n# TYPE d gauge\nd 2.5\n# EOF\n";
        let plain = "# HELP a_items_total Items.\n# TYPE a_items_total counter\na_items_total{b=\"c\"} 1\n\
                     # HELP d Now.\n# TYPE d gauge\nd 2.5\n";
        assert_eq!(TextFormat::Prometheus.convert(open.to_owned()), plain);
        assert_eq!(TextFormat::OpenMetrics.convert(open.to_owned()), open);
    }
}
