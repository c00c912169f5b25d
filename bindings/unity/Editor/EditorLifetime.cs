#if UNITY_EDITOR
using UnityEditor;
using UnityEngine;

namespace Framewire.Editor
{
    /// <summary>
    /// Shuts the library down before scripts are reloaded, because the editor unloads scripts but not native
    /// libraries. Also dispatches events outside of play mode.
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
            WebSocket.ShutdownForGood();
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
