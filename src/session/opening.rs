//! The upgrade over HTTP/1.1 (RFC 6455 section 4) or HTTP/2 (RFC 8441): one request, one answer. Over
//! HTTP/2 the heads of both travel outside the bytes of the connection.
//!
//! ```text
//!   request sent ──1xx──> (again) ──101, all as asked──> upgraded
//!        │                   └──101, something wrong──> refused
//!        └──other status──> reading the first KiB of its body ──> refused
//! ```

use super::inbound::Inbound;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::MAX_INTERIM_RESPONSES;
use crate::wire::response::{Head, ResponseHead, is_worth_parsing, parse_response};
use crate::wire::response_body::{BodyDecoder, body_framing};
use crate::wire::upgrade::{
    Accepted, UpgradeError, UpgradeRequest, check_response, check_response_http2, key_from,
};

pub struct Opening {
    request: UpgradeRequest,
    way: Way,
    interim_responses: usize,
    /// Bytes of the head in which no end was found.
    scanned: usize,
    refusal: Option<Refusal>,
}

enum Way {
    Http1 {
        key: String,
    },
    /// With the answer, until it was looked at.
    Http2 {
        answer: Option<ResponseHead>,
    },
}

struct Refusal {
    error: Error,
    head: ResponseHead,
    body: BodyDecoder,
}

/// How far the answer has come.
pub enum OpeningStep {
    NeedMore,
    Upgraded { accepted: Accepted, head: ResponseHead },
    Refused { error: Error, head: Option<ResponseHead>, body: Vec<u8> },
}

impl Opening {
    pub fn new(request: UpgradeRequest, nonce: [u8; 16]) -> Self {
        Self::by(Way::Http1 { key: key_from(nonce) }, request)
    }

    pub fn over_http2(request: UpgradeRequest) -> Self {
        Self::by(Way::Http2 { answer: None }, request)
    }

    fn by(way: Way, request: UpgradeRequest) -> Self {
        Self { request, way, interim_responses: 0, scanned: 0, refusal: None }
    }

    /// What is to be sent; over HTTP/2 nothing is.
    pub fn request_bytes(&self) -> Vec<u8> {
        crate::fault::point("session.ask");
        let mut bytes = Vec::new();
        if let Way::Http1 { key } = &self.way {
            self.request.encode_http1(key, &mut bytes);
        }
        bytes
    }

    /// Whether the answer comes by [`answered`](Self::answered), and has not.
    pub fn awaits_head(&self) -> bool {
        matches!(self.way, Way::Http2 { answer: None }) && self.refusal.is_none()
    }

    /// The head of the answer has come over HTTP/2.
    pub fn answered(&mut self, head: ResponseHead) {
        if let Way::Http2 { answer } = &mut self.way {
            *answer = Some(head);
        }
    }

    /// The refusal is certain, only its body is still wanted.
    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Looks at what has come.
    pub fn advance(&mut self, inbound: &mut Inbound) -> OpeningStep {
        loop {
            if self.refusal.is_some() {
                return self.read_body(inbound);
            }
            if let Way::Http2 { answer } = &mut self.way {
                let Some(head) = answer.take() else { return OpeningStep::NeedMore };
                let checked = check_response_http2(&head, &self.request);
                if let Some(step) = self.judged(checked, head) {
                    return step;
                }
                continue;
            }
            let unread = inbound.unread();
            if !is_worth_parsing(unread, self.scanned) {
                self.scanned = unread.len();
                inbound.expect_head();
                return OpeningStep::NeedMore;
            }
            match parse_response(unread) {
                Ok(Head::Incomplete) => {
                    self.scanned = unread.len();
                    inbound.expect_head();
                    return OpeningStep::NeedMore;
                }
                Ok(Head::Interim { consumed }) => {
                    inbound.consume(consumed);
                    self.scanned = 0;
                    self.interim_responses += 1;
                    if self.interim_responses > MAX_INTERIM_RESPONSES {
                        let message = "the server sent interim (1xx) responses without end";
                        return refused(Error::new(ErrorKind::Http, Phase::Upgrade, message));
                    }
                }
                Ok(Head::Final { head, consumed }) => {
                    inbound.consume(consumed);
                    let key = match &self.way {
                        Way::Http1 { key } => key.as_str(),
                        // Dealt with above.
                        Way::Http2 { .. } => "",
                    };
                    let checked = check_response(&head, &self.request, key);
                    if let Some(step) = self.judged(checked, head) {
                        return step;
                    }
                }
                Err(error) => return refused(error.into()),
            }
        }
    }

    /// The server agreed; or it did not, and the body that follows says why.
    fn judged(
        &mut self,
        checked: Result<Accepted, UpgradeError>,
        mut head: ResponseHead,
    ) -> Option<OpeningStep> {
        match checked {
            Ok(accepted) => {
                // Only a refusal has one that anybody reads.
                head.reason = String::new();
                Some(OpeningStep::Upgraded { accepted, head })
            }
            Err(error) => {
                let body = BodyDecoder::new(body_framing(&head));
                let error = Error::from(error).with_http_status(head.status);
                self.refusal = Some(Refusal { error, head, body });
                None
            }
        }
    }

    /// Nothing more comes, or nobody waits for it any longer.
    pub fn finish(&mut self) -> Option<OpeningStep> {
        let Refusal { error, head, body } = self.refusal.take()?;
        Some(OpeningStep::Refused { error, head: Some(head), body: body.body().to_vec() })
    }

    fn read_body(&mut self, inbound: &mut Inbound) -> OpeningStep {
        let Some(refusal) = &mut self.refusal else { return OpeningStep::NeedMore };
        let unread = inbound.unread();
        let (done, count) = (refusal.body.feed(unread), unread.len());
        inbound.consume(count);
        if !done {
            return OpeningStep::NeedMore;
        }
        self.finish().unwrap_or(OpeningStep::NeedMore)
    }
}

fn refused(error: Error) -> OpeningStep {
    OpeningStep::Refused { error, head: None, body: Vec::new() }
}
