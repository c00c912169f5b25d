using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The options of a capture, for <see cref="WebSocket.SetCapture(string, CaptureOptions)"/>.
    /// </summary>
    public struct CaptureOptions
    {
        /// <summary>The largest size of the file in bytes, at which the capture ends; 0 for no limit.</summary>
        public long MaxFileBytes { get; set; }

        /// <summary>
        /// Writes the values of <c>Authorization</c>, <c>Proxy-Authorization</c>, <c>Cookie</c> and
        /// <c>Set-Cookie</c>, which are replaced otherwise.
        /// </summary>
        public bool IncludeSecrets { get; set; }

        internal fw_capture Raw
        {
            get
            {
                if (MaxFileBytes < 0)
                {
                    throw new ArgumentOutOfRangeException("MaxFileBytes");
                }
                return new fw_capture
                {
                    struct_size = fw_capture.Size,
                    include_secrets = IncludeSecrets ? 1u : 0u,
                    max_file_bytes = (ulong)MaxFileBytes,
                };
            }
        }
    }
}
