#if ENABLE_PROFILER
using System.Collections.Generic;
using Framewire;
using Framewire.Tests;
using NUnit.Framework;
using Unity.Profiling;
using UnityEngine;

public sealed class ProfilerCountersTests
{
    [Test]
    public void CountersHaveTheTrafficOfEachFrame()
    {
        var updater = Start();
        using (var first = new RecordingSocket(Server.Plain("/")).Opened())
        using (var second = new RecordingSocket(Server.Plain("/")).Opened())
        {
            updater.Update();
            StubProfiler.EndFrame();
            first.Socket.Send(new byte[100]);
            first.Socket.Send(new byte[100]);
            second.Socket.Send(new byte[100]);
            Pump.Until(() => Binaries(first) == 2 && Binaries(second) == 1);
            updater.Update();
            Dictionary<string, object> frame = StubProfiler.EndFrame();
            Assert.AreEqual(3UL, frame["Framewire Messages Sent"]);
            Assert.AreEqual(3UL, frame["Framewire Messages Received"]);
            // A masked header has 6 bytes, another one 2.
            Assert.AreEqual(3 * 106UL, frame["Framewire Bytes Sent"]);
            Assert.AreEqual(3 * 102UL, frame["Framewire Bytes Received"]);
            Assert.AreEqual(0UL, frame["Framewire Send Queue"]);
            updater.Update();
            frame = StubProfiler.EndFrame();
            Assert.AreEqual(0UL, frame["Framewire Messages Sent"]);
            Assert.AreEqual(0UL, frame["Framewire Bytes Received"]);
        }
        Stop();
    }

    [Test]
    public void LastTrafficOfADisposedSocketIsCounted()
    {
        var updater = Start();
        var socket = new RecordingSocket(Server.Plain("/")).Opened();
        updater.Update();
        StubProfiler.EndFrame();
        socket.Socket.Send(new byte[100]);
        while (socket.Socket.GetStatistics().MessagesReceived == 0)
        {
            WebSocket.Wait(10);
        }
        socket.Dispose();
        updater.Update();
        Dictionary<string, object> frame = StubProfiler.EndFrame();
        Assert.AreEqual(1UL, frame["Framewire Messages Sent"]);
        Assert.AreEqual(1UL, frame["Framewire Messages Received"]);
        Stop();
    }

    [Test]
    public void ReopenedSocketIsNotCountedTwice()
    {
        var updater = Start();
        using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
        {
            socket.Socket.Send(new byte[100]);
            Pump.Until(() => Binaries(socket) == 1);
            socket.Socket.Close();
            socket.WaitForEnd();
            updater.Update();
            StubProfiler.EndFrame();
            socket.Socket.Open();
            Pump.Until(() => socket.Socket.IsOpen);
            updater.Update();
            Dictionary<string, object> frame = StubProfiler.EndFrame();
            Assert.AreEqual(0UL, frame["Framewire Messages Sent"]);
            Assert.AreEqual(0UL, frame["Framewire Messages Received"]);
        }
        Stop();
    }

    [Test]
    public void QueueAndLatencyAreThoseOfTheOpenSockets()
    {
        var updater = Start();
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.PingFrequency = 10;
            socket.StartPingThread = true;
            socket.Open();
            Pump.Until(() => socket.LatencyMicroseconds > 0);
            socket.StartPingThread = false;
            Pump.Until(() => socket.GetStatistics().PingsSent == socket.GetStatistics().PongsReceived);
            socket.Link = new LinkConditions { Cut = LinkCut.Stall };
            // More than the link and the buffers of the system hold.
            for (int i = 0; i < 32; i++)
            {
                socket.Send(new byte[1024 * 1024]);
            }
            Pump.Until(() => IsStalled(socket));
            updater.Update();
            Dictionary<string, object> frame = StubProfiler.EndFrame();
            Assert.Greater((ulong)frame["Framewire Send Queue"], 0UL);
            Assert.AreEqual((ulong)socket.BufferedAmount, frame["Framewire Send Queue"]);
            Assert.AreEqual((ulong)socket.LatencyMicroseconds * 1000, frame["Framewire Latency"]);
        }
        updater.Update();
        Dictionary<string, object> after = StubProfiler.EndFrame();
        Assert.AreEqual(0UL, after["Framewire Send Queue"]);
        Assert.AreEqual(0UL, after["Framewire Latency"]);
        Stop();
    }

    [Test]
    public void CountersHaveUnitsAndACategory()
    {
        Start();
        Assert.AreEqual(6, StubProfiler.Counters.Count);
        foreach (KeyValuePair<string, StubCounter> counter in StubProfiler.Counters)
        {
            ProfilerMarkerDataUnit unit = counter.Key.Contains("Messages") ? ProfilerMarkerDataUnit.Count
                : counter.Key.Contains("Latency") ? ProfilerMarkerDataUnit.TimeNanoseconds
                : ProfilerMarkerDataUnit.Bytes;
            Assert.AreEqual(unit, counter.Value.Unit);
            Assert.AreEqual("Network", counter.Value.Category);
        }
        Stop();
    }

    [Test]
    public void UpdatingCountersDoesNotAllocate()
    {
        const int frames = 20000;
        var updater = Start();
        using (new RecordingSocket(Server.Plain("/")).Opened())
        using (new RecordingSocket(Server.Plain("/")).Opened())
        {
            AllocationMeter.AssertNone(frames, () =>
            {
                for (int frame = 0; frame < frames; frame++)
                {
                    updater.Update();
                }
            });
        }
        Stop();
    }

    private static bool IsStalled(WebSocket socket)
    {
        int before = socket.BufferedAmount;
        System.Threading.Thread.Sleep(100);
        return socket.BufferedAmount == before;
    }

    private static int Binaries(RecordingSocket socket)
    {
        return socket.Events.FindAll(one => one == "binary 100").Count;
    }

    private static WebSocketUpdater Start()
    {
        WebSocketUpdater.Reset();
        // A ping after a change of the network is traffic too.
        WebSocketUpdater.AutomaticLifecycle = false;
        ProfilerCounters.Start();
        WebSocketUpdater.Create();
        return new GameObject("test").AddComponent<WebSocketUpdater>();
    }

    private static void Stop()
    {
        Application.Quit();
        SocketTable.Meter = null;
        WebSocket.Dispatched = null;
    }
}
#endif
