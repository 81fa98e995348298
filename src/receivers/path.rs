//! Paths as clients put them together: an endpoint that ends with a slash gives `//v1/traces`, and
//! some end with one.

use std::borrow::Cow;

/// The path without repeated slashes and without one at its end.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    let is_plain = path == "/" || !path.contains("//") && !path.ends_with('/');
    if is_plain {
        return Cow::Borrowed(path);
    }
    let parts = path.split('/').filter(|part| !part.is_empty());
    Cow::Owned(parts.fold(String::new(), |plain, part| plain + "/" + part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_do_not_matter() {
        for (path, want) in [
            ("/v1/traces", "/v1/traces"),
            ("/v1/traces/", "/v1/traces"),
            ("//v1/traces", "/v1/traces"),
            ("//v1//traces//", "/v1/traces"),
            ("/", "/"),
            ("//", ""),
        ] {
            assert_eq!(plain(path), want, "{path}");
        }
    }
}
