//! The files of the pages, in the program itself. Each has a hash of its content in its address, so that
//! browsers may keep it for ever.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::plain;

/// Where they are.
pub const PATH: &str = "/assets/";

/// A file.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

static ASSETS: [Asset; 3] = [
    Asset { name: "style.css", content_type: "text/css; charset=utf-8", content: include_bytes!("assets/style.css") },
    Asset {
        name: "script.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/script.js"),
    },
    Asset { name: "favicon.svg", content_type: "image/svg+xml", content: include_bytes!("assets/favicon.svg") },
];

static LINKS: LazyLock<[String; 3]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let hash = xxhash_rust::xxh3::xxh3_64(asset.content);
        format!("{PATH}{hash:016x}/{}", asset.name)
    })
});

/// The address of the style sheet.
pub fn style() -> &'static str {
    &LINKS[0]
}

/// The address of the script.
pub fn script() -> &'static str {
    &LINKS[1]
}

/// The address of the icon.
pub fn icon() -> &'static str {
    &LINKS[2]
}

/// The file of an address. That of another version of the program is not there any more.
pub fn answer(path: &str) -> Response<Full<Bytes>> {
    let Some((_, asset)) = LINKS.iter().zip(&ASSETS).find(|(link, _)| *link == path) else {
        return plain(StatusCode::NOT_FOUND, "no such file\n");
    };
    let mut response = Response::new(Full::new(Bytes::from_static(asset.content)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_content() {
        assert_eq!(answer(style()).headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(answer("/assets/0000000000000000/style.css").status(), 404);
        assert_eq!(answer("/assets/../style.css").status(), 404);
    }
}
