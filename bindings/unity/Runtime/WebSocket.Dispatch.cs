using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    // Delivery. Events are taken one by one from the native queue; the library never calls out.
    public sealed unsafe partial class WebSocket
    {
        private static int s_dispatching;

        // Kept by SocketTable, under its lock.
        internal int Place;
        internal int PendingEnds;

        internal fw_socket Handle
        {
            get { return _handle.Socket; }
        }

        /// <summary>
        /// Told about exceptions that handlers have thrown; they neither stop the delivery nor cost an
        /// event. Also told about changes of <see cref="InternalRequest"/> that could not be made. Without
        /// it Unity's console has them, elsewhere the standard error.
        /// </summary>
        public static Action<WebSocket, Exception> UnhandledException { get; set; }

        /// <summary>Events that wait to be dispatched, over all sockets.</summary>
        public static int Pending
        {
            get { return (int)Math.Min((ulong)FramewireNative.fw_pending(), int.MaxValue); }
        }

        /// <summary>Calls the handlers for everything that waits now.</summary>
        public static int DispatchAll()
        {
            return DispatchAll(0, 0);
        }

        /// <summary>
        /// Calls the handlers for what waits, on this thread and within a budget. In Unity
        /// <see cref="WebSocketUpdater"/> does it once a frame. One thread dispatches at a time: a
        /// second one, and a handler that calls this, get 0.
        /// </summary>
        /// <param name="maxEvents">Events at most; 0 for those that wait when this is called.</param>
        /// <param name="maxMicroseconds">Time after which no further handler begins; 0 for no limit.</param>
        /// <returns>How many events were taken.</returns>
        public static int DispatchAll(int maxEvents, int maxMicroseconds)
        {
            if (maxEvents < 0 || maxMicroseconds < 0)
            {
                throw new ArgumentOutOfRangeException(maxEvents < 0 ? "maxEvents" : "maxMicroseconds");
            }
            NativeLibrary.EnsureLoaded();
            if (Interlocked.CompareExchange(ref s_dispatching, 1, 0) != 0)
            {
                return 0;
            }
            try
            {
                return Dispatch(maxEvents == 0 ? Pending : maxEvents, maxMicroseconds);
            }
            finally
            {
                Interlocked.Exchange(ref s_dispatching, 0);
            }
        }

        /// <summary>Sleeps until an event waits, for tools and tests; a game dispatches once a frame instead.</summary>
        /// <returns>False when the time is over.</returns>
        public static bool Wait(int milliseconds)
        {
            return FramewireNative.fw_wait(Positive(milliseconds)) != 0;
        }

        /// <summary>
        /// Says that the device has another network than before, or may have: every open connection is
        /// pinged, and ends, or is tried again, if nothing comes back within 3 seconds.
        /// </summary>
        public static void NetworkChanged()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_network_changed());
        }

        /// <summary>
        /// Says that the app is about to sleep: until <see cref="Resume"/> no pings are sent and nothing
        /// is too late. In Unity it happens by itself when the app is paused.
        /// </summary>
        public static void Suspend()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_suspend());
        }

        /// <summary>
        /// Says that the app is awake again: time goes on, and every connection is looked at as by
        /// <see cref="NetworkChanged"/>. In Unity it happens by itself.
        /// </summary>
        public static void Resume()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_resume());
        }

        /// <summary>
        /// Starts the native library with settings of its own, before the first socket; without it
        /// the first socket starts it.
        /// </summary>
        /// <param name="workerThreads">Threads that carry connections, at most 64; 0 for the default.</param>
        /// <param name="eventQueueBytes">
        /// Unread events of one socket at which it stops reading from the network until the game
        /// catches up; 0 for the default, 4 MiB.
        /// </param>
        public static void Configure(int workerThreads, int eventQueueBytes)
        {
            NativeLibrary.EnsureLoaded();
            fw_config config = default(fw_config);
            FramewireNative.fw_config_init(&config, (UIntPtr)sizeof(fw_config));
            config.worker_threads = Positive(workerThreads);
            config.event_queue_bytes = (UIntPtr)Positive(eventQueueBytes);
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_init(&config));
        }

        /// <summary>
        /// Ends every socket and every native thread. Open connections first send what is queued and close
        /// with 1001; what does not fit into the time is dropped. Sockets that were not closed yet get
        /// OnClosed with 1001; none of them can be used again, but new ones can be made. In Unity it happens
        /// by itself, within a second, when play mode ends and before scripts are reloaded.
        /// </summary>
        /// <param name="timeoutMilliseconds">How long this may take; 0 drops what is queued.</param>
        /// <returns>False if a thread did not end in time.</returns>
        public static bool Shutdown(int timeoutMilliseconds)
        {
            uint timeout = Positive(timeoutMilliseconds);
            WebSocket[] open = SocketTable.RemoveAll();
            fw_result result = FramewireNative.fw_shutdown(timeout);
            foreach (WebSocket socket in open)
            {
                try
                {
                    if (socket.OnClosed != null)
                    {
                        socket.OnClosed(socket, 1001, "The game has shut Framewire down.");
                    }
                }
                catch (Exception exception)
                {
                    Report(socket, exception);
                }
            }
            return result == fw_result.FW_RESULT_OK;
        }

        private static int Dispatch(int maxEvents, int maxMicroseconds)
        {
            long end = maxMicroseconds == 0
                ? long.MaxValue
                : Stopwatch.GetTimestamp() + maxMicroseconds * Stopwatch.Frequency / 1000000;
            int taken = 0;
            fw_event next;
            while (taken < maxEvents && FramewireNative.fw_next_event(&next) != 0)
            {
                taken++;
                WebSocket socket = SocketTable.Find(next.user_data, next.socket);
                try
                {
                    if (socket != null)
                    {
                        socket.Deliver(&next);
                    }
                }
                catch (Exception exception)
                {
                    Report(socket, exception);
                }
                finally
                {
                    // Also when this thread is aborted, as an AppDomain's threads are when it unloads.
                    FramewireNative.fw_event_release(&next);
                }
                if (maxMicroseconds != 0 && Stopwatch.GetTimestamp() >= end)
                {
                    break;
                }
            }
            return taken;
        }

        private void Deliver(fw_event* next)
        {
            switch (next->type)
            {
                case fw_event_type.FW_EVENT_OPEN:
                    if (OnOpen != null)
                    {
                        OnOpen(this);
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
                    DeliverRequest(next->request);
                    break;
                case fw_event_type.FW_EVENT_PONG:
                    if (OnPong != null)
                    {
                        Lend(OnPong, &next->payload);
                    }
                    break;
                case fw_event_type.FW_EVENT_RECONNECTING:
                    LastError = new WebSocketError(&next->error, Text(&next->payload));
                    if (OnReconnecting != null)
                    {
                        OnReconnecting(
                            this, LastError, (int)next->attempt, TimeSpan.FromMilliseconds(next->delay_ms));
                    }
                    break;
                case fw_event_type.FW_EVENT_CLOSED:
                    // First, so that the handler may open the socket again.
                    SocketTable.RemoveOne(this);
                    if (OnClosed != null)
                    {
                        OnClosed(this, next->close_code, Text(&next->payload));
                    }
                    break;
                case fw_event_type.FW_EVENT_ERROR:
                    SocketTable.RemoveOne(this);
                    LastError = new WebSocketError(&next->error, Text(&next->payload));
                    if (OnError != null)
                    {
                        OnError(this, LastError.Message);
                    }
                    break;
            }
        }

        // One message may have several handlers, of which one that throws must not cost the others theirs.

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
            DeliverLent(OnMessageNoAlloc, OnMessageNoCopy, &next->payload);
        }

        private void DeliverBinary(fw_event* next)
        {
            if (OnBinary != null)
            {
                try
                {
                    var message = new byte[(ulong)next->payload.count];
                    Copy(&next->payload, message);
                    OnBinary(this, message);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
            }
            DeliverLent(OnBinaryNoAlloc, OnBinaryNoCopy, &next->payload);
        }

        private void DeliverLent(
            OnWebSocketBinaryNoAllocDelegate noAlloc, OnWebSocketNativeDelegate noCopy, fw_segment* payload)
        {
            if (noAlloc != null)
            {
                try
                {
                    Lend(noAlloc, payload);
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

        private void DeliverRequest(fw_request raw)
        {
            HTTPRequest request = InternalRequest;
            try
            {
                request.Begin(this, raw);
                if (OnInternalRequestCreated != null)
                {
                    OnInternalRequestCreated(this, request);
                }
            }
            finally
            {
                request.End();
            }
        }

        /// <summary>Calls a handler with a copy in a pooled array.</summary>
        private void Lend(OnWebSocketBinaryNoAllocDelegate handler, fw_segment* payload)
        {
            int count = (int)payload->count;
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
            if (payload->count != UIntPtr.Zero)
            {
                Marshal.Copy((IntPtr)(payload->data + (ulong)payload->offset), to, 0, (int)payload->count);
            }
        }

        private static string Text(fw_segment* payload)
        {
            return Utf8.Read(payload->data + (ulong)payload->offset, (int)payload->count);
        }

        /// <summary>Never throws, whatever the handler of exceptions does.</summary>
        internal static void Report(WebSocket socket, Exception exception)
        {
            if (exception is ThreadAbortException)
            {
                // The AppDomain unloads, which is no fault of the handler; the runtime throws it anew.
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
            Console.Error.WriteLine("A handler of a WebSocket has thrown: " + exception);
#endif
        }
    }
}
