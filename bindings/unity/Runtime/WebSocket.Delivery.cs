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
                    if (!AcceptExtensions())
                    {
                        break;
                    }
                    if (OnOpen != null)
                    {
                        OnOpen(this);
                    }
                    CompleteOpen();
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
                    if (OnPong != null)
                    {
                        CallWithCopy(OnPong, &next->payload);
                    }
                    break;
                case fw_event_type.FW_EVENT_ENCODED:
                    DeliverEncoded(next);
                    break;
                case fw_event_type.FW_EVENT_RECONNECTING:
                    _active = null;
                    LastError = new WebSocketError(&next->error, Text(&next->payload));
                    if (OnReconnecting != null)
                    {
                        OnReconnecting(
                            this, LastError, (int)next->attempt, TimeSpan.FromMilliseconds(next->delay_ms));
                    }
                    break;
                case fw_event_type.FW_EVENT_SENT:
                    if (OnSent != null)
                    {
                        OnSent(this, next->tag, (SendOutcome)next->outcome);
                    }
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
            try
            {
                CallClosed(code, reason);
            }
            finally
            {
                awaited.Closed(code, reason);
            }
        }

        private void CallClosed(ushort code, string reason)
        {
#endif
            if (OnClosed != null)
            {
                OnClosed(this, code, reason);
            }
        }

        private void EndFailed(WebSocketError error)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            AwaitedOperations.Ending awaited = BeginEnd();
            try
            {
                CallError(error);
            }
            finally
            {
                awaited.Failed(new WebSocketConnectionException(error.Message, error));
            }
        }

        private void CallError(WebSocketError error)
        {
#endif
            if (OnError != null)
            {
                OnError(this, error.Message);
            }
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

        private void EndByDispose()
        {
        }

#endif

        // A message may have several handlers. An exception of one must not skip the others.

        private void DeliverText(fw_event* next)
        {
            if (OnMessage != null)
            {
                try
                {
                    OnMessage(this, Text(&next->payload));
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
            DeliverNoAlloc(OnMessageNoAlloc, OnMessageNoCopy, &next->payload);
        }

        private void DeliverBinary(fw_event* next)
        {
            if (OnBinary != null)
            {
                DeliverArray(&next->payload);
            }
            DeliverNoAlloc(OnBinaryNoAlloc, OnBinaryNoCopy, &next->payload);
        }

        private void DeliverArray(fw_segment* payload)
        {
            try
            {
                var message = new byte[Length(payload)];
                Copy(payload, message);
                OnBinary(this, message);
            }
            catch (Exception exception)
            {
                Report(this, exception);
            }
        }

        private void DeliverNoAlloc(
            OnWebSocketBinaryNoAllocDelegate noAlloc, OnWebSocketNativeDelegate noCopy, fw_segment* payload)
        {
            if (noAlloc != null)
            {
                if (noCopy == null)
                {
                    CallWithCopy(noAlloc, payload);
                    return;
                }
                try
                {
                    CallWithCopy(noAlloc, payload);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
            if (noCopy != null)
            {
                noCopy(this, new NativeSegment(*payload));
            }
        }

        private void DeliverFrame(fw_event* next)
        {
            OnWebSocketIncompleteFrameDelegate handler = OnIncompleteFrame;
            if (handler == null)
            {
                return;
            }
            int count = (int)next->payload.count;
            byte[] data = BufferPool.Get(count, true);
            try
            {
                Copy(&next->payload, data);
                handler(this, new WebSocketFrame(
                    (WebSocketFrameTypes)next->opcode,
                    next->is_first != 0,
                    next->is_final != 0,
                    new BufferSegment(data, 0, count)));
            }
            finally
            {
                BufferPool.Release(data);
            }
        }

        private void DeliverRequest(fw_event* next)
        {
            HTTPRequest request = InternalRequest;
            try
            {
                request.Begin(this, next->request);
                if (OnInternalRequestCreated != null)
                {
                    OnInternalRequestCreated(this, request);
                }
            }
            finally
            {
                request.End();
                // The connection continues, without waiting for the rest of the batch.
                FramewireNative.fw_event_release(next);
            }
        }

        /// <summary>Calls a handler with a copy in an array that is used again.</summary>
        private void CallWithCopy(OnWebSocketBinaryNoAllocDelegate handler, fw_segment* payload)
        {
            int count = Length(payload);
            byte[] data = s_reused;
            if (data == null || count > MaxReusedSize)
            {
                CallWithPooledCopy(handler, payload);
                return;
            }
            Copy(payload, data);
            handler(this, new BufferSegment(data, 0, count));
        }

        private void CallWithPooledCopy(OnWebSocketBinaryNoAllocDelegate handler, fw_segment* payload)
        {
            // Its length is none of the pool's, so a handler that releases it does no harm.
            s_reused = s_reused ?? new byte[MaxReusedSize + 64];
            int count = Length(payload);
            byte[] data = BufferPool.Get(count, true);
            try
            {
                Copy(payload, data);
                handler(this, new BufferSegment(data, 0, count));
            }
            finally
            {
                BufferPool.Release(data);
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
