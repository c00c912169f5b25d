using System.Collections.Generic;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The events of a socket that a dispatch has taken in a batch before it knew that they are awaited; at most a batch.
    /// Until they are delivered, they count as pending. Can be used from any thread.
    /// </summary>
    internal sealed unsafe class EarlyEvents
    {
        private static int s_total;

        private readonly Queue<fw_event> _events = new Queue<fw_event>();

        /// <summary>The number of events of all sockets.</summary>
        internal static int Total
        {
            get { return Volatile.Read(ref s_total); }
        }

        /// <summary>Keeps an event. Zeroes the original, which then needs no release.</summary>
        internal void Add(fw_event* next)
        {
            lock (_events)
            {
                _events.Enqueue(*next);
                Interlocked.Increment(ref s_total);
            }
            *next = default(fw_event);
        }

        /// <summary>Removes the first event. Returns whether there was one.</summary>
        internal bool Take(fw_event* next)
        {
            if (_events.Count == 0)
            {
                return false;
            }
            lock (_events)
            {
                if (_events.Count == 0)
                {
                    return false;
                }
                *next = _events.Dequeue();
                Interlocked.Decrement(ref s_total);
                return true;
            }
        }

        /// <summary>Releases all events.</summary>
        internal void Release()
        {
            fw_event next;
            while (Take(&next))
            {
                Events.Release(&next);
            }
        }
    }
}
