//! How a capture is written.

/// How a capture is written, for [`Socket::set_capture`](crate::Socket::set_capture).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureOptions {
    /// The largest size of the file in bytes, at which the capture ends. 0 for no limit.
    pub max_file_bytes: u64,
    /// Writes the values of the header fields `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`, which
    /// are replaced otherwise.
    pub include_secrets: bool,
}
