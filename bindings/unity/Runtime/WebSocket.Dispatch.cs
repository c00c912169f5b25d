using System;
using System.Diagnostics;
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
        /// dispatch and those that are taken and not awaited yet.
        /// </summary>
        public static int Pending
        {
            get
            {
                ulong queued = FramewireLibrary.IsLoaded ? (ulong)FramewireNative.fw_pending() : 0;
                return (int)Math.Min(queued + (ulong)(s_batch.Remaining + EarlyEvents.Total), int.MaxValue);
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
            // Before the first socket, and in a game that lacks the native library, this is called in every frame.
            if (!FramewireLibrary.IsLoaded || Interlocked.CompareExchange(ref s_dispatching, 1, 0) != 0)
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
            return EarlyEvents.Total > 0 || FramewireNative.fw_wait(timeout) != 0;
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
            s_isBlocked = hasIndividual && left == maxEvents && Pending > 0;
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
    }
}
