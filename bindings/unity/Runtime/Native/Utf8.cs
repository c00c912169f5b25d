using System;
using System.Text;

namespace Framewire.Native
{
    /// <summary>Converts text to and from UTF-8.</summary>
    internal static unsafe class Utf8
    {
        // Throws for an unpaired surrogate, which Encoding.UTF8 would replace by U+FFFD.
        private static readonly Encoding s_strict = new UTF8Encoding(false, true);

        /// <summary>
        /// Returns the bytes and a terminating NUL. Rejects a NUL inside the text, which would truncate it.
        /// </summary>
        internal static byte[] Terminated(string text, string parameter)
        {
            if (text == null)
            {
                throw new ArgumentNullException(parameter);
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("The text must not contain a NUL.", parameter);
            }
            return Bytes(text + '\0', parameter);
        }

        /// <summary>Returns the bytes, without a NUL.</summary>
        internal static byte[] Bytes(string text, string parameter)
        {
            if (text == null)
            {
                throw new ArgumentNullException(parameter);
            }
            try
            {
                return s_strict.GetBytes(text);
            }
            catch (EncoderFallbackException)
            {
                throw new ArgumentException("The text contains an unpaired surrogate (UTF-16).", parameter);
            }
        }

        /// <summary>Returns the beginning of a text: whole characters of at most this many bytes.</summary>
        internal static string Cut(string text, int maxBytes)
        {
            int length = Math.Min(text.Length, maxBytes);
            while (length > 0
                && (char.IsHighSurrogate(text[length - 1]) || Encoding.UTF8.GetByteCount(text.Substring(0, length)) > maxBytes))
            {
                length--;
            }
            return text.Substring(0, length);
        }

        internal static string Read(byte* text, int count)
        {
            return count == 0 ? string.Empty : Encoding.UTF8.GetString(text, count);
        }
    }
}
