using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Framewire.Tests;

/// <summary>A server for one connection, which sends and reads frames as a script says.</summary>
internal sealed class Peer : IDisposable
{
    internal const int Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10;

    private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
    private TcpClient _client;
    private NetworkStream _stream;

    /// <summary>Completes when the script has ended.</summary>
    internal readonly Task Done;

    /// <summary>The head of the upgrade request.</summary>
    internal string Head;

    internal Peer(Func<Peer, Task> script)
    {
        _listener.Start();
        Done = Task.Run(() => Run(script));
    }

    internal Uri Uri
    {
        get { return new Uri("ws://127.0.0.1:" + ((IPEndPoint)_listener.LocalEndpoint).Port + "/"); }
    }

    private async Task Run(Func<Peer, Task> script)
    {
        try
        {
            _client = await _listener.AcceptTcpClientAsync();
            _client.NoDelay = true;
            _stream = _client.GetStream();
            await script(this);
        }
        catch (IOException)
        {
            // The client has dropped the connection.
        }
        catch (ObjectDisposedException)
        {
        }
        catch (SocketException)
        {
        }
        catch (InvalidOperationException)
        {
            // The listener was stopped.
        }
    }

    /// <summary>Reads the upgrade request.</summary>
    internal async Task ReadHead()
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await _stream.ReadAsync(one, 0, 1) == 0)
            {
                throw new IOException();
            }
            head.Append((char)one[0]);
        }
        Head = head.ToString();
    }

    /// <summary>Completes the handshake, with more lines for the response.</summary>
    internal async Task Upgrade(string more = "")
    {
        await ReadHead();
        await Write(Encoding.ASCII.GetBytes(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + FixedResponseServer.Accept(Head) + "\r\n" + more + "\r\n"));
    }

    internal Task Write(byte[] bytes)
    {
        return _stream.WriteAsync(bytes, 0, bytes.Length);
    }

    internal Task Send(int opcode, string text, bool isFinal = true)
    {
        return Send(opcode, Encoding.UTF8.GetBytes(text), isFinal);
    }

    internal Task Send(int opcode, byte[] payload, bool isFinal = true)
    {
        var frame = new List<byte>();
        frame.Add((byte)((isFinal ? 0x80 : 0) | opcode));
        if (payload.Length < 126)
        {
            frame.Add((byte)payload.Length);
        }
        else
        {
            frame.Add(127);
            for (int i = 7; i >= 0; i--)
            {
                frame.Add((byte)((long)payload.Length >> (i * 8)));
            }
        }
        frame.AddRange(payload);
        return Write(frame.ToArray());
    }

    internal Task SendClose(int code, string reason)
    {
        var payload = new List<byte> { (byte)(code >> 8), (byte)code };
        payload.AddRange(Encoding.UTF8.GetBytes(reason));
        return Send(Close, payload.ToArray());
    }

    /// <summary>Reads a message, or a control frame; null at the end of the connection.</summary>
    internal async Task<Frame> Read()
    {
        int type = 0;
        var whole = new MemoryStream();
        while (true)
        {
            byte[] head = await ReadExactly(2);
            if (head == null)
            {
                return null;
            }
            int length = head[1] & 127;
            int extended = length == 126 ? 2 : length == 127 ? 8 : 0;
            if (extended > 0)
            {
                length = 0;
                foreach (byte b in await ReadExactly(extended))
                {
                    length = length << 8 | b;
                }
            }
            byte[] mask = await ReadExactly(4);
            byte[] payload = await ReadExactly(length);
            if (payload == null)
            {
                return null;
            }
            for (int i = 0; i < payload.Length; i++)
            {
                payload[i] ^= mask[i % 4];
            }
            int opcode = head[0] & 15;
            if (opcode >= Close)
            {
                return new Frame { Opcode = opcode, Payload = payload };
            }
            type = opcode == 0 ? type : opcode;
            whole.Write(payload, 0, payload.Length);
            if ((head[0] & 0x80) != 0)
            {
                return new Frame { Opcode = type, Payload = whole.ToArray() };
            }
        }
    }

    /// <summary>Reads until the close frame, without pings and pongs. Null if the connection ends before it.</summary>
    internal async Task<Frame> ReadClose()
    {
        while (true)
        {
            Frame frame = await Read();
            if (frame == null || frame.Opcode == Close)
            {
                return frame;
            }
        }
    }

    /// <summary>Reads until the client ends the connection.</summary>
    internal async Task ReadToEnd()
    {
        while (await Read() != null)
        {
        }
    }

    /// <summary>Ends the connection.</summary>
    internal void Drop()
    {
        _client.Close();
    }

    public void Dispose()
    {
        // The client is disposed by now, so the script ends, unless it waits.
        Done.Wait(500);
        _listener.Stop();
        if (_client != null)
        {
            _client.Close();
        }
    }

    private async Task<byte[]> ReadExactly(int count)
    {
        var bytes = new byte[count];
        for (int have = 0; have < count;)
        {
            int read = await _stream.ReadAsync(bytes, have, count - have);
            if (read == 0)
            {
                return null;
            }
            have += read;
        }
        return bytes;
    }
}

/// <summary>A message or a control frame.</summary>
internal sealed class Frame
{
    internal int Opcode;
    internal byte[] Payload;

    public override string ToString()
    {
        if (Opcode == Peer.Close)
        {
            return Payload.Length < 2
                ? "close without a code"
                : "close " + (Payload[0] << 8 | Payload[1]) + " '" + Encoding.UTF8.GetString(Payload, 2, Payload.Length - 2)
                    + "'";
        }
        string type = Opcode == Peer.Text ? "text" : Opcode == Peer.Binary ? "binary" : "opcode " + Opcode;
        return Payload.Length > 40 ? type + " of " + Payload.Length : type + " '" + Encoding.UTF8.GetString(Payload) + "'";
    }
}
