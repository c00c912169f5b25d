#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    /// <summary>
    /// The thread that takes the events of all <see cref="FramewireClientWebSocket"/>, so that they need no game loop. It
    /// starts with the first connection and ends after the last. Native code never calls C#: the thread waits inside the
    /// native library until there are events.
    /// </summary>
    internal static class ClientDriver
    {
        // The wait in milliseconds, so that the thread ends in time if the AppDomain unloads.
        private const uint MaxWait = 100;

        private static readonly object s_lock = new object();
        private static volatile FramewireClientWebSocket[] s_clients = new FramewireClientWebSocket[0];
        private static volatile bool s_isRunning;

        /// <summary>
        /// Whether there are threads, one to take the events and a pool to complete tasks on. Otherwise, as under WebGL,
        /// both happen in DispatchAll. Tests set it.
        /// </summary>
        internal static bool HasThreads =
#if UNITY_WEBGL && !UNITY_EDITOR
            false;
#else
            true;
#endif

        /// <summary>Whether the thread is running.</summary>
        internal static bool IsRunning
        {
            get { return s_isRunning; }
        }

        internal static void Add(FramewireClientWebSocket client)
        {
            lock (s_lock)
            {
                var larger = new FramewireClientWebSocket[s_clients.Length + 1];
                s_clients.CopyTo(larger, 0);
                larger[larger.Length - 1] = client;
                s_clients = larger;
                if (HasThreads && !s_isRunning)
                {
                    s_isRunning = true;
                    var thread = new Thread(Run);
                    thread.Name = "Framewire clients";
                    thread.IsBackground = true;
                    thread.Start();
                }
            }
        }

        internal static void Remove(FramewireClientWebSocket client)
        {
            lock (s_lock)
            {
                s_clients = Array.FindAll(s_clients, other => other != client);
            }
        }

        /// <summary>Takes events where there are no threads, inside DispatchAll.</summary>
        internal static void PumpWithoutThread(FramewireClientWebSocket client)
        {
            if (!HasThreads)
            {
                client.Pump();
            }
        }

        private static void Run()
        {
            while (true)
            {
                FramewireClientWebSocket[] clients = s_clients;
                if (clients.Length == 0 && TryEnd())
                {
                    return;
                }
                bool hasTaken = false;
                foreach (FramewireClientWebSocket client in clients)
                {
                    hasTaken |= client.Pump();
                }
                if (hasTaken)
                {
                    continue;
                }
                if (FramewireNative.fw_pending() != UIntPtr.Zero || EarlyEvents.Total > 0)
                {
                    // Events of sockets that are dispatched elsewhere, with which the native wait returns at once.
                    Thread.Sleep(1);
                }
                else
                {
                    FramewireNative.fw_wait(MaxWait);
                }
            }
        }

        private static bool TryEnd()
        {
            lock (s_lock)
            {
                s_isRunning = s_clients.Length != 0;
                return !s_isRunning;
            }
        }
    }
}
#endif
