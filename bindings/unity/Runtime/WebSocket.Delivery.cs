using System;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    // One event: the handlers that it calls, the copies that it makes for them, and what happens when they throw.
    public sealed unsafe partial class WebSocket
    {
        private void Deliver(fw_event* next)
        {
            switch (next->type)
            {
                case fw_event_type.FW_EVENT_OPEN:
                    if (AcceptExtensions())
                    {
                        LastError = null;
                        CallOpen();
                        CompleteOpen();
                    }
                    break;
                case fw_event_type.FW_EVENT_TEXT:
                    DeliverText(next);
                    break;
                case fw_event_type.FW_EVENT_BINARY:
                    DeliverBinary(next);
                    break;
                case fw_event_type.FW_EVENT_INCOMPLETE_FRAME:
                    DeliverFrame(next);
                    break;
                case fw_event_type.FW_EVENT_REQUEST:
                    DeliverRequest(next);
                    break;
                case fw_event_type.FW_EVENT_PONG:
                    CallWithCopy(_onPong, &next->payload);
                    break;
                case fw_event_type.FW_EVENT_ENCODED:
                    DeliverEncoded(next);
                    break;
                case fw_event_type.FW_EVENT_RECONNECTING:
                    _active = null;
                    LastError = new WebSocketError(&next->error, Text(&next->payload));
                    CallReconnecting(LastError, (int)next->attempt, TimeSpan.FromMilliseconds(next->delay_ms));
                    break;
                case fw_event_type.FW_EVENT_SENT:
                    CallSent(next->tag, (SendOutcome)next->outcome);
                    break;
                case fw_event_type.FW_EVENT_CLOSED:
                    // Before the handler, which may open the socket again.
                    SocketTable.RemoveOne(this);
                    EndClosed(next->close_code, Text(&next->payload));
                    break;
                case fw_event_type.FW_EVENT_ERROR:
                    SocketTable.RemoveOne(this);
                    LastError = new WebSocketError(&next->error, Text(&next->payload));
                    EndFailed(LastError);
                    break;
            }
        }

        private void EndClosed(ushort code, string reason)
        {
            CloseCode = code;
            CloseReason = reason;
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            AwaitedOperations.Ending awaited = BeginEnd();
            CallClosed(code, reason);
            awaited.Closed(code, reason);
#else
            CallClosed(code, reason);
#endif
        }

        private void EndFailed(WebSocketError error)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            AwaitedOperations.Ending awaited = BeginEnd();
            CallError(error.Message);
            awaited.Failed(new WebSocketConnectionException(error.Message, error));
#else
            CallError(error.Message);
#endif
        }

#if !(UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1)
        // Without ValueTask, there is nothing to await.

        internal bool IsIndividual
        {
            get { return false; }
        }

        private void KeepForAwait(fw_event* next)
        {
        }

        private void CheckCancellation()
        {
        }

        private void CompleteOpen()
        {
        }

        private void EndClient()
        {
        }

        private void EndByDispose()
        {
        }

#endif

        // An event may have several handlers. An exception of one must not skip the others, nor what follows them.

        private void CallOpen()
        {
            OnWebSocketOpenDelegate[] handlers = _onOpen;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallReconnecting(WebSocketError error, int attempt, TimeSpan delay)
        {
            OnWebSocketReconnectingDelegate[] handlers = _onReconnecting;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, error, attempt, delay);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallSent(ulong tag, SendOutcome outcome)
        {
            OnWebSocketSentDelegate[] handlers = _onSent;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, tag, outcome);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallClosed(ushort code, string reason)
        {
            OnWebSocketClosedDelegate[] handlers = _onClosed;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, code, reason);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallError(string message)
        {
            OnWebSocketErrorDelegate[] handlers = _onError;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, message);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void DeliverText(fw_event* next)
        {
            if (_onMessage != null)
            {
                CallMessage(Text(&next->payload));
            }
            CallWithCopy(_onMessageNoAlloc, &next->payload);
            CallWithoutCopy(_onMessageNoCopy, &next->payload);
        }

        private void DeliverBinary(fw_event* next)
        {
            if (_onBinary != null)
            {
                var message = new byte[Length(&next->payload)];
                Copy(&next->payload, message);
                CallBinary(message);
            }
            CallWithCopy(_onBinaryNoAlloc, &next->payload);
            CallWithoutCopy(_onBinaryNoCopy, &next->payload);
        }

        private void CallMessage(string message)
        {
            OnWebSocketMessageDelegate[] handlers = _onMessage;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, message);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallBinary(byte[] message)
        {
            OnWebSocketBinaryDelegate[] handlers = _onBinary;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, message);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void CallWithoutCopy(OnWebSocketNativeDelegate[] handlers, fw_segment* payload)
        {
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, new NativeSegment(*payload));
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        private void DeliverFrame(fw_event* next)
        {
            if (_onIncompleteFrame == null)
            {
                return;
            }
            int count = Length(&next->payload);
            byte[] data = Borrow(count);
            try
            {
                Copy(&next->payload, data);
                CallIncompleteFrame(new WebSocketFrame(
                    (WebSocketFrameTypes)next->opcode,
                    next->is_first != 0,
                    next->is_final != 0,
                    new BufferSegment(data, 0, count)));
            }
            finally
            {
                GiveBack(data);
            }
        }

        private void CallIncompleteFrame(WebSocketFrame frame)
        {
            OnWebSocketIncompleteFrameDelegate[] handlers = _onIncompleteFrame;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, frame);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        internal void DeliverRequest(fw_event* next)
        {
            HTTPRequest request = InternalRequest;
            try
            {
                request.Begin(this, next->request);
                CallRequestCreated(request);
            }
            finally
            {
                request.End();
                // The connection continues, without waiting for the rest of the batch.
                FramewireNative.fw_event_release(next);
            }
        }

        private void CallRequestCreated(HTTPRequest request)
        {
            OnWebSocketRequestDelegate[] handlers = _onInternalRequestCreated;
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, request);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        /// <summary>Calls handlers with a copy in an array that is used again.</summary>
        private void CallWithCopy(OnWebSocketBinaryNoAllocDelegate[] handlers, fw_segment* payload)
        {
            if (handlers == null)
            {
                return;
            }
            int count = Length(payload);
            byte[] data = Borrow(count);
            try
            {
                Copy(payload, data);
                CallNoAlloc(handlers, new BufferSegment(data, 0, count));
            }
            finally
            {
                GiveBack(data);
            }
        }

        private void CallNoAlloc(OnWebSocketBinaryNoAllocDelegate[] handlers, BufferSegment message)
        {
            for (int i = 0; handlers != null && i < handlers.Length; i++)
            {
                try
                {
                    handlers[i](this, message);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
        }

        /// <summary>Returns an array for a copy, which handlers may release without harm.</summary>
        private static byte[] Borrow(int count)
        {
            if (count > MaxReusedSize)
            {
                return BufferPool.Lend(count);
            }
            // Its length is none of the pool's, which ignores it.
            return s_reused ?? (s_reused = new byte[MaxReusedSize + 64]);
        }

        private static void GiveBack(byte[] data)
        {
            if (data.Length > MaxReusedSize + 64)
            {
                BufferPool.TakeBack(data);
            }
        }

        private static void Copy(fw_segment* payload, byte[] to)
        {
            int count = Length(payload);
            if (count > 0)
            {
                fixed (byte* start = to)
                {
                    Buffer.MemoryCopy(payload->data + (ulong)payload->offset, start, to.Length, count);
                }
            }
        }

        // A payload has less than 2 GiB. The conversion of UIntPtr to int is a checked call.
        private static int Length(fw_segment* payload)
        {
            return (int)payload->count.ToPointer();
        }

        private static string Text(fw_segment* payload)
        {
            return Utf8.Read(payload->data + (ulong)payload->offset, (int)payload->count);
        }

        /// <summary>Reports an exception. Never throws, even if UnhandledException does.</summary>
        internal static void Report(WebSocket socket, Exception exception)
        {
            if (exception is ThreadAbortException)
            {
                // The AppDomain unloads; the runtime rethrows the exception.
                return;
            }
            Action<WebSocket, Exception> handler = UnhandledException;
            if (handler != null)
            {
                try
                {
                    handler(socket, exception);
                    return;
                }
                catch (Exception second)
                {
                    Print(second);
                }
            }
            Print(exception);
        }

        private static void Print(Exception exception)
        {
#if UNITY_5_3_OR_NEWER
            UnityEngine.Debug.LogException(exception);
#else
            Console.Error.WriteLine("A WebSocket handler has thrown: " + exception);
#endif
        }
    }
}
