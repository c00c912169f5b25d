using System;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// Tests what members do under WebGL, with the desktop library and the capabilities of a browser.
    /// </summary>
    public sealed class BrowserTests
    {
        [Test]
        public void MembersThatABrowserLacksThrowWithTheReason()
        {
            using (new SimulatedBrowser())
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                NotAvailable("OnIncompleteFrame", () => socket.OnIncompleteFrame += delegate { });
                NotAvailable("OnInternalRequestCreated", () => socket.OnInternalRequestCreated += delegate { });
                NotAvailable("InternalRequest", () => Ignore(socket.InternalRequest));
                NotAvailable("OnPong", () => socket.OnPong += delegate { });
                NotAvailable("Ping", () => socket.Ping(null));
                NotAvailable("Origin", () => socket.Origin = "https://example.org");
                NotAvailable("MaxFragmentSize", () => socket.MaxFragmentSize = 1000);
                NotAvailable("RequestedHttpVersion", () => socket.RequestedHttpVersion = WebSocketHttpVersion.Http1);
                NotAvailable("Proxy", () => socket.Proxy = "http://proxy:3128");
                NotAvailable("MaxRedirects", () => socket.MaxRedirects = 1);
                NotAvailable("KeepCookies", () => socket.KeepCookies = true);
                NotAvailable("AddHeader", () => socket.AddHeader("X-Name", "value"));
                NotAvailable("SetBasicAuth", () => socket.SetBasicAuth("user", "password"));
                NotAvailable("SetBearerAuth", () => socket.SetBearerAuth("token"));
                NotAvailable("TlsSettings", () => new TlsSettings());
                NotAvailable("The close code 1001", () => socket.Close(1001, null));
                NotAvailable("The close code 5000", () => socket.Close(5000, null));
                NotAvailable("PerMessageCompression", () => Create(null, new PerMessageCompression()));
                NotAvailable("A user name in the URL", () => new WebSocket(new Uri("ws://user:password@host/")));
                // A failed call changes nothing.
                Assert.IsTrue(socket.OnIncompleteFrame == null && socket.OnInternalRequestCreated == null);
                Assert.IsTrue(socket.OnPong == null);
                Assert.AreEqual(string.Empty, socket.Origin);
                Assert.AreEqual(32767, socket.MaxFragmentSize);
                Assert.IsNull(socket.Proxy);
                Assert.IsFalse(socket.KeepCookies);
            }
        }

        [Test]
        public void DefaultsAndRemovedHandlersAreAccepted()
        {
            using (new SimulatedBrowser())
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnIncompleteFrame = null;
                socket.OnInternalRequestCreated = null;
                socket.OnPong = null;
                socket.Origin = null;
                socket.RequestedHttpVersion = WebSocketHttpVersion.Automatic;
                socket.Proxy = null;
                socket.MaxRedirects = 0;
                socket.KeepCookies = false;
                socket.MaxMessageSize = 1000000;
                socket.MaxBufferedAmount = 1000000;
                socket.ConnectTimeout = TimeSpan.FromSeconds(5);
                socket.CloseTimeout = TimeSpan.FromSeconds(5);
                socket.Reconnect = new ReconnectSettings();
                socket.Context.Add("match", "7");
            }
        }

        [Test]
        public void KeepaliveHasNoEffect()
        {
            using (new SimulatedBrowser())
            using (var recording = new RecordingSocket(Server.Plain("/")))
            {
                WebSocket socket = recording.Socket;
                socket.StartPingThread = true;
                socket.PingFrequency = 20;
                socket.CloseAfterNoMesssage = TimeSpan.FromMilliseconds(20);
                Assert.IsTrue(socket.StartPingThread);
                Assert.AreEqual(20, socket.PingFrequency);
                Assert.AreEqual(TimeSpan.FromMilliseconds(20), socket.CloseAfterNoMessage);
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.PingFrequency = -1);
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.CloseAfterNoMesssage = TimeSpan.Zero);
                recording.Opened();
                System.Threading.Thread.Sleep(100);
                Assert.AreEqual(0UL, socket.GetStatistics().PingsSent);
                Assert.AreEqual(0, socket.Latency);
                Assert.AreEqual(-1L, socket.LatencyMicroseconds);
                socket.Close();
                recording.WaitForEnd();
                Assert.AreEqual("open, closed 1000 ", recording.Log());
            }
        }

        [Test]
        public void ReferenceConstructorConnectsWithThePagesOrigin()
        {
            using (new SimulatedBrowser())
            using (WebSocket socket = Create("https://example.org", null))
            {
                string head = null;
                socket.OnMessage += (ws, message) => head = head ?? message;
                socket.Open();
                Pump.Until(() => head != null);
                Assert.IsFalse(head.ToLowerInvariant().Contains("example.org"), head);
                Assert.AreEqual(0, socket.Extensions.Length);
                Assert.AreEqual("Echo", socket.Protocol);
            }
        }

        [Test]
        public void MessagesAndCloseCodesOfPagesWork()
        {
            using (new SimulatedBrowser())
            using (var recording = new RecordingSocket(Server.Plain("/")))
            {
                recording.Opened();
                Assert.AreEqual(SendResult.Queued, recording.Socket.Send("hello"));
                Assert.AreEqual(SendResult.Queued, recording.Socket.Send(new byte[3]));
                Pump.Until(() => recording.Events.Count == 3);
                Assert.IsTrue(recording.Socket.LastMessageReceived > DateTime.UtcNow.AddMinutes(-1));
                Assert.Throws<NotSupportedException>(() => recording.Socket.Close(1001, "no"));
                Assert.IsTrue(recording.Socket.IsOpen);
                recording.Socket.Close(3000, "bye");
                recording.WaitForEnd();
                Assert.AreEqual("open, text hello, binary 3, closed 3000 bye", recording.Log());
            }
        }

        private static WebSocket Create(string origin, params IExtension[] extensions)
        {
            return new WebSocket(Server.Plain("/headers"), origin, "Echo", extensions);
        }

        private static void NotAvailable(string member, TestDelegate code)
        {
            string message = Assert.Throws<NotSupportedException>(code).Message;
            string start = member + " is not available under WebGL: ";
            Assert.IsTrue(message.StartsWith(start, StringComparison.Ordinal), message);
            Assert.IsFalse(message.Contains("cannot do this"), message);
            Assert.IsTrue(message.EndsWith(".", StringComparison.Ordinal), message);
        }

        private static void Ignore(object value)
        {
        }

        /// <summary>Replaces the capabilities of the library by those of a browser.</summary>
        private sealed class SimulatedBrowser : IDisposable
        {
            internal SimulatedBrowser()
            {
                Capability.Simulated = Capability.OfBrowsers;
                Assert.AreEqual(WebSocketCapabilities.Tls, WebSocket.Capabilities);
            }

            public void Dispose()
            {
                Capability.Simulated = null;
            }
        }
    }
}
