using System;
using Framewire;
using UnityEngine;

// The snippets of the documentation of the component whose API this package keeps, in its order. Changes:
// the using line, braces of handlers that its web page has lost, the URL as a parameter, and the name
// `socket` in the last lambda, because before C# 8 a lambda cannot shadow a local variable.

internal sealed class Reference
{
    private readonly Uri server;
    private readonly string path;
    internal bool opened, closed;
    internal string lastError;
    internal int texts, binaries, segments;

    internal Reference(Uri server, string path)
    {
        this.server = server;
        this.path = path;
    }

    internal WebSocket Construct()
    {
        var webSocket = new WebSocket(new Uri("wss://echo.websocket.org"));
        webSocket.Dispose();
        webSocket = new WebSocket(uri: new Uri("wss://echo.websocket.org"), origin: "echo.websocket.org", protocol: "Echo", extensions: null);
        webSocket.Dispose();
        return new WebSocket(uri: server, origin: "echo.websocket.org", protocol: "Echo", extensions: null);
    }

    internal void Subscribe(WebSocket webSocket)
    {
        webSocket.OnOpen += OnWebSocketOpen;
        webSocket.OnMessage += OnMessageReceived;
        webSocket.OnBinary += OnBinaryMessageReceived;
        webSocket.OnBinaryNoAlloc += OnBinaryNoAlloc;
        webSocket.OnClosed += OnWebSocketClosed;
        webSocket.OnError += OnError;
    }

    private void OnWebSocketOpen(WebSocket webSocket)
    {
        Debug.Log("WebSocket is now Open!");
        opened = true;
    }

    private void OnMessageReceived(WebSocket webSocket, string message)
    {
        Debug.Log("Text Message received from server: " + message);
        texts++;
    }

    private void OnBinaryMessageReceived(WebSocket webSocket, byte[] message)
    {
        Debug.Log("Binary Message received from server. Length: " + message.Length);
        binaries++;
    }

    private void OnBinaryNoAlloc(WebSocket webSocket, BufferSegment buffer)
    {
        Debug.Log("Binary Message received from server. Length: " + buffer.Count);

        using (var stream = System.IO.File.OpenWrite(path))
        {
            // This is BAD, don't use it like this!
            //stream.Write(buffer.Data, 0, buffer.Data.Length);

            // Good:
            stream.Write(buffer.Data, buffer.Offset, buffer.Count);
        }
        segments++;
    }

    private void OnWebSocketClosed(WebSocket webSocket, UInt16 code, string message)
    {
        Debug.Log("WebSocket is now Closed!");
        closed = true;
    }

    void OnError(WebSocket ws, string error)
    {
        Debug.LogError("Error: " + error);
        lastError = error;
    }

    internal void Send(WebSocket webSocket, int length)
    {
        webSocket.Send("Message to the Server");

        // Allocate and fill up the buffer with data
        byte[] buffer = new byte[length];
        webSocket.Send(buffer);
        webSocket.Send(buffer, 0, (ulong)length);

        byte[] pooled = BufferPool.Get(length, true);
        webSocket.SendAsText(new BufferSegment(pooled, 0, 0));
        webSocket.SendAsBinary(new BufferSegment(BufferPool.Get(length, true), 0, length));
    }

    internal void Properties(WebSocket webSocket)
    {
        bool isOpen = webSocket.IsOpen;
        WebSocketStates state = webSocket.State;
        int bufferedAmount = webSocket.BufferedAmount;
        webSocket.StartPingThread = true;
        webSocket.PingFrequency = 1000;
        webSocket.CloseAfterNoMesssage = TimeSpan.FromSeconds(2);
        IExtension[] extensions = webSocket.Extensions;
        int latency = webSocket.Latency;
        DateTime last = webSocket.LastMessageReceived;
        webSocket.Context.Add("snippet", "properties");
        webSocket.OnIncompleteFrame += (socket, frame) => Debug.Log(frame.Data.Count);
        webSocket.OnIncompleteFrame = null;
        Debug.Log(isOpen + " " + state + " " + bufferedAmount + " " + extensions + " " + latency + " " + last);
    }

    internal WebSocket Request()
    {
        string token = "...";

        var ws = new WebSocket(server);
        ws.OnInternalRequestCreated += (socket, req) => req.AddHeader("Authentication", $"Bearer {token}");
        return ws;
    }
}
