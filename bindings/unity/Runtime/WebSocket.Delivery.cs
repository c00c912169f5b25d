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
            if (_isRejected && IsReceived(next->type))
            {
                return;
            }
            switch (next->type)
            {
                case fw_event_type.FW_EVENT_OPEN:
                    if (AcceptExtensions())
                    {
                        LastError = null;
                        Call(_onOpen, 0, (handler, socket, none) => handler(socket));
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
                    Call(
                        _onReconnecting,
                        (error: LastError, attempt: (int)next->attempt, delay: TimeSpan.FromMilliseconds(next->delay_ms)),
                        (handler, socket, retry) => handler(socket, retry.error, retry.attempt, retry.delay));
                    break;
                case fw_event_type.FW_EVENT_SENT:
                    Call(
                        _onSent,
                        (tag: next->tag, outcome: (SendOutcome)next->outcome),
                        (handler, socket, sent) => handler(socket, sent.tag, sent.outcome));
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

        /// <summary>Whether an event is something that the server has sent over the open connection.</summary>
        private static bool IsReceived(fw_event_type type)
        {
            return type == fw_event_type.FW_EVENT_TEXT || type == fw_event_type.FW_EVENT_BINARY
                || type == fw_event_type.FW_EVENT_ENCODED || type == fw_event_type.FW_EVENT_INCOMPLETE_FRAME
                || type == fw_event_type.FW_EVENT_PONG;
        }

        private void EndClosed(ushort code, string reason)
        {
            CloseCode = code;
            CloseReason = reason;
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            AwaitedOperations.Ending awaited = BeginEnd();
#endif
            Call(
                _onClosed,
                (code: code, reason: reason),
                (handler, socket, end) => handler(socket, end.code, end.reason));
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            awaited.Closed(code, reason);
#endif
        }

        private void EndFailed(WebSocketError error)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            AwaitedOperations.Ending awaited = BeginEnd();
#endif
            Call(_onError, error.Message, (handler, socket, message) => handler(socket, message));
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            awaited.Failed(new WebSocketConnectionException(error.Message, error));
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

        /// <summary>
        /// Calls each handler of an event, until one has disposed the socket. An exception of one must not skip the
        /// others, nor what follows them.
        /// </summary>
        // The callers' lambdas capture nothing, so that each is allocated once.
        private void Call<THandler, TArguments>(
            THandler[] handlers, TArguments arguments, Action<THandler, WebSocket, TArguments> call)
        {
            for (int i = 0; handlers != null && i < handlers.Length && !IsDisposed; i++)
            {
                try
                {
                    call(handlers[i], this, arguments);
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
                Call(_onMessage, Text(&next->payload), (handler, socket, message) => handler(socket, message));
            }
            CallWithCopy(_onMessageNoAlloc, &next->payload);
            Call(_onMessageNoCopy, new NativeSegment(next->payload), (handler, socket, data) => handler(socket, data));
        }

        private void DeliverBinary(fw_event* next)
        {
            if (_onBinary != null)
            {
                var message = new byte[Length(&next->payload)];
                Copy(&next->payload, message);
                Call(_onBinary, message, (handler, socket, data) => handler(socket, data));
            }
            CallWithCopy(_onBinaryNoAlloc, &next->payload);
            Call(_onBinaryNoCopy, new NativeSegment(next->payload), (handler, socket, data) => handler(socket, data));
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
                var received = new WebSocketFrame(
                    (WebSocketFrameTypes)next->opcode,
                    next->is_first != 0,
                    next->is_final != 0,
                    new BufferSegment(data, 0, count));
                Call(_onIncompleteFrame, received, (handler, socket, frame) => handler(socket, frame));
            }
            finally
            {
                GiveBack(data);
            }
        }

        internal void DeliverRequest(fw_event* next)
        {
            HTTPRequest request = InternalRequest;
            try
            {
                request.Begin(this, next->request);
                Call(_onInternalRequestCreated, request, (handler, socket, created) => handler(socket, created));
            }
            finally
            {
                request.End();
                // The connection continues, without waiting for the rest of the batch.
                FramewireNative.fw_event_release(next);
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
                Call(handlers, new BufferSegment(data, 0, count), (handler, socket, message) => handler(socket, message));
            }
            finally
            {
                GiveBack(data);
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
