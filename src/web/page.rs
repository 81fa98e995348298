//! The page at `/`: for now, a plain list of links.

use std::fmt::Write;

/// A line of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is shown: a path or an address.
    pub text: String,
    /// Where it leads; nothing for an address that no browser can open.
    pub href: Option<String>,
    /// What is there.
    pub about: String,
}

/// The page as HTML.
pub fn render(links: &[Link], waiting_for: &[String]) -> String {
    let state = if waiting_for.is_empty() {
        "ready".to_owned()
    } else {
        format!("starting, waiting for {}", waiting_for.join(", "))
    };
    let mut rows = String::new();
    for Link { text, href, about } in links {
        let text = escape(text);
        let text = match href {
            Some(href) => format!("<a href=\"{}\">{text}</a>", escape(href)),
            None => format!("<code>{text}</code>"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "<tr><td>{text}</td><td>{}</td></tr>", escape(about));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Vispyr</title>\n\
         <style>\n:root {{ color-scheme: light dark }}\n\
         body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}\n\
         td {{ padding: .2rem 1.5rem .2rem 0; vertical-align: top }}\n</style>\n</head>\n<body>\n\
         <h1>Vispyr {}</h1>\n<p>{}</p>\n<table>\n{rows}</table>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        escape(&state),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_page() {
        let link = Link { text: "<b>".to_owned(), href: Some("\"x".to_owned()), about: "a & b".to_owned() };
        let page = render(&[link], &["<i>".to_owned()]);
        assert!(page.contains("<a href=\"&quot;x\">&lt;b&gt;</a></td><td>a &amp; b</td>"), "{page}");
        assert!(!page.contains("<i>"));
    }
}
