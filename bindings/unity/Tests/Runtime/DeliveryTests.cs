using System;
using System.Diagnostics;
using System.IO;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class DeliveryTests
    {
        [Test]
        public void NoHandlerIsCalledBeforeDispatch()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")))
            {
                socket.Socket.Open();
                Assert.IsTrue(WebSocket.Wait(20000));
                Assert.AreEqual(0, socket.Events.Count);
                Assert.GreaterOrEqual(WebSocket.Pending, 1);
                Pump.Until(() => socket.Events.Count == 1);
            }
        }

        [Test]
        public void EventBudgetIsRespected()
        {
            using (var socket = new RecordingSocket(Server.Plain("/text?n=100&size=20")))
            {
                socket.Socket.Open();
                Queue.WaitForPending(102);
                Assert.AreEqual(1, WebSocket.DispatchAll(1, 0));
                Assert.AreEqual("open", socket.Log());
                Assert.AreEqual(10, WebSocket.DispatchAll(10, 0));
                Assert.AreEqual(11, socket.Events.Count);
                Assert.AreEqual(91, WebSocket.DispatchAll());
                Assert.IsTrue(socket.Ended);
                Assert.AreEqual(0, WebSocket.DispatchAll());
            }
        }

        [Test]
        public void TimeBudgetIsRespected()
        {
            using (var socket = new WebSocket(Server.Plain("/text?n=50&size=20")))
            {
                int received = 0;
                socket.OnMessage += (ws, message) =>
                {
                    received++;
                    Stopwatch clock = Stopwatch.StartNew();
                    while (clock.ElapsedMilliseconds < 2)
                    {
                    }
                };
                socket.Open();
                Queue.WaitForPending(52);
                // OnOpen takes no time; the first message exceeds the budget.
                int taken = WebSocket.DispatchAll(0, 1500);
                Assert.AreEqual(1, received);
                Assert.AreEqual(2, taken);
            }
        }

        [Test]
        public void DispatchInsideAHandlerReturnsZero()
        {
            using (var socket = new WebSocket(Server.Plain("/text?n=3&size=20")))
            {
                int depth = 0, nested = 0, received = 0;
                socket.OnMessage += (ws, message) =>
                {
                    received++;
                    Assert.AreEqual(0, depth++);
                    nested += WebSocket.DispatchAll();
                    depth--;
                };
                socket.Open();
                Pump.Until(() => received == 3);
                Assert.AreEqual(0, nested);
            }
        }

        [Test]
        public unsafe void HandlerExceptionIsReportedAndDeliveryContinues()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=20&size=20")))
            {
                int reported = 0, received = 0;
                bool closed = false;
                WebSocket.UnhandledException = (ws, exception) =>
                {
                    Assert.IsTrue(ReferenceEquals(ws, socket));
                    Assert.AreEqual("thrown", exception.Message);
                    reported++;
                };
                try
                {
                    socket.OnBinaryNoAlloc += (ws, message) =>
                    {
                        received++;
                        throw new Exception("thrown");
                    };
                    socket.OnClosed += (ws, code, reason) => closed = true;
                    socket.Open();
                    Pump.Until(() => closed);
                }
                finally
                {
                    WebSocket.UnhandledException = null;
                }
                Assert.AreEqual(20, received);
                Assert.AreEqual(20, reported);
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }

        [Test]
        public void AllReceiveHandlersGetTheSameBytes()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                string binary = null, noAlloc = null, noCopy = null, text = null, textNoAlloc = null, textNoCopy = null;
                socket.OnBinary += (ws, data) => binary = Encoding.ASCII.GetString(data);
                socket.OnBinaryNoAlloc += (ws, data) => noAlloc = Read(data);
                socket.OnBinaryNoCopy += (ws, data) => noCopy = Encoding.ASCII.GetString(data.ToArray());
                socket.OnMessage += (ws, message) => text = message;
                socket.OnMessageNoAlloc += (ws, data) => textNoAlloc = Read(data);
                socket.OnMessageNoCopy += (ws, data) => textNoCopy = Encoding.ASCII.GetString(data.ToArray());
                socket.OnOpen += ws =>
                {
                    ws.Send(Encoding.ASCII.GetBytes("0123456789"), 2, 5);
                    ws.Send("text");
                };
                socket.Open();
                Pump.Until(() => textNoCopy != null);
                Assert.AreEqual("23456", binary);
                Assert.AreEqual("23456", noAlloc);
                Assert.AreEqual("23456", noCopy);
                Assert.AreEqual("text", text);
                Assert.AreEqual("text", textNoAlloc);
                Assert.AreEqual("text", textNoCopy);
            }
        }

        [Test]
        public void HandlerExceptionDoesNotSkipOtherHandlers()
        {
            var thrown = new List<string>();
            // Neither does an exception of UnhandledException.
            WebSocket.UnhandledException = (ws, exception) =>
            {
                thrown.Add(exception.Message);
                throw new InvalidOperationException("from UnhandledException");
            };
            TextWriter error = Console.Error;
            Console.SetError(TextWriter.Null);
            try
            {
                using (var socket = new WebSocket(Server.Plain("/")))
                {
                    var seen = new List<string>();
                    socket.OnMessage += (ws, message) => { throw new Exception("text"); };
                    socket.OnMessageNoAlloc += (ws, data) => { throw new Exception("text, no alloc"); };
                    socket.OnMessageNoCopy += (ws, data) => seen.Add("text " + data.Count);
                    socket.OnBinary += (ws, data) => { throw new Exception("binary"); };
                    socket.OnBinaryNoAlloc += (ws, data) => { throw new Exception("binary, no alloc"); };
                    socket.OnBinaryNoCopy += (ws, data) => seen.Add("binary " + data.Count);
                    socket.OnOpen += ws =>
                    {
                        ws.Send("four");
                        ws.Send(new byte[5]);
                    };
                    socket.Open();
                    Pump.Until(() => seen.Count == 2);
                    Assert.AreEqual("text 4, binary 5", string.Join(", ", seen.ToArray()));
                    Assert.AreEqual(
                        "text; text, no alloc; binary; binary, no alloc", string.Join("; ", thrown.ToArray()));
                }
            }
            finally
            {
                Console.SetError(error);
                WebSocket.UnhandledException = null;
            }
        }

        [Test]
        public void EverySubscriberIsCalledAlthoughAnotherOneThrows()
        {
            using (var reports = new Reports())
            using (var refused = new WebSocket(new Uri("ws://127.0.0.1:1/")))
            using (var fragments = new WebSocket(Server.Plain("/fragments?n=2&size=10")))
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                var seen = new List<string>();
                Action<string> thrower = name => { throw new Exception(name); };
                foreach (Action<string> see in new[] { seen.Add, thrower, seen.Add })
                {
                    socket.OnInternalRequestCreated += (ws, request) => see("request");
                    socket.OnOpen += ws => see("open");
                    socket.OnMessage += (ws, message) => see("text " + message);
                    socket.OnMessageNoAlloc += (ws, data) => see("text " + data.Count);
                    socket.OnMessageNoCopy += (ws, data) => see("text in place " + data.Count);
                    socket.OnBinary += (ws, data) => see("binary " + data.Length);
                    socket.OnBinaryNoAlloc += (ws, data) => see("binary copy " + data.Count);
                    socket.OnBinaryNoCopy += (ws, data) => see("binary in place " + data.Count);
                    socket.OnPong += (ws, data) => see("pong " + data.Count);
                    socket.OnSent += (ws, tag, outcome) => see("sent " + tag);
                    socket.OnClosed += (ws, code, reason) => see("closed " + code);
                    refused.OnReconnecting += (ws, error, attempt, delay) => see("reconnecting " + attempt);
                    refused.OnError += (ws, error) => see("error");
                    fragments.OnIncompleteFrame += (ws, frame) => see("fragment " + frame.IsFirst);
                }
                socket.Open();
                Pump.Until(() => seen.Contains("open"));
                socket.Send("four");
                Pump.Until(() => seen.Contains("text in place 4"));
                socket.Send(new byte[5], new SendOptions { Tag = 7 });
                Pump.Until(() => seen.Contains("binary in place 5") && seen.Contains("sent 7"));
                socket.Ping(new byte[3]);
                Pump.Until(() => seen.Contains("pong 3"));
                socket.Close();
                Pump.Until(() => seen.Contains("closed 1000"));
                refused.Reconnect = new ReconnectSettings { MinDelay = TimeSpan.FromMilliseconds(1), MaxAttempts = 1 };
                refused.Open();
                Pump.Until(() => seen.Contains("error"));
                fragments.Open();
                Pump.Until(() => seen.Contains("fragment True"));
                foreach (string name in new[]
                {
                    "request", "open", "text four", "text 4", "text in place 4", "binary 5", "binary copy 5",
                    "binary in place 5", "pong 3", "sent 7", "closed 1000", "reconnecting 1", "error", "fragment True",
                })
                {
                    Assert.AreEqual(2, seen.FindAll(other => other == name).Count);
                    Assert.IsTrue(reports.Log().Contains(name), name);
                }
            }
        }

        [Test]
        public void HandlersAreAddedAndRemoved()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                int calls = 0;
                OnWebSocketOpenDelegate first = ws => calls += 1;
                OnWebSocketOpenDelegate second = ws => calls += 10;
                Assert.IsTrue(socket.OnOpen == null);
                socket.OnOpen += first;
                Assert.IsTrue(socket.OnOpen == first);
                socket.OnOpen += second;
                socket.OnOpen += second;
                socket.OnOpen -= first;
                Assert.AreEqual(2, socket.OnOpen.GetInvocationList().Length);
                socket.Open();
                Pump.Until(() => calls > 0);
                Assert.AreEqual(20, calls);
                socket.OnOpen -= second;
                socket.OnOpen -= second;
                Assert.IsTrue(socket.OnOpen == null);
            }
        }

        [Test]
        public void HandlersMaySendOrReleaseTheirArray()
        {
            using (var reports = new Reports())
            using (var socket = new WebSocket(Server.Plain("/")))
            using (var fragments = new WebSocket(Server.Plain("/fragments?n=4&size=3000")))
            {
                int received = 0, texts = 0, pongs = 0, frames = 0;
                socket.OnBinaryNoAlloc += (ws, data) =>
                {
                    received++;
                    BufferPool.Release(data);
                    if (received % 2 == 1)
                    {
                        Assert.AreEqual(SendResult.Queued, ws.SendAsBinary(data));
                    }
                };
                // A second handler gets the same bytes.
                socket.OnBinaryNoAlloc += (ws, data) => Assert.AreEqual((byte)'x', data.Data[data.Offset + data.Count - 1]);
                socket.OnMessageNoAlloc += (ws, data) =>
                {
                    texts++;
                    BufferPool.Release(data);
                };
                socket.OnPong += (ws, data) =>
                {
                    pongs++;
                    BufferPool.Release(data);
                };
                fragments.OnIncompleteFrame += (ws, frame) =>
                {
                    frames++;
                    BufferPool.Release(frame.Data);
                };
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                foreach (int size in new[] { 100, 100000, 3000000 })
                {
                    received = texts = pongs = 0;
                    var message = new byte[size];
                    message[size - 1] = (byte)'x';
                    socket.Send(message);
                    socket.Send(new string('x', size));
                    socket.Ping(new byte[100]);
                    Pump.Until(() => received == 2 && texts == 1 && pongs == 1);
                }
                fragments.Open();
                Pump.Until(() => frames == 4);
                Assert.AreEqual(string.Empty, reports.Log());
            }
        }

        [Test]
        public void PooledSegmentsAreSentAndReleased()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                byte[] buffer = BufferPool.Get(300, true);
                Encoding.ASCII.GetBytes("..pooled..", 0, 10, buffer, 0);
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsText(new BufferSegment(buffer, 2, 6)));
                Assert.Throws<InvalidOperationException>(() => BufferPool.Release(buffer));
                Assert.IsTrue(ReferenceEquals(buffer, BufferPool.Get(300, true)));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsBinary(new BufferSegment(buffer, 0, 4)));
                Pump.Until(() => socket.Events.Count == 3);
                Assert.AreEqual("open, text pooled, binary 4", socket.Log());
                byte[] bad = { 0xff, 0xfe };
                Assert.AreEqual(SendResult.InvalidUtf8, socket.Socket.SendAsText(new BufferSegment(bad, 0, 2)));
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => socket.Socket.SendAsBinary(new BufferSegment(bad, 1, 2)));
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.Socket.Send(bad, 1, 2));
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.Socket.Send(bad, ulong.MaxValue, 2));
            }
        }

        [Test]
        public unsafe void NativeSegmentsAreSentWithoutCopy()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                NativeSegment segment = NativeSegment.Get(100);
                Assert.AreEqual(100, segment.Count);
                for (int i = 0; i < 100; i++)
                {
                    segment.Data[i] = (byte)'x';
                }
                NativeSegment part = segment.Slice(10, 30);
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsText(part));
                Assert.AreEqual(SendResult.InvalidSegment, socket.Socket.SendAsText(part));
                Pump.Until(() => socket.Events.Count == 2);
                Assert.AreEqual("open, text " + new string('x', 30), socket.Log());
                Assert.Throws<InvalidOperationException>(() => part.Release());
                Assert.Throws<ArgumentOutOfRangeException>(() => segment.Slice(90, 11));
            }
        }

        [Test]
        public unsafe void RetainedSegmentOutlivesItsHandler()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                var retained = default(NativeSegment);
                bool received = false;
                socket.OnOpen += ws => ws.Send(Encoding.ASCII.GetBytes("retain me"));
                socket.OnBinaryNoCopy += (ws, segment) =>
                {
                    segment.Retain();
                    retained = segment;
                    received = true;
                };
                socket.Open();
                Pump.Until(() => received);
                socket.Dispose();
                Assert.AreEqual("retain me", Encoding.ASCII.GetString(retained.ToArray()));
                Assert.AreEqual(1ul, Queue.Leases());
                retained.Release();
                Assert.Throws<InvalidOperationException>(() => retained.Release());
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }

        [Test]
        public void FullSendQueueRejectsMessages()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")))
            {
                Assert.AreEqual(SendResult.NotOpen, socket.Socket.Send("early"));
                socket.Opened();
                socket.Socket.MaxBufferedAmount = 1;
                SendResult result = SendResult.Queued;
                int buffered = 0;
                for (int i = 0; i < 1000 && result == SendResult.Queued; i++)
                {
                    buffered = socket.Socket.BufferedAmount;
                    result = socket.Socket.Send(new byte[1000000]);
                }
                Assert.AreEqual(SendResult.QueueFull, result);
                // The worker may have sent it all in the meantime.
                Assert.GreaterOrEqual(buffered, 1);
            }
        }

        [Test]
        public void ThreadsCanSendConcurrently()
        {
            const int threads = 4, each = 500;
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                var senders = new Thread[threads];
                for (int t = 0; t < threads; t++)
                {
                    senders[t] = new Thread(() =>
                    {
                        for (int i = 0; i < each; i++)
                        {
                            socket.Socket.Send("x");
                        }
                    });
                    senders[t].Start();
                }
                foreach (Thread sender in senders)
                {
                    sender.Join();
                }
                Pump.Until(() => socket.Events.Count == 1 + threads * each);
            }
        }

        private static string Read(BufferSegment data)
        {
            return Encoding.ASCII.GetString(data.Data, data.Offset, data.Count);
        }
    }
}
