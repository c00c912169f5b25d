using System;
using System.Diagnostics;
using NUnit.Framework;

namespace Framewire.Tests
{
    public class LinkTests
    {
        private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(30);

        [Test]
        public void LinkDelaysMessagesAndCanBeChangedWhileOpen()
        {
            string received = null;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnMessage += (ws, text) => received = text;
                Assert.IsNull(socket.Link);
                socket.Link = new LinkConditions { Seed = -1, OutDelay = Delay, InDelay = Delay };
                Assert.AreEqual(Delay, socket.Link.Value.InDelay);
                var clock = Stopwatch.StartNew();
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                Assert.GreaterOrEqual(clock.ElapsedMilliseconds, 119L);
                clock.Restart();
                socket.Send("delayed");
                Pump.Until(() => received == "delayed");
                Assert.GreaterOrEqual(clock.ElapsedMilliseconds, 59L);
                socket.Link = new LinkConditions { Cut = LinkCut.Stall };
                socket.Send("held");
                socket.Link = null;
                Assert.IsNull(socket.Link);
                Pump.Until(() => received == "held");
            }
        }

        [Test]
        public void CutsEndConnectionsWithTheirError()
        {
            WebSocketErrorKind? kind = null;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnError += (ws, message) => kind = ws.LastError.Kind;
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                WebSocket.SetLinkOfAll(new LinkConditions { Cut = LinkCut.Reset });
                Pump.Until(() => kind != null);
                Assert.AreEqual(WebSocketErrorKind.Reset, kind);
                kind = null;
                WebSocket.SetLinkOfAll(new LinkConditions { Cut = LinkCut.Refuse });
                socket.Open();
                Pump.Until(() => kind != null);
                Assert.AreEqual(WebSocketErrorKind.Refused, kind);
                WebSocket.SetLinkOfAll(null);
                socket.Open();
                Pump.Until(() => socket.IsOpen);
            }
        }

        [Test]
        public void AbsurdConditionsAreRefused()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.Throws<ArgumentException>(
                    () => socket.Link = new LinkConditions { OutDelay = TimeSpan.FromHours(1) });
                Assert.Throws<ArgumentException>(() => socket.Link = new LinkConditions { Stall = Delay });
                Assert.Throws<ArgumentException>(() => socket.Link = new LinkConditions { Cut = (LinkCut)77 });
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => socket.Link = new LinkConditions { InBytesPerSecond = -1 });
                Assert.IsNull(socket.Link);
            }
        }
    }
}
