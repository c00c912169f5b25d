using System;
using System.Collections.Generic;
using Framewire;
using UnityEngine;

/// <summary>A chat. Add it to any object and enter play mode; the server must echo or relay messages.</summary>
public sealed class Chat : MonoBehaviour
{
    [SerializeField]
    private string address = "ws://127.0.0.1:9001/";

    private readonly List<string> _lines = new List<string>();
    private WebSocket _socket;
    private string _draft = string.Empty;

    private void Start()
    {
        _socket = new WebSocket(new Uri(address));
        _socket.StartPingThread = true;
        _socket.OnOpen += ws => Show("connected to " + address);
        _socket.OnMessage += (ws, message) => Show(message);
        _socket.OnClosed += (ws, code, reason) => Show("closed: " + code + " " + reason);
        _socket.OnError += (ws, error) => Show(error + (ws.LastError.Retriable ? " (retriable)" : string.Empty));
        _socket.Open();
    }

    private void OnGUI()
    {
        GUILayout.BeginArea(new Rect(10, 10, Screen.width - 20, Screen.height - 20));
        foreach (string line in _lines)
        {
            GUILayout.Label(line);
        }
        GUILayout.BeginHorizontal();
        _draft = GUILayout.TextField(_draft);
        if (GUILayout.Button("Send", GUILayout.Width(80)) && _socket.Send(_draft) == SendResult.Queued)
        {
            _draft = string.Empty;
        }
        if (_socket.State == WebSocketStates.Closed && GUILayout.Button("Connect", GUILayout.Width(80)))
        {
            _socket.Open();
        }
        GUILayout.EndHorizontal();
        GUILayout.Label(_socket.State + ", latency " + _socket.Latency + " ms");
        GUILayout.EndArea();
    }

    private void OnDestroy()
    {
        _socket.Dispose();
    }

    private void Show(string line)
    {
        _lines.Add(line);
        if (_lines.Count > 20)
        {
            _lines.RemoveAt(0);
        }
    }
}
