#if UNITY_5_3_OR_NEWER
using UnityEngine;
using UnityEngine.Scripting;

namespace Framewire
{
    /// <summary>
    /// Calls the handlers of all sockets once a frame, within a budget of time. One is made by itself
    /// when play begins; nothing has to be put into a scene.
    /// </summary>
    [AddComponentMenu("")]
    [DisallowMultipleComponent]
    public sealed class WebSocketUpdater : MonoBehaviour
    {
        private static WebSocketUpdater s_instance;
        private static int s_maxMicroseconds = 1000;
        private NetworkReachability _network;

        /// <summary>
        /// Microseconds of a frame after which no further handler begins; what is left comes in the
        /// next frame. 0 for no limit. 1000 by default.
        /// </summary>
        public static int MaxMicroseconds
        {
            get { return s_maxMicroseconds; }
            set
            {
                if (value < 0)
                {
                    throw new System.ArgumentOutOfRangeException("value");
                }
                s_maxMicroseconds = value;
            }
        }

        /// <summary>
        /// Set to false to call <see cref="WebSocket.DispatchAll(int, int)"/> yourself, such as in
        /// FixedUpdate or before a network tick.
        /// </summary>
        public static bool Automatic { get; set; }

        // Statics survive where the domain is not reloaded when play begins: everything starts anew.
        [Preserve]
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        internal static void Reset()
        {
            s_instance = null;
            MaxMicroseconds = 1000;
            Automatic = true;
            WebSocket.UnhandledException = null;
            Application.quitting -= OnQuitting;
            Application.quitting += OnQuitting;
        }

        [Preserve]
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.BeforeSceneLoad)]
        internal static void Create()
        {
            if (s_instance != null)
            {
                return;
            }
            var host = new GameObject("Framewire");
            host.hideFlags = HideFlags.HideAndDontSave;
            DontDestroyOnLoad(host);
            s_instance = host.AddComponent<WebSocketUpdater>();
        }

        internal void Awake()
        {
            _network = Application.internetReachability;
        }

        internal void Update()
        {
            // Another network, or none any more: which connections survived that is worth a question.
            NetworkReachability network = Application.internetReachability;
            if (network != _network)
            {
                _network = network;
                WebSocket.NetworkChanged();
            }
            if (Automatic)
            {
                WebSocket.DispatchAll(0, MaxMicroseconds);
            }
        }

        // Phones stop an app in the background, and its connections may not survive that.
        internal void OnApplicationPause(bool paused)
        {
            if (paused)
            {
                WebSocket.Suspend();
            }
            else
            {
                WebSocket.Resume();
            }
        }

        // At the end of the program, and of play mode.
        private static void OnQuitting()
        {
            WebSocket.Shutdown(1000);
        }
    }
}
#endif
