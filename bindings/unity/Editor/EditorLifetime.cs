#if UNITY_EDITOR
using System.Collections.Generic;
using UnityEditor;
using UnityEngine;

namespace Framewire.Editor
{
    /// <summary>
    /// Shuts the library down before scripts are reloaded, because the editor unloads scripts but not native
    /// libraries, and before play mode starts, when scripts may not be reloaded. Also dispatches events outside of play
    /// mode, where sockets are allowed: editor tools open them.
    ///
    /// <para>Code of the game can go on after play mode has ended, such as a retry after a delay, and open sockets that
    /// nobody expects. They look like those of tools, so each is logged.</para>
    /// </summary>
    [InitializeOnLoad]
    internal static class EditorLifetime
    {
        /// <summary>The ids of the sockets that were logged. Null while no play mode has ended.</summary>
        private static HashSet<ulong> s_logged;

        static EditorLifetime()
        {
            AssemblyReloadEvents.beforeAssemblyReload -= OnReload;
            AssemblyReloadEvents.beforeAssemblyReload += OnReload;
            EditorApplication.playModeStateChanged -= OnPlayModeChanged;
            EditorApplication.playModeStateChanged += OnPlayModeChanged;
            EditorApplication.quitting -= OnReload;
            EditorApplication.quitting += OnReload;
            EditorApplication.update -= OnUpdate;
            EditorApplication.update += OnUpdate;
        }

        private static void OnReload()
        {
            WebSocket.ShutdownForGood();
        }

        private static void OnUpdate()
        {
            if (!Application.isPlaying)
            {
                WebSocket.DispatchAll(0, 1000);
                LogSocketsAfterPlayMode();
            }
        }

        private static void OnPlayModeChanged(PlayModeStateChange change)
        {
            if (change == PlayModeStateChange.ExitingEditMode)
            {
                WebSocket.ShutdownForGood();
                s_logged = null;
            }
            else if (change == PlayModeStateChange.ExitingPlayMode)
            {
                s_logged = new HashSet<ulong>();
            }
        }

        private static void LogSocketsAfterPlayMode()
        {
            if (s_logged == null || WebSocket.LogLevel < WebSocketLogLevel.Warn)
            {
                return;
            }
            foreach (WebSocket socket in SocketTable.All)
            {
                if (socket == null || !s_logged.Add(socket.Native.id))
                {
                    continue;
                }
                // A query may contain a token.
                string url = (MonitoredSocket.UrlOf(socket) ?? string.Empty).Split('?')[0];
                Debug.LogWarning(
                    "Framewire: a socket for " + url + " was opened in edit mode, after play mode has ended. If code of the "
                    + "game has opened it, such as a retry after a delay, cancel that code when play mode ends "
                    + "(Application.exitCancellationToken). The socket stays open until play mode starts or scripts are "
                    + "reloaded.");
            }
        }
    }
}
#endif
