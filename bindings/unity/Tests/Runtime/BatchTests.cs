using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// Tests of events that are taken from the native queue together. In each, all events are queued before the
    /// first is dispatched, so the batches do not depend on the speed of the server.
    /// </summary>
    public sealed class BatchTests
    {
        [Test]
        public void NativeCallsAreCountedInBatchesNotMessages()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=1000&size=20")))
            {
                int received = 0;
                socket.OnBinaryNoAlloc += (ws, data) => received++;
                socket.OnBinaryNoCopy += (ws, data) => received++;
                socket.Open();
                Queue.WaitForPending(1002);
                long before = EventBatch.NativeCalls;
                Assert.AreEqual(1002, WebSocket.DispatchAll());
                Assert.AreEqual(2000, received);
                // 1002 events are 15 full batches and one of 42.
                Assert.AreEqual(2L * 16, EventBatch.NativeCalls - before);
            }
        }

        [Test]
        public void EventLimitsHoldWithinAndAcrossBatches()
        {
            using (var socket = new RecordingSocket(Server.Plain("/count?n=300&size=20")))
            {
                socket.Socket.Open();
                Queue.WaitForPending(302);
                // A budget of time leaves most of a batch.
                int taken = WebSocket.DispatchAll(0, 1);
                foreach (int limit in new[] { 1, 10, 63, 64, 65 })
                {
                    Assert.AreEqual(limit, WebSocket.DispatchAll(limit, 0));
                    taken += limit;
                    Assert.AreEqual(taken, socket.Events.Count);
                    Assert.AreEqual(302 - taken, WebSocket.Pending);
                }
                taken += WebSocket.DispatchAll(0, 1);
                Assert.AreEqual(302 - taken, WebSocket.DispatchAll(int.MaxValue, 0));
                Assert.IsTrue(socket.Ended);
            }
        }

        [Test]
        public void DisposeInTheMiddleOfABatchSkipsTheRest()
        {
            var disposed = new WebSocket(Server.Plain("/count?n=40&size=20"));
            using (var other = new RecordingSocket(Server.Plain("/count?n=10&size=20")))
            {
                int received = 0;
                disposed.OnBinaryNoCopy += (ws, data) =>
                {
                    if (++received == 5)
                    {
                        ws.Dispose();
                    }
                };
                disposed.OnClosed += (ws, code, reason) => received += 1000;
                disposed.Open();
                other.Socket.Open();
                Queue.WaitForPending(42 + 12);
                WebSocket.DispatchAll();
                other.WaitForEnd();
                Assert.AreEqual(5, received);
                Assert.AreEqual(12, other.Events.Count);
                Assert.AreEqual(0, WebSocket.Pending);
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }

        [Test]
        public void EventsOfADisposedSocketAreNotDeliveredToTheNextInItsSlot()
        {
            var first = new WebSocket(Server.Plain("/count?n=40&size=20"));
            RecordingSocket second = null;
            int received = 0;
            first.OnBinary += (ws, data) =>
            {
                if (++received == 3)
                {
                    int slot = ws.TableIndex;
                    ws.Dispose();
                    second = new RecordingSocket(Server.Plain("/text?n=2&size=10"));
                    second.Socket.Open();
                    Assert.AreEqual(slot, second.Socket.TableIndex);
                }
            };
            first.Open();
            Queue.WaitForPending(42);
            WebSocket.DispatchAll();
            Assert.AreEqual(3, received);
            Assert.AreEqual(0, second.Events.Count);
            second.WaitForEnd();
            Assert.AreEqual(4, second.Events.Count);
            Assert.AreEqual("open", second.Events[0]);
            second.Dispose();
        }

        [Test]
        public void EventsBeyondTheTimeBudgetStayPendingInOrder()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=50&size=20")))
            {
                var numbers = new List<int>();
                bool slow = true;
                socket.OnBinaryNoAlloc += (ws, data) =>
                {
                    numbers.Add((int)BitConverter.ToInt64(data.Data, data.Offset));
                    Stopwatch clock = Stopwatch.StartNew();
                    while (slow && clock.ElapsedMilliseconds < 2)
                    {
                    }
                };
                socket.Open();
                Queue.WaitForPending(52);
                Assert.AreEqual(1, WebSocket.DispatchAll(1, 0));
                for (int i = 1; i <= 3; i++)
                {
                    // The handler takes longer than the budget.
                    Assert.AreEqual(1, WebSocket.DispatchAll(0, 1));
                    Assert.AreEqual(51 - i, WebSocket.Pending);
                    Assert.IsTrue(WebSocket.Wait(0));
                }
                slow = false;
                Assert.AreEqual(10, WebSocket.DispatchAll(10, 0));
                Assert.AreEqual(38, WebSocket.DispatchAll());
                for (int i = 0; i < 50; i++)
                {
                    Assert.AreEqual(i, numbers[i]);
                }
                Assert.AreEqual(0, WebSocket.Pending);
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }

        [Test]
        public void DispatchOfOneSocketLeavesTheOthers()
        {
            using (var first = new RecordingSocket(Server.Plain("/count?n=50&size=20")))
            using (var second = new RecordingSocket(Server.Plain("/count?n=50&size=20")))
            {
                first.Socket.Open();
                second.Socket.Open();
                Queue.WaitForPending(104);
                // Leaves events of both in the batch of C#.
                first.Socket.OnOpen += ws => Thread.Sleep(2);
                second.Socket.OnOpen += ws => Thread.Sleep(2);
                Assert.AreEqual(1, WebSocket.DispatchAll(0, 1));
                RecordingSocket late = first.Events.Count == 0 ? first : second, early = late == first ? second : first;
                Assert.AreEqual(10, late.Socket.Dispatch(10, 0));
                Assert.AreEqual(42, late.Socket.Dispatch(0, 0));
                Assert.AreEqual(0, late.Socket.Dispatch(0, 0));
                Assert.AreEqual(52, late.Events.Count);
                Assert.AreEqual("open", late.Events[0]);
                Assert.AreEqual("closed 1000 done", late.Events[51]);
                Assert.AreEqual(1, early.Events.Count);
                early.WaitForEnd();
                Assert.AreEqual(52, early.Events.Count);
                Assert.AreEqual(52, late.Events.Count);
                Assert.AreEqual(0, WebSocket.Pending);
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }

        [Test]
        public void ShutdownReleasesEventsBeyondTheTimeBudget()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=50&size=20")))
            {
                int received = 0, closed = 0;
                socket.OnBinaryNoAlloc += (ws, data) =>
                {
                    received++;
                    Thread.Sleep(2);
                };
                socket.OnClosed += (ws, code, reason) => closed = code;
                socket.Open();
                Queue.WaitForPending(52);
                WebSocket.DispatchAll(1, 0);
                WebSocket.DispatchAll(0, 1);
                Assert.AreEqual(1, received);
                Assert.Greater(Queue.Leases(), 0ul);
                Assert.IsTrue(WebSocket.Shutdown(5000));
                Assert.AreEqual(1001, closed);
                Assert.AreEqual(0ul, Queue.Leases());
                Assert.AreEqual(0, WebSocket.Pending);
                Assert.AreEqual(0, WebSocket.DispatchAll());
                Assert.AreEqual(1, received);
            }
        }

        [Test]
        public void PendingInAHandlerIncludesTheRestOfTheBatch()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=20&size=20")))
            {
                var pending = new List<int>();
                socket.OnBinaryNoAlloc += (ws, data) => pending.Add(WebSocket.Pending);
                socket.Open();
                Queue.WaitForPending(22);
                WebSocket.DispatchAll();
                Assert.AreEqual(20, pending.Count);
                for (int i = 0; i < 20; i++)
                {
                    Assert.AreEqual(20 - i, pending[i]);
                }
            }
        }

        [Test]
        public void SendingTheArrayOfAMessageIsSafe()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")))
            {
                int exceptions = 0, echoed = 0;
                WebSocket.UnhandledException = (ws, exception) => exceptions++;
                try
                {
                    socket.Socket.OnOpen += ws =>
                    {
                        ws.Send(new byte[] { 1 });
                        ws.Send(new byte[] { 2 });
                    };
                    socket.Socket.OnBinaryNoAlloc += (ws, data) =>
                    {
                        if (echoed++ < 2)
                        {
                            ws.SendAsBinary(data);
                            Assert.IsFalse(ReferenceEquals(data.Data, BufferPool.Get(data.Data.Length, true)));
                        }
                    };
                    socket.Socket.Open();
                    Pump.Until(() => echoed == 4);
                }
                finally
                {
                    WebSocket.UnhandledException = null;
                }
                Assert.AreEqual(0, exceptions);
            }
        }

        [Test]
        public void RetainedMessagesOfABatchKeepTheirBytes()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=100&size=20")))
            {
                var kept = new List<NativeSegment>();
                bool closed = false;
                socket.OnBinaryNoCopy += (ws, data) =>
                {
                    data.Retain();
                    kept.Add(data);
                };
                socket.OnClosed += (ws, code, reason) => closed = true;
                socket.Open();
                Pump.Until(() => closed);
                Assert.AreEqual(100ul, Queue.Leases());
                for (int i = 0; i < 100; i++)
                {
                    Assert.AreEqual((long)i, BitConverter.ToInt64(kept[i].ToArray(), 0));
                    kept[i].Release();
                    Assert.Throws<InvalidOperationException>(() => kept[i].Release());
                }
                Assert.AreEqual(0ul, Queue.Leases());
            }
        }
    }

    /// <summary>The native event queue.</summary>
    internal static unsafe class Queue
    {
        /// <summary>Waits until this many events are queued, without dispatching.</summary>
        internal static void WaitForPending(int events)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (WebSocket.Pending < events)
            {
                Assert.Less(clock.ElapsedMilliseconds, 20000L);
                Thread.Sleep(1);
            }
        }

        /// <summary>The number of payloads that are not released.</summary>
        internal static ulong Leases()
        {
            fw_pool_stats stats = default(fw_pool_stats);
            FramewireNative.fw_pool_stats_init(&stats, (UIntPtr)sizeof(fw_pool_stats));
            FramewireNative.fw_buffer_pool_stats(&stats);
            return stats.leases;
        }
    }
}
