using System;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class RequestTests
    {
        [Test]
        public void OriginProtocolAndHeadersReachTheServer()
        {
            var socket = new WebSocket(Server.Plain("/headers"), "https://example.org", "Echo", null);
            socket.AddHeader("X-One", "1");
            socket.SetBearerAuth("abc");
            string head = RequestSeenByServer(socket);
            Assert.IsTrue(HasLine(head, "Origin: https://example.org"), head);
            Assert.IsTrue(HasLine(head, "Sec-WebSocket-Protocol: Echo"), head);
            Assert.IsTrue(HasLine(head, "X-One: 1"), head);
            Assert.IsTrue(HasLine(head, "Authorization: Bearer abc"), head);
        }

        [Test]
        public void RequestCanBeModifiedBeforeEachAttempt()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            int calls = 0;
            socket.OnInternalRequestCreated += (ws, request) =>
            {
                calls++;
                Assert.AreEqual("/headers", request.Uri.AbsolutePath);
                Assert.AreEqual(1, request.Attempt);
                request.AddHeader("X-Two", "a");
                request.SetHeader("X-Two", "b");
                Assert.AreEqual("b", request.GetFirstHeaderValue("x-two"));
                request.AddHeader("X-Three", "3");
                request.RemoveHeader("X-Three");
                Assert.IsNull(request.GetFirstHeaderValue("X-Three"));
                Assert.Throws<ArgumentException>(() => request.AddHeader("X-Bad", "a\r\nb"));
                Assert.Throws<ArgumentException>(() => request.SetHeader("Sec-WebSocket-Key", "mine"));
            };
            string head = RequestSeenByServer(socket);
            Assert.AreEqual(1, calls);
            Assert.IsTrue(HasLine(head, "X-Two: b"), head);
            Assert.IsFalse(head.Contains("X-Three"), head);
        }

        [Test]
        public void InternalRequestStoresChangesForLater()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            socket.InternalRequest.AddHeader("X-Four", "4");
            Assert.IsNull(socket.InternalRequest.Uri);
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.AddHeader("X Bad", "1"));
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.AddHeader("X-Bad", "a\nb"));
            Assert.IsTrue(HasLine(RequestSeenByServer(socket), "X-Four: 4"));
        }

        [Test]
        public void UserAgentIsFramewireUnlessTheGameReplacesIt()
        {
            string head = RequestSeenByServer(new WebSocket(Server.Plain("/headers")));
            Assert.IsTrue(head.IndexOf("user-agent: framewire/", StringComparison.OrdinalIgnoreCase) >= 0, head);

            var socket = new WebSocket(Server.Plain("/headers"));
            socket.AddHeader("User-Agent", "Game/1");
            head = RequestSeenByServer(socket);
            Assert.IsTrue(HasLine(head, "User-Agent: Game/1"), head);
            Assert.IsFalse(head.Contains("Framewire/"), head);

            socket = new WebSocket(Server.Plain("/headers"));
            socket.InternalRequest.SetHeader("user-agent", "Game/2");
            head = RequestSeenByServer(socket);
            Assert.IsTrue(HasLine(head, "User-Agent: Game/2"), head);
            Assert.IsFalse(head.Contains("Framewire/"), head);

            socket = new WebSocket(Server.Plain("/headers"));
            socket.InternalRequest.RemoveHeader("User-Agent");
            head = RequestSeenByServer(socket);
            Assert.IsFalse(head.IndexOf("user-agent", StringComparison.OrdinalIgnoreCase) >= 0, head);
        }

        [Test]
        public void CompressionIsOfferedWithItsSettings()
        {
            Uri server = Server.Plain("/headers");
            string head = RequestSeenByServer(new WebSocket(server));
            Assert.IsTrue(head.Contains("permessage-deflate"), head);
            head = RequestSeenByServer(new WebSocket(server, null, null));
            Assert.IsTrue(head.Contains("permessage-deflate"), head);

            var settings = new PerMessageCompression(CompressionLevel.BestSpeed, true, true, 15, 11, 0);
            var socket = new WebSocket(server, null, null, settings);
            Assert.IsTrue(ReferenceEquals(settings, socket.Extensions[0]));
            head = RequestSeenByServer(socket);
            Assert.IsTrue(head.Contains("client_no_context_takeover"), head);
            Assert.IsTrue(head.Contains("server_no_context_takeover"), head);
            Assert.IsTrue(head.Contains("server_max_window_bits=11"), head);

            socket = new WebSocket(server, null, null, null);
            Assert.AreEqual(0, socket.Extensions.Length);
            head = RequestSeenByServer(socket);
            Assert.IsFalse(head.Contains("permessage-deflate"), head);
        }

        [Test]
        public void CompressionSettingsOutOfRangeAreRejected()
        {
            const CompressionLevel level = CompressionLevel.Default;
            Assert.Throws<ArgumentOutOfRangeException>(
                () => new PerMessageCompression((CompressionLevel)10, false, false, 15, 15, 0));
            Assert.Throws<ArgumentOutOfRangeException>(
                () => new PerMessageCompression(level, false, false, 7, 15, 0));
            Assert.Throws<ArgumentOutOfRangeException>(
                () => new PerMessageCompression(level, false, false, 15, 16, 0));
            Assert.Throws<ArgumentOutOfRangeException>(
                () => new PerMessageCompression(level, false, false, 15, 15, -1));
            var twice = new PerMessageCompression();
            Assert.Throws<NotSupportedException>(() => new WebSocket(Server.Plain("/"), null, null, twice, twice));
        }

        [Test]
        public void InvalidSettingsAreRejected()
        {
            Assert.Throws<ArgumentNullException>(() => new WebSocket(null));
            Assert.Throws<ArgumentException>(() => new WebSocket(new Uri("ftp://example.org")));
            Assert.Throws<ArgumentException>(() => new WebSocket(new Uri("chat", UriKind.Relative)));
            Assert.Throws<ArgumentException>(() => new WebSocket(Server.Plain("/"), null, "not a token", null));
            Assert.Throws<NotSupportedException>(() => new WebSocket(Server.Plain("/"), null, null, new Unknown()));
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.AreEqual("permessage-deflate", socket.Extensions[0].Name);
                Assert.Throws<ArgumentException>(() => socket.AddHeader("Host", "elsewhere"));
                Assert.Throws<ArgumentException>(() => socket.AddHeader("X-Nul", "a\0b"));
                Assert.Throws<ArgumentNullException>(() => socket.AddHeader("X", null));
                Assert.Throws<ArgumentException>(() => socket.PingFrequency = 1);
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.PingFrequency = -1);
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.ConnectTimeout = TimeSpan.Zero);
                Assert.AreEqual(1000, socket.PingFrequency);
                socket.Context.Add("match", 42);
                Assert.Throws<ArgumentException>(() => socket.Context.Add(string.Empty, "x"));
                socket.MaxFragmentSize = 1024;
                socket.MaxMessageSize = 1024;
                socket.CloseTimeout = TimeSpan.FromSeconds(1);
                socket.ConnectTimeout = TimeSpan.FromSeconds(1);
                Assert.AreEqual(1024, socket.MaxFragmentSize);
            }
        }

        [Test]
        public void MessageAboveTheLimitEndsTheConnection()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")))
            {
                socket.Socket.MaxMessageSize = 100;
                socket.Opened();
                socket.Socket.Send(new byte[101]);
                socket.WaitForEnd();
                Assert.AreEqual("open, error TooLarge", socket.Log());
            }
        }

        internal static string RequestSeenByServer(WebSocket socket)
        {
            using (socket)
            {
                string head = null;
                Exception thrown = null;
                WebSocket.UnhandledException = (ws, exception) => thrown = exception;
                try
                {
                    socket.OnMessage += (ws, message) => head = message;
                    socket.OnError += (ws, error) => head = "error: " + error;
                    socket.Open();
                    Pump.Until(() => head != null);
                }
                finally
                {
                    WebSocket.UnhandledException = null;
                }
                Assert.IsNull(thrown, thrown == null ? null : thrown.ToString());
                return head;
            }
        }

        internal static bool HasLine(string head, string line)
        {
            foreach (string one in head.Split('\n'))
            {
                if (string.Equals(one.Trim(), line, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
            return false;
        }

        private sealed class Unknown : IExtension
        {
            public string Name
            {
                get { return "x-unknown"; }
            }
        }
    }
}
