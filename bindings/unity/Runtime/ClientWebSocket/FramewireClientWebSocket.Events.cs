#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net.WebSockets;
using System.Threading.Tasks;
using Framewire.Native;

namespace Framewire
{
    // Events, and what they complete. Everything is called with the lock held, except Pump, Keep and ShutDown.
    public sealed partial class FramewireClientWebSocket
    {
        /// <summary>Takes events that are queued. Returns whether there were some.</summary>
        internal bool Pump()
        {
            lock (_lock)
            {
                try
                {
                    return TakeEvents();
                }
                catch (Exception exception)
                {
                    WebSocket.Report(_socket, exception);
                    return true;
                }
            }
        }

        /// <summary>Keeps an event that DispatchAll has taken before this client was there.</summary>
        internal unsafe void Keep(fw_event* next)
        {
            _early.Add(next);
        }

        /// <summary>The library was shut down.</summary>
        internal void ShutDown()
        {
            lock (_lock)
            {
                if (!_hasEnded)
                {
                    HandleEnd(1006, null, null);
                }
            }
        }

        private unsafe bool TakeEvents()
        {
            bool hasTaken = false;
            if (_isTakingEvents)
            {
                // In a continuation, without threads.
                return false;
            }
            _isTakingEvents = true;
            try
            {
                fixed (fw_event* next = &_taken)
                {
                    while (_socket != null && !_hasEnded && _held < MaxHeld && Take(next))
                    {
                        hasTaken = true;
                        Handle(next);
                    }
                }
                SendWaiting();
            }
            finally
            {
                _isTakingEvents = false;
            }
            return hasTaken;
        }

        private unsafe bool Take(fw_event* next)
        {
            return _early.Take(next)
                || FramewireNative.fw_socket_next_events(_socket.Native, next, (UIntPtr)1) != UIntPtr.Zero;
        }

        private unsafe void Handle(fw_event* next)
        {
            switch (next->type)
            {
                case fw_event_type.FW_EVENT_TEXT:
                case fw_event_type.FW_EVENT_BINARY:
                    next->is_final = 1;
                    next->opcode = next->type == fw_event_type.FW_EVENT_TEXT
                        ? fw_opcode.FW_OPCODE_TEXT
                        : fw_opcode.FW_OPCODE_BINARY;
                    HandlePayload(next);
                    break;
                case fw_event_type.FW_EVENT_INCOMPLETE_FRAME:
                    HandlePayload(next);
                    break;
                default:
                    try
                    {
                        HandleOther(next);
                    }
                    finally
                    {
                        FramewireNative.fw_event_release(next);
                    }
                    break;
            }
        }

        private unsafe void HandleOther(fw_event* next)
        {
            switch (next->type)
            {
                case fw_event_type.FW_EVENT_OPEN:
                    HandleOpen();
                    break;
                case fw_event_type.FW_EVENT_REQUEST:
                    _socket.DeliverRequest(next);
                    break;
                case fw_event_type.FW_EVENT_SENT:
                    HandleSent(next->tag, next->outcome);
                    break;
                case fw_event_type.FW_EVENT_CLOSED:
                    HandleEnd(next->close_code, Text(next), null);
                    break;
                case fw_event_type.FW_EVENT_RECONNECTING:
                    // A System.Net.WebSockets.WebSocket is one connection: the end of a message that was received in part
                    // would be that of another message. While connecting, the attempt goes on.
                    if (_state != WebSocketState.Connecting)
                    {
                        HandleEnd(0, null, new WebSocketError(&next->error, Text(next)));
                    }
                    break;
                case fw_event_type.FW_EVENT_ERROR:
                    HandleEnd(0, null, new WebSocketError(&next->error, Text(next)));
                    break;
            }
        }

        private static unsafe string Text(fw_event* next)
        {
            return Utf8.Read(next->payload.data + (ulong)next->payload.offset, (int)next->payload.count);
        }

        private unsafe void HandlePayload(fw_event* next)
        {
            if (_discards && _receiving == null)
            {
                FramewireNative.fw_event_release(next);
                return;
            }
            _held += (int)next->payload.count + EventOverhead;
            _received.Enqueue(*next);
            *next = default(fw_event);
            CompleteReceive();
        }

        private void HandleOpen()
        {
            if (_state != WebSocketState.Connecting)
            {
                return;
            }
            _state = WebSocketState.Open;
            _subProtocol = _socket.Protocol;
            try
            {
                KeepResponse();
            }
            finally
            {
                _connecting.TrySetResult(true);
            }
        }

        private void HandleSent(ulong tag, fw_outcome outcome)
        {
            TaskCompletionSource<bool> sent;
            if (!_sends.TryGetValue(tag, out sent))
            {
                return;
            }
            _sends.Remove(tag);
            if (outcome == fw_outcome.FW_OUTCOME_SENT)
            {
                sent.TrySetResult(true);
            }
            else
            {
                sent.TrySetException(LostConnection());
            }
        }

        /// <summary>The last event. The messages before it can still be received.</summary>
        private void HandleEnd(ushort code, string reason, WebSocketError error)
        {
            _hasEnded = true;
            _error = error;
            _closeCode = code;
            _closeReason = reason;
            if (_state == WebSocketState.Connecting)
            {
                _state = WebSocketState.Closed;
                try
                {
                    KeepResponse();
                }
                finally
                {
                    Leave();
                    _connecting.TrySetException(ConnectFailure());
                }
                return;
            }
            Leave();
            FailSends(LostConnection());
            CompleteReceive();
            CompleteClose();
        }

        /// <summary>Whether the server has sent a close frame, as opposed to a lost connection.</summary>
        private bool WasClosedByServer
        {
            get { return _hasEnded && _error == null && _closeCode != 1006; }
        }

        /// <summary>Completes the pending receive if there is something for it.</summary>
        private void CompleteReceive()
        {
            if (_receiving == null)
            {
                return;
            }
            TaskCompletionSource<ValueWebSocketReceiveResult> receiving = _receiving;
            if (_received.Count > 0)
            {
                ValueWebSocketReceiveResult received = Read(_receiveBuffer.Span);
                _receiving = null;
                _receiveBuffer = default(Memory<byte>);
                receiving.TrySetResult(received);
                return;
            }
            if (!_hasEnded)
            {
                return;
            }
            _receiving = null;
            _receiveBuffer = default(Memory<byte>);
            if (!WasClosedByServer)
            {
                _state = WebSocketState.Aborted;
                receiving.TrySetException(LostConnection());
                return;
            }
            ReceiveClose();
            receiving.TrySetResult(new ValueWebSocketReceiveResult(0, WebSocketMessageType.Close, true));
        }

        private unsafe ValueWebSocketReceiveResult Read(Span<byte> to)
        {
            fw_event next = _received.Peek();
            int left = (int)next.payload.count - _offset;
            int count = Math.Min(left, to.Length);
            new ReadOnlySpan<byte>(next.payload.data + (ulong)next.payload.offset + _offset, count).CopyTo(to);
            bool isWhole = count == left;
            WebSocketMessageType type = next.opcode == fw_opcode.FW_OPCODE_TEXT
                ? WebSocketMessageType.Text
                : WebSocketMessageType.Binary;
            var result = new ValueWebSocketReceiveResult(count, type, isWhole && next.is_final != 0);
            if (isWhole)
            {
                _offset = 0;
                ReleaseFirst();
            }
            else
            {
                _offset += count;
            }
            return result;
        }

        private unsafe void ReleaseFirst()
        {
            fw_event first = _received.Peek();
            _held -= (int)first.payload.count + EventOverhead;
            FramewireNative.fw_event_release(&first);
            _received.Dequeue();
        }

        private void DiscardReceived()
        {
            _offset = 0;
            while (_received.Count > 0)
            {
                ReleaseFirst();
            }
        }

        private void ReceiveClose()
        {
            // As ClientWebSocket reports a close frame without a code.
            _closeStatus = _closeCode == 1005 ? WebSocketCloseStatus.NormalClosure : (WebSocketCloseStatus)_closeCode;
            _closeDescription = _closeReason;
            _state = _hasSentClose ? WebSocketState.Closed : WebSocketState.CloseReceived;
        }

        private void CompleteClose()
        {
            if (_closing == null || !_hasEnded)
            {
                return;
            }
            TaskCompletionSource<bool> closing = _closing;
            _closing = null;
            if (!WasClosedByServer)
            {
                _state = WebSocketState.Aborted;
                closing.TrySetException(LostConnection());
                return;
            }
            ReceiveClose();
            _state = WebSocketState.Closed;
            closing.TrySetResult(true);
        }

        /// <summary>Ends everything that is pending, and the connection.</summary>
        private void End(Exception reason)
        {
            _hasEnded = true;
            DiscardReceived();
            Leave();
            TaskCompletionSource<ValueWebSocketReceiveResult> receiving = _receiving;
            TaskCompletionSource<bool> closing = _closing;
            _receiving = null;
            _receiveBuffer = default(Memory<byte>);
            _closing = null;
            if (_connecting != null)
            {
                _connecting.TrySetException(ConnectFailure());
            }
            FailSends(reason);
            if (receiving != null)
            {
                receiving.TrySetException(reason);
            }
            if (closing != null)
            {
                closing.TrySetException(reason);
            }
        }

        /// <summary>No further event comes, or is wanted.</summary>
        private void Leave()
        {
            ClientDriver.Remove(this);
            _early.Release();
            if (_socket != null)
            {
                // Dispose alone would send a close frame.
                _socket.Abort();
                _socket.Dispose();
            }
        }

        private unsafe void ReleaseTaken()
        {
            fixed (fw_event* taken = &_taken)
            {
                FramewireNative.fw_event_release(taken);
            }
        }

        private void FailSends(Exception reason)
        {
            var failed = new List<TaskCompletionSource<bool>>(_sends.Values);
            _sends.Clear();
            while (_waiting.Count > 0)
            {
                WaitingSend waiting = _waiting.Dequeue();
                waiting.Payload.Release();
                failed.Add(waiting.Sent);
            }
            foreach (TaskCompletionSource<bool> sent in failed)
            {
                sent.TrySetException(reason);
            }
        }
    }
}
#endif
