#if UNITY_5_3_OR_NEWER
using UnityEngine;
using UnityEngine.Scripting;

namespace Framewire
{
    /// <summary>
    /// Calls the handlers of all sockets once per frame, within a time budget. Created automatically when
    /// play mode starts; do not add it to a scene.
    /// </summary>
    [AddComponentMenu("")]
    [DisallowMultipleComponent]
    public sealed class WebSocketUpdater : MonoBehaviour
    {
        private static WebSocketUpdater s_instance;
        private static int s_maxMicroseconds = 1000;
        private NetworkReachability _network;
        private int _networkChecked;
        private bool _suspended;

        // How often Application.internetReachability is read, in milliseconds: on a phone it asks the system.
        internal static int NetworkCheckInterval = 1000;

        /// <summary>
        /// The time budget per frame in microseconds, after which no further handler starts. Remaining events
        /// are delivered in the next frame. 0 for no limit. Default: 1000.
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
        /// Whether this component dispatches events. Set it to false to call
        /// <see cref="WebSocket.DispatchAll(int, int)"/> yourself, such as in FixedUpdate. Default: true.
        /// </summary>
        public static bool Automatic { get; set; }

        /// <summary>
        /// Whether this component calls <see cref="WebSocket.Suspend"/> and <see cref="WebSocket.Resume"/> when the
        /// app is paused and resumed, and <see cref="WebSocket.NetworkChanged"/> when
        /// Application.internetReachability has changed, which it checks once a second. An app that only loses the
        /// focus is not suspended. Set it to false to call them yourself. Default: true.
        /// </summary>
        public static bool AutomaticLifecycle { get; set; }

        // Static state survives if the domain is not reloaded when play mode starts.
        [Preserve]
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        internal static void Reset()
        {
            s_instance = null;
            MaxMicroseconds = 1000;
            Automatic = true;
            AutomaticLifecycle = true;
            NetworkCheckInterval = 1000;
            WebSocket.UnhandledException = null;
            WebSocket.ResetLog();
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
            _networkChecked = System.Environment.TickCount;
        }

        internal void Update()
        {
            if (AutomaticLifecycle)
            {
                CheckNetwork();
            }
            if (Automatic)
            {
                WebSocket.DispatchAll(0, MaxMicroseconds);
            }
        }

        // Checks the connections after a network change.
        private void CheckNetwork()
        {
            int now = System.Environment.TickCount;
            if (unchecked(now - _networkChecked) < NetworkCheckInterval)
            {
                return;
            }
            _networkChecked = now;
            NetworkReachability network = Application.internetReachability;
            if (network != _network)
            {
                _network = network;
                WebSocket.NetworkChanged();
            }
        }

        // A mobile app is suspended in the background, and its connections may be lost.
        internal void OnApplicationPause(bool paused)
        {
            if (paused && AutomaticLifecycle)
            {
                _suspended = true;
                WebSocket.Suspend();
            }
            else if (!paused)
            {
                ResumeIfSuspended();
            }
        }

        // Losing the focus does not suspend: the app continues to run while the on-screen keyboard, a dialog of the
        // system or another window has it, and must answer pings. If the app stops, Unity calls OnApplicationPause.
        internal void OnApplicationFocus(bool focused)
        {
            if (focused)
            {
                // An app with the focus runs, also if no OnApplicationPause(false) has come.
                ResumeIfSuspended();
            }
        }

        private void ResumeIfSuspended()
        {
            if (_suspended)
            {
                _suspended = false;
                WebSocket.Resume();
            }
        }

        // Called when the program or play mode ends.
        private static void OnQuitting()
        {
            WebSocket.ShutdownForGood();
            if (s_instance != null)
            {
                // Because of its flags, the editor keeps it.
                DestroyImmediate(s_instance.gameObject);
                s_instance = null;
            }
        }
    }
}
#endif
