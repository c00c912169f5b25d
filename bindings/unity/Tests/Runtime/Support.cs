using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>
    /// The server that the tests talk to: <c>framewire-echo</c>, whose addresses are in the
    /// environment as FRAMEWIRE_WS_URL, FRAMEWIRE_WSS_URL and, for its authority's PEM file,
    /// FRAMEWIRE_CA.
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

    /// <summary>A server that reads one request, answers with fixed bytes and closes.</summary>
    internal sealed class FixedAnswer : IDisposable
    {
        private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly byte[] _answer;

        internal FixedAnswer(string answer)
        {
            _answer = Encoding.ASCII.GetBytes(answer);
            _listener.Start();
            var thread = new Thread(Run);
            thread.IsBackground = true;
            thread.Start();
        }

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
                    stream.Write(_answer, 0, _answer.Length);
                }
            }
            catch (Exception)
            {
                // Stopped before anybody came, which each runtime says in its own way.
            }
        }
    }

    /// <summary>A socket whose events are written down as they come.</summary>
    internal sealed class Recorded : IDisposable
    {
        internal readonly WebSocket Socket;
        internal readonly List<string> Events = new List<string>();
        internal bool Ended;

        internal Recorded(Uri uri)
            : this(new WebSocket(uri))
        {
        }

        internal Recorded(WebSocket socket)
        {
            Socket = socket;
            socket.OnOpen += delegate { Events.Add("open"); };
            socket.OnMessage += (ws, message) => Events.Add("text " + message);
            socket.OnBinary += (ws, data) => Events.Add("binary " + data.Length);
            socket.OnClosed += (ws, code, reason) => End("closed " + code + " " + reason);
            socket.OnError += (ws, error) => End("error " + ws.LastError.Kind);
        }

        internal Recorded Opened()
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

        private void End(string how)
        {
            Events.Add(how);
            Ended = true;
        }
    }

    /// <summary>What a game's loop does, with a limit.</summary>
    internal static class Pump
    {
        internal static void Until(Func<bool> condition)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (!condition())
            {
                if (clock.ElapsedMilliseconds > 20000)
                {
                    Assert.Fail("nothing happened for 20 seconds");
                }
                WebSocket.Wait(10);
                WebSocket.DispatchAll();
            }
        }
    }
}
