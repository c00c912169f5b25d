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
