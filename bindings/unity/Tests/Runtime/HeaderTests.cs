using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// Changes of InternalRequest that wait for a request: refused at once or made, and one that cannot be
    /// made costs neither the others nor an event.
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
        public void RefusedHeaderCostsNoOtherHeaderAndNoEvent()
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
            string head = RequestTests.HeadSeenByServer(socket);
            Assert.AreEqual(1, calls);
            Assert.IsTrue(RequestTests.HasLine(head, "Authorization: Bearer token"), head);
        }

        [Test]
        public void NotedHeadersFollowTheRulesOfTheLibrary()
        {
            foreach (string name in s_names)
            {
                AssertSameAnswer(name, "x");
            }
            for (char c = '\u0001'; c <= '\u0100'; c++)
            {
                AssertSameAnswer("X" + c, "x");
                AssertSameAnswer("X", c.ToString());
                AssertSameAnswer("X", c + "a");
                AssertSameAnswer("X", "a" + c);
                AssertSameAnswer("X", "a" + c + "b");
            }
            AssertSameAnswer("X", string.Empty);
            AssertSameAnswer("X", new string('x', 28 * 1024 - 1));
            AssertSameAnswer("X", new string('x', 32 * 1024));
            AssertSameAnswer("X\0", "x");
            AssertSameAnswer("X", "a\0b");
            AssertSameAnswer("X", "\ud800");
        }

        [Test]
        public void NotedHeadersAreBoundedAndARefusalChangesNothing()
        {
            var socket = new WebSocket(Server.Plain("/headers"));
            HTTPRequest request = socket.InternalRequest;
            for (int i = 0; i < 60; i++)
            {
                request.AddHeader("X-" + i, "a");
            }
            Assert.Throws<ArgumentException>(() => request.AddHeader("X-60", "a"));
            Assert.Throws<ArgumentException>(() => request.SetHeader("X-0", new string('b', 28 * 1024)));
            // What one change undoes is not kept, so a token can be renewed for ever.
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
            string head = RequestTests.HeadSeenByServer(socket);
            Assert.IsTrue(RequestTests.HasLine(head, "X-0: a"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "x-1: b999"), head);
            Assert.IsFalse(head.Contains("X-2:"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-3: c"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-3: d"), head);
            Assert.IsTrue(RequestTests.HasLine(head, "X-59: a"), head);
        }

        [Test]
        public void ChangesForWhichTheSocketLeavesNoRoomAreReported()
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
                        socket.InternalRequest.AddHeader("X-Noted-" + i, "a");
                    }
                    socket.InternalRequest.RemoveHeader("X-Own-0");
                    socket.InternalRequest.SetHeader("X-Own-1", "b");
                    socket.OnInternalRequestCreated += (ws, request) => calls++;
                    socket.OnMessage += (ws, message) => head = message;
                    socket.OnError += (ws, error) => head = "error: " + error;
                    socket.Open();
                    Pump.Until(() => head != null);
                    Assert.AreEqual(1, calls);
                    Assert.IsTrue(RequestTests.HasLine(head, "X-Noted-0: a"), head);
                    Assert.IsFalse(head.Contains("X-Noted-49"), head);
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
            Assert.IsTrue(last.Contains("X-Noted-49: "), last);
        }

        [Test]
        public void RequestBelongsToTheThreadOfItsHandler()
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
            string head = RequestTests.HeadSeenByServer(socket);
            Assert.AreEqual(0, attempt);
            Assert.IsFalse(head.Contains("X-Later"), head);
        }

        /// <summary>InternalRequest refuses what the socket's AddHeader refuses, and nothing else.</summary>
        private static void AssertSameAnswer(string name, string value)
        {
            using (var socket = new WebSocket(Server.Plain("/headers")))
            {
                HTTPRequest request = socket.InternalRequest;
                bool wanted = Refuses(() => socket.AddHeader(name, value));
                string shown = "'" + name + ": " + (value.Length > 20 ? value.Length + " bytes" : value) + "'";
                Assert.AreEqual(wanted + shown, Refuses(() => request.AddHeader(name, value)) + shown);
                Assert.AreEqual(wanted + shown, Refuses(() => request.SetHeader(name, value)) + shown);
                if (value == "x")
                {
                    Assert.AreEqual(wanted + shown, Refuses(() => request.RemoveHeader(name)) + shown);
                }
            }
        }

        private static bool Refuses(TestDelegate code)
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
