using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    // Delivery. Events are taken from the native queue in batches, with two native calls for a batch; the
    // library never calls managed code.
    //
    //   native queue ──fw_next_events──> EventBatch ──one by one──> handlers
    //                                        └──fw_events_release──> native pool
    public sealed unsafe partial class WebSocket
    {
        // Messages up to this size are copied into one array, which is used again for the next message.
        private const int MaxReusedSize = 64 * 1024;

        // The payload of a larger event is released after its handler, not at the end of the batch.
        private const int MaxDeferredSize = 32 * 1024;

        private static int s_dispatching;

        // Used by the thread that dispatches.
        private static readonly EventBatch s_batch = new EventBatch();
        private static byte[] s_reused;

        // Managed by SocketTable, under its lock.
        internal int TableIndex;
        internal int PendingEnds;

        /// <summary>
        /// Called with exceptions thrown by handlers, which do not stop the delivery, and with changes of
        /// <see cref="InternalRequest"/> that failed. If null, exceptions are logged to Unity's console, or to
        /// standard error outside of Unity.
        /// </summary>
        public static Action<WebSocket, Exception> UnhandledException { get; set; }

        /// <summary>
        /// The number of queued events of all sockets, with those that exceeded the budget of the last
        /// dispatch.
        /// </summary>
        public static int Pending
        {
            get
            {
                ulong queued = NativeLibrary.IsLoaded ? (ulong)FramewireNative.fw_pending() : 0;
                return (int)Math.Min(queued + (ulong)s_batch.Remaining, int.MaxValue);
            }
        }

        /// <summary>Calls the handlers for all events that are queued now.</summary>
        /// <returns>The number of events dequeued.</returns>
        public static int DispatchAll()
        {
            return DispatchAll(0, 0);
        }

        /// <summary>
        /// Calls the handlers for queued events on the calling thread, within a budget. In Unity,
        /// <see cref="WebSocketUpdater"/> calls this once per frame. Only one thread dispatches at a time:
        /// concurrent calls, and calls inside a handler, return 0.
        /// </summary>
        /// <param name="maxEvents">The maximum number of events; 0 for those queued at the call.</param>
        /// <param name="maxMicroseconds">The time after which no further handler starts; 0 for no limit.</param>
        /// <returns>The number of events dequeued.</returns>
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

        /// <summary>
        /// Blocks until an event is queued. For tools and tests: a game dispatches once per frame instead.
        /// Under WebGL it returns at once.
        /// </summary>
        /// <param name="milliseconds">The timeout.</param>
        /// <returns>False if the timeout has expired.</returns>
        public static bool Wait(int milliseconds)
        {
            uint timeout = NonNegative(milliseconds);
            return s_batch.Remaining > 0 || FramewireNative.fw_wait(timeout) != 0;
        }

        /// <summary>
        /// What the native library can do. In the editor it is the library of the editor, also if the build
        /// target is WebGL.
        /// </summary>
        public static WebSocketCapabilities Capabilities
        {
            get { return Capability.All; }
        }

        /// <summary>
        /// Notifies the library that the network may have changed. Every open connection is pinged. If
        /// nothing is received within 3 seconds, it ends. With <see cref="Reconnect"/>, a new connection is opened
        /// meanwhile and used if it is ready first: OnReconnecting and OnOpen follow each other. In Unity this is
        /// called automatically.
        /// </summary>
        public static void NetworkChanged()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_network_changed());
        }

        /// <summary>
        /// Notifies the library that the app is about to sleep. Until <see cref="Resume"/>, no pings are sent
        /// and no timeout expires. In Unity this is called automatically when the app is paused.
        /// </summary>
        public static void Suspend()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_suspend());
        }

        /// <summary>
        /// Notifies the library that the app is awake again. Timeouts continue, and every connection is
        /// checked as by <see cref="NetworkChanged"/>. In Unity this is called automatically.
        /// </summary>
        public static void Resume()
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_resume());
        }

        /// <summary>
        /// Hands over the Java VM of an Android app, so that <see cref="TlsRoots.Platform"/> honours its network security
        /// configuration. In Unity 2022.2 and newer this is called automatically. A second call has no effect.
        /// </summary>
        /// <param name="javaVm">The JavaVM, as from AndroidJNI.GetJavaVM.</param>
        /// <param name="applicationContext">The raw object of the application's Context.</param>
        /// <exception cref="ArgumentException">A pointer is null.</exception>
        /// <exception cref="NotSupportedException">The system is not Android.</exception>
        public static void InitializeAndroid(IntPtr javaVm, IntPtr applicationContext)
        {
            NativeLibrary.EnsureLoaded();
            NativeLibrary.ThrowIfFailed(
                FramewireNative.fw_android_init(javaVm.ToPointer(), applicationContext.ToPointer()));
        }

        /// <summary>
        /// Starts the native library with a configuration. Optional: the first socket starts it with defaults.
        /// </summary>
        /// <param name="workerThreads">
        /// The number of worker threads, at most 64; 0 for the default. No effect under WebGL.
        /// </param>
        /// <param name="eventQueueBytes">
        /// The limit of queued events per socket in bytes. At the limit, the socket stops reading, which
        /// applies backpressure to the server. 0 for the default, 4 MiB. Under WebGL, where there is no
        /// backpressure, the connection ends with OnError at 16 times the limit.
        /// </param>
        /// <exception cref="InvalidOperationException">The library is already running.</exception>
        public static void Configure(int workerThreads, int eventQueueBytes)
        {
            Configure(workerThreads, eventQueueBytes, false);
        }

        /// <summary>
        /// Starts the native library with a configuration. Optional: the first socket starts it with defaults.
        /// </summary>
        /// <param name="workerThreads">
        /// The number of worker threads, at most 64; 0 for the default. No effect under WebGL.
        /// </param>
        /// <param name="eventQueueBytes">
        /// The size of the event queue of each socket; 0 for the default.
        /// </param>
        /// <param name="ignoreNetworkChanges">
        /// Whether only <see cref="NetworkChanged"/> reports changes of the network. Otherwise the native library
        /// also watches addresses and default routes itself, on Linux and on Android up to version 10.
        /// </param>
        /// <exception cref="InvalidOperationException">The library is already running.</exception>
        public static void Configure(int workerThreads, int eventQueueBytes, bool ignoreNetworkChanges)
        {
            NativeLibrary.EnsureLoaded();
            fw_config config = default(fw_config);
            FramewireNative.fw_config_init(&config, (UIntPtr)sizeof(fw_config));
            config.worker_threads = NonNegative(workerThreads);
            config.event_queue_bytes = (UIntPtr)NonNegative(eventQueueBytes);
            config.ignore_network_changes = ignoreNetworkChanges ? 1u : 0u;
            NativeLibrary.ThrowIfFailed(FramewireNative.fw_init(&config));
        }

        /// <summary>
        /// Destroys every socket and joins every native thread. Open connections send their queued messages
        /// first and close with code 1001; when the timeout expires, the rest is dropped. OnClosed is called
        /// with code 1001 for sockets that are not closed. Existing sockets cannot be used afterwards; new
        /// ones can be created. In Unity this is called automatically, with a timeout of one second, when play
        /// mode ends and before scripts are reloaded. Under WebGL it does not wait, and the browser closes with
        /// code 1000.
        /// </summary>
        /// <param name="timeoutMilliseconds">The timeout; 0 drops queued messages.</param>
        /// <returns>False if a thread has not ended in time.</returns>
        public static bool Shutdown(int timeoutMilliseconds)
        {
            uint timeout = NonNegative(timeoutMilliseconds);
            WebSocket[] open = SocketTable.RemoveAll();
            if (Interlocked.CompareExchange(ref s_dispatching, 1, 0) == 0)
            {
                s_batch.Discard();
                Interlocked.Exchange(ref s_dispatching, 0);
            }
            // Called at the end of every game, also of one that has not used the library, or lacks it.
            fw_result result = NativeLibrary.IsLoaded ? FramewireNative.fw_shutdown(timeout) : fw_result.FW_RESULT_OK;
            foreach (WebSocket socket in open)
            {
                try
                {
                    if (socket.OnClosed != null)
                    {
                        socket.OnClosed(socket, 1001, "Framewire was shut down.");
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
            EventBatch batch = s_batch;
            int left = maxEvents;
            fixed (fw_event* events = batch.Events)
            {
                try
                {
                    while (left > 0 && batch.Fill(events, left))
                    {
                        int first = batch.Next;
                        int until = first + Math.Min(batch.Count - first, left);
                        bool isLate = DeliverUntil(batch, events, until, end);
                        left -= batch.Next - first;
                        if (isLate)
                        {
                            break;
                        }
                    }
                }
                finally
                {
                    // Also when the thread is aborted because its AppDomain unloads.
                    batch.ReleaseDelivered(events);
                }
            }
            return maxEvents - left;
        }

        /// <summary>Delivers events until an index, or until it is late.</summary>
        /// <returns>Whether it is late.</returns>
        private static bool DeliverUntil(EventBatch batch, fw_event* events, int until, long end)
        {
            while (batch.Next < until)
            {
                WebSocket socket = null;
                try
                {
                    do
                    {
                        // First, so that an exception skips the event.
                        fw_event* next = events + batch.Next++;
                        socket = SocketTable.Find(next->user_data, next->socket.id);
                        if (socket != null)
                        {
                            socket.Deliver(next);
                        }
                        if (Length(&next->payload) > MaxDeferredSize)
                        {
                            FramewireNative.fw_event_release(next);
                        }
                        if (end != long.MaxValue && Stopwatch.GetTimestamp() >= end)
                        {
                            return true;
                        }
                    }
                    while (batch.Next < until);
                }
                catch (Exception exception)
                {
                    Report(socket, exception);
                    if (end != long.MaxValue && Stopwatch.GetTimestamp() >= end)
                    {
                        return true;
                    }
                }
            }
            return false;
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
                    DeliverRequest(next);
                    break;
                case fw_event_type.FW_EVENT_PONG:
                    if (OnPong != null)
                    {
                        CallWithCopy(OnPong, &next->payload);
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
                case fw_event_type.FW_EVENT_SENT:
                    if (OnSent != null)
                    {
                        OnSent(this, next->tag, (SendOutcome)next->outcome);
                    }
                    break;
                case fw_event_type.FW_EVENT_CLOSED:
                    // Before the handler, which may open the socket again.
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
