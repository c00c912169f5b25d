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
    //
    // While a socket is opened with OpenAsync, events are taken from each socket by itself, and from those without
    // handlers for messages only while something is awaited: what is not taken fills the native queue, whose limit stops
    // the server.
    public sealed unsafe partial class WebSocket
    {
        // Messages up to this size are copied into one array, which is used again for the next message.
        private const int MaxReusedSize = 64 * 1024;

        // The payload of a larger event is released after its handler, not at the end of the batch.
        private const int MaxDeferredSize = 32 * 1024;

        private static int s_dispatching;

        // The socket that is next, if events are taken from each socket by itself.
        private static int s_turn;

        // Called at the end of each DispatchAll.
        internal static Action Dispatched { get; set; }

        // The last dispatch has taken nothing although events are queued.
        private static volatile bool s_isBlocked;

        // Used by the thread that dispatches.
        private static readonly EventBatch s_batch = new EventBatch();
        private static byte[] s_reused;

        // Managed by SocketTable, under its lock.
        internal int TableIndex;
        internal volatile int PendingEnds;
        internal bool CountsAsIndividual;
        internal Traffic Counted;

        // Its events are taken only while something is awaited.
        private volatile bool _pulls;

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
                ulong queued = FramewireLibrary.IsLoaded ? (ulong)FramewireNative.fw_pending() : 0;
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
        /// <c>WebSocketUpdater</c> calls this once per frame. Only one thread dispatches at a time:
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
            FramewireLibrary.EnsureLoaded();
            if (Interlocked.CompareExchange(ref s_dispatching, 1, 0) != 0)
            {
                return 0;
            }
            try
            {
                DispatchLog();
                int dispatched = DispatchQueued(maxEvents == 0 ? Pending : maxEvents, maxMicroseconds);
                Action callback = Dispatched;
                if (callback != null)
                {
                    callback();
                }
                return dispatched;
            }
            finally
            {
                Interlocked.Exchange(ref s_dispatching, 0);
            }
        }

        /// <summary>
        /// Calls the handlers for queued events of this socket only, such as on a loading screen, within a budget. Events
        /// of other sockets stay queued. As <see cref="DispatchAll(int, int)"/>, it returns 0 while another dispatch runs.
        /// </summary>
        /// <param name="maxEvents">The maximum number of events; 0 for no limit.</param>
        /// <param name="maxMicroseconds">The time after which no further handler starts; 0 for no limit.</param>
        /// <returns>The number of events dequeued.</returns>
        public int Dispatch(int maxEvents, int maxMicroseconds)
        {
            if (maxEvents < 0 || maxMicroseconds < 0)
            {
                throw new ArgumentOutOfRangeException(maxEvents < 0 ? "maxEvents" : "maxMicroseconds");
            }
            ThrowIfDisposed();
            if (Interlocked.CompareExchange(ref s_dispatching, 1, 0) != 0)
            {
                return 0;
            }
            try
            {
                // Those that arrive meanwhile must not keep the call running.
                int maximum = maxEvents == 0 ? Pending : maxEvents;
                int left = maximum;
                DispatchLog();
                DispatchThis(ref left, EndOf(maxMicroseconds));
                return maximum - left;
            }
            finally
            {
                Interlocked.Exchange(ref s_dispatching, 0);
            }
        }

        private void DispatchThis(ref int left, long end)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            if (_client != null)
            {
                return;
            }
            CheckCancellation();
            if (_pulls)
            {
                DispatchAwaited(ref left, end);
                return;
            }
#endif
            fw_event next;
            while (left > 0 && !IsDisposed && TakeEvent(&next))
            {
                left--;
                try
                {
                    Deliver(&next);
                }
                catch (Exception exception)
                {
                    Report(this, exception);
                }
                finally
                {
                    FramewireNative.fw_event_release(&next);
                }
                if (IsLate(end))
                {
                    return;
                }
            }
        }

        private bool TakeEvent(fw_event* next)
        {
            // Events that exceeded the budget of an earlier dispatch come first.
            return s_batch.TakeOf(Native, next)
                || FramewireNative.fw_socket_next_events(Native, next, (UIntPtr)1) != UIntPtr.Zero;
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
            if (s_batch.Remaining > 0)
            {
                return true;
            }
            if (s_isBlocked && timeout > 0)
            {
                // The queued events are not awaited, so the native wait would return at once, again and again.
                Thread.Sleep(1);
                timeout--;
            }
            return FramewireNative.fw_wait(timeout) != 0;
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
            FramewireLibrary.EnsureLoaded();
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_network_changed());
        }

        /// <summary>
        /// Notifies the library that the app is about to sleep. Until <see cref="Resume"/>, no pings are sent
        /// and no timeout expires. In Unity this is called automatically when the app is paused.
        /// </summary>
        public static void Suspend()
        {
            FramewireLibrary.EnsureLoaded();
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_suspend());
        }

        /// <summary>
        /// Notifies the library that the app is awake again. Timeouts continue, and every connection is
        /// checked as by <see cref="NetworkChanged"/>. In Unity this is called automatically.
        /// </summary>
        public static void Resume()
        {
            FramewireLibrary.EnsureLoaded();
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_resume());
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
            FramewireLibrary.EnsureLoaded();
            FramewireLibrary.ThrowIfFailed(
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
            FramewireLibrary.EnsureLoaded();
            fw_config config = default(fw_config);
            FramewireNative.fw_config_init(&config, (UIntPtr)sizeof(fw_config));
            config.worker_threads = NonNegative(workerThreads);
            config.event_queue_bytes = (UIntPtr)NonNegative(eventQueueBytes);
            config.ignore_network_changes = ignoreNetworkChanges ? 1u : 0u;
            FramewireLibrary.ThrowIfFailed(FramewireNative.fw_init(&config));
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
            fw_result result = FramewireLibrary.IsLoaded ? FramewireNative.fw_shutdown(timeout) : fw_result.FW_RESULT_OK;
            if (FramewireLibrary.IsLoaded && Interlocked.CompareExchange(ref s_dispatching, 1, 0) == 0)
            {
                DispatchLog();
                Interlocked.Exchange(ref s_dispatching, 0);
            }
            foreach (WebSocket socket in open)
            {
                try
                {
                    socket.EndClosed(1001, "Framewire was shut down.");
                }
                catch (Exception exception)
                {
                    Report(socket, exception);
                }
            }
            return result == fw_result.FW_RESULT_OK;
        }

        private static int DispatchQueued(int maxEvents, int maxMicroseconds)
        {
            long end = EndOf(maxMicroseconds);
            EventBatch batch = s_batch;
            int left = maxEvents;
            bool hasIndividual = SocketTable.HasIndividual;
            if (hasIndividual)
            {
                CheckCancellations();
            }
            fixed (fw_event* events = batch.Events)
            {
                try
                {
                    if (!hasIndividual)
                    {
                        while (left > 0 && batch.Fill(events, left) && !DeliverBatch(batch, events, ref left, end))
                        {
                        }
                    }
                    // Events that exceeded the last budget come first.
                    else if (left > 0 && (batch.Remaining == 0 || !DeliverBatch(batch, events, ref left, end)))
                    {
                        DispatchEach(batch, events, ref left, end);
                    }
                }
                finally
                {
                    // Also when the thread is aborted because its AppDomain unloads.
                    batch.ReleaseDelivered(events);
                }
            }
            s_isBlocked = hasIndividual && left == maxEvents && FramewireNative.fw_pending() != UIntPtr.Zero;
            return maxEvents - left;
        }

        /// <summary>Takes events from one socket after the other, until the time is over or there are no more.</summary>
        private static void DispatchEach(EventBatch batch, fw_event* events, ref int left, long end)
        {
            WebSocket[] sockets = SocketTable.All;
            int withoutEvents = 0;
            while (left > 0 && withoutEvents < sockets.Length)
            {
                s_turn = s_turn + 1 < sockets.Length ? s_turn + 1 : 0;
                WebSocket socket = sockets[s_turn];
                int before = left;
                if (socket != null && socket.DispatchOne(batch, events, ref left, end))
                {
                    return;
                }
                withoutEvents = left < before ? 0 : withoutEvents + 1;
            }
        }

        /// <summary>Delivers events of this socket, at most as many as a batch has. Returns whether it is late.</summary>
        private bool DispatchOne(EventBatch batch, fw_event* events, ref int left, long end)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            if (_client != null)
            {
                // Has a thread of its own, if there are threads.
                ClientDriver.PumpWithoutThread(_client);
                return false;
            }
            if (_pulls)
            {
                return DispatchAwaited(ref left, end);
            }
#endif
            return batch.Fill(events, left, Native) && DeliverBatch(batch, events, ref left, end);
        }

        private static void CheckCancellations()
        {
            foreach (WebSocket socket in SocketTable.All)
            {
                if (socket != null)
                {
                    socket.CheckCancellation();
                }
            }
        }

        /// <summary>Delivers the events of the batch, at most as many as are left. Returns whether it is late.</summary>
        private static bool DeliverBatch(EventBatch batch, fw_event* events, ref int left, long end)
        {
            int first = batch.Next;
            int until = first + Math.Min(batch.Count - first, left);
            bool isLate = DeliverUntil(batch, events, until, end);
            left -= batch.Next - first;
            return isLate;
        }

        private static long EndOf(int maxMicroseconds)
        {
            return maxMicroseconds == 0
                ? long.MaxValue
                : Stopwatch.GetTimestamp() + maxMicroseconds * Stopwatch.Frequency / 1000000;
        }

        private static bool IsLate(long end)
        {
            return end != long.MaxValue && Stopwatch.GetTimestamp() >= end;
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
                            if (socket._pulls)
                            {
                                socket.KeepForAwait(next);
                            }
                            else
                            {
                                socket.Deliver(next);
                            }
                        }
                        if (Length(&next->payload) > MaxDeferredSize)
                        {
                            FramewireNative.fw_event_release(next);
                        }
                        if (IsLate(end))
                        {
                            return true;
                        }
                    }
                    while (batch.Next < until);
                }
                catch (Exception exception)
                {
                    Report(socket, exception);
                    if (IsLate(end))
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
