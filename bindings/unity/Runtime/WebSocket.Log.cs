using System;
using Framewire.Native;

namespace Framewire
{
    /// <summary>The level of a log line. Each level includes those above it in this list.</summary>
    public enum WebSocketLogLevel : byte
    {
        /// <summary>No logging.</summary>
        Off = 0,

        /// <summary>Internal errors and failed system calls.</summary>
        Error = 1,

        /// <summary>Possible misconfiguration, and lost data.</summary>
        Warn = 2,

        /// <summary>Failed connections, with the reason.</summary>
        Info = 3,

        /// <summary>Each step of connecting and closing.</summary>
        Debug = 4,

        /// <summary>Everything.</summary>
        Trace = 5,
    }

    /// <summary>Handles a line of the native library's log.</summary>
    /// <param name="level">The level.</param>
    /// <param name="webSocket">The socket it is about, or null.</param>
    /// <param name="context">The <see cref="WebSocket.Context"/> of the socket as "key=value key=value".</param>
    /// <param name="message">One line, at most 1024 bytes of UTF-8.</param>
    public delegate void OnWebSocketLogDelegate(
        WebSocketLogLevel level, WebSocket webSocket, string context, string message);

    // The log. Lines are queued by the native library, at most 256, and taken inside DispatchAll.
    public sealed unsafe partial class WebSocket
    {
#if UNITY_5_3_OR_NEWER
        private const WebSocketLogLevel DefaultLogLevel = WebSocketLogLevel.Warn;
#else
        private const WebSocketLogLevel DefaultLogLevel = WebSocketLogLevel.Off;
#endif
        // The longest text of the native library, and its NUL.
        private const int MaxLogText = 1025;

        private static readonly byte[] s_logContext = new byte[MaxLogText];
        private static readonly byte[] s_logMessage = new byte[MaxLogText];
        private static volatile WebSocketLogLevel s_logLevel = DefaultLogLevel;
        private static volatile bool s_isLogStarted;

        /// <summary>
        /// Called for each line of the native library's log, inside DispatchAll. If null, lines go to Unity's console by
        /// their level, and outside of Unity nowhere.
        /// </summary>
        public static OnWebSocketLogDelegate Log { get; set; }

        /// <summary>The most detailed level to log. Default: Warn in Unity, Off outside of it.</summary>
        public static WebSocketLogLevel LogLevel
        {
            get { return s_logLevel; }
            set
            {
                FramewireLibrary.EnsureLoaded();
                FramewireLibrary.ThrowIfFailed(FramewireNative.fw_queue_log((fw_log_level)value));
                s_logLevel = value;
                s_isLogStarted = true;
            }
        }

        /// <summary>Starts the log with the default level, unless LogLevel was set.</summary>
        private static void StartLog()
        {
            if (!s_isLogStarted)
            {
                s_isLogStarted = true;
                if (s_logLevel != WebSocketLogLevel.Off)
                {
                    FramewireNative.fw_queue_log((fw_log_level)s_logLevel);
                }
            }
        }

        /// <summary>Sets the log back, when play mode starts without a reload of the domain.</summary>
        internal static void ResetLog()
        {
            Log = null;
            s_logLevel = DefaultLogLevel;
            s_isLogStarted = false;
        }

        /// <summary>Passes on the lines that are queued. Does not allocate if there are none.</summary>
        private static void DispatchLog()
        {
            if (s_logLevel == WebSocketLogLevel.Off)
            {
                return;
            }
            fixed (byte* context = s_logContext)
            fixed (byte* message = s_logMessage)
            {
                fw_log_level level;
                fw_socket socket;
                while (FramewireNative.fw_next_log(
                    &level, &socket, context, (UIntPtr)MaxLogText, message, (UIntPtr)MaxLogText) != 0)
                {
                    try
                    {
                        Write((WebSocketLogLevel)level, FindById(socket.id),
                            DecodeUpToNul(s_logContext), DecodeUpToNul(s_logMessage));
                    }
                    catch (Exception exception)
                    {
                        Report(null, exception);
                    }
                }
            }
        }

        private static WebSocket FindById(ulong id)
        {
            return Array.Find(SocketTable.All, socket => socket != null && socket.Native.id == id);
        }

        private static void Write(WebSocketLogLevel level, WebSocket socket, string context, string message)
        {
            OnWebSocketLogDelegate handler = Log;
            if (handler != null)
            {
                handler(level, socket, context, message);
                return;
            }
#if UNITY_5_3_OR_NEWER
            string line = "Framewire: " + message + (context.Length == 0 ? string.Empty : " (" + context + ")");
            if (level == WebSocketLogLevel.Error)
            {
                UnityEngine.Debug.LogError(line);
            }
            else if (level == WebSocketLogLevel.Warn)
            {
                UnityEngine.Debug.LogWarning(line);
            }
            else
            {
                UnityEngine.Debug.Log(line);
            }
#endif
        }
    }
}
