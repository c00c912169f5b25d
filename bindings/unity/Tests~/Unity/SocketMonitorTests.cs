using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using Framewire;
using Framewire.Editor;
using Framewire.Tests;
using NUnit.Framework;

public sealed class SocketMonitorTests
{
    [Test]
    public void RatesAreThoseSinceTheLastSample()
    {
        using (var monitor = new SocketMonitor())
        using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
        {
            monitor.Sample(10);
            MonitoredSocket row = monitor.Rows[0];
            Assert.AreEqual(0.0, row.MessagesSentPerSecond);
            Echo(socket, 10);
            monitor.Sample(12);
            Assert.AreEqual(5.0, row.MessagesSentPerSecond);
            Assert.AreEqual(5.0, row.MessagesReceivedPerSecond);
            // A masked header has 6 bytes, another one 2.
            Assert.AreEqual(530.0, row.BytesSentPerSecond);
            Assert.AreEqual(510.0, row.BytesReceivedPerSecond);
            Assert.AreEqual("5 | 5", row.Cells()[2]);
            Assert.AreEqual("530 B | 510 B", row.Cells()[3]);
            // At the same time, nothing can be said about the rate.
            monitor.Sample(12);
            Assert.AreEqual(5.0, row.MessagesSentPerSecond);
            monitor.Sample(12.5);
            Assert.AreEqual(0.0, row.MessagesSentPerSecond);
            Assert.AreEqual(0.0, row.BytesReceivedPerSecond);
        }
    }

    [Test]
    public void SocketsOpenedBeforeAndAfterAreListedOnce()
    {
        using (var before = new RecordingSocket(Server.Plain("/before")).Opened())
        using (var neverOpened = new WebSocket(Server.Plain("/never")))
        using (var monitor = new SocketMonitor())
        using (var after = new RecordingSocket(Server.Plain("/after")).Opened())
        {
            monitor.Sample(0);
            Assert.AreEqual("/before Open, /after Open", Listed(monitor));
            before.Socket.Close();
            before.WaitForEnd();
            monitor.Sample(1);
            Assert.AreEqual("/before Closed, /after Open", Listed(monitor));
            before.Ended = false;
            before.Socket.Open();
            Pump.Until(() => before.Socket.IsOpen);
            monitor.Sample(2);
            Assert.AreEqual("/before Open, /after Open", Listed(monitor));
        }
    }

    [Test]
    public void ErrorIsShownAndKeptWhenTheSocketIsOpenedAgain()
    {
        using (var monitor = new SocketMonitor())
        using (var listener = new FixedResponseServer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", true))
        using (var socket = new RecordingSocket(listener.Uri))
        {
            // It opens and fails between two samples.
            monitor.Sample(0);
            socket.Socket.Open();
            socket.WaitForEnd();
            monitor.Sample(1);
            MonitoredSocket row = monitor.Rows[0];
            Assert.AreEqual(WebSocketStates.Closed, row.State);
            Assert.AreEqual(socket.Socket.LastError.ToString(), row.LastError);
            Assert.IsTrue(row.LastError.StartsWith("Http in phase Upgrade: ", StringComparison.Ordinal), row.LastError);
            socket.Socket.Open();
            string error = row.LastError;
            monitor.Sample(2);
            Assert.AreEqual(WebSocketStates.Connecting, row.State);
            Assert.AreEqual(error, row.LastError);
        }
    }

    [Test]
    public void CloseCodeAndReasonAreShown()
    {
        using (var monitor = new SocketMonitor())
        using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
        {
            socket.Socket.Close(3001, "end of match");
            socket.WaitForEnd();
            monitor.Sample(0);
            Assert.AreEqual("Closed: 3001 end of match", monitor.Rows[0].LastError);
        }
    }

    [Test]
    public void RowOfADisposedSocketIsRemovedLater()
    {
        using (var monitor = new SocketMonitor())
        using (var other = new RecordingSocket(Server.Plain("/other")).Opened())
        {
            var socket = new RecordingSocket(Server.Plain("/disposed")).Opened();
            monitor.Sample(0);
            Echo(socket, 5);
            monitor.Sample(1);
            Assert.AreEqual(5.0, monitor.Rows[1].MessagesSentPerSecond);
            socket.Dispose();
            monitor.Sample(2);
            Assert.AreEqual(2, monitor.Rows.Count);
            Assert.IsTrue(monitor.Rows[1].IsReleased);
            Assert.AreEqual("Disposed", monitor.Rows[1].Cells()[1]);
            Assert.AreEqual(0.0, monitor.Rows[1].MessagesSentPerSecond);
            monitor.Sample(2 + SocketMonitor.KeepSeconds - 1);
            Assert.AreEqual(2, monitor.Rows.Count);
            monitor.Sample(2 + SocketMonitor.KeepSeconds);
            Assert.AreEqual("/other Open", Listed(monitor));
        }
    }

    [Test]
    public void EndedSocketsAreRemovedOnRequestAndListedAgain()
    {
        using (var monitor = new SocketMonitor())
        using (var open = new RecordingSocket(Server.Plain("/open")).Opened())
        using (var ended = new RecordingSocket(Server.Plain("/ended")).Opened())
        {
            ended.Socket.Close();
            ended.WaitForEnd();
            monitor.Sample(0);
            monitor.RemoveEnded();
            Assert.AreEqual("/open Open", Listed(monitor));
            ended.Socket.Open();
            Pump.Until(() => ended.Socket.IsOpen);
            monitor.Sample(1);
            Assert.AreEqual("/open Open, /ended Open", Listed(monitor));
        }
    }

    [Test]
    public void QueueLanesAndLatencyAreShown()
    {
        using (var monitor = new SocketMonitor())
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.Open();
            monitor.Sample(0);
            Assert.AreEqual("-", monitor.Rows[0].Cells()[5]);
            socket.PingFrequency = 10;
            socket.StartPingThread = true;
            Pump.Until(() => socket.LatencyMicroseconds > 0);
            socket.StartPingThread = false;
            Pump.Until(() => socket.GetStatistics().PingsSent == socket.GetStatistics().PongsReceived);
            socket.SetLanes(new WebSocketLane(0), new WebSocketLane(1));
            socket.Link = new LinkConditions { Cut = LinkCut.Stall };
            // More than the link and the buffers of the system hold.
            for (int i = 0; i < 32; i++)
            {
                socket.Send(new byte[1024 * 1024]);
            }
            socket.Send(new byte[1536], new SendOptions { Lane = 1 });
            Pump.Until(() => IsStalled(socket));
            monitor.Sample(1);
            MonitoredSocket row = monitor.Rows[0];
            Assert.AreEqual(socket.BufferedAmount, row.SendQueueBytes);
            Assert.Greater(row.SendQueueBytes, 1536);
            Assert.AreEqual(socket.LatencyMicroseconds, row.LatencyMicroseconds);
            Assert.IsTrue(row.Cells()[5].EndsWith(" ms", StringComparison.Ordinal), row.Cells()[5]);
            Assert.AreEqual(2, row.Lanes.Count);
            Assert.AreEqual(1UL, row.Lanes[1].WaitingMessages);
            Assert.IsTrue(row.Cells()[6].EndsWith(" | 1 (1.5 KiB)", StringComparison.Ordinal), row.Cells()[6]);
        }
    }

    [Test]
    public void ShutdownReleasesTheSockets()
    {
        using (var monitor = new SocketMonitor())
        using (new RecordingSocket(Server.Plain("/")).Opened())
        {
            monitor.Sample(0);
            WebSocket.Shutdown(5000);
            monitor.Sample(1);
            Assert.IsTrue(monitor.Rows[0].IsReleased);
            Assert.AreEqual("Closed: 1001 Framewire was shut down.", monitor.Rows[0].LastError);
        }
    }

    [Test]
    public void MonitorDoesNotKeepSocketsAlive()
    {
        using (var monitor = new SocketMonitor())
        {
            // On a thread of its own, as a conservative collector finds references on the stack.
            var thread = new Thread(OpenAndForget);
            thread.Start();
            thread.Join();
            monitor.Sample(0);
            Assert.AreEqual(20, monitor.Rows.Count);
            int released = 0;
            for (int attempt = 1; attempt < 20 && released == 0; attempt++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                monitor.Sample(attempt);
                released = monitor.Rows.FindAll(row => row.IsReleased).Count;
            }
            Assert.Greater(released, 0);
        }
    }

    [Test]
    public void NothingIsRecordedAfterDispose()
    {
        var monitor = new SocketMonitor();
        monitor.Dispose();
        using (new RecordingSocket(Server.Plain("/")).Opened())
        {
            monitor.Sample(0);
            Assert.AreEqual(0, monitor.Rows.Count);
        }
    }

    [Test]
    public void BytesHaveAUnit()
    {
        Assert.AreEqual("0 B", MonitoredSocket.Bytes(0));
        Assert.AreEqual("1023 B", MonitoredSocket.Bytes(1023));
        Assert.AreEqual("1.5 KiB", MonitoredSocket.Bytes(1536));
        Assert.AreEqual("2 MiB", MonitoredSocket.Bytes(2 * 1024 * 1024));
        Assert.AreEqual("2048 GiB", MonitoredSocket.Bytes(2048.0 * 1024 * 1024 * 1024));
    }

#if UNITY_2021_2_OR_NEWER
    [Test]
    public void ClientWebSocketIsListed()
    {
        using (var monitor = new SocketMonitor())
        using (var client = new FramewireClientWebSocket())
        {
            client.ConnectAsync(Server.Plain("/client"), CancellationToken.None).Wait();
            monitor.Sample(0);
            Assert.AreEqual("/client Open", Listed(monitor));
        }
    }
#endif

#if UNITY_EDITOR
    [Test]
    public void WindowSamplesTwiceASecondAndDrawsTheRows()
    {
        UnityEditor.EditorApplication.timeSinceStartup = 1000;
        MonitorWindow.Open();
        var window = (MonitorWindow)UnityEditor.EditorWindow.Shown;
        window.OnEnable();
        try
        {
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                UnityEditor.EditorApplication.update();
                Assert.AreEqual(1, window.Repaints);
                Assert.AreEqual("Sockets: 1", Drawn(window)[0]);
                Assert.AreEqual("Open", Drawn(window)[MonitoredSocket.Titles.Length + 2]);
                socket.Socket.Close();
                socket.WaitForEnd();
                UnityEditor.EditorApplication.timeSinceStartup = 1000.4;
                UnityEditor.EditorApplication.update();
                Assert.AreEqual(1, window.Repaints);
                UnityEditor.EditorApplication.timeSinceStartup = 1000.5;
                UnityEditor.EditorApplication.update();
                Assert.AreEqual(2, window.Repaints);
                Assert.AreEqual("Closed", Drawn(window)[MonitoredSocket.Titles.Length + 2]);
                UnityEngine.GUILayout.Clicked = "Remove ended";
                Assert.AreEqual("Sockets: 1", Drawn(window)[0]);
                UnityEngine.GUILayout.Clicked = null;
                UnityEditor.EditorApplication.update();
                Assert.AreEqual("Sockets: 0", Drawn(window)[0]);
            }
        }
        finally
        {
            UnityEngine.GUILayout.Clicked = null;
            window.OnDisable();
        }
        int repaints = window.Repaints;
        UnityEditor.EditorApplication.timeSinceStartup = 2000;
        if (UnityEditor.EditorApplication.update != null)
        {
            UnityEditor.EditorApplication.update();
        }
        Assert.AreEqual(repaints, window.Repaints);
    }

    private static List<string> Drawn(MonitorWindow window)
    {
        var labels = new List<string>();
        UnityEngine.GUILayout.Labelled += labels.Add;
        window.OnGUI();
        UnityEngine.GUILayout.Labelled -= labels.Add;
        return labels;
    }
#endif

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void OpenAndForget()
    {
        for (int i = 0; i < 20; i++)
        {
            var socket = new WebSocket(Server.Plain("/"));
            bool isClosed = false;
            socket.OnClosed += (ws, code, reason) => isClosed = true;
            socket.Open();
            socket.Abort();
            Pump.Until(() => isClosed);
        }
    }

    private static void Echo(RecordingSocket socket, int messages)
    {
        int before = socket.Events.Count;
        for (int i = 0; i < messages; i++)
        {
            socket.Socket.Send(new byte[100]);
        }
        Pump.Until(() => socket.Events.Count == before + messages);
    }

    private static bool IsStalled(WebSocket socket)
    {
        int before = socket.BufferedAmount;
        Thread.Sleep(100);
        return socket.BufferedAmount == before;
    }

    private static string Listed(SocketMonitor monitor)
    {
        return string.Join(", ", monitor.Rows.ConvertAll(row => new Uri(row.Url).AbsolutePath + " " + row.State));
    }
}
