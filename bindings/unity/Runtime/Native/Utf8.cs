using System;
using System.Text;

namespace Framewire.Native
{
    /// <summary>Text on its way to the library and back.</summary>
    internal static unsafe class Utf8
    {
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
            var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
            Encoding.UTF8.GetBytes(text, 0, text.Length, bytes, 0);
            return bytes;
        }

        internal static string Read(byte* text, int count)
        {
            return count == 0 ? string.Empty : Encoding.UTF8.GetString(text, count);
        }
    }
}
