using System;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    // Sending. Every method copies the message once into the native send queue, except those that take a
    // NativeSegment, and allocates no managed memory, unless a CustomExtension is in use.
    public sealed unsafe partial class WebSocket
    {
        // Texts up to this length are encoded on the stack, which is cheaper than a pooled buffer.
        private const int MaxStackText = 256;

        /// <summary>Sends a text message.</summary>
        /// <param name="message">The text.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult Send(string message)
        {
            if (message == null)
            {
                throw new ArgumentNullException("message");
            }
            fw_socket socket = LiveHandle();
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncoded(active, message, default(SendOptions), false);
            }
            fixed (char* characters = message)
            {
                // No UTF-16 unit needs more than three bytes of UTF-8.
                if (message.Length <= MaxStackText)
                {
                    byte* text = stackalloc byte[MaxStackText * 3];
                    int length = message.Length == 0
                        ? 0
                        : Encoding.UTF8.GetBytes(characters, message.Length, text, MaxStackText * 3);
                    return ToSendResult(FramewireNative.fw_socket_send_text(socket, text, (UIntPtr)length));
                }
                int bytes = Encoding.UTF8.GetByteCount(characters, message.Length);
                fw_segment segment;
                fw_result result = FramewireNative.fw_buffer_get((UIntPtr)bytes, &segment);
                if (result != fw_result.FW_RESULT_OK)
                {
                    return ToSendResult(result);
                }
                Encoding.UTF8.GetBytes(characters, message.Length, segment.data + (ulong)segment.offset, bytes);
                return ToSendResult(FramewireNative.fw_socket_send_text_segment(socket, segment));
            }
        }

        /// <summary>Sends a binary message.</summary>
        /// <param name="buffer">The payload.</param>
        /// <returns>Whether the message was queued.</returns>
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

        /// <summary>Sends a range of an array as a binary message.</summary>
        /// <param name="buffer">The array.</param>
        /// <param name="offset">The index of the first byte.</param>
        /// <param name="count">The number of bytes.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult Send(byte[] buffer, ulong offset, ulong count)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException("buffer");
            }
            if (offset > (ulong)buffer.Length || count > (ulong)buffer.Length - offset)
            {
                throw new ArgumentOutOfRangeException("offset", "The range is outside of the array.");
            }
            fixed (byte* data = buffer)
            {
                return Send(data + offset, (int)count);
            }
        }

        /// <summary>Sends a binary message from a pointer, which is read only during the call.</summary>
        /// <param name="data">The first byte; may be null if the count is 0.</param>
        /// <param name="count">The number of bytes.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult Send(byte* data, int count)
        {
            if (count < 0)
            {
                throw new ArgumentOutOfRangeException("count");
            }
            fw_socket socket = LiveHandle();
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncoded(active, fw_opcode.FW_OPCODE_BINARY, data, count, default(SendOptions), false);
            }
            fw_result result = FramewireNative.fw_socket_send_binary(socket, data, (UIntPtr)(uint)count);
            return result == fw_result.FW_RESULT_OK ? SendResult.Queued : ToSendResult(result);
        }

        /// <summary>Sends a text message with delivery options.</summary>
        /// <param name="message">The text.</param>
        /// <param name="options">Lane, key, time to live, tag.</param>
        /// <returns>Whether the message was queued.</returns>
        /// <exception cref="ArgumentException">The socket does not have the lane.</exception>
        public SendResult Send(string message, SendOptions options)
        {
            if (message == null)
            {
                throw new ArgumentNullException("message");
            }
            // Before memory is allocated, which only the native call releases.
            fw_socket socket = LiveHandle();
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncoded(active, message, options, true);
            }
            fw_message raw = ToMessage(fw_opcode.FW_OPCODE_TEXT, options);
            fixed (char* characters = message)
            {
                if (message.Length <= MaxStackText)
                {
                    byte* text = stackalloc byte[MaxStackText * 3];
                    raw.data = text;
                    raw.len = (UIntPtr)(message.Length == 0
                        ? 0
                        : Encoding.UTF8.GetBytes(characters, message.Length, text, MaxStackText * 3));
                    return Send(socket, &raw);
                }
                int bytes = Encoding.UTF8.GetByteCount(characters, message.Length);
                fw_result result = FramewireNative.fw_buffer_get((UIntPtr)bytes, &raw.segment);
                if (result != fw_result.FW_RESULT_OK)
                {
                    return ToSendResult(result);
                }
                byte* to = raw.segment.data + (ulong)raw.segment.offset;
                Encoding.UTF8.GetBytes(characters, message.Length, to, bytes);
                return Send(socket, &raw);
            }
        }

        /// <summary>Sends a binary message with delivery options.</summary>
        /// <param name="buffer">The payload.</param>
        /// <param name="options">Lane, key, time to live, tag.</param>
        /// <returns>Whether the message was queued.</returns>
        /// <exception cref="ArgumentException">The socket does not have the lane.</exception>
        public SendResult Send(byte[] buffer, SendOptions options)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException("buffer");
            }
            fixed (byte* data = buffer)
            {
                return Send(data, buffer.Length, options);
            }
        }

        /// <summary>
        /// Sends a binary message with delivery options from a pointer, which is read only during the call.
        /// </summary>
        /// <param name="data">The first byte; may be null if the count is 0.</param>
        /// <param name="count">The number of bytes.</param>
        /// <param name="options">Lane, key, time to live, tag.</param>
        /// <returns>Whether the message was queued.</returns>
        /// <exception cref="ArgumentException">The socket does not have the lane.</exception>
        public SendResult Send(byte* data, int count, SendOptions options)
        {
            fw_socket socket = LiveHandle();
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncoded(active, fw_opcode.FW_OPCODE_BINARY, data, (int)NonNegative(count), options, true);
            }
            fw_message raw = ToMessage(fw_opcode.FW_OPCODE_BINARY, options);
            raw.data = data;
            raw.len = (UIntPtr)NonNegative(count);
            return Send(socket, &raw);
        }

        /// <summary>
        /// Sends UTF-8 as a text message without a copy, with delivery options. Consumes one reference, even on failure.
        /// </summary>
        /// <param name="data">The UTF-8 bytes, from <see cref="NativeSegment.Get"/> or retained.</param>
        /// <param name="options">Lane, key, time to live, tag.</param>
        /// <returns>Whether the message was queued.</returns>
        /// <exception cref="ArgumentException">The socket does not have the lane.</exception>
        public SendResult SendAsText(NativeSegment data, SendOptions options)
        {
            return Send(fw_opcode.FW_OPCODE_TEXT, data, options);
        }

        /// <summary>
        /// Sends a binary message without a copy, with delivery options. Consumes one reference, even on failure.
        /// </summary>
        /// <param name="data">The payload, from <see cref="NativeSegment.Get"/> or retained.</param>
        /// <param name="options">Lane, key, time to live, tag.</param>
        /// <returns>Whether the message was queued.</returns>
        /// <exception cref="ArgumentException">The socket does not have the lane.</exception>
        public SendResult SendAsBinary(NativeSegment data, SendOptions options)
        {
            return Send(fw_opcode.FW_OPCODE_BINARY, data, options);
        }

        /// <summary>
        /// Sends UTF-8 as a text message. Releases the array to the <see cref="BufferPool"/>, even on failure:
        /// do not access it afterwards.
        /// </summary>
        /// <param name="data">The UTF-8 bytes.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult SendAsText(BufferSegment data)
        {
            return Send(data, true);
        }

        /// <summary>
        /// Sends a binary message. Releases the array to the <see cref="BufferPool"/>, even on failure: do not
        /// access it afterwards.
        /// </summary>
        /// <param name="data">The payload.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult SendAsBinary(BufferSegment data)
        {
            return Send(data, false);
        }

        /// <summary>
        /// Sends UTF-8 as a text message without a copy. Consumes one reference, even on failure.
        /// </summary>
        /// <param name="data">The UTF-8 bytes, from <see cref="NativeSegment.Get"/> or retained.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult SendAsText(NativeSegment data)
        {
            fw_socket socket = LiveHandle(data);
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncodedSegment(active, fw_opcode.FW_OPCODE_TEXT, data, default(SendOptions), false);
            }
            return ToSegmentResult(FramewireNative.fw_socket_send_text_segment(socket, data.Raw));
        }

        /// <summary>
        /// Sends a binary message without a copy. Consumes one reference, even on failure.
        /// </summary>
        /// <param name="data">The payload, from <see cref="NativeSegment.Get"/> or retained.</param>
        /// <returns>Whether the message was queued.</returns>
        public SendResult SendAsBinary(NativeSegment data)
        {
            fw_socket socket = LiveHandle(data);
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncodedSegment(active, fw_opcode.FW_OPCODE_BINARY, data, default(SendOptions), false);
            }
            return ToSegmentResult(FramewireNative.fw_socket_send_binary_segment(socket, data.Raw));
        }

        /// <summary>
        /// Sends a ping. OnPong is called with the same payload. For keepalive pings, use
        /// <see cref="StartPingThread"/> instead. Not available under WebGL.
        /// </summary>
        /// <param name="payload">At most 125 bytes, or null.</param>
        /// <returns>Whether the ping was queued.</returns>
        public SendResult Ping(byte[] payload)
        {
            fw_socket socket = LiveHandle();
            Capability.Require(WebSocketCapabilities.Ping, "Ping");
            fixed (byte* data = payload)
            {
                int count = payload == null ? 0 : payload.Length;
                return ToSendResult(FramewireNative.fw_socket_ping(socket, data, (UIntPtr)count));
            }
        }

        private SendResult Send(BufferSegment data, bool text)
        {
            if (!data.IsValid)
            {
                throw new ArgumentOutOfRangeException("data", "The segment is outside of its array.");
            }
            try
            {
                fw_socket socket = LiveHandle();
                fixed (byte* bytes = data.Data)
                {
                    byte* from = bytes + data.Offset;
                    CustomExtension[] active = _active;
                    if (active != null)
                    {
                        fw_opcode opcode = text ? fw_opcode.FW_OPCODE_TEXT : fw_opcode.FW_OPCODE_BINARY;
                        return SendEncoded(active, opcode, from, data.Count, default(SendOptions), false);
                    }
                    fw_result result = text
                        ? FramewireNative.fw_socket_send_text(socket, from, (UIntPtr)data.Count)
                        : FramewireNative.fw_socket_send_binary(socket, from, (UIntPtr)data.Count);
                    return ToSendResult(result);
                }
            }
            finally
            {
                BufferPool.Release(data.Data);
            }
        }

        private static fw_message ToMessage(fw_opcode opcode, SendOptions options)
        {
            fw_message message = default(fw_message);
            message.struct_size = (uint)sizeof(fw_message);
            message.opcode = opcode;
            message.flags = options.Uncompressed ? (uint)fw_send_flags.FW_SEND_UNCOMPRESSED : 0;
            message.lane = NonNegative(options.Lane);
            message.ttl_ms = NonNegative(options.TimeToLive);
            message.key = options.Key;
            message.tag = options.Tag;
            return message;
        }

        private static SendResult Send(fw_socket socket, fw_message* message)
        {
            fw_result result = FramewireNative.fw_socket_send(socket, message);
            if (result == fw_result.FW_RESULT_INVALID_ARGUMENT)
            {
                FramewireLibrary.ThrowIfFailed(result);
            }
            return ToSendResult(result);
        }

        private SendResult Send(fw_opcode opcode, NativeSegment data, SendOptions options)
        {
            fw_socket socket = LiveHandle(data);
            CustomExtension[] active = _active;
            if (active != null)
            {
                return SendEncodedSegment(active, opcode, data, options, true);
            }
            if (data.Raw.buffer.id == 0)
            {
                return SendResult.InvalidSegment;
            }
            fw_message message;
            try
            {
                message = ToMessage(opcode, options);
            }
            catch
            {
                FramewireNative.fw_segment_release(data.Raw);
                throw;
            }
            message.segment = data.Raw;
            fw_result result = FramewireNative.fw_socket_send(socket, &message);
            if (result == fw_result.FW_RESULT_INVALID_ARGUMENT)
            {
                FramewireLibrary.ThrowIfFailed(result);
            }
            return ToSegmentResult(result);
        }

        /// <summary>Returns the socket, or releases the segment and throws.</summary>
        private fw_socket LiveHandle(NativeSegment data)
        {
            if (IsDisposed)
            {
                FramewireNative.fw_segment_release(data.Raw);
            }
            return LiveHandle();
        }

        private SendResult ToSegmentResult(fw_result result)
        {
            // The segment is invalid, unless Shutdown has destroyed the socket.
            return result == fw_result.FW_RESULT_INVALID_HANDLE && State != WebSocketStates.Unknown
                ? SendResult.InvalidSegment
                : ToSendResult(result);
        }

        private static SendResult ToSendResult(fw_result result)
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
