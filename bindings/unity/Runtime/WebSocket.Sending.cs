using System;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    // Sending. Every method copies the message once, into the native send queue, and leaves no garbage.
    // What comes back may be ignored, as a statement does: an unsent message is then dropped.
    public sealed unsafe partial class WebSocket
    {
        // Below, a text is turned into UTF-8 on the stack, which is cheaper than a pooled block.
        private const int StackText = 256;

        /// <summary>Sends a text message.</summary>
        public SendResult Send(string message)
        {
            if (message == null)
            {
                throw new ArgumentNullException("message");
            }
            fw_socket socket = LiveHandle();
            fixed (char* characters = message)
            {
                // No UTF-16 unit needs more than three bytes of UTF-8.
                if (message.Length <= StackText)
                {
                    byte* text = stackalloc byte[StackText * 3];
                    int length = message.Length == 0
                        ? 0
                        : Encoding.UTF8.GetBytes(characters, message.Length, text, StackText * 3);
                    return Outcome(FramewireNative.fw_socket_send_text(socket, text, (UIntPtr)length));
                }
                int bytes = Encoding.UTF8.GetByteCount(characters, message.Length);
                fw_segment segment;
                fw_result result = FramewireNative.fw_buffer_get((UIntPtr)bytes, &segment);
                if (result != fw_result.FW_RESULT_OK)
                {
                    return Outcome(result);
                }
                Encoding.UTF8.GetBytes(characters, message.Length, segment.data + (ulong)segment.offset, bytes);
                return Outcome(FramewireNative.fw_socket_send_text_segment(socket, segment));
            }
        }

        /// <summary>Sends a binary message.</summary>
        public SendResult Send(byte[] buffer)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException("buffer");
            }
            fixed (byte* data = buffer)
            {
                return Send(data, buffer.Length);
            }
        }

        /// <summary>Sends a part of an array as a binary message.</summary>
        public SendResult Send(byte[] buffer, ulong offset, ulong count)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException("buffer");
            }
            if (offset > (ulong)buffer.Length || count > (ulong)buffer.Length - offset)
            {
                throw new ArgumentOutOfRangeException("offset", "The range reaches outside of the array.");
            }
            fixed (byte* data = buffer)
            {
                return Send(data + offset, (int)count);
            }
        }

        /// <summary>Sends a binary message from memory of any kind, which is only read during the call.</summary>
        public SendResult Send(byte* data, int count)
        {
            if (count < 0)
            {
                throw new ArgumentOutOfRangeException("count");
            }
            return Outcome(FramewireNative.fw_socket_send_binary(LiveHandle(), data, (UIntPtr)count));
        }

        /// <summary>
        /// Sends UTF-8 as a text message and, whatever the result, gives the array to
        /// <see cref="BufferPool.Release(byte[])"/>: it must not be touched any more.
        /// </summary>
        public SendResult SendAsText(BufferSegment data)
        {
            return Send(data, true);
        }

        /// <summary>
        /// Sends a binary message and, whatever the result, gives the array to
        /// <see cref="BufferPool.Release(byte[])"/>: it must not be touched any more.
        /// </summary>
        public SendResult SendAsBinary(BufferSegment data)
        {
            return Send(data, false);
        }

        /// <summary>
        /// Sends UTF-8 where it lies, without a copy. Takes over one of the caller's holds, whatever
        /// the result.
        /// </summary>
        public SendResult SendAsText(NativeSegment data)
        {
            return SegmentOutcome(FramewireNative.fw_socket_send_text_segment(LiveHandle(), data.Raw));
        }

        /// <summary>
        /// Sends a binary message where it lies, without a copy. Takes over one of the caller's holds,
        /// whatever the result.
        /// </summary>
        public SendResult SendAsBinary(NativeSegment data)
        {
            return SegmentOutcome(FramewireNative.fw_socket_send_binary_segment(LiveHandle(), data.Raw));
        }

        /// <summary>
        /// Sends a ping of your own, with at most 125 bytes that OnPong brings back. To watch a
        /// connection, rather set <see cref="StartPingThread"/>.
        /// </summary>
        public SendResult Ping(byte[] payload)
        {
            fw_socket socket = LiveHandle();
            fixed (byte* data = payload)
            {
                int count = payload == null ? 0 : payload.Length;
                return Outcome(FramewireNative.fw_socket_ping(socket, data, (UIntPtr)count));
            }
        }

        private SendResult Send(BufferSegment data, bool text)
        {
            if (!data.IsValid)
            {
                throw new ArgumentOutOfRangeException("data", "The segment reaches outside of its array.");
            }
            try
            {
                fw_socket socket = LiveHandle();
                fixed (byte* bytes = data.Data)
                {
                    byte* from = bytes + data.Offset;
                    fw_result result = text
                        ? FramewireNative.fw_socket_send_text(socket, from, (UIntPtr)data.Count)
                        : FramewireNative.fw_socket_send_binary(socket, from, (UIntPtr)data.Count);
                    return Outcome(result);
                }
            }
            finally
            {
                BufferPool.Release(data.Data);
            }
        }

        private SendResult SegmentOutcome(fw_result result)
        {
            // The segment's fault, unless the socket has ended with Shutdown.
            return result == fw_result.FW_RESULT_INVALID_HANDLE && State != WebSocketStates.Unknown
                ? SendResult.InvalidSegment
                : Outcome(result);
        }

        private static SendResult Outcome(fw_result result)
        {
            switch (result)
            {
                case fw_result.FW_RESULT_OK:
                    return SendResult.Queued;
                case fw_result.FW_RESULT_INVALID_STATE:
                case fw_result.FW_RESULT_INVALID_HANDLE:
                    return SendResult.NotOpen;
                case fw_result.FW_RESULT_WOULD_BLOCK:
                    return SendResult.QueueFull;
                case fw_result.FW_RESULT_TOO_LARGE:
                    return SendResult.TooLarge;
                case fw_result.FW_RESULT_INVALID_UTF8:
                    return SendResult.InvalidUtf8;
                case fw_result.FW_RESULT_OUT_OF_MEMORY:
                    return SendResult.OutOfMemory;
                default:
                    return SendResult.Failed;
            }
        }
    }
}
