using System;
using System.Runtime.InteropServices;
using System.Threading;
using Framewire.Native;

namespace Framewire
{
    // The native library as a whole: its start and end, the network, and the life of an app.
    public sealed unsafe partial class WebSocket
    {
        /// <summary>
        /// What the native library can do. In the editor it is the library of the editor, also if the build
        /// target is WebGL.
        /// </summary>
        public static WebSocketCapabilities Capabilities
        {
            get { return Capability.All; }
        }

        /// <summary>The version of the native library, such as <c>0.2.0</c>, for reports of faults.</summary>
        public static string NativeVersion
        {
            get
            {
                FramewireLibrary.EnsureLoaded();
                return Marshal.PtrToStringAnsi((IntPtr)FramewireNative.fw_version_string());
            }
        }

        /// <summary>
        /// Notifies the library that the network may have changed. Every open connection is pinged. If
        /// nothing is received within 3 seconds, it ends. With <see cref="Reconnect"/>, a new connection is opened
        /// meanwhile and used if it is ready first: OnReconnecting and OnOpen follow each other. Without a socket it does
        /// nothing, and needs no native library. In Unity this is called automatically.
        /// </summary>
        public static void NetworkChanged()
        {
            if (FramewireLibrary.IsLoaded)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_network_changed());
            }
        }

        /// <summary>
        /// Notifies the library that the app is about to sleep. Until <see cref="Resume"/>, no pings are sent
        /// and no timeout expires. In Unity this is called automatically when the app is paused.
        /// </summary>
        public static void Suspend()
        {
            if (FramewireLibrary.IsLoaded)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_suspend());
            }
        }

        /// <summary>
        /// Notifies the library that the app is awake again. Timeouts continue, and every connection is
        /// checked as by <see cref="NetworkChanged"/>. In Unity this is called automatically.
        /// </summary>
        public static void Resume()
        {
            if (FramewireLibrary.IsLoaded)
            {
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_resume());
            }
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
        /// mode starts or ends in the editor, when the game ends, and before scripts are reloaded. Under WebGL
        /// it does not wait, and the browser closes with code 1000.
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

        /// <summary>
        /// Shuts down within a second when play mode ends or scripts are reloaded. Sockets that handlers open meanwhile
        /// would live on in edit mode: they are destroyed, without events.
        /// </summary>
        internal static void ShutdownForGood()
        {
            Shutdown(1000);
            if (!FramewireLibrary.IsLoaded)
            {
                return;
            }
            WebSocket[] opened = SocketTable.RemoveAll();
            FramewireNative.fw_shutdown(0);
            foreach (WebSocket socket in opened)
            {
                socket.EndClient();
            }
        }
    }
}
