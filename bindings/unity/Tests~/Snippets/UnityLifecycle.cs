using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using Framewire;
using Framewire.Tests;
using NUnit.Framework;
using UnityEditor;
using UnityEngine;

// Runs the snippets, and tests the package's lifecycle in Unity, with a stub of Unity.

public sealed class UnityLifecycle
{
    [Test]
    public void ReferenceSnippetsRun()
    {
        string file = Path.GetTempFileName();
        try
        {
            EnterPlayMode();
            var lines = new List<string>();
            Debug.Logged += lines.Add;
            var snippets = new Reference(Server.Plain("/"), file);
            using (WebSocket webSocket = snippets.Construct())
            {
                snippets.Subscribe(webSocket);
                webSocket.Open();
                Pump.Until(() => snippets.opened);
                snippets.Properties(webSocket);
                snippets.Send(webSocket, 1000);
                Pump.Until(() => snippets.texts == 2 && snippets.segments == 3);
                Assert.AreEqual(3, snippets.binaries);
                Assert.AreEqual("Echo", webSocket.Protocol);
                webSocket.Close();
                Pump.Until(() => snippets.closed);
                Assert.IsNull(snippets.lastError);
            }
            Assert.AreEqual(1000L, new FileInfo(file).Length);
            Assert.IsTrue(lines.Contains("log: Text Message received from server: Message to the Server"));
            Debug.Logged -= lines.Add;

            var request = new Reference(Server.Plain("/headers"), file);
            string head = null;
            using (WebSocket webSocket = request.Request())
            {
                webSocket.OnMessage += (ws, message) => head = message;
                webSocket.Open();
                Pump.Until(() => head != null);
            }
            Assert.IsTrue(head.ToLowerInvariant().Contains("authentication: bearer ..."), head);
        }
        finally
        {
            File.Delete(file);
            WebSocket.Shutdown(5000);
        }
    }

    [Test]
    public void LogGoesToTheConsoleByLevel()
    {
        var updater = EnterPlayMode();
        var lines = new List<string>();
        Debug.Logged += lines.Add;
        try
        {
            Assert.AreEqual(WebSocketLogLevel.Warn, WebSocket.LogLevel);
            using (var tls = new TlsSettings())
            using (var socket = new WebSocket(Server.Secure("/")))
            {
                bool opened = false;
                tls.SetInsecure(true);
                socket.Tls = tls;
                socket.OnOpen += ws => opened = true;
                socket.Open();
                UpdateUntil(updater, () => opened);
                Assert.AreEqual(1, lines.Count);
                Assert.IsTrue(lines[0].StartsWith("warning: Framewire: ", StringComparison.Ordinal), lines[0]);
            }
            lines.Clear();
            WebSocket.LogLevel = WebSocketLogLevel.Info;
            using (var socket = new WebSocket(new Uri("ws://127.0.0.1:1/")))
            {
                bool failed = false;
                socket.Context.Add("match", 7);
                socket.OnError += (ws, error) => failed = true;
                socket.Open();
                UpdateUntil(updater, () => failed);
                Assert.AreEqual(1, lines.Count);
                Assert.IsTrue(lines[0].StartsWith("log: Framewire: ", StringComparison.Ordinal), lines[0]);
                Assert.IsTrue(lines[0].EndsWith(" (match=7)", StringComparison.Ordinal), lines[0]);
            }
        }
        finally
        {
            Debug.Logged -= lines.Add;
            WebSocket.LogLevel = WebSocketLogLevel.Warn;
            Application.Quit();
        }
    }

    private static void UpdateUntil(WebSocketUpdater updater, Func<bool> condition)
    {
        for (int frame = 0; !condition(); frame++)
        {
            Assert.Less(frame, 1000);
            WebSocket.Wait(20);
            updater.Update();
        }
    }

    [Test]
    public void UpdaterDispatchesEvents()
    {
        var updater = EnterPlayMode();
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            bool opened = false;
            socket.OnOpen += ws => opened = true;
            socket.Open();
            Assert.IsTrue(WebSocket.Wait(20000));
            WebSocketUpdater.Automatic = false;
            updater.Update();
            Assert.IsFalse(opened);
            WebSocketUpdater.Automatic = true;
            updater.Update();
            Assert.IsTrue(opened);
        }
        Application.Quit();
    }

    [Test]
    public void UpdaterRejectsANegativeBudget()
    {
        EnterPlayMode();
        Assert.Throws<ArgumentOutOfRangeException>(() => WebSocketUpdater.MaxMicroseconds = -1);
        Assert.AreEqual(1000, WebSocketUpdater.MaxMicroseconds);
        Application.Quit();
    }

    [Test]
    public void NetworkChangeAndPauseAreForwarded()
    {
        var updater = EnterPlayMode(ignoreNetworkChanges: true);
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.Open();
            Pump.Until(() => socket.IsOpen);
            ulong pings = 0;
            WebSocketUpdater.NetworkCheckInterval = 0;
            foreach (NetworkReachability network in new[]
            {
                NetworkReachability.ReachableViaCarrierDataNetwork, NetworkReachability.NotReachable,
            })
            {
                Application.internetReachability = network;
                updater.Update();
                pings++;
                Pump.Until(() => socket.GetStatistics().PongsReceived == pings);
            }
            updater.Update();
            updater.OnApplicationPause(true);
            updater.OnApplicationPause(false);
            pings++;
            Pump.Until(() => socket.GetStatistics().PongsReceived == pings);

            WebSocketUpdater.AutomaticLifecycle = false;
            Application.internetReachability = NetworkReachability.ReachableViaLocalAreaNetwork;
            updater.Update();
            updater.OnApplicationPause(true);
            updater.OnApplicationPause(false);
            // Would follow a probe that was sent before.
            socket.Ping(new byte[0]);
            pings++;
            Pump.Until(() => socket.GetStatistics().PongsReceived == pings);
            Assert.AreEqual(pings, socket.GetStatistics().PingsSent);
        }
        Application.Quit();
    }

    [Test]
    public void LostFocusDoesNotSuspendAndFocusResumesOnce()
    {
        var updater = EnterPlayMode(ignoreNetworkChanges: true);
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.PingFrequency = 20;
            socket.StartPingThread = true;
            socket.Open();
            Pump.Until(() => socket.IsOpen);
            updater.OnApplicationFocus(false);
            ulong pings = socket.GetStatistics().PongsReceived;
            Pump.Until(() => socket.GetStatistics().PongsReceived >= pings + 3);
            updater.OnApplicationFocus(true);

            // No pings are sent while the app is paused.
            updater.OnApplicationPause(true);
            updater.OnApplicationFocus(false);
            Pump.Until(() => Settled(socket));
            pings = socket.GetStatistics().PingsSent;
            System.Threading.Thread.Sleep(100);
            Assert.AreEqual(pings, socket.GetStatistics().PingsSent);
            updater.OnApplicationFocus(true);
            Pump.Until(() => socket.GetStatistics().PongsReceived >= pings + 3);

            // The probe of a second resume would be an additional ping.
            socket.StartPingThread = false;
            Pump.Until(() => Settled(socket));
            pings = socket.GetStatistics().PingsSent;
            updater.OnApplicationPause(false);
            updater.OnApplicationFocus(true);
            System.Threading.Thread.Sleep(100);
            Assert.AreEqual(pings, socket.GetStatistics().PingsSent);
        }
        Application.Quit();
    }

    // Whether all pings are answered, and no other one is sent soon.
    private static bool Settled(WebSocket socket)
    {
        ulong pings = socket.GetStatistics().PingsSent;
        System.Threading.Thread.Sleep(60);
        WebSocketStatistics now = socket.GetStatistics();
        return now.PingsSent == pings && now.PongsReceived == pings;
    }

    [Test]
    public void ReachabilityIsReadOnceInAnInterval()
    {
        var updater = EnterPlayMode(ignoreNetworkChanges: true);
        // Longer than the test takes on a busy machine.
        WebSocketUpdater.NetworkCheckInterval = int.MaxValue;
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.Open();
            Pump.Until(() => socket.IsOpen);
            Application.internetReachability = NetworkReachability.ReachableViaCarrierDataNetwork;
            updater.Update();
            Assert.AreEqual(0UL, socket.GetStatistics().PingsSent);
            WebSocketUpdater.NetworkCheckInterval = 0;
            updater.Update();
            Pump.Until(() => socket.GetStatistics().PongsReceived == 1);
            Application.internetReachability = NetworkReachability.ReachableViaLocalAreaNetwork;
        }
        Application.Quit();
    }

    [Test]
    public void EndOfPlayModeClosesSocketsOnce()
    {
        for (int session = 0; session < 3; session++)
        {
            // Twice, because the domain is not always reloaded in between.
            EnterPlayMode();
            EnterPlayMode();
            int closed = 0;
            var socket = new WebSocket(Server.Plain("/"));
            socket.OnClosed += (ws, code, reason) =>
            {
                closed++;
                Assert.AreEqual((ushort)1001, code);
            };
            socket.Open();
            Pump.Until(() => socket.IsOpen);
            Application.Quit();
            Assert.AreEqual(1, closed);
            Assert.AreEqual(WebSocketStates.Unknown, socket.State);
            Assert.AreEqual(0, WebSocket.DispatchAll());
        }
    }

    [Test]
    public void SocketsOpenedWhilePlayModeEndsAreDestroyed()
    {
        EnterPlayMode();
        var opened = new List<WebSocket>();
        OnWebSocketClosedDelegate reconnect = null;
        reconnect = (ws, code, reason) =>
        {
            var next = new WebSocket(Server.Plain("/"));
            next.OnClosed += reconnect;
            next.Open();
            opened.Add(next);
        };
        var socket = new WebSocket(Server.Plain("/"));
        socket.OnClosed += reconnect;
        socket.Open();
        Pump.Until(() => socket.IsOpen);
        Application.Quit();
        // Without a further event.
        Assert.AreEqual(1, opened.Count);
        Assert.AreEqual(WebSocketStates.Unknown, opened[0].State);
        Assert.AreEqual(0, SocketTable.Count);
        Assert.AreEqual(0, WebSocket.DispatchAll());
        Assert.AreEqual(1, opened.Count);
    }

    [Test]
    public void UpdaterIsDestroyedWhenPlayModeEnds()
    {
        EnterPlayMode();
        int before = GameObject.Destroyed.Count;
        Application.Quit();
        Assert.AreEqual(before + 1, GameObject.Destroyed.Count);
        Assert.AreEqual("Framewire", GameObject.Destroyed[before].name);
        Application.Quit();
        Assert.AreEqual(before + 1, GameObject.Destroyed.Count);
    }

    [Test]
    public void HandlerExceptionIsLogged()
    {
        EnterPlayMode();
        var lines = new List<string>();
        Debug.Logged += lines.Add;
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            bool thrown = false;
            socket.OnOpen += ws =>
            {
                thrown = true;
                throw new Exception("from a handler");
            };
            socket.Open();
            Pump.Until(() => thrown);
        }
        Debug.Logged -= lines.Add;
        Assert.AreEqual("exception: from a handler", string.Join("|", lines.ToArray()));
        Application.Quit();
    }

#if UNITY_EDITOR
    [Test]
    public void EditorDispatchesOutsideOfPlayModeAndShutsDownBeforeReload()
    {
        Type editor = typeof(WebSocket).Assembly.GetType("Framewire.Editor.EditorLifetime", true);
        RuntimeHelpers.RunClassConstructor(editor.TypeHandle);
        EnterPlayMode();
        Application.isPlaying = false;
        bool opened = false, closed = false;
        var socket = new WebSocket(Server.Plain("/"));
        socket.OnOpen += ws => opened = true;
        socket.OnClosed += (ws, code, reason) => closed = true;
        socket.Open();
        Assert.IsTrue(WebSocket.Wait(20000));
        Application.isPlaying = true;
        EditorApplication.update();
        Assert.IsFalse(opened);
        Application.isPlaying = false;
        EditorApplication.update();
        Assert.IsTrue(opened);
        WebSocket second = null;
        socket.OnClosed += (ws, code, reason) =>
        {
            second = new WebSocket(Server.Plain("/"));
            second.Open();
        };
        AssemblyReloadEvents.Reload();
        Assert.IsTrue(closed);
        Assert.AreEqual(WebSocketStates.Unknown, socket.State);
        Assert.AreEqual(WebSocketStates.Unknown, second.State);
    }

    [Test]
    public void SocketOpenedAfterPlayModeIsLoggedAndEndsBeforeTheNext()
    {
        Type editor = typeof(WebSocket).Assembly.GetType("Framewire.Editor.EditorLifetime", true);
        RuntimeHelpers.RunClassConstructor(editor.TypeHandle);
        var lines = new List<string>();
        Debug.Logged += lines.Add;
        try
        {
            EditorApplication.ChangePlayMode(PlayModeStateChange.ExitingEditMode);
            Application.isPlaying = false;
            // No play mode has ended yet: a tool has opened it.
            OpenInEditMode();
            Assert.AreEqual(0, lines.Count);
            EditorApplication.ChangePlayMode(PlayModeStateChange.ExitingEditMode);
            EnterPlayMode();
            Application.isPlaying = true;
            var socket = new WebSocket(Server.Plain("/"));
            socket.Open();
            EditorApplication.update();
            EditorApplication.ChangePlayMode(PlayModeStateChange.ExitingPlayMode);
            EditorApplication.update();
            Application.Quit();
            Application.isPlaying = false;
            EditorApplication.ChangePlayMode(PlayModeStateChange.EnteredEditMode);
            EditorApplication.update();
            Assert.AreEqual(0, lines.Count);

            WebSocket late = OpenInEditMode();
            EditorApplication.update();
            Assert.AreEqual(1, lines.Count);
            Assert.IsTrue(
                lines[0].StartsWith("warning: Framewire: a socket for " + Server.Plain("/") + " was opened in edit mode"),
                lines[0]);
            WebSocket.LogLevel = WebSocketLogLevel.Error;
            OpenInEditMode();
            Assert.AreEqual(1, lines.Count);

            // Without a reload of scripts.
            EditorApplication.ChangePlayMode(PlayModeStateChange.ExitingEditMode);
            Assert.AreEqual(WebSocketStates.Unknown, late.State);
            Assert.AreEqual(0, SocketTable.Count);
        }
        finally
        {
            Debug.Logged -= lines.Add;
            WebSocket.LogLevel = WebSocketLogLevel.Warn;
        }
    }

    private static WebSocket OpenInEditMode()
    {
        bool opened = false;
        var socket = new WebSocket(Server.Plain("/?token=secret"));
        socket.OnOpen += ws => opened = true;
        socket.Open();
        while (!opened)
        {
            Assert.IsTrue(WebSocket.Wait(20000));
            EditorApplication.update();
        }
        return socket;
    }
#endif

    /// <summary>Does what Unity does when play mode starts.</summary>
    // Without the native library's own watch of the network, only the tests' changes cause pings.
    private static WebSocketUpdater EnterPlayMode(bool ignoreNetworkChanges = false)
    {
        if (ignoreNetworkChanges)
        {
            WebSocket.Configure(0, 0, true);
        }
        WebSocketUpdater.Reset();
        WebSocketUpdater.Create();
        return new GameObject("test").AddComponent<WebSocketUpdater>();
    }
}
