using System;

namespace Framewire.Native
{
    /// <summary>
    /// Checks that the native library is compatible with this binding, and converts results to exceptions.
    /// </summary>
    internal static unsafe class FramewireLibrary
    {
        private static volatile bool s_checked;

        /// <summary>Whether the library is there and was checked. Until then, nothing exists to be released.</summary>
        internal static bool IsLoaded
        {
            get { return s_checked; }
        }

        /// <summary>
        /// Compares the version and struct sizes of the library with those of this binding, once. Detects a
        /// plugin file of another version, which would crash otherwise.
        /// </summary>
        internal static void EnsureLoaded()
        {
            if (s_checked)
            {
                return;
            }
            uint version = Version();
            if (!IsCompatible(version, FramewireNative.FW_VERSION))
            {
                throw new DllNotFoundException(
                    "The native library '" + FramewireNative.Library + "' has version " + FormatVersion(version)
                    + ", these scripts need " + FormatVersion(FramewireNative.FW_VERSION)
                    + ". Reinstall the package and restart the editor, which keeps native libraries loaded.");
            }
            // The other structs have a struct_size and may differ in size.
            CheckSize(fw_struct.FW_STRUCT_ERROR, sizeof(fw_error));
            CheckSize(fw_struct.FW_STRUCT_SEGMENT, sizeof(fw_segment));
            CheckSize(fw_struct.FW_STRUCT_FRAME, sizeof(fw_frame));
            CheckSize(fw_struct.FW_STRUCT_EVENT, sizeof(fw_event));
            s_checked = true;
        }

        private static uint Version()
        {
            try
            {
                return FramewireNative.fw_version();
            }
            catch (DllNotFoundException cause)
            {
                throw MissingLibrary.On(cause);
            }
            catch (EntryPointNotFoundException cause)
            {
                // Where the library is linked statically, and was not.
                throw MissingLibrary.On(cause);
            }
        }

        /// <summary>
        /// Whether the major versions are the same, and while they are 0 also the minor versions.
        /// </summary>
        internal static bool IsCompatible(uint library, uint binding)
        {
            int shift = binding >> 16 == 0 ? 8 : 16;
            return library >> shift == binding >> shift;
        }

        internal static void ThrowIfFailed(fw_result result)
        {
            if (result != fw_result.FW_RESULT_OK)
            {
                throw Failure(result);
            }
        }

        /// <summary>Lets a message name members of this binding instead of functions of the C API.</summary>
        internal static string NameMembers(string message)
        {
            return message
                .Replace("fw_tls_add_ca_pem", "TlsSettings.AddCertificateAuthority")
                .Replace("fw_tls_add_pin_sha256", "TlsSettings.AddPin")
                .Replace("fw_tls_set_client_cert_pem", "TlsSettings.SetClientCertificate");
        }

        /// <summary>Creates the exception for a result, with the error message of the library.</summary>
        internal static Exception Failure(fw_result result)
        {
            string message = NameMembers(LastError());
            switch (result)
            {
                case fw_result.FW_RESULT_INVALID_ARGUMENT:
                case fw_result.FW_RESULT_INVALID_URL:
                case fw_result.FW_RESULT_INVALID_UTF8:
                case fw_result.FW_RESULT_TOO_LARGE:
                    return new ArgumentException(message);
                case fw_result.FW_RESULT_NOT_SUPPORTED:
                    return new NotSupportedException(message);
                case fw_result.FW_RESULT_OUT_OF_MEMORY:
                    return new OutOfMemoryException(message);
                case fw_result.FW_RESULT_TIMED_OUT:
                    return new TimeoutException(message);
                default:
                    return new InvalidOperationException(message);
            }
        }

        private static string LastError()
        {
            byte* text = stackalloc byte[513];
            ulong length = (ulong)FramewireNative.fw_last_error(text, (UIntPtr)513);
            return Utf8.Read(text, (int)Math.Min(length, 512));
        }

        private static void CheckSize(fw_struct which, int size)
        {
            ulong native = (ulong)FramewireNative.fw_sizeof(which);
            if (native != (ulong)size)
            {
                throw new DllNotFoundException(
                    which + " has " + native + " bytes in the native library '" + FramewireNative.Library
                    + "' and " + size + " in these scripts: they are of different versions. Reinstall the package.");
            }
        }

        private static string FormatVersion(uint version)
        {
            return (version >> 16) + "." + (version >> 8 & 0xff) + "." + (version & 0xff);
        }
    }
}
