using System;

namespace Framewire.Native
{
    /// <summary>
    /// Events that were taken from the native queue together. Used by the thread that dispatches; other threads
    /// only read <see cref="Remaining"/>.
    /// </summary>
    internal sealed unsafe class EventBatch
    {
        /// <summary>The maximum number of events, for which there is one native call.</summary>
        internal const int Capacity = 64;

        // Pinned only while events are dispatched. Contains no references, so the collector does not scan it.
        internal readonly fw_event[] Events = new fw_event[Capacity];

        /// <summary>The number of native calls, for tests.</summary>
        internal static long NativeCalls;

        /// <summary>The index of the next event to deliver.</summary>
        internal int Next;

        private int _count;

        // Events before this index are released.
        private int _released;

        /// <summary>
        /// Releases the remaining events when the AppDomain unloads, because the native library stays loaded.
        /// </summary>
        ~EventBatch()
        {
            if (!FramewireLibrary.IsLoaded)
            {
                return;
            }
            // All, because the thread may have been aborted before it counted them. Released ones are zero.
            fixed (fw_event* events = Events)
            {
                FramewireNative.fw_events_release(events, (UIntPtr)(uint)Capacity);
            }
        }

        /// <summary>The number of events that were taken and not delivered.</summary>
        internal int Remaining
        {
            get { return Math.Max(0, _count - Next); }
        }

        /// <summary>The number of events that were taken, including the delivered ones.</summary>
        internal int Count
        {
            get { return _count; }
        }

        /// <summary>If no events remain, releases the delivered ones and takes more.</summary>
        /// <param name="events">The pinned array.</param>
        /// <param name="maximum">The maximum number of events to take.</param>
        /// <returns>Whether events remain to be delivered.</returns>
        internal bool Fill(fw_event* events, int maximum)
        {
            if (Next == _count)
            {
                Empty(events);
                _count = (int)FramewireNative.fw_next_events(events, (UIntPtr)(uint)Math.Min(maximum, Capacity));
            }
            return _count > 0;
        }

        /// <summary>As the other overload, with events of one socket.</summary>
        /// <param name="events">The pinned array.</param>
        /// <param name="maximum">The maximum number of events to take.</param>
        /// <param name="socket">The socket.</param>
        /// <returns>Whether events remain to be delivered.</returns>
        internal bool Fill(fw_event* events, int maximum, fw_socket socket)
        {
            if (Next == _count)
            {
                Empty(events);
                var capacity = (UIntPtr)(uint)Math.Min(maximum, Capacity);
                _count = (int)FramewireNative.fw_socket_next_events(socket, events, capacity);
            }
            return _count > 0;
        }

        private void Empty(fw_event* events)
        {
            ReleaseDelivered(events);
            _released = 0;
            // In this order, so that Remaining is never negative.
            _count = 0;
            Next = 0;
            NativeCalls++;
        }

        /// <summary>Moves the first remaining event of one socket out of the batch, where a zero stays.</summary>
        /// <param name="socket">The socket.</param>
        /// <param name="next">Receives the event.</param>
        /// <returns>Whether there was one.</returns>
        internal bool TakeOf(fw_socket socket, fw_event* next)
        {
            for (int i = Next; i < _count; i++)
            {
                if (Events[i].socket.id == socket.id)
                {
                    *next = Events[i];
                    Events[i] = default(fw_event);
                    return true;
                }
            }
            return false;
        }

        /// <summary>Releases the delivered events.</summary>
        /// <param name="events">The pinned array.</param>
        internal void ReleaseDelivered(fw_event* events)
        {
            int delivered = Next - _released;
            if (delivered > 0)
            {
                fw_event* first = events + _released;
                _released = Next;
                NativeCalls++;
                FramewireNative.fw_events_release(first, (UIntPtr)(uint)delivered);
            }
        }

        /// <summary>Releases all events without delivering them.</summary>
        internal void Discard()
        {
            Next = _count;
            fixed (fw_event* events = Events)
            {
                ReleaseDelivered(events);
            }
        }
    }
}
