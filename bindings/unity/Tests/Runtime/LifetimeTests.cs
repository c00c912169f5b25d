using System;
using System.Runtime.CompilerServices;
using System.Threading;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class LifetimeTests
    {
        [Test]
        public void DisposeCanBeCalledTwice()
        {
            var socket = new WebSocket(Server.Plain("/"));
            socket.Dispose();
            socket.Dispose();
            Assert.AreEqual(WebSocketStates.Unknown, socket.State);
        }

        [Test]
        public void DisposedSocketThrowsOrDoesNothing()
        {
            var socket = new RecordingSocket(Server.Plain("/")).Opened().Socket;
            socket.Dispose();
            Assert.Throws<ObjectDisposedException>(() => socket.Open());
            Assert.Throws<ObjectDisposedException>(() => socket.Send("x"));
            Assert.Throws<ObjectDisposedException>(() => socket.Send(new byte[1]));
            Assert.Throws<ObjectDisposedException>(() => socket.SendAsBinary(BufferSegment.Empty));
            Assert.Throws<ObjectDisposedException>(() => socket.StartPingThread = true);
            Assert.Throws<ObjectDisposedException>(
                () => socket.OnIncompleteFrame += delegate { });
            socket.OnIncompleteFrame = null;
            socket.Close();
            socket.Abort();
            Assert.IsFalse(socket.IsOpen);
            Assert.AreEqual(0, socket.BufferedAmount);
            Assert.AreEqual(DateTime.MinValue, socket.LastMessageReceived);
            Assert.AreEqual(string.Empty, socket.Protocol);
            Assert.AreEqual(0ul, socket.GetStatistics().BytesSent);
        }

        [Test]
        public unsafe void RejectedSendReleasesItsMemory()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                ulong before = Queue.Leases();
                var text = new string('x', 5000);
                foreach (SendOptions options in new[] { new SendOptions { Lane = -1 }, new SendOptions { TimeToLive = -1 } })
                {
                    Assert.Throws<ArgumentOutOfRangeException>(() => socket.Socket.Send(text, options));
                    Assert.Throws<ArgumentOutOfRangeException>(
                        () => socket.Socket.SendAsText(NativeSegment.Get(10), options));
                    Assert.Throws<ArgumentOutOfRangeException>(
                        () => socket.Socket.SendAsBinary(NativeSegment.Get(10), options));
                }
                Assert.AreEqual(before, Queue.Leases());
                socket.Dispose();
                before = Queue.Leases();
                var none = default(SendOptions);
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.Send(text));
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.Send(text, none));
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.SendAsText(NativeSegment.Get(10)));
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.SendAsBinary(NativeSegment.Get(10)));
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.SendAsText(NativeSegment.Get(10), none));
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.SendAsBinary(NativeSegment.Get(10), none));
                Assert.AreEqual(before, Queue.Leases());
            }
        }

        [Test]
        public void DisposeWhenSentSendsQueuedMessages()
        {
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade, true))
            {
                var socket = new RecordingSocket(server.Uri).Opened().Socket;
                const int count = 200;
                var message = new byte[10000];
                for (int i = 0; i < count; i++)
                {
                    socket.Send(message);
                }
                socket.DisposeWhenSent(TimeSpan.FromSeconds(20));
                socket.DisposeWhenSent(TimeSpan.FromSeconds(20));
                Assert.Throws<ObjectDisposedException>(() => socket.Send(message));
                Assert.AreEqual(WebSocketStates.Unknown, socket.State);
                Pump.Until(() => server.Received != null);
                Assert.IsTrue(server.Received.Length > count * message.Length);
                Assert.IsTrue(FixedResponseServer.EndsWithCloseFrame(server.Received));
            }
        }

        [Test]
        public void DisposeWhenSentRejectsAnInvalidTimeout()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.DisposeWhenSent(TimeSpan.Zero));
                Assert.AreEqual(WebSocketStates.Closed, socket.State);
            }
        }

        [Test]
        public void NoHandlerIsCalledAfterDisposeInAHandler()
        {
            var socket = new WebSocket(Server.Plain("/text?n=50&size=20"));
            int received = 0;
            socket.OnMessage += (ws, message) =>
            {
                received++;
                ws.Dispose();
            };
            socket.OnClosed += (ws, code, reason) => received += 1000;
            socket.Open();
            Pump.Until(() => received > 0);
            using (var other = new RecordingSocket(Server.Plain("/")).Opened())
            {
                other.Socket.Send("later");
                Pump.Until(() => other.Events.Count == 2);
            }
            Assert.AreEqual(1, received);
        }

        [Test]
        public void NoOtherHandlerOfAnEventIsCalledAfterDispose()
        {
            int received = 0;
            var socket = new WebSocket(Server.Plain("/text?n=1&size=20"));
            socket.OnMessage += (ws, message) =>
            {
                received++;
                ws.Dispose();
            };
            socket.OnMessage += (ws, message) => received += 10;
            socket.OnMessageNoAlloc += (ws, message) => received += 100;
            socket.OnMessageNoCopy += (ws, message) => received += 1000;
            socket.Open();
            Pump.Until(() => received > 0);
            Assert.AreEqual(1, received);
        }

        [Test]
        public void NoHandlerIsCalledAfterDisposeDuringShutdown()
        {
            var first = new RecordingSocket(Server.Plain("/")).Opened();
            var second = new RecordingSocket(Server.Plain("/")).Opened();
            first.Socket.OnClosed += (ws, code, reason) => second.Dispose();
            second.Socket.OnClosed += (ws, code, reason) => first.Dispose();
            Assert.IsTrue(WebSocket.Shutdown(5000));
            // The one whose handler was called first has disposed the other.
            Assert.IsTrue(first.Ended != second.Ended);
        }

        [Test]
        public void UnreferencedOpenSocketStillDelivers()
        {
            var seen = new bool[1];
            OpenUnreferenced(seen);
            Collect();
            Pump.Until(() => seen[0]);
            Pump.Until(() => SocketTable.Count == 0);
        }

        [Test]
        public void UnreferencedClosedSocketsAreCollected()
        {
            var references = new WeakReference[50];
            CreateUnreferenced(references);
            Collect();
            int alive = 0;
            foreach (WeakReference reference in references)
            {
                alive += reference.IsAlive ? 1 : 0;
            }
            // A conservative collector may mistake a number on the stack for a reference.
            Assert.Less(alive, 10);
        }

        [Test]
        public void ShutdownClosesSocketsAndNewOnesCanBeCreated()
        {
            for (int round = 0; round < 3; round++)
            {
                var open = new RecordingSocket(Server.Plain("/")).Opened();
                var closed = new RecordingSocket(Server.Plain("/"));
                Assert.IsTrue(WebSocket.Shutdown(5000));
                Assert.IsTrue(open.Ended);
                Assert.IsTrue(open.Log().StartsWith("open, closed 1001 "), open.Log());
                Assert.AreEqual(0, closed.Events.Count);
                Assert.AreEqual(WebSocketStates.Unknown, open.Socket.State);
                Assert.AreEqual(SendResult.NotOpen, open.Socket.Send("x"));
                Assert.Throws<InvalidOperationException>(() => open.Socket.Open());
                Assert.Throws<InvalidOperationException>(() => GC.KeepAlive(open.Socket.FinalUri));
                Assert.AreEqual(0, SocketTable.Count);
                open.Dispose();
                closed.Dispose();
            }
            WebSocket.Configure(2, 1 << 20);
            Assert.Throws<InvalidOperationException>(() => WebSocket.Configure(2, 1 << 20));
            using (var again = new RecordingSocket(Server.Plain("/")).Opened())
            {
                Assert.IsTrue(again.Socket.IsOpen);
            }
            Assert.IsTrue(WebSocket.Shutdown(5000));
        }

        [Test]
        public void ShutdownEndsEveryOpen()
        {
            using (var socket = new RecordingSocket(new Uri("ws://127.0.0.1:1/")))
            {
                socket.Socket.Open();
                Assert.IsTrue(WebSocket.Wait(20000));
                while (socket.Socket.State != WebSocketStates.Closed)
                {
                    Thread.Sleep(1);
                }
                // Before the last event of the first connection is dispatched.
                socket.Socket.Open();
                Assert.IsTrue(WebSocket.Shutdown(5000));
                Assert.AreEqual(2, socket.Events.Count);
            }
        }

        [Test]
        public void ShutdownSendsQueuedMessages()
        {
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade, true))
            using (var socket = new RecordingSocket(server.Uri))
            {
                socket.Socket.Proxy = string.Empty;
                socket.Opened();
                var message = new byte[100000];
                for (int i = 0; i < 50; i++)
                {
                    Assert.AreEqual(SendResult.Queued, socket.Socket.Send(message));
                }
                Assert.IsTrue(WebSocket.Shutdown(20000));
                Pump.Until(() => server.Received != null);
                byte[] received = server.Received;
                Assert.Greater(received.Length, 5000000);
                Assert.IsTrue(FixedResponseServer.EndsWithCloseFrame(received));
                int code = (received[received.Length - 2] ^ received[received.Length - 6]) << 8
                    | received[received.Length - 1] ^ received[received.Length - 5];
                Assert.AreEqual(1001, code);
                Assert.IsTrue(socket.Log().StartsWith("open, closed 1001 "), socket.Log());
            }
        }

        [Test]
        public void EventsOfManySocketsReachTheRightSocket()
        {
            var sockets = new RecordingSocket[40];
            for (int i = 0; i < sockets.Length; i++)
            {
                sockets[i] = new RecordingSocket(Server.Plain("/"));
                sockets[i].Socket.Open();
            }
            for (int i = 0; i < sockets.Length; i++)
            {
                RecordingSocket socket = sockets[i];
                Pump.Until(() => socket.Events.Contains("open"));
                socket.Socket.Send("socket " + i);
            }
            for (int i = 0; i < sockets.Length; i++)
            {
                RecordingSocket socket = sockets[i];
                Pump.Until(() => socket.Events.Count == 2);
                Assert.AreEqual("open, text socket " + i, socket.Log());
                socket.Dispose();
            }
            Assert.AreEqual(0, SocketTable.Count);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void OpenUnreferenced(bool[] seen)
        {
            var socket = new WebSocket(Server.Plain("/"));
            socket.OnOpen += ws => ws.Send("x");
            socket.OnMessage += (ws, message) =>
            {
                seen[0] = true;
                ws.Close();
            };
            socket.Open();
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void CreateUnreferenced(WeakReference[] references)
        {
            for (int i = 0; i < references.Length; i++)
            {
                references[i] = new WeakReference(new WebSocket(Server.Plain("/")));
            }
        }

        private static void Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
        }
    }
}
