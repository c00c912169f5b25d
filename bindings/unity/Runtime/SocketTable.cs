using System;
using System.Collections.Generic;
using Framewire.Native;

namespace Framewire
{
    // The sockets that have been opened and whose terminal event has not been delivered. The table finds
    // the object for an event, without a lock and without garbage. It also keeps open sockets from being
    // garbage-collected, so that their messages are still delivered.
    //
    //   Open ──> Add ──> index in the table = the native socket's user_data
    //   event ──> Find(user_data), null if the index belongs to another socket now
    //   terminal event, Dispose ──> Remove
    internal static unsafe class SocketTable
    {
        private static readonly object s_lock = new object();
        private static volatile WebSocket[] s_sockets = new WebSocket[16];

        private static volatile int s_individual;

        /// <summary>Counts the traffic of each socket that is removed, if not null.</summary>
        internal static TrafficMeter Meter { get; set; }

        /// <summary>Called when a socket is added, on the thread that opens it, under the lock.</summary>
        internal static event Action<WebSocket> Opened;

        /// <summary>The number of sockets in the table.</summary>
        internal static int Count { get; private set; }

        /// <summary>
        /// Whether events are taken from each socket by itself, because some socket must not have its events taken while
        /// nothing is awaited.
        /// </summary>
        internal static bool HasIndividual
        {
            get { return s_individual > 0; }
        }

        /// <summary>The sockets and null references. Does not change, but for references that become null or are set.</summary>
        internal static WebSocket[] All
        {
            get { return s_sockets; }
        }

        /// <summary>Counts an Open; the first adds the socket.</summary>
        internal static void Add(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds++ > 0)
                {
                    return;
                }
                int index = Array.IndexOf(s_sockets, null);
                if (index < 0)
                {
                    index = s_sockets.Length;
                    var larger = new WebSocket[index * 2];
                    Array.Copy(s_sockets, larger, index);
                    s_sockets = larger;
                }
                s_sockets[index] = socket;
                socket.TableIndex = index;
                Count++;
                CountIndividual(socket, socket.IsIndividual);
                // From 1, because user_data of a socket that was never opened is NULL.
                FramewireNative.fw_socket_set_user_data(socket.Native, (void*)(index + 1));
                Action<WebSocket> opened = Opened;
                if (opened != null)
                {
                    opened(socket);
                }
            }
        }

        /// <summary>From now on until it is removed, events are taken from this socket by itself.</summary>
        internal static void MarkIndividual(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds > 0 && !socket.CountsAsIndividual)
                {
                    CountIndividual(socket, true);
                }
            }
        }

        /// <summary>Counts a terminal event, or a failed Open; the last removes the socket.</summary>
        internal static void RemoveOne(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds > 0 && --socket.PendingEnds == 0)
                {
                    Clear(socket);
                }
            }
        }

        /// <summary>Removes the socket, even if terminal events are pending.</summary>
        internal static void Remove(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds > 0)
                {
                    socket.PendingEnds = 0;
                    Clear(socket);
                }
            }
        }

        /// <summary>Returns the object of a native socket, or null if it was removed.</summary>
        internal static WebSocket Find(void* userData, ulong id)
        {
            WebSocket[] sockets = s_sockets;
            ulong index = (ulong)userData - 1;
            if (index >= (ulong)sockets.Length)
            {
                return null;
            }
            WebSocket found = sockets[index];
            // The index may belong to another socket now, or to an AppDomain that was unloaded. The library
            // never uses an id again.
            return found != null && found.Native.id == id ? found : null;
        }

        /// <summary>Removes all sockets. Returns each as often as ends are pending.</summary>
        internal static WebSocket[] RemoveAll()
        {
            lock (s_lock)
            {
                var pending = new List<WebSocket>();
                foreach (WebSocket socket in s_sockets)
                {
                    for (int ends = socket == null ? 0 : socket.PendingEnds; ends > 0; ends--)
                    {
                        pending.Add(socket);
                    }
                }
                pending.ForEach(Remove);
                return pending.ToArray();
            }
        }

        /// <summary>Returns the traffic of all sockets since the last call. Does not allocate.</summary>
        internal static Traffic Measure(TrafficMeter meter)
        {
            lock (s_lock)
            {
                foreach (WebSocket socket in s_sockets)
                {
                    if (socket != null)
                    {
                        meter.Count(socket);
                        meter.Inspect(socket);
                    }
                }
                return meter.Take();
            }
        }

        private static void Clear(WebSocket socket)
        {
            TrafficMeter meter = Meter;
            if (meter != null)
            {
                meter.Count(socket);
            }
            s_sockets[socket.TableIndex] = null;
            Count--;
            if (socket.CountsAsIndividual)
            {
                socket.CountsAsIndividual = false;
                s_individual--;
            }
        }

        private static void CountIndividual(WebSocket socket, bool isIndividual)
        {
            socket.CountsAsIndividual = isIndividual;
            s_individual += isIndividual ? 1 : 0;
        }
    }
}
