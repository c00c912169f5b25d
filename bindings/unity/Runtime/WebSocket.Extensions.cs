using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Framewire.Native;

namespace Framewire
{
    // Extensions of the game. They run where the game sends and dispatches: the native library only carries their
    // reserved bits.
    public sealed unsafe partial class WebSocket
    {
        private static readonly UTF8Encoding s_strictUtf8 = new UTF8Encoding(false, true);

        /// <summary>In the order of the offer; null if there are none.</summary>
        private CustomExtension[] _offered;

        /// <summary>Those that the server has accepted; null if there are none.</summary>
        // Other threads send while a lost connection sets it to null: read it once.
        private volatile CustomExtension[] _active;

        /// <summary>
        /// An extension has rejected its parameters: the connection is being closed and was never open for the game, which
        /// gets nothing of what the server has sent meanwhile.
        /// </summary>
        private bool _isRejected;

        private void OfferExtensions(IExtension[] extensions)
        {
            var offered = new List<CustomExtension>();
            foreach (IExtension one in extensions)
            {
                var extension = one as CustomExtension;
                if (extension == null)
                {
                    continue;
                }
                Capability.Require(WebSocketCapabilities.Extensions, extension.Name);
                fixed (byte* offer = Utf8.Terminated(extension.Offer, "extensions"))
                {
                    FramewireLibrary.ThrowIfFailed(
                        FramewireNative.fw_socket_offer_extension(LiveHandle(), offer, (uint)extension.ReservedBits));
                }
                offered.Add(extension);
            }
            _offered = offered.Count == 0 ? null : offered.ToArray();
        }

        /// <summary>Reads what the server has accepted. Returns false if an extension rejects its parameters.</summary>
        private bool AcceptExtensions()
        {
            _active = null;
            _isRejected = false;
            if (_offered == null)
            {
                return true;
            }
            var active = new List<CustomExtension>();
            string[] elements = NegotiatedExtensions.Split(',');
            foreach (CustomExtension extension in _offered)
            {
                foreach (string element in elements)
                {
                    string accepted = element.Trim();
                    if (!string.Equals(
                        accepted.Split(';')[0].Trim(), extension.Name, StringComparison.OrdinalIgnoreCase))
                    {
                        continue;
                    }
                    if (!Accepts(extension, accepted))
                    {
                        _isRejected = true;
                        string reason = "The extension " + extension.Name + " rejected its parameters.";
                        Close(1010, Utf8.Cut(reason, MaxCloseReason));
                        return false;
                    }
                    active.Add(extension);
                }
            }
            _active = active.Count == 0 ? null : active.ToArray();
            return true;
        }

        private bool Accepts(CustomExtension extension, string element)
        {
            try
            {
                return extension.Accept(element);
            }
            catch (Exception exception)
            {
                Report(this, exception);
                return false;
            }
        }

        /// <summary>Encodes a message with the extensions and queues it.</summary>
        private SendResult SendEncoded(
            CustomExtension[] active, fw_opcode opcode, byte* data, int count, SendOptions options, bool hasOptions)
        {
            var copy = new byte[count];
            if (count > 0)
            {
                Marshal.Copy((IntPtr)data, copy, 0, count);
            }
            var payload = new BufferSegment(copy, 0, count);
            ReservedBits bits = ReservedBits.None;
            foreach (CustomExtension extension in active)
            {
                BufferSegment encoded;
                if (extension.Encode((WebSocketFrameTypes)opcode, payload, out encoded))
                {
                    payload = Checked(encoded, extension);
                    bits |= extension.ReservedBits;
                }
            }
            fixed (byte* first = payload.Data)
            {
                byte* from = first + payload.Offset;
                var flags = (fw_send_flags)((uint)bits * (uint)fw_send_flags.FW_SEND_RSV3);
                if (hasOptions)
                {
                    fw_message message = ToMessage(opcode, options);
                    message.flags |= (uint)flags;
                    message.data = from;
                    message.len = (UIntPtr)payload.Count;
                    return Send(Native, &message);
                }
                return ToSendResult(opcode == fw_opcode.FW_OPCODE_TEXT
                    ? FramewireNative.fw_socket_send_text_with(Native, from, (UIntPtr)payload.Count, flags)
                    : FramewireNative.fw_socket_send_binary_with(Native, from, (UIntPtr)payload.Count, flags));
            }
        }

        private SendResult SendEncoded(CustomExtension[] active, string message, SendOptions options, bool hasOptions)
        {
            byte[] text = Encoding.UTF8.GetBytes(message);
            fixed (byte* data = text)
            {
                return SendEncoded(active, fw_opcode.FW_OPCODE_TEXT, data, text.Length, options, hasOptions);
            }
        }

        /// <summary>Consumes a reference to the segment.</summary>
        private SendResult SendEncodedSegment(
            CustomExtension[] active, fw_opcode opcode, NativeSegment data, SendOptions options, bool hasOptions)
        {
            fw_segment raw = data.Raw;
            // Without a reference, the bytes must not be read: this one is released below.
            if (raw.buffer.id == 0 || FramewireNative.fw_segment_retain(raw) != fw_result.FW_RESULT_OK)
            {
                return SendResult.InvalidSegment;
            }
            FramewireNative.fw_segment_release(raw);
            try
            {
                byte* from = raw.data + (ulong)raw.offset;
                return SendEncoded(active, opcode, from, Length(&raw), options, hasOptions);
            }
            finally
            {
                FramewireNative.fw_segment_release(data.Raw);
            }
        }

        /// <summary>
        /// Replaces the payload of an event by what the extensions decode, and its type by that of the message.
        /// Closes the socket, and leaves an event without type, if that fails.
        /// </summary>
        private void DecodeEvent(fw_event* next)
        {
            string problem = null;
            var type = (WebSocketFrameTypes)next->opcode;
            try
            {
                var copy = new byte[Length(&next->payload)];
                Copy(&next->payload, copy);
                BufferSegment payload = Decode(type, (ReservedBits)next->rsv, new BufferSegment(copy, 0, copy.Length));
                if (payload.Count > MaxMessageSize)
                {
                    problem = "A decoded message is larger than MaxMessageSize.";
                }
                else
                {
                    if (type == WebSocketFrameTypes.Text)
                    {
                        s_strictUtf8.GetCharCount(payload.Data, payload.Offset, payload.Count);
                    }
                    ReplacePayload(next, payload);
                }
            }
            catch (Exception exception)
            {
                problem = "An extension failed on a received message.";
                Report(this, exception);
            }
            if (problem != null)
            {
                Events.Release(next);
                next->type = fw_event_type.FW_EVENT_NONE;
                Close(1007, problem);
            }
        }

        private void DeliverEncoded(fw_event* next)
        {
            DecodeEvent(next);
            try
            {
                Deliver(next);
            }
            finally
            {
                Events.Release(next);
            }
        }

        private BufferSegment Decode(WebSocketFrameTypes type, ReservedBits bits, BufferSegment payload)
        {
            CustomExtension[] active = _active;
            for (int i = active == null ? -1 : active.Length - 1; i >= 0; i--)
            {
                if ((active[i].ReservedBits & bits) != 0)
                {
                    payload = Checked(active[i].Decode(type, payload), active[i]);
                    bits &= ~active[i].ReservedBits;
                }
            }
            if (bits != ReservedBits.None)
            {
                throw new InvalidOperationException("No active extension uses the reserved bits " + bits + ".");
            }
            return payload;
        }

        private static BufferSegment Checked(BufferSegment segment, CustomExtension extension)
        {
            if (segment.Data == null || !segment.IsValid)
            {
                throw new InvalidOperationException(
                    "The extension " + extension.Name + " returned a segment outside of its array.");
            }
            return segment;
        }

        private static void ReplacePayload(fw_event* next, BufferSegment payload)
        {
            fw_segment segment;
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_buffer_get((UIntPtr)Math.Max(payload.Count, 1), &segment));
            if (payload.Count > 0)
            {
                Marshal.Copy(
                    payload.Data, payload.Offset, (IntPtr)(segment.data + (ulong)segment.offset), payload.Count);
            }
            segment.count = (UIntPtr)payload.Count;
            Events.ReplacePayload(next, segment);
            next->type = next->opcode == fw_opcode.FW_OPCODE_TEXT
                ? fw_event_type.FW_EVENT_TEXT
                : fw_event_type.FW_EVENT_BINARY;
        }
    }
}
