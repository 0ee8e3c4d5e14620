//! Kinds of content: by the end of a name, or by the first bytes.
//!
//! Never: a look further into a file.

const BY_END: [(&str, &str); 26] = [
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("dpx", "image/x-dpx"),
    ("exr", "image/x-exr"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("py", "text/x-python"),
    ("svg", "image/svg+xml"),
    ("tga", "image/x-tga"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];
const BY_START: [(&[u8], &str); 4] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
];

/// What a file seems to be.
pub(super) fn guess(name: &str, bytes: &[u8]) -> &'static str {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_lowercase());
    let by_end = BY_END
        .iter()
        .find(|(known, _)| Some(*known) == end.as_deref());
    let by_start = || BY_START.iter().find(|(start, _)| bytes.starts_with(start));
    by_end
        .map(|(_, kind)| *kind)
        .or_else(|| by_start().map(|(_, kind)| *kind))
        .unwrap_or("application/octet-stream")
}
