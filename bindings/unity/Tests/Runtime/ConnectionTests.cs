using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class ConnectionTests
    {
        [Test]
        public void EventsAreDeliveredInOrderWithOneTerminalEvent()
        {
            using (var echo = new RecordingSocket(Server.Plain("/")).Opened())
            {
                Assert.AreEqual(WebSocketStates.Open, echo.Socket.State);
                Assert.AreEqual(SendResult.Queued, echo.Socket.Send("hällo"));
                Assert.AreEqual(SendResult.Queued, echo.Socket.Send(new byte[] { 1, 2, 3 }));
                Assert.AreEqual(SendResult.Queued, echo.Socket.Send(string.Empty));
                echo.Socket.Close(1000, "Bye!");
                echo.WaitForEnd();
                Assert.AreEqual("open, text hällo, binary 3, text , closed 1000 Bye!", echo.Log());
                Assert.AreEqual(WebSocketStates.Closed, echo.Socket.State);
                Assert.IsFalse(echo.Socket.IsOpen);
                Assert.IsNull(echo.Socket.LastError);
            }
        }

        [Test]
        public void LostConnectionIsRetried()
        {
            using (var socket = new WebSocket(Server.Plain("/drop")))
            {
                int opened = 0;
                bool isValid = true;
                string attempts = string.Empty;
                string end = null;
                socket.Reconnect = new ReconnectSettings
                {
                    // Long enough to close meanwhile on a busy machine.
                    MinDelay = TimeSpan.FromMilliseconds(100),
                    MaxDelay = TimeSpan.FromMilliseconds(105),
                };
                socket.OnOpen += ws =>
                {
                    opened++;
                    ws.Send("the server drops the connection");
                };
                socket.OnReconnecting += (ws, error, attempt, delay) =>
                {
                    isValid &= error.Retriable;
                    isValid &= delay.TotalMilliseconds >= 100 && delay.TotalMilliseconds <= 105;
                    attempts += attempt;
                    if (opened == 3)
                    {
                        ws.Close();
                    }
                };
                socket.OnError += (ws, error) => end = error;
                socket.OnClosed += (ws, code, reason) => end = "closed " + code;
                socket.Open();
                Pump.Until(() => end != null);
                Assert.AreEqual("closed 1006", end);
                Assert.AreEqual("111", attempts);
                Assert.IsTrue(isValid);
                Assert.AreEqual(2ul, socket.GetStatistics().Reconnects);
            }
        }

        [Test]
        public void SendsWhileConnectingAreQueuedIfEnabled()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                string received = string.Empty;
                socket.RequestedHttpVersion = WebSocketHttpVersion.Http1;
                socket.Reconnect = new ReconnectSettings { QueueSends = true };
                socket.OnMessage += (ws, message) => received += message;
                socket.Open();
                socket.Send("first ");
                socket.Send("second");
                Pump.Until(() => received.Length == 12);
                Assert.AreEqual("first second", received);
                Assert.AreEqual(1, socket.HttpVersion);
            }
        }

        [Test]
        public void ConnectionSurvivesSuspendAndNetworkChange()
        {
            using (var echo = new RecordingSocket(Server.Plain("/")).Opened())
            {
                WebSocket.Suspend();
                WebSocket.Resume();
                WebSocket.NetworkChanged();
                echo.Socket.Send("still there");
                Pump.Until(() => echo.Log().Contains("still there"));
                Pump.Until(() => echo.Socket.GetStatistics().PongsReceived >= 1);
            }
        }

        [Test]
        public void ProxyIsUsedUnlessDisabled()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.Throws<ArgumentException>(() => socket.Proxy = "ftp://proxy.example");
                Assert.IsNull(socket.Proxy);
                socket.Proxy = "http://127.0.0.1:1";
                socket.MaxRedirects = 3;
                socket.KeepCookies = true;
                string failed = null;
                socket.OnError += (ws, error) => failed = error;
                socket.Open();
                Pump.Until(() => failed != null);
                Assert.AreEqual(WebSocketPhase.Proxy, socket.LastError.Phase);
                socket.Proxy = string.Empty;
                bool opened = false;
                socket.OnOpen += ws => opened = true;
                socket.Open();
                Pump.Until(() => opened);
            }
        }

        [Test]
        public void FinalUriFollowsRedirects()
        {
            Uri target = Server.Plain("/count?n=1&size=8");
            string redirect = "HTTP/1.1 302 Found\r\nLocation: " + target + "\r\nContent-Length: 0\r\n\r\n";
            using (var server = new FixedResponseServer(redirect))
            using (var socket = new RecordingSocket(server.Uri))
            {
                Assert.AreEqual(server.Uri, socket.Socket.FinalUri);
                socket.Socket.MaxRedirects = 1;
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, binary 8, closed 1000 done", socket.Log());
                Assert.AreEqual(target, socket.Socket.FinalUri);
            }
        }

        [Test]
        public void TenThousandMessagesAreEchoedInOrder()
        {
            const int messages = 10000;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                int next = 0;
                bool inOrder = true;
                socket.OnOpen += ws =>
                {
                    for (int i = 0; i < messages; i++)
                    {
                        if (i % 2 == 0)
                        {
                            ws.Send("message " + i);
                        }
                        else
                        {
                            ws.Send(BitConverter.GetBytes(i));
                        }
                    }
                };
                socket.OnMessage += (ws, text) => inOrder &= text == "message " + next++;
                socket.OnBinary += (ws, data) => inOrder &= BitConverter.ToInt32(data, 0) == next++;
                socket.Open();
                Pump.Until(() => next == messages);
                Assert.IsTrue(inOrder);
                Pump.Until(() => socket.GetStatistics().MessagesReceived == messages);
                Assert.AreEqual((ulong)messages, socket.GetStatistics().MessagesSent);
            }
        }

        [Test]
        public void MessagesBeforeTheCloseAreDelivered()
        {
            using (var socket = new RecordingSocket(Server.Plain("/text?n=500&size=20")))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual(502, socket.Events.Count);
                Assert.AreEqual("closed 1000 done", socket.Events[501]);
                Assert.IsTrue(socket.Events[500].StartsWith("text "));
                // Set by a worker thread, possibly after the message is delivered.
                Pump.Until(() => (DateTime.UtcNow - socket.Socket.LastMessageReceived).TotalSeconds < 60);
            }
        }

        [Test]
        public void CloseCodeAndReasonOfTheServerAreDelivered()
        {
            using (var socket = new RecordingSocket(Server.Plain("/close?code=4001&reason=later")))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, closed 4001 later", socket.Log());
            }
        }

        [Test]
        public void LargeMessagesAreSentInFragmentsAndReassembled()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                byte[] received = null;
                string text = null;
                var sent = new byte[3 * 1000 * 1000];
                new Random(1).NextBytes(sent);
                socket.OnOpen += ws =>
                {
                    ws.Send(sent);
                    ws.Send(new string('ä', 100000));
                };
                socket.OnBinary += (ws, data) => received = data;
                socket.OnMessage += (ws, message) => text = message;
                socket.Open();
                Pump.Until(() => text != null);
                Assert.AreEqual(Convert.ToBase64String(sent), Convert.ToBase64String(received));
                Assert.AreEqual(new string('ä', 100000), text);
                Assert.Greater(socket.GetStatistics().FramesSent, 90ul);
            }
        }

        [Test]
        public void FragmentsAreDeliveredOneByOneWhileAHandlerIsAttached()
        {
            using (var socket = new RecordingSocket(Server.Plain("/fragments?n=4&size=100")))
            {
                var frames = new List<string>();
                socket.Socket.OnIncompleteFrame += (ws, frame) => frames.Add(
                    frame.Type + " " + frame.IsFirst + " " + frame.IsFinal + " " + frame.Data.Count);
                socket.Socket.Open();
                Pump.Until(() => frames.Count == 4 || socket.Ended);
                Assert.AreEqual(
                    "Binary True False 100, Binary False False 100, Binary False False 100, Binary False True 100",
                    string.Join(", ", frames.ToArray()));
                Assert.AreEqual("open", socket.Events[0]);
                Assert.IsFalse(socket.Events.Contains("binary 400"));
            }
            using (var socket = new RecordingSocket(Server.Plain("/fragments?n=4&size=100")))
            {
                socket.Socket.Open();
                Pump.Until(() => socket.Events.Contains("binary 400"));
            }
        }

        [Test]
        public void SocketCanBeReopenedInsideItsTerminalHandler()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                int opens = 0, closes = 0;
                socket.OnOpen += ws =>
                {
                    opens++;
                    ws.Close();
                };
                socket.OnClosed += (ws, code, reason) =>
                {
                    if (++closes < 3)
                    {
                        ws.Open();
                    }
                };
                socket.Open();
                Assert.Throws<InvalidOperationException>(() => socket.Open());
                Pump.Until(() => closes == 3);
                Assert.AreEqual(3, opens);
            }
        }

        [Test]
        public void CloseWhileConnectingCancels()
        {
            using (var socket = new RecordingSocket(Server.Plain("/")))
            {
                socket.Socket.Open();
                socket.Socket.Close();
                socket.WaitForEnd();
                Assert.AreEqual(1, socket.Events.FindAll(entry => entry.StartsWith("closed")).Count);
                Assert.IsFalse(socket.Log().Contains("error"));
            }
        }

        [Test]
        public void AbortClosesImmediately()
        {
            using (var socket = new RecordingSocket(Server.Plain("/silent")).Opened())
            {
                socket.Socket.Abort();
                socket.WaitForEnd();
                Assert.AreEqual("open, closed 1006", socket.Log().Substring(0, 17));
            }
        }

        [Test]
        public void PingsMeasureLatency()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.IsFalse(socket.StartPingThread);
                Assert.AreEqual(1000, socket.PingFrequency);
                Assert.AreEqual(TimeSpan.FromSeconds(2), socket.CloseAfterNoMesssage);
                Assert.AreEqual(-1L, socket.LatencyMicroseconds);
                int pongs = 0;
                socket.OnPong += (ws, payload) => pongs++;
                socket.StartPingThread = true;
                socket.PingFrequency = 20;
                socket.Open();
                Pump.Until(() => pongs >= 3 && socket.GetStatistics().PongsReceived >= 3);
                Assert.GreaterOrEqual(socket.LatencyMicroseconds, 0L);
                Assert.Less(socket.Latency, 5000);
            }
        }

        [Test]
        public void PingIsAnsweredByAPongWithItsPayload()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                string pong = null;
                socket.OnPong += (ws, payload) => pong = Encoding.ASCII.GetString(payload.Data, payload.Offset, payload.Count);
                socket.OnOpen += ws => ws.Ping(Encoding.ASCII.GetBytes("payload"));
                socket.Open();
                Pump.Until(() => pong != null);
                Assert.AreEqual("payload", pong);
                Assert.AreEqual(SendResult.TooLarge, socket.Ping(new byte[126]));
            }
        }

        [Test]
        public void SilentServerCausesAPingTimeout()
        {
            using (var socket = new RecordingSocket(Server.Plain("/silent")))
            {
                socket.Socket.StartPingThread = true;
                socket.Socket.PingFrequency = 20;
                socket.Socket.CloseAfterNoMesssage = TimeSpan.FromMilliseconds(50);
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, error PingTimeout", socket.Log());
                Assert.AreEqual(WebSocketPhase.Open, socket.Socket.LastError.Phase);
                Assert.IsTrue(socket.Socket.LastError.Retriable);
            }
        }

        [Test]
        public void DroppedConnectionIsAnErrorAfterItsMessages()
        {
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade + "\u0081\u0002hi"))
            using (var socket = new RecordingSocket(server.Uri))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, text hi, error Reset", socket.Log());
                Assert.AreEqual(WebSocketPhase.Open, socket.Socket.LastError.Phase);
            }
        }

        [Test]
        public void LastErrorIsNullOnceReconnected()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                int opened = 0;
                WebSocketError atReconnecting = null, atOpen = null;
                socket.Reconnect = new ReconnectSettings { MinDelay = TimeSpan.FromMilliseconds(1) };
                socket.OnReconnecting += (ws, error, attempt, delay) =>
                {
                    atReconnecting = ws.LastError;
                    ws.Link = null;
                };
                socket.OnOpen += ws =>
                {
                    opened++;
                    atOpen = ws.LastError;
                };
                socket.Open();
                Pump.Until(() => opened == 1);
                socket.Link = new LinkConditions { Cut = LinkCut.Reset };
                Pump.Until(() => opened == 2);
                Assert.AreEqual(WebSocketErrorKind.Reset, atReconnecting.Kind);
                Assert.IsNull(atOpen);
                Assert.IsNull(socket.LastError);
            }
        }

        [Test]
        public void ProtocolViolationIsAnError()
        {
            // A reserved bit, and an incomplete character.
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade + "\u00c1\u0002hi"))
            using (var socket = new RecordingSocket(server.Uri))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, error Protocol", socket.Log());
                Assert.IsFalse(socket.Socket.LastError.Retriable);
            }
            using (var server = new FixedResponseServer(FixedResponseServer.Upgrade + "\u0081\u0001\u00c3"))
            using (var socket = new RecordingSocket(server.Uri))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("open, error Utf8", socket.Log());
            }
        }

        [Test]
        public void RefusedConnectionIsAnErrorOfTheConnectPhase()
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var unused = new Uri("ws://127.0.0.1:" + ((IPEndPoint)listener.LocalEndpoint).Port);
            listener.Stop();
            using (var socket = new RecordingSocket(unused))
            {
                string message = null;
                socket.Socket.OnError += (ws, error) => message = error;
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("error Refused", socket.Log());
                Assert.AreEqual(WebSocketPhase.Connect, socket.Socket.LastError.Phase);
                Assert.IsTrue(message.Contains("127.0.0.1"));
                Assert.AreEqual(message, socket.Socket.LastError.Message);
            }
        }

        [Test]
        public void RejectedUpgradeReportsStatusHeadersAndBody()
        {
            const string response = "HTTP/1.1 403 Forbidden\r\nX-Reason: token\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 9\r\n\r\nforbidden";
            using (var server = new FixedResponseServer(response))
            using (var socket = new RecordingSocket(server.Uri))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("error Http", socket.Log());
                Assert.AreEqual(403, socket.Socket.LastError.HttpStatus);
                Assert.AreEqual(WebSocketPhase.Upgrade, socket.Socket.LastError.Phase);
                Assert.IsFalse(socket.Socket.LastError.Retriable);
                Assert.AreEqual(403, socket.Socket.ResponseStatus);
                Assert.AreEqual("token", socket.Socket.GetResponseHeader("x-reason"));
                Assert.AreEqual(
                    "[X-Reason, token] [Set-Cookie, a=1] [set-cookie, b=2] [Content-Length, 9]",
                    string.Join(" ", socket.Socket.GetResponseHeaders()));
                Assert.AreEqual("forbidden", socket.Socket.ResponseBody);
            }
        }

        [Test]
        public void TlsTrustsOnlyConfiguredAuthorities()
        {
            using (var socket = new RecordingSocket(Server.Secure("/")))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("error Tls", socket.Log());
                Assert.AreEqual(WebSocketPhase.Tls, socket.Socket.LastError.Phase);
                Assert.IsTrue(socket.Socket.LastError.Message.Contains("add it with TlsSettings.AddCertificateAuthority"));
            }
            using (var tls = new TlsSettings())
            {
                tls.SetRoots(TlsRoots.None);
                tls.AddCertificateAuthority(Server.Authority());
                EchoOver(tls);
            }
            using (var tls = new TlsSettings())
            {
                tls.SetInsecure(true);
                EchoOver(tls);
            }
            using (var tls = new TlsSettings())
            {
                Assert.Throws<ArgumentException>(() => tls.AddCertificateAuthority("no certificate"));
                Assert.Throws<ArgumentException>(() => tls.AddPin(new byte[31]));
                tls.Dispose();
                Assert.Throws<ObjectDisposedException>(() => tls.AddCertificateAuthority(Server.Authority()));
                Assert.Throws<ObjectDisposedException>(() => tls.SetClientCertificate("x", "y"));
                Assert.Throws<ObjectDisposedException>(() => tls.AddPin(new byte[32]));
                Assert.Throws<ObjectDisposedException>(() => tls.SetRoots(TlsRoots.Platform));
                Assert.Throws<ObjectDisposedException>(() => tls.SetInsecure(false));
                Assert.Throws<ObjectDisposedException>(() => tls.SetKeyLog(true));
            }
        }

        private static void EchoOver(TlsSettings tls)
        {
            using (var socket = new RecordingSocket(Server.Secure("/")))
            {
                socket.Socket.Tls = tls;
                socket.Opened();
                socket.Socket.Send("secret");
                Pump.Until(() => socket.Events.Contains("text secret"));
            }
        }
    }
}
