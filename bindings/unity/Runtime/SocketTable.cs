using System;
using Framewire.Native;

namespace Framewire
{
    // The sockets that have been opened and whose end has not been delivered yet. The table finds the
    // object that an event is about, without a lock and without garbage, and keeps it from the
    // collector: a game may drop an open socket and still gets its messages.
    //
    //   Open ──> Add ──> place in the table = the native socket's user_data
    //   event ──> Find(user_data), refused if another socket has the place by now
    //   last event, Dispose ──> Remove
    internal static unsafe class SocketTable
    {
        private static readonly object s_lock = new object();
        private static volatile WebSocket[] s_places = new WebSocket[16];

        /// <summary>How many there are.</summary>
        internal static int Count { get; private set; }

        /// <summary>Counts an Open; the first one takes a place.</summary>
        internal static void Add(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds++ > 0)
                {
                    return;
                }
                int place = Array.IndexOf(s_places, null);
                if (place < 0)
                {
                    place = s_places.Length;
                    var larger = new WebSocket[place * 2];
                    Array.Copy(s_places, larger, place);
                    s_places = larger;
                }
                s_places[place] = socket;
                socket.Place = place;
                Count++;
                // From 1: NULL is what a socket has that was never opened.
                FramewireNative.fw_socket_set_user_data(socket.Handle, (void*)(place + 1));
            }
        }

        /// <summary>Counts an end, or an Open that failed; the last one gives the place up.</summary>
        internal static void RemoveOne(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds > 0 && --socket.PendingEnds == 0)
                {
                    GiveUp(socket);
                }
            }
        }

        /// <summary>Gives the place up whatever is still to come.</summary>
        internal static void Remove(WebSocket socket)
        {
            lock (s_lock)
            {
                if (socket.PendingEnds > 0)
                {
                    socket.PendingEnds = 0;
                    GiveUp(socket);
                }
            }
        }

        /// <summary>The object of a native socket; null if it is no longer interested.</summary>
        internal static WebSocket Find(void* userData, fw_socket socket)
        {
            long place = (long)userData - 1;
            WebSocket[] places = s_places;
            WebSocket found = place >= 0 && place < places.Length ? places[place] : null;
            // The place may have a new owner, or the event be for an AppDomain that is gone.
            return found != null && found.Handle.id == socket.id ? found : null;
        }

        /// <summary>All of them, taken out.</summary>
        internal static WebSocket[] RemoveAll()
        {
            lock (s_lock)
            {
                WebSocket[] all = Array.FindAll(s_places, IsTaken);
                foreach (WebSocket socket in all)
                {
                    Remove(socket);
                }
                return all;
            }
        }

        private static void GiveUp(WebSocket socket)
        {
            s_places[socket.Place] = null;
            Count--;
        }

        private static bool IsTaken(WebSocket socket)
        {
            return socket != null;
        }
    }
}
