#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests OpenAsync, CloseAsync, ReceiveAsync and ReceiveAllAsync.</summary>
    public sealed class AsyncTests
    {
        [Test]
        public void ConnectionIsOpenedUsedAndClosed()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    Assert.IsTrue(socket.IsOpen);
                    socket.Send("hello");
                    WebSocketMessage message = await socket.ReceiveAsync();
                    Assert.AreEqual(WebSocketMessageTypes.Text, message.Type);
                    Assert.AreEqual("hello", message.Text);
                    socket.Send(new byte[] { 1, 2, 3 });
                    message = await socket.ReceiveAsync();
                    Assert.AreEqual(WebSocketMessageTypes.Binary, message.Type);
                    Assert.AreEqual("1,2,3", string.Join(",", Array.ConvertAll(message.ToArray(), b => b.ToString())));
                    await socket.CloseAsync(4001, "bye");
                    Assert.AreEqual(4001, socket.CloseCode);
                    Assert.AreEqual(WebSocketStates.Closed, socket.State);
                });
                // It can be opened again.
                Run(async () =>
                {
                    await socket.OpenAsync();
                    Assert.AreEqual(0, socket.CloseCode);
                    socket.Send("again");
                    Assert.AreEqual("again", (await socket.ReceiveAsync()).Text);
                    await socket.CloseAsync();
                    Assert.AreEqual(1000, socket.CloseCode);
                });
                Assert.AreEqual(0, SocketTable.Count);
                Assert.IsFalse(SocketTable.HasIndividual);
            }
        }

        [Test]
        public void OpenAsyncCompletesIfOnOpenThrows()
        {
            using (var reports = new Reports())
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnOpen += ws => { throw new Exception("thrown"); };
                Run(async () =>
                {
                    await socket.OpenAsync();
                    Assert.AreEqual("thrown", reports.Log());
                    socket.Send("hello");
                    Assert.AreEqual("hello", (await socket.ReceiveAsync()).Text);
                });
            }
        }

        [Test]
        public void EventsOfASocketOpenedInAHandlerArePending()
        {
            using (var first = new WebSocket(Server.Plain("/")))
            using (var second = new WebSocket(Server.Plain("/")))
            {
                Task open = OpenInAHandler(first, second);
                Assert.IsFalse(open.IsCompleted);
                Assert.AreEqual(1, WebSocket.Pending);
                Assert.IsTrue(WebSocket.Wait(0));
                Assert.AreEqual(1, WebSocket.DispatchAll());
                Assert.IsTrue(open.IsCompleted);
                Assert.AreEqual(0, WebSocket.Pending);
            }
        }

        [Test]
        public void EventsOfADisposedSocketAreNotPending()
        {
            using (var first = new WebSocket(Server.Plain("/")))
            using (var second = new WebSocket(Server.Plain("/")))
            {
                Task open = OpenInAHandler(first, second);
                Assert.AreEqual(1, WebSocket.Pending);
                second.Dispose();
                Assert.AreEqual(0, WebSocket.Pending);
                Assert.IsTrue(open.IsFaulted);
            }
        }

        /// <summary>
        /// Calls OpenAsync of the second socket in a handler of the first. The same dispatch takes the event of the
        /// second too, and keeps it: that socket is awaited.
        /// </summary>
        private static Task OpenInAHandler(WebSocket first, WebSocket second)
        {
            Task open = null;
            first.OnOpen += ws =>
            {
                open = second.OpenAsync().AsTask();
                while (FramewireNative.fw_pending() == UIntPtr.Zero)
                {
                    Thread.Sleep(1);
                }
            };
            first.Open();
            while (open == null)
            {
                WebSocket.Wait(100);
                WebSocket.DispatchAll(100, 0);
            }
            return open;
        }

        [Test]
        public void EndDoesNotReachAReceiveOfTheNextConnection()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Task open = null;
                Task<WebSocketMessage> receive = null;
                socket.OnClosed += (ws, code, reason) =>
                {
                    if (open == null)
                    {
                        open = ws.OpenAsync().AsTask();
                        receive = ws.ReceiveAsync().AsTask();
                    }
                };
                Run(async () =>
                {
                    await socket.OpenAsync();
                    await socket.CloseAsync();
                });
                Assert.IsFalse(receive.IsCompleted);
                Pump.Until(() => open.IsCompleted);
                socket.Send("next");
                Pump.Until(() => receive.IsCompleted);
                Assert.AreEqual("next", receive.Result.Text);
            }
        }

        [Test]
        public void CloseAsyncOnAnotherThreadCompletes()
        {
            for (int round = 0; round < 500; round++)
            {
                using (var socket = new WebSocket(Server.Plain("/")))
                {
                    // Its events are delivered although nothing is awaited.
                    socket.OnBinary += delegate { };
                    Run(async () => await socket.OpenAsync());
                    Task close = null;
                    var closer = new Thread(() => close = socket.CloseAsync().AsTask());
                    closer.Start();
                    while (socket.PendingEnds > 0)
                    {
                        WebSocket.DispatchAll();
                    }
                    closer.Join();
                    Pump.Until(() => close.IsCompleted);
                    close.GetAwaiter().GetResult();
                }
            }
        }

        [Test]
        public void ReceiveAsyncThatMeetsDisposeEnds()
        {
            for (int round = 0; round < 2000; round++)
            {
                var socket = new WebSocket(Server.Plain("/"));
                Run(async () =>
                {
                    await socket.OpenAsync();
                    socket.Send("x");
                    await socket.ReceiveAsync();
                });
                Task receive = null;
                int ready = 0;
                var receiver = new Thread(() =>
                {
                    Volatile.Write(ref ready, 1);
                    try
                    {
                        receive = socket.ReceiveAsync().AsTask();
                    }
                    catch (InvalidOperationException)
                    {
                        // It was disposed before.
                    }
                });
                receiver.Start();
                while (Volatile.Read(ref ready) == 0)
                {
                }
                Thread.SpinWait(round % 200);
                socket.Dispose();
                receiver.Join();
                if (receive != null)
                {
                    Pump.Until(() => receive.IsCompleted);
                    Assert.IsTrue(receive.IsFaulted);
                }
            }
        }

        [Test]
        public void FailedCloseAsyncCanBeRepeated()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    Assert.Throws<ArgumentException>(() => socket.CloseAsync(1005, null));
                    Assert.Throws<ArgumentException>(() => socket.CloseAsync(1000, new string('x', 124)));
                    ValueTask close = socket.CloseAsync();
                    Assert.Throws<InvalidOperationException>(() => socket.CloseAsync());
                    await close;
                });
            }
        }

        [Test]
        public void EveryMessageIsReceivedBeforeTheEnd()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=1000&size=20")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    for (int i = 0; i < 1000; i++)
                    {
                        Assert.AreEqual((long)i, Number(await socket.ReceiveAsync()));
                    }
                    WebSocketMessage end = await socket.ReceiveAsync();
                    Assert.IsTrue(end.IsClosed);
                    Assert.AreEqual(1000, end.CloseCode);
                    Assert.AreEqual("done", end.CloseReason);
                    Assert.Throws<InvalidOperationException>(() => socket.ReceiveAsync());
                });
            }
        }

        [Test]
        public void EnumerationEndsWithTheConnection()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=100&size=20")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    long next = 0;
                    // As the compiler translates await foreach, which needs C# 8.
                    IAsyncEnumerator<WebSocketMessage> messages =
                        ((IAsyncEnumerable<WebSocketMessage>)socket.ReceiveAllAsync()).GetAsyncEnumerator();
                    while (await messages.MoveNextAsync())
                    {
                        Assert.AreEqual(next++, Number(messages.Current));
                    }
                    await messages.DisposeAsync();
                    Assert.AreEqual(100L, next);
                    Assert.AreEqual(1000, socket.CloseCode);
                    Assert.IsFalse(await socket.ReceiveAllAsync().GetAsyncEnumerator().MoveNextAsync());
                });
            }
        }

        [Test]
        public void ContinuationsRunInsideDispatchAll()
        {
            SynchronizationContext before = SynchronizationContext.Current;
            var context = new CountingContext();
            SynchronizationContext.SetSynchronizationContext(context);
            try
            {
                using (var socket = new WebSocket(Server.Plain("/count?n=50&size=20")))
                {
                    bool isDispatching = false;
                    int received = 0;
                    int thread = Thread.CurrentThread.ManagedThreadId;
                    Func<Task> receiveAll = async () =>
                    {
                        await socket.OpenAsync();
                        while (!(await socket.ReceiveAsync()).IsClosed)
                        {
                            Assert.IsTrue(isDispatching);
                            Assert.AreEqual(thread, Thread.CurrentThread.ManagedThreadId);
                            received++;
                        }
                    };
                    Task task = receiveAll();
                    Queue.WaitForPending(52);
                    // All events in one call: no message waits for the next frame.
                    isDispatching = true;
                    Assert.AreEqual(52, WebSocket.DispatchAll());
                    isDispatching = false;
                    Assert.IsTrue(task.IsCompleted);
                    task.GetAwaiter().GetResult();
                    Assert.AreEqual(50, received);
                    Assert.AreEqual(0, context.Posts);
                }
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
            }
        }

        [Test]
        public void ContinuationOfAnotherContextIsPosted()
        {
            SynchronizationContext before = SynchronizationContext.Current;
            var context = new CountingContext();
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Task task;
                try
                {
                    SynchronizationContext.SetSynchronizationContext(context);
                    task = socket.OpenAsync().AsTask();
                    Func<Task> open = async () => await task;
                    task = open();
                }
                finally
                {
                    SynchronizationContext.SetSynchronizationContext(before);
                }
                Pump.Until(() => task.IsCompleted);
                Assert.Greater(context.Posts, 0);
            }
        }

        [Test]
        public void BudgetLimitsAwaitedMessages()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=50&size=20")))
            {
                int received = 0;
                Func<Task> receiveAll = async () =>
                {
                    await socket.OpenAsync();
                    while (!(await socket.ReceiveAsync()).IsClosed)
                    {
                        received++;
                        if (received == 11)
                        {
                            // Longer than the budget.
                            Thread.Sleep(2);
                        }
                    }
                };
                Task task = receiveAll();
                Queue.WaitForPending(52);
                Assert.AreEqual(11, WebSocket.DispatchAll(11, 0));
                Assert.AreEqual(10, received);
                Assert.AreEqual(1, WebSocket.DispatchAll(0, 1));
                Assert.AreEqual(11, received);
                Assert.AreEqual(40, WebSocket.DispatchAll());
                Assert.IsTrue(task.IsCompleted);
                Assert.AreEqual(50, received);
            }
        }

        [Test]
        public void CancelledReceiveLosesNoMessage()
        {
            var random = new Random(1);
            using (var socket = new WebSocket(Server.Plain("/count?n=2000&size=20")))
            {
                int cancelled = 0;
                Run(async () =>
                {
                    await socket.OpenAsync();
                    long next = 0;
                    while (next < 2000)
                    {
                        var source = new CancellationTokenSource();
                        ValueTask<WebSocketMessage> receive = socket.ReceiveAsync(source.Token);
                        bool cancels = random.Next(3) == 0;
                        if (cancels)
                        {
                            source.Cancel();
                        }
                        try
                        {
                            Assert.AreEqual(next, Number(await receive));
                            Assert.IsFalse(cancels);
                            next++;
                        }
                        catch (OperationCanceledException)
                        {
                            cancelled++;
                        }
                    }
                    Assert.IsTrue((await socket.ReceiveAsync()).IsClosed);
                });
                Assert.Greater(cancelled, 0);
            }
        }

        [Test]
        public void CancelledTokenIsNoticedWithoutEvents()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    var source = new CancellationTokenSource();
                    ValueTask<WebSocketMessage> receive = socket.ReceiveAsync(source.Token);
                    source.Cancel();
                    await Expect<OperationCanceledException>(async () => await receive);
                    await Expect<OperationCanceledException>(async () => await socket.ReceiveAsync(source.Token));
                    // The socket stays open.
                    socket.Send("x");
                    Assert.AreEqual("x", (await socket.ReceiveAsync()).Text);
                    await socket.CloseAsync();
                });
            }
        }

        [Test]
        public void OtherThreadsLoseNoEvent()
        {
            const int Threads = 4, Connections = 50, Messages = 30;
            int received = 0;
            var tasks = new List<Task>();
            for (int thread = 0; thread < Threads; thread++)
            {
                tasks.Add(Task.Run(async () =>
                {
                    for (int i = 0; i < Connections; i++)
                    {
                        using (var socket = new WebSocket(Server.Plain("/count?n=" + Messages + "&size=8")))
                        {
                            await socket.OpenAsync();
                            for (long next = 0; next < Messages; next++)
                            {
                                Assert.AreEqual(next, Number(await socket.ReceiveAsync()));
                                Interlocked.Increment(ref received);
                            }
                            Assert.IsTrue((await socket.ReceiveAsync()).IsClosed);
                        }
                    }
                }));
            }
            Task all = Task.WhenAll(tasks);
            using (var handlers = new RecordingSocket(Server.Plain("/")).Opened())
            {
                Pump.Until(() =>
                {
                    handlers.Socket.Send("x");
                    return all.IsCompleted;
                });
                all.GetAwaiter().GetResult();
                Assert.AreEqual(Threads * Connections * Messages, received);
            }
            Assert.AreEqual(0ul, Queue.Leases());
            Assert.IsFalse(SocketTable.HasIndividual);
        }

        [Test]
        public void EveryTaskOfRandomUseEnds()
        {
            var tasks = new List<Task>();
            for (int seed = 0; seed < 8; seed++)
            {
                var random = new Random(seed);
                Func<Task> use = async () =>
                {
                    for (int i = 0; i < 60; i++)
                    {
                        await UseAtRandom(random);
                    }
                };
                tasks.Add(use());
            }
            Task all = Task.WhenAll(tasks);
            Pump.Until(() => all.IsCompleted);
            all.GetAwaiter().GetResult();
            Assert.AreEqual(0, SocketTable.Count);
            Assert.IsFalse(SocketTable.HasIndividual);
            // The timers of the tokens, and worker threads that are dropping what they were about to deliver.
            Thread.Sleep(100);
            Assert.AreEqual(0ul, Queue.Leases());
        }

        private static async Task UseAtRandom(Random random)
        {
            string[] paths = { "/", "/count?n=100&size=50", "/drop", "/close?code=4000" };
            using (var socket = new WebSocket(Server.Plain(paths[random.Next(paths.Length)])))
            {
                if (random.Next(4) == 0)
                {
                    socket.OnMessage += (ws, text) => { };
                }
                var pending = new List<Task>();
                int steps = random.Next(12);
                for (int step = 0; step < steps; step++)
                {
                    try
                    {
                        Task task = Step(socket, random);
                        pending.Add(task);
                        if (random.Next(3) > 0)
                        {
                            await Finish(task);
                        }
                    }
                    catch (InvalidOperationException)
                    {
                        // In a wrong state.
                    }
                }
                socket.Dispose();
                foreach (Task task in pending)
                {
                    await Finish(task);
                }
            }
        }

        private static Task Step(WebSocket socket, Random random)
        {
            CancellationToken cancellation = random.Next(3) > 0
                ? CancellationToken.None
                : new CancellationTokenSource(random.Next(10)).Token;
            switch (random.Next(8))
            {
                case 0:
                    return socket.CloseAsync(cancellation).AsTask();
                case 1:
                    socket.Close();
                    break;
                case 2:
                    socket.Abort();
                    break;
                case 3:
                    socket.Send(new byte[random.Next(100)]);
                    break;
                case 4:
                case 5:
                    return socket.OpenAsync(cancellation).AsTask();
                default:
                    // Without a token it may wait until the socket is disposed.
                    var limited = new CancellationTokenSource(random.Next(30));
                    return socket.ReceiveAsync(limited.Token).AsTask();
            }
            return Task.CompletedTask;
        }

        private static async Task Finish(Task task)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
            }
            catch (WebSocketConnectionException)
            {
            }
            catch (ObjectDisposedException)
            {
            }
        }

        [Test]
        public void SecondReceiveIsRejected()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Run(async () =>
                {
                    Assert.Throws<InvalidOperationException>(() => socket.ReceiveAsync());
                    await socket.OpenAsync();
                    ValueTask<WebSocketMessage> first = socket.ReceiveAsync();
                    Assert.Throws<InvalidOperationException>(() => socket.ReceiveAsync());
                    Assert.Throws<InvalidOperationException>(
                        () => socket.ReceiveAllAsync().GetAsyncEnumerator().MoveNextAsync());
                    socket.Send("1");
                    Assert.AreEqual("1", (await first).Text);
                    await Expect<InvalidOperationException>(async () => await first);
                    await socket.CloseAsync();
                });
            }
        }

        [Test]
        public void MessagesHaveOneConsumer()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                string text = null;
                bool opened = false, closed = false;
                socket.OnOpen += ws => opened = true;
                socket.OnClosed += (ws, code, reason) => closed = true;
                Run(async () =>
                {
                    await socket.OpenAsync();
                    Assert.IsTrue(opened);
                    // A handler that would never be called is rejected.
                    Assert.Throws<InvalidOperationException>(() => socket.OnMessage += (ws, message) => { });
                    Assert.Throws<InvalidOperationException>(() => socket.OnBinaryNoCopy += (ws, message) => { });
                    Assert.Throws<InvalidOperationException>(() => socket.Open());
                    await socket.CloseAsync();
                    Assert.IsTrue(closed);

                    socket.OnMessage += (ws, message) => text = message;
                    await socket.OpenAsync();
                    Assert.Throws<InvalidOperationException>(() => socket.ReceiveAsync());
                    socket.Send("to the handler");
                });
                Pump.Until(() => text != null);
                Assert.AreEqual("to the handler", text);
                Run(async () => await socket.CloseAsync());
                // A socket that was opened with Open can be closed with await as well.
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                Run(async () => await socket.CloseAsync());
                Assert.AreEqual(1000, socket.CloseCode);
            }
        }

        [Test]
        public void MessagesThatAreNotAwaitedStopTheServer()
        {
            const int Messages = 100, Size = 1 << 20;
            using (var other = new RecordingSocket(Server.Plain("/")).Opened())
            using (var socket = new WebSocket(Server.Plain("/count?n=" + Messages + "&size=" + Size)))
            {
                Run(async () => await socket.OpenAsync());
                // Meanwhile another socket is served.
                for (int i = 0; i < 100; i++)
                {
                    int events = other.Events.Count;
                    other.Socket.Send("x");
                    Pump.Until(() => other.Events.Count > events);
                }
                Thread.Sleep(300);
                WebSocket.DispatchAll();
                Assert.Less((long)socket.GetStatistics().BytesReceived, 16L * Size);
                Run(async () =>
                {
                    for (int i = 0; i < Messages; i++)
                    {
                        WebSocketMessage message = await socket.ReceiveAsync();
                        Assert.AreEqual((long)i, Number(message));
                        Assert.AreEqual(Size, message.Count);
                    }
                    Assert.IsTrue((await socket.ReceiveAsync()).IsClosed);
                });
            }
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void WaitDoesNotSpinWhileMessagesAreNotAwaited()
        {
            using (var socket = new WebSocket(Server.Plain("/count?n=10&size=20")))
            {
                Run(async () => await socket.OpenAsync());
                Queue.WaitForPending(11);
                Stopwatch clock = Stopwatch.StartNew();
                int turns = 0;
                while (clock.ElapsedMilliseconds < 200)
                {
                    WebSocket.Wait(10);
                    Assert.AreEqual(0, WebSocket.DispatchAll());
                    turns++;
                }
                Assert.Less(turns, 250);
            }
        }

        [Test]
        public void CloseAsyncDropsWhatNobodyReceives()
        {
            using (var socket = new WebSocket(Server.Plain("/push?hz=1000&size=100")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    for (int i = 0; i < 20; i++)
                    {
                        await socket.ReceiveAsync();
                    }
                });
                Queue.WaitForPending(20);
                Run(async () => await socket.CloseAsync());
                Assert.AreEqual(WebSocketStates.Closed, socket.State);
                Assert.Throws<InvalidOperationException>(() => socket.ReceiveAsync());
            }
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void PendingReceiveEndsWithCloseAsync()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    ValueTask<WebSocketMessage> receive = socket.ReceiveAsync();
                    ValueTask close = socket.CloseAsync(3000, "x");
                    Assert.Throws<InvalidOperationException>(() => socket.CloseAsync());
                    WebSocketMessage end = await receive;
                    Assert.AreEqual(3000, end.CloseCode);
                    await close;
                    await socket.CloseAsync();
                });
            }
        }

        [Test]
        public void FailureIsThrown()
        {
            using (var refused = new WebSocket(new Uri("ws://127.0.0.1:1/")))
            using (var rejected = new WebSocket(Server.Plain("/drop")))
            {
                Run(async () =>
                {
                    WebSocketConnectionException error = await Expect<WebSocketConnectionException>(
                        async () => await refused.OpenAsync());
                    Assert.AreEqual(WebSocketErrorKind.Refused, error.Error.Kind);
                    Assert.AreEqual(refused.LastError.Message, error.Message);

                    await rejected.OpenAsync();
                    rejected.Send("x");
                    error = await Expect<WebSocketConnectionException>(async () => await rejected.ReceiveAsync());
                    Assert.AreEqual(WebSocketErrorKind.Reset, error.Error.Kind);
                });
            }
        }

        [Test]
        public void CancelledOpenAbortsAndCanBeRepeated()
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            try
            {
                int port = ((IPEndPoint)listener.LocalEndpoint).Port;
                using (var socket = new WebSocket(new Uri("ws://127.0.0.1:" + port + "/")))
                {
                    Run(async () =>
                    {
                        for (int i = 0; i < 3; i++)
                        {
                            var source = new CancellationTokenSource(20);
                            await Expect<OperationCanceledException>(async () => await socket.OpenAsync(source.Token));
                            Assert.AreEqual(WebSocketStates.Closed, socket.State);
                        }
                        var cancelled = new CancellationToken(true);
                        await Expect<OperationCanceledException>(async () => await socket.OpenAsync(cancelled));
                        ValueTask open = socket.OpenAsync();
                        socket.Close();
                        await Expect<WebSocketConnectionException>(async () => await open);
                    });
                }
            }
            finally
            {
                listener.Stop();
            }
        }

        [Test]
        public void CancelledCloseAborts()
        {
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade, true))
            using (var socket = new WebSocket(server.Uri))
            {
                Run(async () =>
                {
                    await socket.OpenAsync();
                    var source = new CancellationTokenSource(20);
                    await Expect<OperationCanceledException>(async () => await socket.CloseAsync(source.Token));
                    Assert.AreEqual(WebSocketStates.Closed, socket.State);
                });
            }
        }

        [Test]
        public void DisposeAndShutdownEndWhatIsPending()
        {
            var socket = new WebSocket(Server.Plain("/"));
            Run(async () =>
            {
                await socket.OpenAsync();
                ValueTask<WebSocketMessage> receive = socket.ReceiveAsync();
                ValueTask close = socket.CloseAsync();
                socket.Dispose();
                await Expect<ObjectDisposedException>(async () => await receive);
                await Expect<ObjectDisposedException>(async () => await close);
                Assert.Throws<ObjectDisposedException>(() => socket.ReceiveAsync());
                Assert.Throws<ObjectDisposedException>(() => socket.OpenAsync());
                await socket.CloseAsync();
            });
            using (var second = new WebSocket(Server.Plain("/")))
            {
                Task<WebSocketMessage> receive = null;
                Run(async () =>
                {
                    await second.OpenAsync();
                    second.Send("x");
                    await second.ReceiveAsync();
                    receive = second.ReceiveAsync().AsTask();
                });
                Assert.IsTrue(WebSocket.Shutdown(5000));
                Assert.IsTrue(receive.IsCompleted);
                Assert.AreEqual(1001, receive.Result.CloseCode);
            }
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void OpenAsyncOutlastsRetries()
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            int port = ((IPEndPoint)listener.LocalEndpoint).Port;
            listener.Stop();
            using (var socket = new WebSocket(new Uri("ws://127.0.0.1:" + port + "/")))
            {
                int retries = 0;
                socket.Reconnect = new ReconnectSettings
                {
                    MinDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(2), MaxAttempts = 3,
                };
                socket.OnReconnecting += (ws, error, attempt, delay) => retries++;
                Run(() => Expect<WebSocketConnectionException>(async () => await socket.OpenAsync()));
                Assert.AreEqual(3, retries);
                Assert.AreEqual(WebSocketErrorKind.Refused, socket.LastError.Kind);
            }
        }

        internal static void Run(Func<Task> code)
        {
            Task task = code();
            Pump.Until(() => task.IsCompleted);
            task.GetAwaiter().GetResult();
        }

        private static async Task<T> Expect<T>(Func<Task> code) where T : Exception
        {
            try
            {
                await code();
            }
            catch (T expected)
            {
                return expected;
            }
            throw new AssertionException("expected " + typeof(T));
        }

        private static long Number(WebSocketMessage message)
        {
            Assert.AreEqual(WebSocketMessageTypes.Binary, message.Type);
            return BitConverter.ToInt64(message.ToArray(), 0);
        }

        /// <summary>A context of a game engine: continuations that are posted to it run a frame later.</summary>
        private sealed class CountingContext : SynchronizationContext
        {
            internal int Posts;

            public override void Post(SendOrPostCallback callback, object state)
            {
                Interlocked.Increment(ref Posts);
                ThreadPool.QueueUserWorkItem(ignored => callback(state));
            }
        }
    }
}
#endif
