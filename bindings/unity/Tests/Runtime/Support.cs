using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Threading;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// The test server <c>framewire-echo</c>. Its URLs are in the environment variables FRAMEWIRE_WS_URL,
    /// FRAMEWIRE_WSS_URL and, with an extension, FRAMEWIRE_XOR_URL, and the PEM file of its certificate authority is
    /// in FRAMEWIRE_CA.
    /// </summary>
    internal static class Server
    {
        internal static Uri Plain(string path)
        {
            return new Uri(Variable("FRAMEWIRE_WS_URL").TrimEnd('/') + path);
        }

        internal static Uri Secure(string path)
        {
            return new Uri(Variable("FRAMEWIRE_WSS_URL").TrimEnd('/') + path);
        }

        /// <summary>A server that echoes messages of the extension <c>x-xor</c>, marked with RSV2.</summary>
        internal static Uri Xor()
        {
            return new Uri(Variable("FRAMEWIRE_XOR_URL"));
        }

        internal static string Authority()
        {
            return System.IO.File.ReadAllText(Variable("FRAMEWIRE_CA"));
        }

        private static string Variable(string name)
        {
            string value = Environment.GetEnvironmentVariable(name);
            if (string.IsNullOrEmpty(value))
            {
                throw new InvalidOperationException("Start framewire-echo and set " + name + ".");
            }
            return value;
        }
    }

    /// <summary>
    /// A server that reads one request, sends fixed bytes and closes, or keeps reading until the client
    /// closes. Each character of the response is a byte; <c>{accept}</c> is replaced by the value for the
    /// request's key (RFC 6455 section 4.2.2).
    /// </summary>
    internal sealed class FixedResponseServer : IDisposable
    {
        private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly string _response;

        /// <summary>The head of the request, after it was received.</summary>
        internal volatile string Head;

        private readonly bool _keepsReading;
        private volatile byte[] _received;

        /// <summary>The bytes received after the request, when the client has closed.</summary>
        internal byte[] Received
        {
            get { return _received; }
        }

        internal FixedResponseServer(string response)
            : this(response, false)
        {
        }

        internal FixedResponseServer(string response, bool keepsReading)
        {
            _response = response;
            _keepsReading = keepsReading;
            _listener.Start();
            var thread = new Thread(Run);
            thread.IsBackground = true;
            thread.Start();
        }

        internal const string Upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            + "Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";

        internal Uri Uri
        {
            get { return new Uri("ws://127.0.0.1:" + ((IPEndPoint)_listener.LocalEndpoint).Port + "/"); }
        }

        public void Dispose()
        {
            _listener.Stop();
        }

        private void Run()
        {
            try
            {
                using (TcpClient client = _listener.AcceptTcpClient())
                {
                    NetworkStream stream = client.GetStream();
                    var head = new StringBuilder();
                    int next;
                    while (!head.ToString().EndsWith("\r\n\r\n") && (next = stream.ReadByte()) >= 0)
                    {
                        head.Append((char)next);
                    }
                    Head = head.ToString();
                    byte[] response = Encoding.GetEncoding("iso-8859-1").GetBytes(
                        _response.Replace("{accept}", Accept(head.ToString())));
                    stream.Write(response, 0, response.Length);
                    if (_keepsReading)
                    {
                        _received = ReadToEnd(stream);
                    }
                }
            }
            catch (Exception)
            {
                // Stopped before a client connected; the exception type depends on the runtime.
            }
        }

        private static byte[] ReadToEnd(NetworkStream stream)
        {
            var all = new System.IO.MemoryStream();
            var part = new byte[65536];
            int count;
            while ((count = stream.Read(part, 0, part.Length)) > 0)
            {
                all.Write(part, 0, count);
            }
            return all.ToArray();
        }

        /// <summary>Whether the bytes end with a masked close frame with a code and no reason.</summary>
        internal static bool EndsWithCloseFrame(byte[] bytes)
        {
            int start = bytes.Length - 8;
            return start >= 0 && bytes[start] == 0x88 && bytes[start + 1] == 0x82;
        }

        internal static string Accept(string head)
        {
            const string name = "sec-websocket-key:";
            foreach (string line in head.Split('\n'))
            {
                if (line.ToLowerInvariant().StartsWith(name))
                {
                    string key = line.Substring(name.Length).Trim() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
                    return Convert.ToBase64String(Sha1(Encoding.ASCII.GetBytes(key)));
                }
            }
            return string.Empty;
        }

        /// <summary>
        /// Computes SHA-1 of less than 120 bytes (RFC 3174), because CoreCLR's requires a system library.
        /// </summary>
        private static byte[] Sha1(byte[] message)
        {
            var padded = new byte[128];
            message.CopyTo(padded, 0);
            padded[message.Length] = 0x80;
            int blocks = message.Length < 56 ? 1 : 2;
            padded[blocks * 64 - 2] = (byte)(message.Length * 8 >> 8);
            padded[blocks * 64 - 1] = (byte)(message.Length * 8);
            uint[] h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
            var w = new uint[80];
            for (int block = 0; block < blocks; block++)
            {
                for (int i = 0; i < 80; i++)
                {
                    int at = block * 64 + i * 4;
                    w[i] = i < 16
                        ? (uint)(padded[at] << 24 | padded[at + 1] << 16 | padded[at + 2] << 8 | padded[at + 3])
                        : Rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
                }
                uint a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
                for (int i = 0; i < 80; i++)
                {
                    uint f = i < 20 ? (b & c | ~b & d) + 0x5a827999
                        : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                        : i < 60 ? (b & c | b & d | c & d) + 0x8f1bbcdc
                        : (b ^ c ^ d) + 0xca62c1d6;
                    uint next = Rotate(a, 5) + f + e + w[i];
                    e = d;
                    d = c;
                    c = Rotate(b, 30);
                    b = a;
                    a = next;
                }
                h[0] += a;
                h[1] += b;
                h[2] += c;
                h[3] += d;
                h[4] += e;
            }
            var digest = new byte[20];
            for (int i = 0; i < 20; i++)
            {
                digest[i] = (byte)(h[i / 4] >> 24 - i % 4 * 8);
            }
            return digest;
        }

        private static uint Rotate(uint value, int bits)
        {
            return value << bits | value >> 32 - bits;
        }
    }

    /// <summary>A socket that records its events.</summary>
    internal sealed class RecordingSocket : IDisposable
    {
        internal readonly WebSocket Socket;
        internal readonly List<string> Events = new List<string>();
        internal bool Ended;

        internal RecordingSocket(Uri uri)
            : this(new WebSocket(uri))
        {
        }

        internal RecordingSocket(WebSocket socket)
        {
            Socket = socket;
            socket.OnOpen += delegate { Events.Add("open"); };
            socket.OnMessage += (ws, message) => Events.Add("text " + message);
            socket.OnBinary += (ws, data) => Events.Add("binary " + data.Length);
            socket.OnClosed += (ws, code, reason) => End("closed " + code + " " + reason);
            socket.OnError += (ws, error) => End("error " + ws.LastError.Kind);
        }

        internal RecordingSocket Opened()
        {
            Socket.Open();
            Pump.Until(() => Socket.IsOpen && Events.Contains("open"));
            return this;
        }

        internal void WaitForEnd()
        {
            Pump.Until(() => Ended);
        }

        internal string Log()
        {
            return string.Join(", ", Events.ToArray());
        }

        public void Dispose()
        {
            Socket.Dispose();
        }

        private void End(string terminalEvent)
        {
            Events.Add(terminalEvent);
            Ended = true;
        }
    }

    /// <summary>Records what is reported to UnhandledException.</summary>
    internal sealed class Reports : IDisposable
    {
        private readonly List<string> _messages = new List<string>();

        internal Reports()
        {
            WebSocket.UnhandledException = (ws, exception) =>
            {
                lock (_messages)
                {
                    _messages.Add(exception.Message);
                }
            };
        }

        internal string Log()
        {
            lock (_messages)
            {
                return string.Join(", ", _messages.ToArray());
            }
        }

        public void Dispose()
        {
            WebSocket.UnhandledException = null;
        }
    }

    /// <summary>Dispatches events like a game loop, with a timeout.</summary>
    internal static class Pump
    {
        internal static void Until(Func<bool> condition)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (!condition())
            {
                if (clock.ElapsedMilliseconds > 20000)
                {
                    Assert.Fail("the condition was not met within 20 seconds");
                }
                WebSocket.Wait(10);
                WebSocket.DispatchAll();
            }
        }
    }

    /// <summary>
    /// Measures allocated bytes: those of this thread if the runtime can (SGen, CoreCLR), and the size of the heap
    /// otherwise (Boehm).
    /// </summary>
    internal static class AllocationMeter
    {
        // Not available in every API profile of Unity.
        private static readonly Func<long> s_allocatedByThread = FindCounter();

        internal static readonly bool IsExact = CounterWorks();

        internal static long Read()
        {
            // A collection reduces the heap size but is caused by garbage, so it counts as such.
            return IsExact ? s_allocatedByThread() : GC.GetTotalMemory(false) + GC.CollectionCount(0) * 16777216L;
        }

        /// <summary>
        /// Checks that operations allocate nothing in steady state. They are repeated until a repetition has
        /// allocated nothing: a runtime that compiles a method again with optimizations allocates once for it.
        /// </summary>
        internal static void AssertNone(int operations, Action run)
        {
            long least = long.MaxValue;
            for (int repetition = 0; repetition < 5; repetition++)
            {
                long before = Read();
                run();
                least = Math.Min(least, Read() - before);
                // Without an exact counter: less than one byte per operation; the smallest object has 16 bytes.
                if (least < (IsExact ? 1L : operations))
                {
                    return;
                }
            }
            Assert.Fail("At least " + least + " bytes were allocated by " + operations + " operations.");
        }

        private static Func<long> FindCounter()
        {
            MethodInfo method = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread");
            return method == null ? null : (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), method);
        }

        private static bool CounterWorks()
        {
            // With Boehm's collector, the method always returns 0.
            return s_allocatedByThread != null && s_allocatedByThread() > 0;
        }
    }
}
