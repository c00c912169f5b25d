// AndroidJNI.GetJavaVM exists since Unity 2022.2.
#if UNITY_5_3_OR_NEWER && UNITY_ANDROID && !UNITY_EDITOR && UNITY_2022_2_OR_NEWER
using System;
using UnityEngine;
using UnityEngine.Scripting;

namespace Framewire
{
    /// <summary>
    /// Hands over the Java VM before the first scene, so that <see cref="TlsRoots.Platform"/> honours the app's network
    /// security configuration. In older versions of Unity, that setting trusts the authorities of the system.
    /// </summary>
    internal static class AndroidApp
    {
        [Preserve]
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.BeforeSceneLoad)]
        internal static void Start()
        {
            try
            {
                using (var player = new AndroidJavaClass("com.unity3d.player.UnityPlayer"))
                using (var activity = player.GetStatic<AndroidJavaObject>("currentActivity"))
                using (var context = activity.Call<AndroidJavaObject>("getApplicationContext"))
                {
                    WebSocket.InitializeAndroid(AndroidJNI.GetJavaVM(), context.GetRawObject());
                }
            }
            catch (Exception exception)
            {
                // Without the VM, the system's authorities are trusted.
                Debug.LogException(exception);
            }
        }
    }
}
#endif
