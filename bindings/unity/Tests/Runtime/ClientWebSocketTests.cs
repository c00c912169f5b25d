#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
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
