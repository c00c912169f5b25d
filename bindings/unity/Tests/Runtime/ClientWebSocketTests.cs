#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// Tests what FramewireClientWebSocket adds to ClientWebSocket; Tests~/Compare compares the rest.
    /// </summary>
    public sealed class ClientWebSocketTests
    {
        private static readonly CancellationToken None = CancellationToken.None;

        [Test]
        public void ClientNeedsNoDispatch()
        {
            Wait(async () =>
            {
                using (FramewireClientWebSocket client = await Connected("/"))
                {
                    for (int i = 0; i < 100; i++)
                    {
                        await Send(client, "message " + i);
                        Assert.AreEqual("message " + i, await Receive(client));
                    }
                    await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", None);
                    Assert.AreEqual(WebSocketState.Closed, client.State);
                }
            });
        }

        [Test]
        public void RefusedCloseCanBeRepeated()
        {
            Wait(async () =>
            {
                foreach (bool output in new[] { false, true })
                {
                    using (FramewireClientWebSocket client = await Connected("/"))
                    {
                        Func<WebSocketCloseStatus, string, Task> close = (status, reason) => output
                            ? client.CloseOutputAsync(status, reason, None)
                            : client.CloseAsync(status, reason, None);
                        // A reserved code, and reasons that are no text.
                        await Refused(() => close((WebSocketCloseStatus)1004, "x"));
                        await Refused(() => close(WebSocketCloseStatus.NormalClosure, "\0"));
                        await Refused(() => close(WebSocketCloseStatus.NormalClosure, "\ud800"));
                        Assert.AreEqual(WebSocketState.Open, client.State);
                        await close(WebSocketCloseStatus.NormalClosure, "bye");
                        if (output)
                        {
                            await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", None);
                        }
                        Assert.AreEqual(WebSocketState.Closed, client.State);
                    }
                }
            });
        }

        private static async Task Refused(Func<Task> call)
        {
            try
            {
                await call();
            }
            catch (ArgumentException)
            {
                return;
            }
            Assert.Fail("an invalid argument was accepted");
        }

        [Test]
        public void ConnectAsyncRetriesWithReconnect()
        {
            Wait(async () =>
            {
                using (var client = new FramewireClientWebSocket())
                {
                    WebSocket inner = null;
                    client.Options.Configure = socket =>
                    {
                        inner = socket;
                        socket.Reconnect = new ReconnectSettings
                        {
                            MinDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(1),
                        };
                        socket.Link = new LinkConditions { Cut = LinkCut.Refuse };
                    };
                    Task connect = client.ConnectAsync(Server.Plain("/"), None);
                    await Task.Delay(50);
                    Assert.IsFalse(connect.IsCompleted);
                    inner.Link = null;
                    await connect;
                    await Send(client, "x");
                    Assert.AreEqual("x", await Receive(client));
                }
            });
        }

        [Test]
        public void LostConnectionEndsAClientThatReconnects()
        {
            Wait(async () =>
            {
                using (var client = new FramewireClientWebSocket())
                {
                    client.Options.Configure = socket => socket.Reconnect = new ReconnectSettings
                    {
                        MinDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(1),
                    };
                    await client.ConnectAsync(Server.Plain("/drop"), None);
                    Task<string> receive = Receive(client);
                    await Send(client, "the server drops the connection");
                    try
                    {
                        await receive;
                        Assert.Fail("received from another connection");
                    }
                    catch (WebSocketException lost)
                    {
                        Assert.AreEqual(
                            System.Net.WebSockets.WebSocketError.ConnectionClosedPrematurely, lost.WebSocketErrorCode);
                    }
                    Assert.AreEqual(WebSocketState.Aborted, client.State);
                    Assert.AreEqual(WebSocketErrorKind.Reset, client.LastError.Kind);
                }
            });
        }

        [Test]
        public void GameAndClientsDoNotTakeEachOthersEvents()
        {
            var clients = new List<Task>();
            using (var handlers = new RecordingSocket(Server.Plain("/count?n=1000&size=20")))
            using (var awaited = new WebSocket(Server.Plain("/count?n=1000&size=20")))
            {
                handlers.Socket.Open();
                Func<Task<int>> receiveAll = async () =>
                {
                    await awaited.OpenAsync();
                    int received = 0;
                    while (!(await awaited.ReceiveAsync()).IsClosed)
                    {
                        received++;
                    }
                    return received;
                };
                Task<int> receiving = receiveAll();
                for (int i = 0; i < 8; i++)
                {
                    clients.Add(Task.Run(async () =>
                    {
                        using (FramewireClientWebSocket client = await Connected("/"))
                        {
                            for (int k = 0; k < 200; k++)
                            {
                                await Send(client, k.ToString());
                                Assert.AreEqual(k.ToString(), await Receive(client));
                            }
                            await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, None);
                        }
                    }));
                }
                Task all = Task.WhenAll(clients);
                Pump.Until(() => handlers.Ended && receiving.IsCompleted && all.IsCompleted);
                all.GetAwaiter().GetResult();
                Assert.AreEqual(1002, handlers.Events.Count);
                Assert.AreEqual(1000, receiving.Result);
            }
            Assert.AreEqual(0ul, Queue.Leases());
            Assert.AreEqual(0, SocketTable.Count);
            Assert.IsFalse(SocketTable.HasIndividual);
        }

        [Test]
        public void UnreadMessagesAreBounded()
        {
            const int Messages = 100, Size = 1 << 20;
            Wait(async () =>
            {
                using (FramewireClientWebSocket client = await Connected("/count?n=" + Messages + "&size=" + Size))
                {
                    await Task.Delay(300);
                    Assert.Less(Queue.Leases(), 1000ul);
                    var buffer = new byte[Size];
                    for (int i = 0; i < Messages; i++)
                    {
                        int have = 0;
                        WebSocketReceiveResult result;
                        do
                        {
                            result = await client.ReceiveAsync(new ArraySegment<byte>(buffer, have, Size - have), None);
                            have += result.Count;
                        }
                        while (!result.EndOfMessage);
                        Assert.AreEqual(Size, have);
                        Assert.AreEqual((long)i, BitConverter.ToInt64(buffer, 0));
                    }
                    Assert.AreEqual("closed", await Receive(client));
                    Assert.AreEqual("done", client.CloseStatusDescription);
                }
            });
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void DisposeReleasesUnreadMessages()
        {
            Wait(async () =>
            {
                FramewireClientWebSocket client = await Connected("/push?hz=1000&size=100");
                await Receive(client);
                await Task.Delay(50);
                Assert.Greater(Queue.Leases(), 0ul);
                client.Dispose();
            });
            Assert.AreEqual(0ul, Queue.Leases());
            Assert.AreEqual(0, SocketTable.Count);
        }

        [Test]
        public void ShutdownEndsClients()
        {
            Wait(async () =>
            {
                FramewireClientWebSocket client = await Connected("/");
                Task<string> receive = Receive(client);
                Assert.IsTrue(WebSocket.Shutdown(5000));
                try
                {
                    await receive;
                    Assert.Fail("the receive returned");
                }
                catch (WebSocketException)
                {
                    Assert.AreEqual(WebSocketState.Aborted, client.State);
                }
                // The library and the thread start again.
                using (FramewireClientWebSocket next = await Connected("/"))
                {
                    await Send(next, "again");
                    Assert.AreEqual("again", await Receive(next));
                }
            });
        }

        [Test]
        public void OptionsReachTheServer()
        {
            Wait(async () =>
            {
                using (var client = new FramewireClientWebSocket())
                {
                    client.Options.SetRequestHeader("X-Test", "value");
                    client.Options.Credentials = new NetworkCredential("user", "secret");
                    client.Options.Cookies = new CookieContainer();
                    client.Options.Cookies.Add(new Uri("http://127.0.0.1/"), new Cookie("name", "crumb"));
                    client.Options.Compression = new PerMessageCompression();
                    client.Options.Configure = ws => ws.AddHeader("X-Configured", "yes");
                    await client.ConnectAsync(Server.Plain("/headers"), None);
                    string head = (await Receive(client)).ToLowerInvariant();
                    Assert.IsTrue(head.Contains("x-test: value"), head);
                    Assert.IsTrue(head.Contains("x-configured: yes"), head);
                    Assert.IsTrue(head.Contains("authorization: basic "), head);
                    Assert.IsTrue(head.Contains("cookie: name=crumb"), head);
                    Assert.IsTrue(head.Contains("permessage-deflate"), head);
                }
            });
        }

        [Test]
        public void ResponseIsKeptIfItIsWanted()
        {
            const string response = "HTTP/1.1 403 No\r\nSet-Cookie: first=1\r\nX-Reason: full\r\n"
                + "set-cookie: second=2\r\nSet-Cookie: third=3; Domain=elsewhere.example\r\nContent-Length: 0\r\n\r\n";
            Wait(async () =>
            {
                foreach (bool isWanted in new[] { true, false })
                {
                    using (var server = new FixedResponseServer(response))
                    using (var client = new FramewireClientWebSocket())
                    {
                        client.Options.CollectHttpResponseDetails = isWanted;
                        client.Options.Cookies = new CookieContainer();
                        try
                        {
                            await client.ConnectAsync(server.Uri, None);
                            Assert.Fail("a refusal was accepted");
                        }
                        catch (WebSocketException exception)
                        {
                            Assert.AreEqual("NotAWebSocket", exception.WebSocketErrorCode.ToString());
                        }
                        string cookies = client.Options.Cookies.GetCookieHeader(new Uri("http://127.0.0.1/"));
                        Assert.AreEqual("first=1; second=2", cookies);
                        Assert.AreEqual(isWanted ? HttpStatusCode.Forbidden : 0, client.HttpStatusCode);
                        if (!isWanted)
                        {
                            Assert.IsNull(client.HttpResponseHeaders);
                            continue;
                        }
                        Assert.AreEqual("full", string.Join("|", client.HttpResponseHeaders["x-reason"]));
                        string all = string.Join("|", client.HttpResponseHeaders["SET-COOKIE"]);
                        Assert.AreEqual("first=1|second=2|third=3; Domain=elsewhere.example", all);
                    }
                }
            });
        }

        [Test]
        public void TlsNeedsItsAuthority()
        {
            Wait(async () =>
            {
                using (var client = new FramewireClientWebSocket())
                {
                    try
                    {
                        await client.ConnectAsync(Server.Secure("/"), None);
                        Assert.Fail("an unknown authority was accepted");
                    }
                    catch (WebSocketException exception)
                    {
                        Assert.AreEqual(WebSocketErrorKind.Tls, client.LastError.Kind);
                        Assert.IsTrue(exception.InnerException is WebSocketConnectionException);
                    }
                }
                using (var tls = new TlsSettings())
                using (var client = new FramewireClientWebSocket())
                {
                    tls.AddCertificateAuthority(Server.Authority());
                    client.Options.Tls = tls;
                    await client.ConnectAsync(Server.Secure("/"), None);
                    await Send(client, "secret");
                    Assert.AreEqual("secret", await Receive(client));
                }
            });
        }

        [Test]
        public void DeadConnectionIsDetectedByKeepAlive()
        {
            Wait(async () =>
            {
                using (var client = new FramewireClientWebSocket())
                {
                    client.Options.KeepAliveInterval = TimeSpan.FromMilliseconds(50);
                    client.Options.KeepAliveTimeout = TimeSpan.FromMilliseconds(50);
                    await client.ConnectAsync(Server.Plain("/silent"), None);
                    try
                    {
                        await Receive(client);
                        Assert.Fail("nothing was detected");
                    }
                    catch (WebSocketException)
                    {
                        Assert.AreEqual(WebSocketErrorKind.PingTimeout, client.LastError.Kind);
                    }
                }
            });
        }

        [Test]
        public void EveryTaskOfRandomUseEnds()
        {
            var tasks = new List<Task>();
            for (int seed = 0; seed < 8; seed++)
            {
                var random = new Random(seed);
                tasks.Add(Task.Run(async () =>
                {
                    for (int i = 0; i < 60; i++)
                    {
                        await UseAtRandom(random);
                    }
                }));
            }
            Wait(() => Task.WhenAll(tasks));
            Assert.AreEqual(0, SocketTable.Count);
            // The timers of the tokens, and worker threads that are dropping what they were about to deliver.
            Thread.Sleep(100);
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void ChangesOfInternalRequestReachTheServer()
        {
            using (var reports = new Reports())
            {
                Wait(async () =>
                {
                    using (var client = new FramewireClientWebSocket())
                    {
                        client.Options.Configure = ws =>
                        {
                            ws.InternalRequest.SetHeader("X-Internal", "yes");
                            ws.InternalRequest.RemoveHeader("User-Agent");
                        };
                        await client.ConnectAsync(Server.Plain("/headers"), None);
                        string head = (await Receive(client)).ToLowerInvariant();
                        Assert.IsTrue(head.Contains("x-internal: yes"), head);
                        Assert.IsFalse(head.Contains("user-agent:"), head);
                    }
                });
                Assert.AreEqual(string.Empty, reports.Log());
            }
        }

        [Test]
        public void SendsWaitWhileReceivedMessagesAreUnread()
        {
            Wait(async () =>
            {
                const int Large = 6;
                using (FramewireClientWebSocket client = await Connected("/"))
                {
                    var sends = new List<Task>();
                    for (int i = 0; i < Large; i++)
                    {
                        sends.Add(SendZeros(client, 1 << 20));
                    }
                    await Blocked();
                    for (int i = 0; i < Small; i++)
                    {
                        sends.Add(i % 2 == 0 ? Send(client, i.ToString()) : SendZeros(client, 10));
                    }
                    for (int i = 0; i < Large; i++)
                    {
                        await ReceiveAll(client, 1 << 20);
                    }
                    for (int i = 0; i < Small; i += 2)
                    {
                        Assert.AreEqual(i.ToString(), await Receive(client));
                        await ReceiveAll(client, 10);
                    }
                    await Task.WhenAll(sends);
                    await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, None);
                }
            });
            Assert.AreEqual(0ul, Queue.Leases());
        }

        [Test]
        public void SendsWaitForASlowNetwork()
        {
            Wait(async () =>
            {
                WebSocket socket = null;
                Action<WebSocket> configure = ws =>
                {
                    socket = ws;
                    ws.MaxBufferedAmount = 1;
                };
                // Once the network works again, and once the socket is disposed meanwhile.
                foreach (bool isDisposed in new[] { false, true })
                {
                    using (var client = new FramewireClientWebSocket())
                    {
                        client.Options.Configure = configure;
                        await client.ConnectAsync(Server.Plain("/"), None);
                        socket.Link = new LinkConditions { Cut = LinkCut.Stall };
                        var sends = new List<Task>();
                        for (int i = 0; i < 10; i++)
                        {
                            sends.Add(SendZeros(client, 100000));
                            sends.Add(Send(client, i.ToString()));
                        }
                        Assert.IsFalse(sends.Exists(send => send.IsFaulted));
                        if (isDisposed)
                        {
                            client.Dispose();
                            await Task.WhenAll(sends).ContinueWith(ended => { });
                            Assert.IsTrue(sends[sends.Count - 1].Exception.InnerException is WebSocketException);
                            continue;
                        }
                        socket.Link = null;
                        for (int i = 0; i < 10; i++)
                        {
                            await ReceiveAll(client, 100000);
                            Assert.AreEqual(i.ToString(), await Receive(client));
                        }
                        await Task.WhenAll(sends);
                    }
                }
            });
            Pump.Until(() => Queue.Leases() == 0);
        }

        // The outcomes of so many sends do not fit into the event queue, which has 4 MiB.
        private const int Small = 40000;

        /// <summary>Waits until messages of 1 MiB are in the queue, which is not emptied while nobody receives.</summary>
        private static async Task Blocked()
        {
            while ((ulong)FramewireNative.fw_pending() < 3)
            {
                await Task.Delay(1);
            }
        }

        [Test]
        public void WithoutThreadsTasksCompleteInsideDispatchAll()
        {
            // That of an earlier test.
            Pump.Until(() => !ClientDriver.IsRunning);
            ClientDriver.HasThreads = false;
            SynchronizationContext before = SynchronizationContext.Current;
            var context = new FrameContext();
            try
            {
                RunInFrames(null);
                SynchronizationContext.SetSynchronizationContext(context);
                RunInFrames(context);
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
                ClientDriver.HasThreads = true;
            }
            Assert.AreEqual(0ul, Queue.Leases());
            Assert.AreEqual(0, SocketTable.Count);
        }

        private static void RunInFrames(FrameContext context)
        {
            int thread = Thread.CurrentThread.ManagedThreadId;
            Action check = () => Assert.AreEqual(thread, Thread.CurrentThread.ManagedThreadId);
            foreach (Func<Action, Task> use in new Func<Action, Task>[] { Converse, EndInEveryWay })
            {
                Task task = use(check);
                Pump.Until(() =>
                {
                    if (context != null)
                    {
                        context.RunFrame();
                    }
                    return task.IsCompleted;
                });
                task.GetAwaiter().GetResult();
            }
        }

        private static async Task Converse(Action check)
        {
            using (FramewireClientWebSocket client = await Connected("/"))
            {
                check();
                Task<string> receive = Receive(client);
                for (int i = 0; i < 50; i++)
                {
                    await Send(client, "message " + i);
                    check();
                    Assert.AreEqual("message " + i, await receive);
                    check();
                    receive = Receive(client);
                }
                Task closed = client.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", None);
                Assert.AreEqual("closed", await receive);
                await closed;
                check();
            }
        }

        private static async Task EndInEveryWay(Action check)
        {
            // Each send disposes the client in its continuation, while the others are ended.
            FramewireClientWebSocket client = await Connected("/");
            var sends = new List<Task>();
            for (int i = 0; i < 5; i++)
            {
                sends.Add(SendAndDispose(client, check));
            }
            client.Abort();
            await Task.WhenAll(sends);
            check();
            // A token that is cancelled while a receive is pending.
            var source = new CancellationTokenSource();
            using (client = await Connected("/silent"))
            {
                Task receive = client.ReceiveAsync(new ArraySegment<byte>(new byte[10]), source.Token);
                source.Cancel();
                await Finish(receive);
                check();
                Assert.AreEqual(WebSocketState.Aborted, client.State);
            }
            // A connection that fails.
            client = new FramewireClientWebSocket();
            Task connect = client.ConnectAsync(new Uri("ws://127.0.0.1:1/"), None);
            await Finish(connect);
            check();
            Assert.IsTrue(connect.IsFaulted);
            // A message in parts of the size of the buffer.
            using (client = await Connected("/count?n=3&size=100"))
            {
                for (int i = 0; i < 3; i++)
                {
                    await ReceiveAll(client, 100);
                    check();
                }
                Assert.AreEqual("closed", await Receive(client));
            }
        }

        private static async Task SendAndDispose(FramewireClientWebSocket client, Action check)
        {
            await Finish(Send(client, "x"));
            check();
            client.Dispose();
        }

        private static Task SendZeros(System.Net.WebSockets.WebSocket client, int size)
        {
            return client.SendAsync(new ArraySegment<byte>(new byte[size]), WebSocketMessageType.Binary, true, None);
        }

        /// <summary>Receives one binary message, in parts.</summary>
        private static async Task ReceiveAll(System.Net.WebSockets.WebSocket client, int size)
        {
            var buffer = new byte[Math.Min(30000, 1 + size / 3)];
            int have = 0;
            WebSocketReceiveResult result;
            do
            {
                result = await client.ReceiveAsync(new ArraySegment<byte>(buffer), None);
                Assert.AreEqual(WebSocketMessageType.Binary, result.MessageType);
                have += result.Count;
            }
            while (!result.EndOfMessage);
            Assert.AreEqual(size, have);
        }

        /// <summary>A context of a game engine: what is posted runs in the next frame.</summary>
        private sealed class FrameContext : SynchronizationContext
        {
            private readonly Queue<Action> _posted = new Queue<Action>();

            public override void Post(SendOrPostCallback callback, object state)
            {
                lock (_posted)
                {
                    _posted.Enqueue(() => callback(state));
                }
            }

            internal void RunFrame()
            {
                int count = _posted.Count;
                while (count-- > 0)
                {
                    _posted.Dequeue()();
                }
            }
        }

        private static async Task UseAtRandom(Random random)
        {
            string[] paths = { "/", "/count?n=100&size=50", "/drop", "/close?code=4000", "/fragments?n=5&size=100" };
            using (var client = new FramewireClientWebSocket())
            {
                var pending = new List<Task>();
                pending.Add(client.ConnectAsync(Server.Plain(paths[random.Next(paths.Length)]), Token(random, 20)));
                if (random.Next(4) > 0)
                {
                    await Finish(pending[0]);
                }
                int steps = random.Next(8);
                for (int step = 0; step < steps; step++)
                {
                    try
                    {
                        pending.Add(Step(client, random));
                    }
                    catch (Exception exception)
                    {
                        Assert.IsTrue(
                            exception is InvalidOperationException || exception is WebSocketException, exception.ToString());
                    }
                    if (random.Next(2) == 0)
                    {
                        await Task.Yield();
                    }
                }
                if (random.Next(2) == 0)
                {
                    client.Abort();
                }
                client.Dispose();
                foreach (Task task in pending)
                {
                    await Finish(task);
                }
            }
        }

        private static Task Step(FramewireClientWebSocket client, Random random)
        {
            switch (random.Next(5))
            {
                case 0:
                    return client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Token(random, 20));
                case 1:
                    return client.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, Token(random, 20));
                case 2:
                    var buffer = new ArraySegment<byte>(new byte[random.Next(100)]);
                    return client.ReceiveAsync(buffer, Token(random, 5));
                default:
                    var bytes = new ArraySegment<byte>(new byte[random.Next(1000)]);
                    return client.SendAsync(bytes, WebSocketMessageType.Binary, random.Next(3) > 0, Token(random, 10));
            }
        }

        private static CancellationToken Token(Random random, int milliseconds)
        {
            return random.Next(3) > 0 ? None : new CancellationTokenSource(random.Next(milliseconds)).Token;
        }

        /// <summary>Waits for a task, which may fail as documented.</summary>
        private static async Task Finish(Task task)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
            }
            catch (WebSocketException)
            {
            }
            catch (InvalidOperationException)
            {
                // Also ObjectDisposedException.
            }
        }

        private static async Task<FramewireClientWebSocket> Connected(string path)
        {
            var client = new FramewireClientWebSocket();
            await client.ConnectAsync(Server.Plain(path), None);
            return client;
        }

        private static Task Send(System.Net.WebSockets.WebSocket client, string text)
        {
            var bytes = new ArraySegment<byte>(Encoding.UTF8.GetBytes(text));
            return client.SendAsync(bytes, WebSocketMessageType.Text, true, None);
        }

        private static async Task<string> Receive(System.Net.WebSockets.WebSocket client)
        {
            var buffer = new byte[4096];
            WebSocketReceiveResult result = await client.ReceiveAsync(new ArraySegment<byte>(buffer), None);
            return result.MessageType == WebSocketMessageType.Close
                ? "closed"
                : Encoding.UTF8.GetString(buffer, 0, result.Count);
        }

        /// <summary>Runs code on the thread pool, without dispatching.</summary>
        private static void Wait(Func<Task> code)
        {
            Task task = Task.Run(code);
            // Without a timer: Mono may crash if one runs when the process exits.
            if (Task.WaitAny(new[] { task }, 20000) < 0)
            {
                Assert.Fail("it did not end within 20 seconds");
            }
            task.GetAwaiter().GetResult();
        }
    }
}
#endif
