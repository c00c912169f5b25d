#if UNITY_EDITOR
using UnityEditor;
using UnityEngine;

namespace Framewire.Editor
{
    /// <summary>Lists the sockets of the editor and of play mode. <see cref="SocketMonitor"/> has the logic.</summary>
    internal sealed class MonitorWindow : EditorWindow
    {
        private const double SampleSeconds = 0.5;

        // The width of each column; the last one takes the rest.
        private static readonly float[] s_widths = { 260, 80, 130, 160, 80, 70, 130 };

        private SocketMonitor _monitor;
        private double _nextSample;
        private bool _removeEnded;
        private Vector2 _scroll;

        [MenuItem("Window/Analysis/Framewire Monitor")]
        internal static void Open()
        {
            GetWindow<MonitorWindow>("Framewire Monitor");
        }

        internal void OnEnable()
        {
            _monitor = new SocketMonitor();
            _nextSample = 0;
            EditorApplication.update += OnUpdate;
        }

        // Also before scripts are reloaded.
        internal void OnDisable()
        {
            EditorApplication.update -= OnUpdate;
            _monitor.Dispose();
            _monitor = null;
        }

        internal void OnGUI()
        {
            GUILayout.BeginHorizontal();
            GUILayout.Label("Sockets: " + _monitor.Rows.Count);
            GUILayout.FlexibleSpace();
            if (GUILayout.Button("Remove ended"))
            {
                // Not here: the number of rows must not change between layout and repaint.
                _removeEnded = true;
            }
            GUILayout.EndHorizontal();
            _scroll = GUILayout.BeginScrollView(_scroll);
            DrawRow(MonitoredSocket.Titles);
            foreach (MonitoredSocket row in _monitor.Rows)
            {
                DrawRow(row.Cells());
            }
            GUILayout.EndScrollView();
        }

        private static void DrawRow(string[] cells)
        {
            GUILayout.BeginHorizontal();
            for (int column = 0; column < cells.Length; column++)
            {
                // The tooltip has what the column is too narrow for.
                var content = new GUIContent(cells[column], cells[column]);
                GUILayoutOption width = column < s_widths.Length
                    ? GUILayout.Width(s_widths[column])
                    : GUILayout.ExpandWidth(true);
                GUILayout.Label(content, width);
            }
            GUILayout.EndHorizontal();
        }

        private void OnUpdate()
        {
            double now = EditorApplication.timeSinceStartup;
            if (now < _nextSample && !_removeEnded)
            {
                return;
            }
            _nextSample = now + SampleSeconds;
            _monitor.Sample(now);
            if (_removeEnded)
            {
                _removeEnded = false;
                _monitor.RemoveEnded();
            }
            Repaint();
        }
    }
}
#endif
