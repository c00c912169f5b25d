#if UNITY_EDITOR
using UnityEditor;
using UnityEngine;

namespace Framewire.Editor
{
    /// <summary>
    /// The editor never unloads native libraries, but it does unload scripts: nothing native may run
    /// on then. Outside of play mode, handlers are called here.
    /// </summary>
    [InitializeOnLoad]
    internal static class EditorLifetime
    {
        static EditorLifetime()
        {
            AssemblyReloadEvents.beforeAssemblyReload -= OnReload;
            AssemblyReloadEvents.beforeAssemblyReload += OnReload;
            EditorApplication.quitting -= OnReload;
            EditorApplication.quitting += OnReload;
            EditorApplication.update -= OnUpdate;
            EditorApplication.update += OnUpdate;
        }

        private static void OnReload()
        {
            WebSocket.Shutdown(1000);
        }

        private static void OnUpdate()
        {
            if (!Application.isPlaying)
            {
                WebSocket.DispatchAll(0, 1000);
            }
        }
    }
}
#endif
