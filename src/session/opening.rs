//! The upgrade over HTTP/1.1 (RFC 6455 section 4): one request, one answer.
//!
//! ```text
//!   request sent ──1xx──> (again) ──101, all as asked──> upgraded
//!        │                   └──101, something wrong──> refused
//!        └──other status──> reading the first KiB of its body ──> refused
//! ```

use super::inbound::Inbound;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::MAX_INTERIM_RESPONSES;
use crate::wire::response::{
    BodyDecoder, Head, ResponseHead, body_framing, is_worth_parsing, parse_response,
};
use crate::wire::upgrade::{Accepted, UpgradeRequest, check_response, key_from};

pub struct Opening {
    request: UpgradeRequest,
    key: String,
    interim_responses: usize,
    /// Bytes of the head in which no end was found.
    scanned: usize,
    refusal: Option<Refusal>,
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
        Self { request, key: key_from(nonce), interim_responses: 0, scanned: 0, refusal: None }
    }

    pub fn request_bytes(&self) -> Vec<u8> {
        crate::fault::point("session.ask");
        let mut bytes = Vec::new();
        self.request.encode_http1(&self.key, &mut bytes);
        bytes
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
                    match check_response(&head, &self.request, &self.key) {
                        Ok(accepted) => return OpeningStep::Upgraded { accepted, head },
                        Err(error) => {
                            let body = BodyDecoder::new(body_framing(&head));
                            self.refusal = Some(Refusal { error: error.into(), head, body });
                        }
                    }
                }
                Err(error) => return refused(error.into()),
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
