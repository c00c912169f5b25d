using System;
using System.Text;

namespace Framewire.Native
{
    /// <summary>Text on its way to the library and back.</summary>
    internal static unsafe class Utf8
    {
        // Refuses half a surrogate pair; Encoding.UTF8 would send U+FFFD in its place.
        private static readonly Encoding s_strict = new UTF8Encoding(false, true);

        /// <summary>
        /// The bytes and a NUL. Refuses a NUL inside, at which the library would stop reading; what
        /// follows it would be lost in silence.
        /// </summary>
        internal static byte[] Terminated(string text, string parameter)
        {
            if (text == null)
            {
                throw new ArgumentNullException(parameter);
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("There must be no NUL in it.", parameter);
            }
            return Bytes(text + '\0', parameter);
        }

        /// <summary>The bytes, without a NUL.</summary>
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
                throw new ArgumentException("There is half of a surrogate pair in it (UTF-16).", parameter);
            }
        }

        internal static string Read(byte* text, int count)
        {
            return count == 0 ? string.Empty : Encoding.UTF8.GetString(text, count);
        }
    }
}
