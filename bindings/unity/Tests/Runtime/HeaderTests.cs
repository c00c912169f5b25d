using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// Tests stored changes of InternalRequest: an invalid change is rejected immediately, and one that fails
    /// later does not affect the others.
    /// </summary>
    public sealed class HeaderTests
    {
        private static readonly string[] s_names =
        {
            "Host", "host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "TE", "Trailer",
            "Keep-Alive", "Proxy-Connection", "Expect", "HTTP2-Settings", "Sec-WebSocket-Key", "SEC-WEBSOCKET-X",
            "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Version", "Sec-WebSocket-",
            "Sec-WebSocket", "Authorization", "Proxy-Authorization", "Cookie", "Origin", "User-Agent", "Accept",
            "Accept-Encoding", "Content-Type", "Date", "Forwarded", "From", "Sec-Fetch-Mode", "Via", "X-Host",
            "Hosts", string.Empty, "Ünicode",
        };

        [Test]
        public void RejectedHeaderDoesNotAffectOtherHeaders()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            int calls = 0;
            socket.OnInternalRequestCreated += (ws, request) =>
            {
                calls++;
                Assert.AreEqual("Bearer token", request.GetFirstHeaderValue("Authorization"));
            };
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.SetHeader("Host", "x"));
            socket.InternalRequest.SetHeader("Authorization", "Bearer token");
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.AddHeader("Sec-WebSocket-Key", "x"));
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.RemoveHeader("Upgrade"));
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.RemoveHeader("not a name"));
            Assert.Throws<ArgumentException>(() => socket.InternalRequest.SetHeader("X-Space", " x"));
            string head = RequestTests.RequestSeenByServer(socket);
            Assert.AreEqual(1, calls);
            Assert.IsTrue(RequestTests.HasLine(head, "Authorization: Bearer token"), head);
        }

        [Test]
        public void StoredHeadersAreCheckedLikeTheLibraryDoes()
        {
            foreach (string name in s_names)
            {
                AssertSameResult(name, "x");
            }
            for (char c = '\u0001'; c <= '\u0100'; c++)
            {
                AssertSameResult("X" + c, "x");
                AssertSameResult("X", c.ToString());
                AssertSameResult("X", c + "a");
                AssertSameResult("X", "a" + c);
                AssertSameResult("X", "a" + c + "b");
            }
            AssertSameResult("X", string.Empty);
            AssertSameResult("X", new string('x', 28 * 1024 - 1));
            AssertSameResult("X", new string('x', 32 * 1024));
            AssertSameResult("X\0", "x");
            AssertSameResult("X", "a\0b");
            AssertSameResult("X", "\ud800");
        }

        [Test]
        public void StoredHeadersAreBoundedAndRejectionChangesNothing()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            HTTPRequest request = socket.InternalRequest;
            for (int i = 0; i < 60; i++)
            {
                request.AddHeader("X-" + i, "a");
            }
            Assert.Throws<ArgumentException>(() => request.AddHeader("X-60", "a"));
            Assert.Throws<ArgumentException>(() => request.SetHeader("X-0", new string('b', 28 * 1024)));
            // Changes without effect are dropped, so a token can be renewed repeatedly.
            for (int i = 0; i < 1000; i++)
            {
                request.SetHeader("x-1", "b" + i);
            }
            request.RemoveHeader("X-2");
            request.RemoveHeader("X-3");
            request.AddHeader("X-3", "c");
            request.AddHeader("X-3", "d");
            Assert.Throws<ArgumentException>(() => request.AddHeader("X-3", "e"));
            for (int i = 2; i < 60; i++)
            {
                request.RemoveHeader("Y-" + i);
            }
            Assert.Throws<ArgumentException>(() => request.RemoveHeader("Y-60"));
            string head = RequestTests.RequestSeenByServer(socket);
            Assert.IsTrue(RequestTests.HasLine(head, "X-0: a"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "x-1: b999"), head);
            Assert.IsFalse(head.Contains("X-2:"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-3: c"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-3: d"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-59: a"), head);
        }

        [Test]
        public void ChangesBeyondTheLimitAreReported()
        {
            var reported = new List<Exception>();
            WebSocket.UnhandledException = (ws, exception) => reported.Add(exception);
            try
            {
                using (var socket = new WebSocket(Server.Plain("/headers")))
                {
                    string head = null;
                    int calls = 0;
                    for (int i = 0; i < 60; i++)
                    {
                        socket.AddHeader("X-Own-" + i, "a");
                    }
                    for (int i = 0; i < 50; i++)
                    {
                        socket.InternalRequest.AddHeader("X-Stored-" + i, "a");
                    }
                    socket.InternalRequest.RemoveHeader("X-Own-0");
                    socket.InternalRequest.SetHeader("X-Own-1", "b");
                    socket.OnInternalRequestCreated += (ws, request) => calls++;
                    socket.OnMessage += (ws, message) => head = message;
                    socket.OnError += (ws, error) => head = "error: " + error;
                    socket.Open();
                    Pump.Until(() => head != null);
                    Assert.AreEqual(1, calls);
                    Assert.IsTrue(RequestTests.HasLine(head, "X-Stored-0: a"), head);
                    Assert.IsFalse(head.Contains("X-Stored-49"), head);
                    Assert.IsFalse(head.Contains("X-Own-0:"), head);
                    Assert.IsTrue(RequestTests.HasLine(head, "X-Own-1: b"), head);
                }
            }
            finally
            {
                WebSocket.UnhandledException = null;
            }
            Assert.GreaterOrEqual(reported.Count, 46);
            string last = reported[reported.Count - 1].Message;
            Assert.IsTrue(last.Contains("X-Stored-49: "), last);
        }

        [Test]
        public void RequestIsBoundToTheThreadOfItsHandler()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            HTTPRequest request = socket.InternalRequest;
            int attempt = -1;
            socket.OnInternalRequestCreated += (ws, live) =>
            {
                var other = new System.Threading.Thread(() =>
                {
                    attempt = request.Attempt;
                    request.AddHeader("X-Later", "1");
                });
                other.Start();
                other.Join();
                Assert.AreEqual(1, live.Attempt);
            };
            string head = RequestTests.RequestSeenByServer(socket);
            Assert.AreEqual(0, attempt);
            Assert.IsFalse(head.Contains("X-Later"), head);
        }

        /// <summary>Asserts that InternalRequest rejects exactly what the socket's AddHeader rejects.</summary>
        private static void AssertSameResult(string name, string value)
        {
            using (var socket = new WebSocket(Server.Plain("/headers")))
            {
                HTTPRequest request = socket.InternalRequest;
                bool expected = Rejects(() => socket.AddHeader(name, value));
                string shown = "'" + name + ": " + (value.Length > 20 ? value.Length + " bytes" : value) + "'";
                Assert.AreEqual(expected + shown, Rejects(() => request.AddHeader(name, value)) + shown);
                Assert.AreEqual(expected + shown, Rejects(() => request.SetHeader(name, value)) + shown);
                if (value == "x")
                {
                    Assert.AreEqual(expected + shown, Rejects(() => request.RemoveHeader(name)) + shown);
                }
            }
        }

        private static bool Rejects(TestDelegate code)
        {
            try
            {
                code();
                return false;
            }
            catch (ArgumentException)
            {
                return true;
            }
        }
    }
}
