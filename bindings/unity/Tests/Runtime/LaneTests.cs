using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Framewire.Tests
{
    public class LaneTests
    {
        [Test]
        public void EachTagIsReportedOnceBeforeTheEnd()
        {
            const int Messages = 100;
            var outcomes = new Dictionary<ulong, SendOutcome>();
            int received = 0;
            bool ended = false;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnSent += (ws, tag, outcome) =>
                {
                    Assert.IsFalse(ended);
                    outcomes.Add(tag, outcome);
                };
                socket.OnBinaryNoAlloc += (ws, data) => received++;
                socket.OnClosed += (ws, code, reason) => ended = true;
                socket.SetLanes(new WebSocketLane(0), new WebSocketLane(priority: 1, maxBytes: 1 << 20));
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                for (ulong tag = 1; tag <= Messages; tag++)
                {
                    var options = new SendOptions { Lane = (int)(tag % 2), Key = tag % 3, Tag = tag };
                    Assert.AreEqual(SendResult.Queued, socket.Send(new byte[100], options));
                }
                Pump.Until(() => outcomes.Count == Messages);
                int sent = 0;
                foreach (SendOutcome outcome in outcomes.Values)
                {
                    Assert.IsTrue(outcome == SendOutcome.Sent || outcome == SendOutcome.Replaced);
                    sent += outcome == SendOutcome.Sent ? 1 : 0;
                }
                Pump.Until(() => received == sent);
                WebSocketLaneStatistics first = socket.GetLaneStatistics(0), second = socket.GetLaneStatistics(1);
                Assert.AreEqual((ulong)sent, first.Sent + second.Sent);
                Assert.AreEqual((ulong)(Messages - sent), first.Replaced + second.Replaced);
                Assert.AreEqual(0UL, first.WaitingMessages + first.WaitingBytes + first.Lost + first.Expired);
                Assert.AreEqual(first.Sent, first.Begun);
                Assert.IsTrue(first.MaxQueueMicroseconds <= first.TotalQueueMicroseconds);
                socket.Close();
                Pump.Until(() => ended);
            }
        }

        [Test]
        public void EverySendFunctionTakesOptions()
        {
            var texts = new List<string>();
            int bytes = 0;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnMessage += (ws, text) => texts.Add(text);
                socket.OnBinaryNoAlloc += (ws, data) => bytes += (int)data.Count;
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                var options = new SendOptions { TimeToLive = int.MaxValue, Uncompressed = true };
                string longText = new string('ä', 1000);
                Assert.AreEqual(SendResult.Queued, socket.Send("hello", options));
                Assert.AreEqual(SendResult.Queued, socket.Send(longText, options));
                Assert.AreEqual(SendResult.Queued, socket.Send("", options));
                Assert.AreEqual(SendResult.Queued, socket.Send(new byte[10], options));
                NativeSegment segment = NativeSegment.Get(20);
                Assert.AreEqual(SendResult.Queued, socket.SendAsBinary(segment, options));
                Assert.AreEqual(SendResult.InvalidSegment, socket.SendAsBinary(segment, options));
                Pump.Until(() => texts.Count == 3 && bytes == 30);
                Assert.AreEqual("hello|" + longText + "|", string.Join("|", texts.ToArray()));
            }
        }

        [Test]
        public void InvalidLanesAreRefused()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.Throws<ArgumentException>(() => socket.SetLanes(new WebSocketLane(0, 0, 0)));
                Assert.Throws<ArgumentException>(() => socket.SetLanes(new WebSocketLane[9]));
                Assert.Throws<ArgumentOutOfRangeException>(() => new WebSocketLane(-1));
                Assert.Throws<ArgumentException>(() => socket.GetLaneStatistics(1));
                Assert.AreEqual(SendResult.NotOpen, socket.Send("x", new SendOptions()));
                socket.SetLanes();
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                Assert.Throws<ArgumentException>(() => socket.Send("x", new SendOptions { Lane = 1 }));
            }
        }
    }
}
