using System;
using System.Threading;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests extensions of the game.</summary>
    public sealed class ExtensionTests
    {
        /// <summary>The counterpart of the server's extension: XOR with a key, marked with RSV2.</summary>
        private class Xor : CustomExtension
        {
            private readonly byte _key;
            internal int Encoded, Decoded, Accepted;
            internal int Thread;

            internal Xor(byte key)
            {
                _key = key;
            }

            public override string Name
            {
                get { return "x-xor"; }
            }

            public override ReservedBits ReservedBits
            {
                get { return ReservedBits.Rsv2; }
            }

            public override string Offer
            {
                get { return "x-xor; key=" + _key; }
            }

            public override bool Accept(string element)
            {
                Accepted++;
                return element == "x-xor; key=" + _key;
            }

            public override bool Encode(WebSocketFrameTypes type, BufferSegment payload, out BufferSegment encoded)
            {
                Encoded++;
                Thread = System.Threading.Thread.CurrentThread.ManagedThreadId;
                encoded = Change(payload);
                return true;
            }

            public override BufferSegment Decode(WebSocketFrameTypes type, BufferSegment payload)
            {
                Decoded++;
                Assert.AreEqual(Thread, System.Threading.Thread.CurrentThread.ManagedThreadId);
                return Change(payload);
            }

            private BufferSegment Change(BufferSegment payload)
            {
                // In the middle of a larger array.
                var changed = new byte[payload.Count + 10];
                for (int i = 0; i < payload.Count; i++)
                {
                    changed[i + 4] = (byte)(payload.Data[payload.Offset + i] ^ _key);
                }
                return new BufferSegment(changed, 4, payload.Count);
            }
        }

        private sealed class Rejecting : Xor
        {
            internal Rejecting()
                : base(1)
            {
            }

            public override bool Accept(string element)
            {
                return false;
            }
        }

        private sealed class RejectingWithALongName : Xor
        {
            internal static readonly string LongName = "x-" + new string('n', 150);

            internal RejectingWithALongName()
                : base(1)
            {
            }

            public override string Name
            {
                get { return LongName; }
            }

            public override string Offer
            {
                get { return LongName; }
            }

            public override bool Accept(string element)
            {
                return false;
            }
        }

        private sealed class ThrowingInAccept : Xor
        {
            internal ThrowingInAccept()
                : base(1)
            {
            }

            public override bool Accept(string element)
            {
                throw new FormatException("not these");
            }
        }

        /// <summary>Changes nothing, and may be used by several threads.</summary>
        private sealed class Marking : Xor
        {
            internal Marking()
                : base(1)
            {
            }

            public override bool Encode(WebSocketFrameTypes type, BufferSegment payload, out BufferSegment encoded)
            {
                encoded = payload;
                return true;
            }

            public override BufferSegment Decode(WebSocketFrameTypes type, BufferSegment payload)
            {
                return payload;
            }
        }

        private sealed class Passing : Xor
        {
            internal Passing()
                : base(1)
            {
            }

            public override bool Encode(WebSocketFrameTypes type, BufferSegment payload, out BufferSegment encoded)
            {
                encoded = default(BufferSegment);
                return false;
            }
        }

        private sealed class Throwing : Xor
        {
            private readonly bool _inEncode;

            internal Throwing(bool inEncode)
                : base(1)
            {
                _inEncode = inEncode;
            }

            public override bool Encode(WebSocketFrameTypes type, BufferSegment payload, out BufferSegment encoded)
            {
                if (_inEncode)
                {
                    throw new FormatException("not this");
                }
                return base.Encode(type, payload, out encoded);
            }

            public override BufferSegment Decode(WebSocketFrameTypes type, BufferSegment payload)
            {
                throw new FormatException("not that");
            }
        }

        /// <summary>Decodes every message to these bytes.</summary>
        private sealed class Replacing : Xor
        {
            private readonly byte[] _decoded;

            internal Replacing(byte[] decoded)
                : base(1)
            {
                _decoded = decoded;
            }

            public override BufferSegment Decode(WebSocketFrameTypes type, BufferSegment payload)
            {
                return new BufferSegment(_decoded, 0, _decoded.Length);
            }
        }

        private sealed class WithoutBits : Xor
        {
            internal WithoutBits()
                : base(1)
            {
            }

            public override ReservedBits ReservedBits
            {
                get { return ReservedBits.None; }
            }
        }

        private static WebSocket Create(CustomExtension extension)
        {
            return new WebSocket(Server.Xor(), null, null, extension);
        }

        [Test]
        public void EveryWayToSendIsEncodedAndDecodedOnTheThreadOfTheGame()
        {
            var xor = new Xor(200);
            using (var socket = new RecordingSocket(Create(xor)).Opened())
            {
                Assert.AreEqual(1, xor.Accepted);
                Assert.AreEqual("x-xor; key=200", socket.Socket.NegotiatedExtensions);
                string seen = null;
                socket.Socket.OnBinaryNoAlloc += (ws, data) => seen = data.Count + ":" + data.Data[data.Offset];
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send("text"));
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send(""));
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send(new string('x', 1000)));
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send(new byte[] { 7, 8 }));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsText(Pooled("pooled")));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsBinary(Pooled("abc")));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsBinary(Segment("native")));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsText(Segment("native text")));
                var options = new SendOptions { Tag = 3 };
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send("tagged", options));
                Assert.AreEqual(SendResult.Queued, socket.Socket.Send(new byte[5], options));
                Assert.AreEqual(SendResult.Queued, socket.Socket.SendAsBinary(Segment("tagged segment"), options));
                Assert.AreEqual(SendResult.InvalidSegment, socket.Socket.SendAsBinary(default(NativeSegment)));
                Pump.Until(() => xor.Decoded == 11);
                Assert.AreEqual(11, xor.Encoded);
                Assert.AreEqual(
                    "open, text text, text , text " + new string('x', 1000) + ", binary 2, text pooled, binary 3, "
                    + "binary 6, text native text, text tagged, binary 5, binary 14",
                    socket.Log());
                Assert.AreEqual("14:" + (int)'t', seen);
                Assert.AreEqual(Thread.CurrentThread.ManagedThreadId, xor.Thread);
                // Again over a second connection.
                socket.Socket.Close();
                socket.WaitForEnd();
                socket.Events.Clear();
                socket.Opened();
                Assert.AreEqual(2, xor.Accepted);
                socket.Socket.Send("again");
                Pump.Until(() => xor.Decoded == 12);
                Assert.AreEqual("open, text again", socket.Log());
            }
        }

        [Test]
        public void MessageThatIsNotEncodedIsSentWithoutReservedBits()
        {
            using (var socket = new RecordingSocket(Create(new Passing())).Opened())
            {
                socket.Socket.Send("plain");
                socket.WaitForEnd();
                Assert.AreEqual("open, closed 1002 not marked", socket.Log());
            }
        }

        [Test]
        public void RejectedParametersCloseTheConnectionBeforeItIsOpen()
        {
            using (var socket = new RecordingSocket(Create(new Rejecting())))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("closed 1010 The extension x-xor rejected its parameters.", socket.Log());
            }
        }

        [Test]
        public void ReasonWithALongNameIsCut()
        {
            string accepted = "\r\nSec-WebSocket-Extensions: " + RejectingWithALongName.LongName + "\r\n\r\n";
            string response = FixedResponseServer.Upgrade.Replace("\r\n\r\n", accepted);
            using (var reports = new Reports())
            using (var server = new FixedResponseServer(response, true))
            using (var socket = new RecordingSocket(
                new WebSocket(server.Uri, null, null, new RejectingWithALongName())))
            {
                socket.Socket.CloseTimeout = TimeSpan.FromMilliseconds(100);
                socket.Socket.Open();
                socket.WaitForEnd();
                Pump.Until(() => server.Received != null);
                // The longest close frame.
                Assert.AreEqual(2 + 4 + 125, server.Received.Length);
                Assert.AreEqual(0x80 | 125, (int)server.Received[1]);
                Assert.AreEqual(string.Empty, reports.Log());
            }
        }

        [Test]
        public void MessagesOfARejectedConnectionAreDropped()
        {
            // A text, and one with RSV2, which no active extension uses.
            string response = FixedResponseServer.Upgrade.Replace(
                "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-xor\r\n\r\n\x81\u0001a\xa1\u0001b");
            foreach (bool awaits in new[] { false, true })
            {
                using (var reports = new Reports())
                using (var server = new FixedResponseServer(response, true))
                using (var socket = new RecordingSocket(new WebSocket(server.Uri, null, null, new Rejecting())))
                {
                    socket.Socket.CloseTimeout = TimeSpan.FromMilliseconds(100);
                    if (awaits)
                    {
                        socket.Socket.OnMessage = null;
                        socket.Socket.OnBinary = null;
                        OpenWithAwait(socket.Socket);
                    }
                    else
                    {
                        socket.Socket.Open();
                    }
                    socket.WaitForEnd();
                    Assert.AreEqual(1, socket.Events.Count);
                    Assert.AreEqual(string.Empty, reports.Log());
                }
            }
        }

        private static void OpenWithAwait(WebSocket socket)
        {
#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
            socket.OpenAsync();
#else
            socket.Open();
#endif
        }

        [Test]
        public void TextIsCutBetweenCharacters()
        {
            // 1, 2, 3 and 4 bytes of UTF-8.
            const string text = "a\u00e4\u20ac\ud83d\ude00";
            string[] expected = { "", "a", "a", "a\u00e4", "a\u00e4", "a\u00e4", "a\u00e4\u20ac" };
            for (int bytes = 0; bytes <= 11; bytes++)
            {
                string cut = bytes < 10 ? expected[Math.Min(bytes, 6)] : text;
                Assert.AreEqual(cut, Framewire.Native.Utf8.Cut(text, bytes));
            }
        }

        [Test]
        public void ExceptionInAcceptRejectsTheParameters()
        {
            using (var reports = new Reports())
            using (var socket = new RecordingSocket(Create(new ThrowingInAccept())))
            {
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("closed 1010 The extension x-xor rejected its parameters.", socket.Log());
                Assert.AreEqual("not these", reports.Log());
            }
        }

#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
        [Test]
        public void RejectedParametersFailOpenAsync()
        {
            using (new Reports())
            {
                foreach (CustomExtension extension in new CustomExtension[] { new Rejecting(), new ThrowingInAccept() })
                {
                    using (WebSocket socket = Create(extension))
                    {
                        AsyncTests.Run(async () =>
                        {
                            try
                            {
                                await socket.OpenAsync();
                                Assert.Fail("rejected parameters were accepted");
                            }
                            catch (WebSocketConnectionException)
                            {
                                Assert.AreEqual(1010, socket.CloseCode);
                            }
                        });
                    }
                }
            }
        }

#endif
        [Test]
        public void RejectedSegmentIsReleased()
        {
            using (var socket = new RecordingSocket(Create(new Marking())).Opened())
            {
                ulong before = Queue.Leases();
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => socket.Socket.SendAsBinary(Segment("x"), new SendOptions { Lane = -1 }));
                Assert.AreEqual(before, Queue.Leases());
                socket.Dispose();
                before = Queue.Leases();
                Assert.Throws<ObjectDisposedException>(() => socket.Socket.SendAsBinary(Segment("x")));
                Assert.Throws<ObjectDisposedException>(
                    () => socket.Socket.SendAsText(Segment("x"), default(SendOptions)));
                Assert.AreEqual(before, Queue.Leases());
            }
        }

        [Test]
        public void ThreadsCanSendWhileTheConnectionIsLost()
        {
            using (WebSocket socket = Create(new Marking()))
            {
                Exception failure = null;
                bool isDone = false;
                int opened = 0;
                socket.Reconnect = new ReconnectSettings
                {
                    MinDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(1),
                };
                socket.OnReconnecting += (ws, error, attempt, delay) => ws.Link = null;
                socket.OnOpen += ws => opened++;
                // This server refuses what is sent before OnOpen, which is not encoded.
                socket.OnClosed += (ws, code, reason) => ws.Open();
                socket.Open();
                var sender = new Thread(() =>
                {
                    try
                    {
                        var message = new byte[200000];
                        while (!Volatile.Read(ref isDone))
                        {
                            socket.Send(message);
                        }
                    }
                    catch (Exception exception)
                    {
                        failure = exception;
                    }
                });
                sender.Start();
                for (int round = 1; round <= 300; round++)
                {
                    Pump.Until(() => opened >= round);
                    socket.Link = new LinkConditions { Cut = LinkCut.Reset };
                }
                Volatile.Write(ref isDone, true);
                sender.Join();
                Assert.IsNull(failure);
            }
        }

        [Test]
        public void ExceptionInEncodeReachesTheSender()
        {
            using (var socket = new RecordingSocket(Create(new Throwing(true))).Opened())
            {
                Assert.Throws<FormatException>(() => socket.Socket.Send("text"));
                Assert.AreEqual(0, socket.Socket.BufferedAmount);
                Assert.IsTrue(socket.Socket.IsOpen);
            }
        }

        [Test]
        public void FailureToDecodeClosesTheConnection()
        {
            Fails(new Throwing(false), "An extension failed on a received message.");
            Fails(new Replacing(new byte[] { 0xFF }), "An extension failed on a received message.");
            Fails(new Replacing(new byte[2000]), "A decoded message is larger than MaxMessageSize.");
        }

        private static void Fails(CustomExtension extension, string reason)
        {
            using (var socket = new RecordingSocket(Create(extension)))
            {
                socket.Socket.MaxMessageSize = 1999;
                socket.Opened();
                socket.Socket.Send("text");
                socket.WaitForEnd();
                Assert.AreEqual("open, closed 1007 " + reason, socket.Log());
            }
        }

        [Test]
        public void ServerWithoutTheExtensionGetsPlainMessages()
        {
            var xor = new Xor(1);
            using (var socket = new RecordingSocket(
                new WebSocket(Server.Plain("/"), null, null, xor, new PerMessageCompression())).Opened())
            {
                Assert.AreEqual(2, socket.Socket.Extensions.Length);
                socket.Socket.Send("plain");
                Pump.Until(() => socket.Events.Count == 2);
                Assert.AreEqual("open, text plain", socket.Log());
                Assert.AreEqual(0, xor.Accepted + xor.Encoded + xor.Decoded);
            }
        }

        [Test]
        public void ExtensionNeedsReservedBits()
        {
            Assert.Throws<ArgumentException>(() => Create(new WithoutBits()));
        }

#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
        [Test]
        public void AwaitedMessagesAreDecoded()
        {
            using (WebSocket socket = Create(new Xor(90)))
            {
                AsyncTests.Run(async () =>
                {
                    await socket.OpenAsync();
                    for (int i = 0; i < 100; i++)
                    {
                        socket.Send("number " + i);
                    }
                    for (int i = 0; i < 100; i++)
                    {
                        Assert.AreEqual("number " + i, (await socket.ReceiveAsync()).Text);
                    }
                    await socket.CloseAsync();
                });
            }
            // No payload stays behind.
            Pump.Until(() => NativeBufferPool.GetStatistics().Leases == 0);
        }

#endif
        private static BufferSegment Pooled(string text)
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
            byte[] pooled = BufferPool.Get(bytes.Length, true);
            bytes.CopyTo(pooled, 0);
            return new BufferSegment(pooled, 0, bytes.Length);
        }

        private static unsafe NativeSegment Segment(string text)
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
            NativeSegment segment = NativeSegment.Get(bytes.Length);
            System.Runtime.InteropServices.Marshal.Copy(bytes, 0, (IntPtr)segment.Data, bytes.Length);
            return segment;
        }
    }
}
