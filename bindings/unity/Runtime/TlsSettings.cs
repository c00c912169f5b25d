using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>The certificate authorities that are trusted, in addition to those added.</summary>
    public enum TlsRoots : byte
    {
        /// <summary>Mozilla's certificate authorities, built into the library.</summary>
        Webpki = 0,

        /// <summary>
        /// The certificate authorities of the operating system. On Android see
        /// <see cref="WebSocket.InitializeAndroid"/>.
        /// </summary>
        Platform = 1,

        /// <summary>Only certificates of AddCertificateAuthority, or with a key of AddPin.</summary>
        None = 2,
    }

    /// <summary>
    /// TLS settings for <c>wss:</c>. Sockets that share an object share its session cache, which makes
    /// reconnecting faster. Changes apply to connections that are opened later. Not available under WebGL.
    /// </summary>
    public sealed unsafe class TlsSettings : IDisposable
    {
        private fw_tls _tls;

        /// <summary>Creates settings with Mozilla's roots and with verification.</summary>
        public TlsSettings()
        {
            Capability.Require(WebSocketCapabilities.TlsSettings, "TlsSettings");
            fw_tls tls;
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_create(&tls));
            _tls = tls;
        }

        /// <summary>Destroys the native settings if Dispose was not called.</summary>
        ~TlsSettings()
        {
            if (FramewireLibrary.IsLoaded)
            {
                FramewireNative.fw_tls_destroy(_tls);
            }
        }

        /// <summary>
        /// Adds trusted certificates. Each is trusted as a certificate authority and, within its dates and
        /// names, as a server certificate, even if it is marked as a CA (<c>openssl req -x509</c>).
        /// </summary>
        /// <param name="pem">One or more certificates in PEM.</param>
        public void AddCertificateAuthority(string pem)
        {
            byte[] text = Utf8.Bytes(pem, "pem");
            fixed (byte* raw = text)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_add_ca_pem(Raw, raw, (UIntPtr)text.Length));
            }
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Sets the client certificate for servers that request one.
        /// </summary>
        /// <param name="certificatePem">The certificate chain in PEM.</param>
        /// <param name="keyPem">The private key in PEM: PKCS#8, SEC1 or PKCS#1, not encrypted.</param>
        public void SetClientCertificate(string certificatePem, string keyPem)
        {
            byte[] certificate = Utf8.Bytes(certificatePem, "certificatePem");
            byte[] key = Utf8.Bytes(keyPem, "keyPem");
            fixed (byte* rawCertificate = certificate)
            fixed (byte* rawKey = key)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_client_cert_pem(
                    Raw, rawCertificate, (UIntPtr)certificate.Length, rawKey, (UIntPtr)key.Length));
            }
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Pins a public key: only servers with one of the pinned keys are accepted, in addition to the usual
        /// verification. With <see cref="TlsRoots.None"/> and no certificate added, a matching pin replaces
        /// the verification of the issuer.
        /// </summary>
        /// <param name="sha256">The SHA-256 hash of the certificate's SubjectPublicKeyInfo, 32 bytes.</param>
        public void AddPin(byte[] sha256)
        {
            if (sha256 == null || sha256.Length != 32)
            {
                throw new ArgumentException("A pin must have 32 bytes.", "sha256");
            }
            fixed (byte* raw = sha256)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_add_pin_sha256(Raw, raw));
            }
            GC.KeepAlive(this);
        }

        /// <summary>Sets the trusted certificate authorities.</summary>
        /// <param name="roots">The authorities.</param>
        public void SetRoots(TlsRoots roots)
        {
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_roots(Raw, (fw_roots)roots));
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Disables verification: any certificate is accepted, so the connection can be intercepted. For
        /// development only.
        /// </summary>
        /// <param name="enable">Whether to disable verification.</param>
        public void SetInsecure(bool enable)
        {
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_insecure(Raw, enable ? (byte)1 : (byte)0));
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Enables the key log: session keys are written to the file named by the environment variable
        /// SSLKEYLOGFILE, for tools such as Wireshark. For development only.
        /// </summary>
        /// <param name="enable">Whether to write the keys.</param>
        public void SetKeyLog(bool enable)
        {
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_key_log(Raw, enable ? (byte)1 : (byte)0));
            GC.KeepAlive(this);
        }

        /// <summary>Disposes this object. Sockets that use the settings keep them.</summary>
        public void Dispose()
        {
            FramewireNative.fw_tls_destroy(_tls);
            _tls = default(fw_tls);
            GC.SuppressFinalize(this);
        }

        internal fw_tls Raw
        {
            get
            {
                if (_tls.id == 0)
                {
                    throw new ObjectDisposedException("TlsSettings");
                }
                return _tls;
            }
        }
    }
}
