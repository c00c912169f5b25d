//! Every error of rustls and webpki has a message without identifiers.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    AlertDescription, CertRevocationListError, CertificateError, ContentType, Error, ExtendedKeyPurpose,
    HandshakeType, InconsistentKeys, InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
};

use crate::error::Phase;
use crate::net::tls::error::{Context, describe, from_rustls};

#[test]
fn every_error_has_message_without_identifiers() {
    let certificate = certificate_errors().into_iter().chain(webpki_errors()).map(Error::InvalidCertificate);
    let protocol = misbehaved().into_iter().map(Error::PeerMisbehaved);
    let incompatible = incompatible().into_iter().map(Error::PeerIncompatible);
    let invalid = invalid_messages().into_iter().map(Error::InvalidMessage);
    let alerts = (0..=u8::MAX).map(|number| Error::AlertReceived(AlertDescription::from(number)));
    let mut seen = 0;
    for error in certificate.chain(protocol).chain(incompatible).chain(invalid).chain(alerts).chain(others())
    {
        for spoke_tls in [false, true] {
            let context = Context { host: "game.test", phase: Phase::Tls, spoke_tls, refused: None };
            let message = from_rustls(&error, &context).message;
            crate::plain_text::check(&message);
            assert!(message.starts_with("TLS with \"game.test\": ") && message.len() > 40, "{message}");
        }
        let message = describe(&error);
        assert!(!message.is_empty());
        crate::plain_text::check(&message);
        seen += 1;
    }
    assert!(seen > 450, "{seen}");
}

fn others() -> Vec<Error> {
    vec![
        Error::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ChangeCipherSpec,
        },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ServerHello],
            got_type: HandshakeType::CertificateRequest,
        },
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::InvalidCertRevocationList(CertRevocationListError::IssuerInvalidForCrl),
        Error::General("failed to parse RSA private key: InvalidEncoding".to_owned()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Error::InconsistentKeys(InconsistentKeys::Unknown),
        Error::Other(OtherError(Arc::new(webpki::Error::BadDerTime))),
    ]
}

fn certificate_errors() -> Vec<CertificateError> {
    use CertificateError as Bad;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));
    // sha1WithRSAEncryption, and something that is no OID.
    let sha1 = vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];
    let name = |name| ServerName::try_from(name).unwrap();
    vec![
        Bad::BadEncoding,
        Bad::Expired,
        Bad::ExpiredContext { time, not_after: time },
        Bad::NotValidYet,
        Bad::NotValidYetContext { time, not_before: time },
        Bad::Revoked,
        Bad::UnhandledCriticalExtension,
        Bad::UnknownIssuer,
        Bad::UnknownRevocationStatus,
        Bad::ExpiredRevocationList,
        Bad::ExpiredRevocationListContext { time, next_update: time },
        Bad::BadSignature,
        #[allow(deprecated)]
        Bad::UnsupportedSignatureAlgorithm,
        Bad::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: sha1.clone(),
            supported_algorithms: Vec::new(),
        },
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: sha1,
            public_key_algorithm_id: vec![0xff; 40],
        },
        Bad::NotValidForName,
        Bad::NotValidForNameContext { expected: name("game.test"), presented: Vec::new() },
        Bad::NotValidForNameContext { expected: name("127.0.0.1"), presented: Vec::new() },
        Bad::NotValidForNameContext {
            expected: name("game.test"),
            presented: ["DnsName(\"a.test\")", "DirectoryName", "Unsupported(0x87)", "IpAddress(::1)"]
                .map(str::to_owned)
                .to_vec(),
        },
        Bad::InvalidPurpose,
        Bad::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::ClientAuth, ExtendedKeyPurpose::Other(vec![1, 3, 6])],
        },
        Bad::InvalidOcspResponse,
        Bad::ApplicationVerificationFailure,
        Bad::Other(OtherError(Arc::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)))),
    ]
}

fn webpki_errors() -> Vec<CertificateError> {
    use webpki::Error as Bad;
    #[allow(deprecated)]
    let errors = [
        Bad::BadDer,
        Bad::BadDerTime,
        Bad::CaUsedAsEndEntity,
        Bad::CertDistrusted,
        Bad::CertRevoked,
        Bad::EmptyEkuExtension,
        Bad::EndEntityUsedAsCa,
        Bad::ExtensionValueInvalid,
        Bad::InvalidCertValidity,
        Bad::InvalidCrlNumber,
        Bad::InvalidNetworkMaskConstraint,
        Bad::InvalidSerialNumber,
        Bad::InvalidCrlSignatureForPublicKey,
        Bad::InvalidSignatureForPublicKey,
        Bad::IssuerNotCrlSigner,
        Bad::MalformedDnsIdentifier,
        Bad::MalformedExtensions,
        Bad::MalformedNameConstraint,
        Bad::MaximumNameConstraintComparisonsExceeded,
        Bad::MaximumPathBuildCallsExceeded,
        Bad::MaximumPathDepthExceeded,
        Bad::MaximumSignatureChecksExceeded,
        Bad::NameConstraintViolation,
        Bad::PathLenConstraintViolated,
        Bad::RequiredEkuNotFound,
        Bad::SignatureAlgorithmMismatch,
        Bad::UnknownIssuer,
        Bad::UnknownRevocationStatus,
        Bad::UnsupportedCertVersion,
        Bad::UnsupportedCriticalExtension,
        Bad::UnsupportedCrlIssuingDistributionPoint,
        Bad::UnsupportedCrlVersion,
        Bad::UnsupportedDeltaCrl,
        Bad::UnsupportedIndirectCrl,
        Bad::UnsupportedNameType,
        Bad::UnsupportedRevocationReason,
        Bad::UnsupportedRevocationReasonsPartitioning,
        Bad::UnsupportedCrlSignatureAlgorithm,
        Bad::UnsupportedSignatureAlgorithm,
        Bad::UnsupportedCrlSignatureAlgorithmForPublicKey,
        Bad::UnsupportedSignatureAlgorithmForPublicKey,
        Bad::TrailingData(webpki::DerTypeId::CertificateTbsCertificate),
    ];
    errors.into_iter().map(|error| CertificateError::Other(OtherError(Arc::new(error)))).collect()
}

fn invalid_messages() -> Vec<InvalidMessage> {
    use InvalidMessage as Bad;
    vec![
        Bad::CertificatePayloadTooLarge,
        Bad::HandshakePayloadTooLarge,
        Bad::InvalidCcs,
        Bad::InvalidContentType,
        Bad::InvalidCertificateStatusType,
        Bad::InvalidCertRequest,
        Bad::InvalidDhParams,
        Bad::InvalidEmptyPayload,
        Bad::InvalidKeyUpdate,
        Bad::InvalidServerName,
        Bad::MessageTooLarge,
        Bad::MessageTooShort,
        Bad::MissingData("ServerHello"),
        Bad::MissingKeyExchange,
        Bad::NoSignatureSchemes,
        Bad::TrailingData("ServerHello"),
        Bad::UnexpectedMessage("ServerHello"),
        Bad::UnknownProtocolVersion,
        Bad::UnsupportedCompression,
        Bad::UnsupportedCurveType,
        Bad::EmptyTicketValue,
        Bad::IllegalEmptyList("ServerHello"),
        Bad::IllegalEmptyValue,
        Bad::DuplicateExtension(23),
        Bad::PreSharedKeyIsNotFinalExtension,
        Bad::UnknownHelloRetryRequestExtension,
        Bad::UnknownCertificateExtension,
    ]
}

fn incompatible() -> Vec<PeerIncompatible> {
    use PeerIncompatible as Why;
    vec![
        Why::EcPointsExtensionRequired,
        Why::ExtendedMasterSecretExtensionRequired,
        Why::IncorrectCertificateTypeExtension,
        Why::KeyShareExtensionRequired,
        Why::NamedGroupsExtensionRequired,
        Why::NoCertificateRequestSignatureSchemesInCommon,
        Why::NoCipherSuitesInCommon,
        Why::NoEcPointFormatsInCommon,
        Why::NoKxGroupsInCommon,
        Why::NoSignatureSchemesInCommon,
        Why::NullCompressionRequired,
        Why::ServerDoesNotSupportTls12Or13,
        Why::ServerSentHelloRetryRequestWithUnknownExtension,
        Why::ServerTlsVersionIsDisabledByOurConfig,
        Why::SignatureAlgorithmsExtensionRequired,
        Why::SupportedVersionsExtensionRequired,
        Why::Tls12NotOffered,
        Why::Tls12NotOfferedOrEnabled,
        Why::Tls13RequiredForQuic,
        Why::UncompressedEcPointsRequired,
        Why::UnsolicitedCertificateTypeExtension,
        Why::ServerRejectedEncryptedClientHello(None),
    ]
}

fn misbehaved() -> Vec<PeerMisbehaved> {
    use PeerMisbehaved as Why;
    vec![
        Why::AttemptedDowngradeToTls12WhenTls13IsSupported,
        Why::BadCertChainExtensions,
        Why::CipherSuiteDifferedOnRetry,
        Why::DisallowedEncryptedExtension,
        Why::DuplicateClientHelloExtensions,
        Why::DuplicateEncryptedExtensions,
        Why::DuplicateHelloRetryRequestExtensions,
        Why::DuplicateNewSessionTicketExtensions,
        Why::DuplicateServerHelloExtensions,
        Why::DuplicateServerNameTypes,
        Why::EarlyDataAttemptedInSecondClientHello,
        Why::EarlyDataExtensionWithoutResumption,
        Why::EarlyDataOfferedWithVariedCipherSuite,
        Why::EchAcceptanceVariedAfterRetry,
        Why::HandshakeHashVariedAfterRetry,
        Why::IllegalHelloRetryRequestWithEmptyCookie,
        Why::IllegalHelloRetryRequestWithNoChanges,
        Why::IllegalHelloRetryRequestWithOfferedGroup,
        Why::IllegalHelloRetryRequestWithUnofferedCipherSuite,
        Why::IllegalHelloRetryRequestWithUnofferedNamedGroup,
        Why::IllegalHelloRetryRequestWithUnsupportedVersion,
        Why::IllegalHelloRetryRequestWithWrongSessionId,
        Why::IllegalHelloRetryRequestWithInvalidEch,
        Why::IllegalMiddleboxChangeCipherSpec,
        Why::IllegalTlsInnerPlaintext,
        Why::IncorrectBinder,
        Why::InvalidCertCompression,
        Why::InvalidMaxEarlyDataSize,
        Why::InvalidKeyShare,
        Why::KeyEpochWithPendingFragment,
        Why::KeyUpdateReceivedInQuicConnection,
        Why::MessageInterleavedWithHandshakeMessage,
        Why::MissingBinderInPskExtension,
        Why::MissingKeyShare,
        Why::MissingPskExtensionInSecondClientHello,
        Why::MissingPskModesExtension,
        Why::MissingQuicTransportParameters,
        Why::OfferedDuplicateCertificateCompressions,
        Why::OfferedDuplicateKeyShares,
        Why::OfferedEarlyDataWithOldProtocolVersion,
        Why::OfferedEmptyApplicationProtocol,
        Why::OfferedIncorrectCompressions,
        Why::PskExtensionMustBeLast,
        Why::PskExtensionWithMismatchedIdsAndBinders,
        Why::RefusedToFollowHelloRetryRequest,
        Why::RejectedEarlyDataInterleavedWithHandshakeMessage,
        Why::ResumptionAttemptedWithVariedEms,
        Why::ResumptionOfferedWithVariedCipherSuite,
        Why::ResumptionOfferedWithVariedEms,
        Why::ResumptionOfferedWithIncompatibleCipherSuite,
        Why::SelectedDifferentCipherSuiteAfterRetry,
        Why::SelectedInvalidPsk,
        Why::SelectedTls12UsingTls13VersionExtension,
        Why::SelectedUnofferedApplicationProtocol,
        Why::SelectedUnofferedCertCompression,
        Why::SelectedUnofferedCipherSuite,
        Why::SelectedUnofferedCompression,
        Why::SelectedUnofferedKxGroup,
        Why::SelectedUnofferedPsk,
        Why::SelectedUnusableCipherSuiteForVersion,
        Why::ServerEchoedCompatibilitySessionId,
        Why::ServerHelloMustOfferUncompressedEcPoints,
        Why::ServerNameDifferedOnRetry,
        Why::ServerNameMustContainOneHostName,
        Why::SignedKxWithWrongAlgorithm,
        Why::SignedHandshakeWithUnadvertisedSigScheme,
        Why::TooManyEmptyFragments,
        Why::TooManyKeyUpdateRequests,
        Why::TooManyRenegotiationRequests,
        Why::TooManyWarningAlertsReceived,
        Why::TooMuchEarlyDataReceived,
        Why::UnexpectedCleartextExtension,
        Why::UnsolicitedCertExtension,
        Why::UnsolicitedEncryptedExtension,
        Why::UnsolicitedSctList,
        Why::UnsolicitedServerHelloExtension,
        Why::WrongGroupForKeyShare,
        Why::UnsolicitedEchExtension,
    ]
}
