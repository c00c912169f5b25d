using System;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests that messages allocate no managed memory.</summary>
    public sealed class AllocationTests
    {
        private const int Messages = 20000;
        private const int Batch = 100;

        private static readonly byte[] s_payload = new byte[128];
        private static readonly string s_text = new string('t', 100);
        private static readonly string s_longText = new string('t', 2000);

        // More than is copied into the array that is used again.
        private static readonly byte[] s_large = new byte[100000];

        private static int s_received;
        private static int s_budget;

        [Test]
        public void MeterDetectsGarbage()
        {
            long before = AllocationMeter.Read();
            for (int i = 0; i < Messages; i++)
            {
                s_payload[0] = new byte[100][5];
            }
            Assert.Greater(AllocationMeter.Read() - before, (long)Messages * 50);
        }

        [Test]
        public unsafe void SendingPointersDoesNotAllocate()
        {
            Measure(
                (ws) =>
                {
                    fixed (byte* data = s_payload)
                    {
                        ws.Send(data, s_payload.Length);
                    }
                },
                (ws) => ws.OnBinaryNoAlloc += (socket, buffer) => s_received += buffer.Count / 128);
        }

        [Test]
        public void SendingArraysDoesNotAllocate()
        {
            Measure(
                (ws) => ws.Send(s_payload),
                (ws) => ws.OnBinaryNoAlloc += (socket, buffer) => s_received += buffer.Count / 128);
        }

        [Test]
        public void SendingPooledSegmentsDoesNotAllocate()
        {
            Measure(
                (ws) => ws.SendAsBinary(new BufferSegment(BufferPool.Get(128, true), 0, 128)),
                (ws) => ws.OnBinaryNoCopy += (socket, segment) => s_received += segment.Count / 128);
        }

        [Test]
        public void SendingNativeSegmentsDoesNotAllocate()
        {
            Measure(
                (ws) => ws.SendAsBinary(NativeSegment.Get(128)),
                (ws) => ws.OnBinaryNoCopy += (socket, segment) => s_received += segment.Count / 128);
        }

        [Test]
        public void SendingStringsDoesNotAllocate()
        {
            Measure(
                (ws) => ws.Send(s_text),
                (ws) => ws.OnMessageNoAlloc += (socket, buffer) => s_received += buffer.Count / 100);
            Measure(
                (ws) => ws.Send(s_longText),
                (ws) => ws.OnMessageNoCopy += (socket, segment) => s_received += segment.Count / 2000);
        }

        [Test]
        public void DispatchingWithABudgetDoesNotAllocate()
        {
            s_budget = 1000;
            try
            {
                Measure(
                    (ws) => ws.Send(s_payload),
                    (ws) =>
                    {
                        ws.OnBinaryNoAlloc += (socket, buffer) => s_received += buffer.Count / 128;
                        ws.OnBinaryNoCopy += (socket, segment) => s_received += segment.Count / 256;
                    });
            }
            finally
            {
                s_budget = 0;
            }
        }

        [Test]
        public void ReceivingLargeMessagesDoesNotAllocate()
        {
            Measure(
                (ws) => ws.Send(s_large),
                (ws) => ws.OnBinaryNoAlloc += (socket, buffer) => s_received += buffer.Count / s_large.Length,
                1000);
        }

        [Test]
        public void ReceivingFragmentsDoesNotAllocate()
        {
            using (var socket = new WebSocket(Server.Plain("/fragments?n=1000000&size=20")))
            {
                socket.OnIncompleteFrame += (ws, frame) => s_received++;
                socket.Open();
                ReceiveFragments(Messages / 10);
                AllocationMeter.AssertNone(Messages, () => ReceiveFragments(Messages));
            }
        }

        private static void ReceiveFragments(int count)
        {
            s_received = 0;
            while (s_received < count)
            {
                WebSocket.Wait(100);
                WebSocket.DispatchAll(64, 0);
            }
        }

#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
        [Test]
        public void ReceivingWithAwaitDoesNotAllocate()
        {
            MeasureAwait(async (ws) =>
            {
                while (true)
                {
                    WebSocketMessage message = await ws.ReceiveAsync();
                    s_received += message.Count / 128;
                }
            });
        }

        [Test]
        public void ReceivingWithAwaitForeachDoesNotAllocate()
        {
            MeasureAwait(async (ws) =>
            {
                WebSocketMessages.Enumerator messages = ws.ReceiveAllAsync().GetAsyncEnumerator();
                while (await messages.MoveNextAsync())
                {
                    s_received += messages.Current.Count / 128;
                }
            });
        }

        private static void MeasureAwait(Func<WebSocket, System.Threading.Tasks.Task> receive)
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                AsyncTests.Run(async () => await socket.OpenAsync());
                System.Threading.Tasks.Task receiving = receive(socket);
                Action<WebSocket> send = (ws) => ws.Send(s_payload);
                Echo(socket, send, Messages / 10);
                AllocationMeter.AssertNone(Messages, () => Echo(socket, send, Messages));
                Assert.IsFalse(receiving.IsCompleted);
            }
        }

#endif
        [Test]
        public void ReadingTheStateDoesNotAllocate()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")).Opened())
            {
                Assert.Greater(ReadState(socket.Socket, 100), 0ul);
                AllocationMeter.AssertNone(Messages, () => ReadState(socket.Socket, Messages));
            }
        }

        private static ulong ReadState(WebSocket ws, int times)
        {
            ulong sum = 0;
            for (int i = 0; i < times; i++)
            {
                sum += ws.IsOpen ? 1ul : 0ul;
                sum += (ulong)ws.BufferedAmount + (ulong)ws.Latency + (ulong)ws.State;
                sum += ws.GetStatistics().BytesReceived + (ulong)WebSocket.DispatchAll(10, 1000);
                sum += ws.LastMessageReceived == DateTime.MinValue ? 0ul : 1ul;
            }
            return sum;
        }

        private static void Measure(Action<WebSocket> send, Action<WebSocket> listen)
        {
            Measure(send, listen, Messages);
        }

        private static void Measure(Action<WebSocket> send, Action<WebSocket> listen, int messages)
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                listen(socket);
                socket.Open();
                while (!socket.IsOpen)
                {
                    WebSocket.Wait(10);
                    WebSocket.DispatchAll();
                }
                Echo(socket, send, messages / 10);
                AllocationMeter.AssertNone(messages, () => Echo(socket, send, messages));
            }
        }

        private static void Echo(WebSocket socket, Action<WebSocket> send, int messages)
        {
            s_received = 0;
            for (int sent = 0; sent < messages; sent += Batch)
            {
                for (int i = 0; i < Batch; i++)
                {
                    send(socket);
                }
                while (s_received < sent + Batch && socket.IsOpen)
                {
                    WebSocket.Wait(100);
                    WebSocket.DispatchAll(0, s_budget);
                }
            }
            if (s_received != messages)
            {
                Assert.Fail("received " + s_received + " of " + messages);
            }
        }
    }
}
