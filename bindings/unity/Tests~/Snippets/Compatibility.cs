using System;
using System.Collections.Generic;
using System.Text;
using System.Threading.Tasks;
using Framewire;
using Framewire.Tests;
using Nakama;
using NUnit.Framework;

// Runs programs that are written for NativeWebSocket, UnityWebSocket and Nakama.

namespace OfNativeWebSocket
{
    using NativeWebSocket;
    using UnityEngine;

    public sealed class Connection : MonoBehaviour
    {
        internal readonly List<string> Lines = new List<string>();
        internal string Url;
        internal bool HasEnded;
        internal bool IsQuiet;
        private WebSocket _websocket;

        internal async void Start()
        {
            _websocket = new WebSocket(Url, new Dictionary<string, string> { { "X-Game", "1" } });
            _websocket.OnOpen += async () =>
            {
                Lines.Add("open " + _websocket.State);
                if (IsQuiet)
                {
                    return;
                }
                await _websocket.Send(new byte[] { 65, 66 });
                await _websocket.SendText("plain text message");
            };
            _websocket.OnError += e => Lines.Add("error");
            _websocket.OnClose += e => Lines.Add("close " + e);
            _websocket.OnMessage += bytes => Lines.Add(Encoding.UTF8.GetString(bytes));
            await _websocket.Connect();
            HasEnded = true;
        }

        internal void Update()
        {
            _websocket.DispatchMessageQueue();
        }

        internal async void OnApplicationQuit()
        {
            await _websocket.Close();
        }

        internal Task Refuse()
        {
            return _websocket.SendText("late");
        }

        internal void Cancel()
        {
            _websocket.CancelConnection();
        }
    }
}

namespace OfUnityWebSocket
{
    using UnityWebSocket;

    public sealed class Connection
    {
        internal readonly List<string> Lines = new List<string>();
        private readonly WebSocket _socket;

        internal Connection(string address)
        {
            _socket = new WebSocket(address);
            _socket.OnOpen += OnOpen;
            _socket.OnClose += (sender, e) => Lines.Add("close " + e.Code + " " + e.WasClean);
            _socket.OnError += (sender, e) => Lines.Add("error " + (e.Message.Length > 0));
            _socket.OnMessage += (sender, e) =>
                Lines.Add(e.IsText ? "text " + e.Data : "binary " + e.RawData.Length + " " + e.IsBinary);
            _socket.ConnectAsync();
        }

        private void OnOpen(object sender, OpenEventArgs e)
        {
            Lines.Add("open " + _socket.ReadyState);
            _socket.SendAsync("text");
            _socket.SendAsync(new byte[] { 1, 2, 3 });
        }

        internal void Close()
        {
            _socket.CloseAsync();
        }

        internal void SendLate()
        {
            _socket.SendAsync("late");
        }
    }
}

public sealed class Compatibility
{
    [Test]
    public void ProgramForNativeWebSocketRuns()
    {
        var game = new OfNativeWebSocket.Connection { Url = Server.Plain("/").ToString() };
        game.Start();
        Until(() => game.Lines.Count == 3, game.Update);
        Assert.AreEqual("open Open,AB,plain text message", string.Join(",", game.Lines.ToArray()));
        Assert.IsFalse(game.HasEnded);
        game.OnApplicationQuit();
        Until(() => game.HasEnded, game.Update);
        Assert.AreEqual("close Normal", game.Lines[3]);
        Assert.IsTrue(game.Refuse().IsFaulted);

        game = new OfNativeWebSocket.Connection { Url = "ws://127.0.0.1:1/" };
        game.Start();
        Until(() => game.HasEnded, game.Update);
        Assert.AreEqual("error,close Abnormal", string.Join(",", game.Lines.ToArray()));

        game = new OfNativeWebSocket.Connection { Url = Server.Plain("/close?code=4321").ToString(), IsQuiet = true };
        game.Start();
        Until(() => game.HasEnded, game.Update);
        Assert.AreEqual("close Undefined", game.Lines[game.Lines.Count - 1]);

        game = new OfNativeWebSocket.Connection { Url = Server.Plain("/headers").ToString(), IsQuiet = true };
        game.Start();
        Until(() => game.Lines.Count >= 2, game.Update);
        Assert.IsTrue(game.Lines[1].ToLowerInvariant().Contains("x-game: 1"), game.Lines[1]);
        game.Cancel();
        Until(() => game.HasEnded, game.Update);
    }

    [Test]
    public void NativeWebSocketDisposedInOnErrorIsNotClosed()
    {
        var socket = new NativeWebSocket.WebSocket("ws://127.0.0.1:1/");
        int closed = 0;
        socket.OnError += error => socket.Dispose();
        socket.OnClose += code => closed++;
        Task ended = socket.Connect();
        Pump.Until(() => ended.IsCompleted);
        Assert.AreEqual(0, closed);
    }

    [Test]
    public void ProgramForUnityWebSocketRuns()
    {
        var game = new OfUnityWebSocket.Connection(Server.Plain("/").ToString());
        Pump.Until(() => game.Lines.Count == 3);
        Assert.AreEqual("open Open,text text,binary 3 True", string.Join(",", game.Lines.ToArray()));
        game.Close();
        Pump.Until(() => game.Lines.Count == 4);
        Assert.AreEqual("close 1000 True", game.Lines[3]);
        Assert.Throws<InvalidOperationException>(game.SendLate);

        game = new OfUnityWebSocket.Connection("ws://127.0.0.1:1/");
        Pump.Until(() => game.Lines.Count == 2);
        Assert.AreEqual("error True,close 1006 False", string.Join(",", game.Lines.ToArray()));
    }

    [Test]
    public void AdapterForNakamaRuns()
    {
        ISocketAdapter adapter = new FramewireSocketAdapter();
        var lines = new List<string>();
        adapter.Connected += () => lines.Add("connected");
        adapter.Closed += reason => lines.Add("closed");
        adapter.ReceivedError += error => lines.Add("error");
        adapter.Received += data => lines.Add(Encoding.UTF8.GetString(data.Array, data.Offset, data.Count));
        Assert.IsTrue(adapter.SendAsync(new ArraySegment<byte>(new byte[1])).IsFaulted);
        for (int round = 0; round < 2; round++)
        {
            lines.Clear();
            Task connect = adapter.ConnectAsync(Server.Plain("/"), 5);
            Assert.IsTrue(adapter.IsConnecting);
            Pump.Until(() => connect.IsCompleted);
            Assert.IsTrue(adapter.IsConnected);
            Assert.IsTrue(adapter.SendAsync(new ArraySegment<byte>(Encoding.UTF8.GetBytes("{\"cid\":1}"))).IsCompleted);
            Pump.Until(() => lines.Count == 2);
            Task close = adapter.CloseAsync();
            Pump.Until(() => close.IsCompleted);
            Assert.AreEqual("connected,{\"cid\":1},closed", string.Join(",", lines.ToArray()));
            Assert.IsFalse(adapter.IsConnected);
        }
        lines.Clear();
        Task refused = adapter.ConnectAsync(new Uri("ws://127.0.0.1:1/"), 5);
        Pump.Until(() => refused.IsCompleted);
        Assert.IsTrue(refused.IsFaulted);
        Assert.AreEqual("error,closed", string.Join(",", lines.ToArray()));
        Assert.IsTrue(adapter.CloseAsync().IsCompleted);
    }

    [Test]
    public void AdaptersSurviveShutdownAndDispose()
    {
        var adapter = new FramewireSocketAdapter();
        Task connect = adapter.ConnectAsync(Server.Plain("/"), 5);
        Pump.Until(() => connect.IsCompleted);
        Assert.IsTrue(WebSocket.Shutdown(5000));
        Assert.IsFalse(adapter.IsConnected);
        Assert.IsTrue(adapter.CloseAsync().IsCompleted);
        connect = adapter.ConnectAsync(Server.Plain("/"), 5);
        Pump.Until(() => connect.IsCompleted);
        Assert.IsTrue(adapter.IsConnected);
        Task close = adapter.CloseAsync();
        Pump.Until(() => close.IsCompleted);

        int closed = 0;
        var socket = new NativeWebSocket.WebSocket(Server.Plain("/").ToString());
        socket.OnClose += code => closed++;
        socket.Dispose();
        socket.Dispose();
        socket = new NativeWebSocket.WebSocket(Server.Plain("/").ToString());
        socket.OnClose += code => closed++;
        Task connected = socket.Connect();
        Pump.Until(() => socket.State == NativeWebSocket.WebSocketState.Open);
        socket.Dispose();
        Assert.IsTrue(connected.IsCompleted);
        Assert.AreEqual(NativeWebSocket.WebSocketState.Closed, socket.State);
        Assert.IsTrue(socket.Close().IsCompleted);
        WebSocket.DispatchAll();
        Assert.AreEqual(0, closed);
    }

    /// <summary>Runs frames of the game.</summary>
    private static void Until(Func<bool> condition, Action update)
    {
        Pump.Until(() =>
        {
            update();
            return condition();
        });
    }
}
