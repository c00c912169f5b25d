using System;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests that a setting takes effect or is rejected immediately.</summary>
    public sealed class SettingsTests
    {
        [Test]
        public void AssignedReconnectSettingsAreReadOnly()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                var settings = new ReconnectSettings { MaxAttempts = 1 };
                settings.MaxAttempts = -1;
                Assert.Throws<ArgumentOutOfRangeException>(() => socket.Reconnect = settings);
                Assert.IsNull(socket.Reconnect);
                // The assignment failed, so the settings can still change.
                settings.MaxAttempts = 3;
                settings.MinDelay = TimeSpan.FromSeconds(60);
                Assert.Throws<ArgumentException>(() => socket.Reconnect = settings);
                settings.MinDelay = TimeSpan.FromSeconds(1);
                socket.Reconnect = settings;
                Assert.Throws<InvalidOperationException>(() => socket.Reconnect.MaxAttempts = 4);
                Assert.Throws<InvalidOperationException>(() => settings.MinDelay = TimeSpan.FromSeconds(2));
                Assert.Throws<InvalidOperationException>(() => settings.MaxDelay = TimeSpan.FromSeconds(2));
                Assert.Throws<InvalidOperationException>(() => settings.QueueSends = true);
                Assert.AreEqual(3, socket.Reconnect.MaxAttempts);
                using (var second = new WebSocket(Server.Plain("/")))
                {
                    second.Reconnect = settings;
                    second.Reconnect = null;
                    Assert.IsNull(second.Reconnect);
                }
            }
        }

        [Test]
        public void OfferedExtensionsCannotBeReplaced()
        {
            var offered = new IExtension[] { new PerMessageCompression() };
            using (var socket = new WebSocket(Server.Plain("/"), null, null, offered))
            {
                IExtension first = offered[0];
                offered[0] = null;
                Assert.IsTrue(ReferenceEquals(first, socket.Extensions[0]));
                socket.Extensions[0] = null;
                Assert.IsTrue(ReferenceEquals(first, socket.Extensions[0]));
            }
        }

        [Test]
        public void UnpairedSurrogateIsRejected()
        {
            const string half = "a\ud800b";
            using (var socket = new WebSocket(Server.Plain("/")))
            using (var tls = new TlsSettings())
            {
                Assert.Throws<ArgumentException>(() => socket.SetBasicAuth("user", half));
                Assert.Throws<ArgumentException>(() => socket.SetBasicAuth(half, "password"));
                Assert.Throws<ArgumentException>(() => socket.SetBearerAuth(half));
                Assert.Throws<ArgumentException>(() => socket.Context.Add("player", half));
                Assert.Throws<ArgumentException>(() => socket.AddProtocol(half));
                Assert.Throws<ArgumentException>(() => socket.Close(1000, half));
                Assert.Throws<ArgumentException>(() => tls.AddCertificateAuthority(half));
                socket.SetBasicAuth("user", "\ud83d\ude00");
                socket.Context.Add("player", "\ud83d\ude00");
            }
        }

        [Test]
        public void FailedOpenKeepsTheLastError()
        {
            using (var socket = new RecordingSocket(new Uri("ws://127.0.0.1:1/")))
            {
                socket.Socket.Proxy = string.Empty;
                socket.Socket.Open();
                socket.WaitForEnd();
                WebSocketError error = socket.Socket.LastError;
                Assert.AreEqual(WebSocketErrorKind.Refused, error.Kind);
                Assert.IsTrue(WebSocket.Shutdown(5000));
                Assert.Throws<InvalidOperationException>(() => socket.Socket.Open());
                Assert.IsTrue(ReferenceEquals(error, socket.Socket.LastError));
            }
        }
    }
}
