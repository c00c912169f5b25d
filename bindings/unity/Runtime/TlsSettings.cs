using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>Which certificate authorities are trusted, beside those added.</summary>
    public enum TlsRoots : byte
    {
        /// <summary>Those that Mozilla trusts, built into the library: the same on every device.</summary>
        Webpki = 0,

        /// <summary>Those that the operating system trusts.</summary>
        Platform = 1,

        /// <summary>None but those added with AddCertificateAuthority, or pinned with AddPin.</summary>
        None = 2,
    }

    /// <summary>
    /// TLS for <c>wss:</c>. Certificates are always checked unless <see cref="SetInsecure"/> says
    /// otherwise. Sockets that share one object share its session cache and resume faster. Changes
    /// reach connections opened later.
    /// </summary>
    public sealed unsafe class TlsSettings : IDisposable
    {
        private fw_tls _tls;

        /// <summary>Mozilla's roots, verification on.</summary>
        public TlsSettings()
        {
            NativeLibrary.EnsureLoaded();
            fw_tls tls;
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_create(&tls));
            _tls = tls;
        }

        /// <summary>Destroys settings that were not disposed.</summary>
        ~TlsSettings()
        {
            FramewireNative.fw_tls_destroy(_tls);
        }

        /// <summary>
        /// Trusts more certificates, one or more in PEM: as authorities, and each as the server's own, for
        /// its dates and names, even if it is marked as a CA's (<c>openssl req -x509</c>).
        /// </summary>
        public void AddCertificateAuthority(string pem)
        {
            byte[] text = Utf8.Bytes(pem, "pem");
            fixed (byte* raw = text)
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_add_ca_pem(Raw, raw, (UIntPtr)text.Length));
            }
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Shows a certificate to servers that ask for one: the chain and its private key in PEM
        /// (PKCS#8, SEC1 or PKCS#1, not encrypted).
        /// </summary>
        public void SetClientCertificate(string certificatePem, string keyPem)
        {
            byte[] certificate = Utf8.Bytes(certificatePem, "certificatePem");
            byte[] key = Utf8.Bytes(keyPem, "keyPem");
            fixed (byte* rawCertificate = certificate)
            fixed (byte* rawKey = key)
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_client_cert_pem(
                    Raw, rawCertificate, (UIntPtr)certificate.Length, rawKey, (UIntPtr)key.Length));
            }
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Accepts only servers with this public key, on top of the usual verification; with several
        /// pins any of them will do. With <see cref="TlsRoots.None"/> and no certificate added, a matching
        /// pin replaces the check of the issuer.
        /// </summary>
        /// <param name="sha256">32 bytes, the SHA-256 of the certificate's SubjectPublicKeyInfo.</param>
        public void AddPin(byte[] sha256)
        {
            if (sha256 == null || sha256.Length != 32)
            {
                throw new ArgumentException("A pin has 32 bytes.", "sha256");
            }
            fixed (byte* raw = sha256)
            {
                NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_add_pin_sha256(Raw, raw));
            }
            GC.KeepAlive(this);
        }

        /// <summary>Chooses which authorities are trusted.</summary>
        public void SetRoots(TlsRoots roots)
        {
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_roots(Raw, (fw_roots)roots));
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Accepts any certificate: anybody on the way can read and change everything. For
        /// development only.
        /// </summary>
        public void SetInsecure(bool enable)
        {
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_insecure(Raw, enable ? (byte)1 : (byte)0));
            GC.KeepAlive(this);
        }

        /// <summary>
        /// Writes the keys of connections to the file that the environment variable SSLKEYLOGFILE
        /// names, for tools such as Wireshark. For development only.
        /// </summary>
        public void SetKeyLog(bool enable)
        {
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_tls_set_key_log(Raw, enable ? (byte)1 : (byte)0));
            GC.KeepAlive(this);
        }

        /// <summary>Ends this object; sockets that were given it keep the settings.</summary>
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
