using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Client = System.Net.WebSockets.WebSocket;

internal sealed class Scenarios
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly CancellationToken Cancelled = new CancellationToken(true);

    private static ArraySegment<byte> Bytes(string text)
    {
        return new ArraySegment<byte>(Encoding.UTF8.GetBytes(text));
    }

    private static Task Send(Client client, string text, CancellationToken cancellation = default(CancellationToken))
    {
        return client.SendAsync(Bytes(text), WebSocketMessageType.Text, true, cancellation);
    }

    private static Task<WebSocketReceiveResult> Receive(Client client, byte[] buffer, CancellationToken cancellation = default(CancellationToken))
    {
        return client.ReceiveAsync(new ArraySegment<byte>(buffer), cancellation);
    }

    private static Task Close(Client client, CancellationToken cancellation = default(CancellationToken))
    {
        return client.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", cancellation);
    }

    private static Task CloseOutput(Client client)
    {
        return client.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "bye", None);
    }

    /// <summary>Answers a close frame with the same, as servers do.</summary>
    private static async Task AnswerClose(Peer peer)
    {
        Frame close = await peer.ReadClose();
        Output.Server("server reads", close);
        await peer.Send(Peer.Close, close.Payload);
        peer.Drop();
    }

    /// <summary>Tries everything that needs an open connection.</summary>
    private static async Task TryAll(Client client, string when)
    {
        await Output.Try("send " + when, () => Send(client, "x"));
        await Output.TryReceive("receive " + when, () => Receive(client, new byte[10]));
        await Output.Try("close output " + when, () => CloseOutput(client));
        await Output.Try("close " + when, () => Close(client));
    }

    // ---------------------------------------------------------------- connecting

    private async Task NewClient()
    {
        Client client = Program.New();
        client.State();
        client.CloseStatus();
        Output.Line("subprotocol", client.SubProtocol);
        await TryAll(client, "before connect");
        client.State("after that");
    }

    private async Task ConnectArguments()
    {
        await Output.Try("null", () => Program.New().Connect(null));
        await Output.Try("relative", () => Program.New().Connect(new Uri("/x", UriKind.Relative)));
        await Output.Try("http", () => Program.New().Connect(new Uri("http://127.0.0.1:1/")));
    }

    private async Task ConnectTwice()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            await Output.Try("first", () => client.Connect(peer.Uri));
            client.State();
            await Output.Try("second", () => client.Connect(peer.Uri));
            client.State("after the second");
        }
    }

    private async Task ConnectRefused()
    {
        using (Client client = Program.New())
        {
            await Output.Try("connect", () => client.Connect(new Uri("ws://127.0.0.1:1/")));
            client.State();
            await TryAll(client, "after that");
            await Output.Try("connect again", () => client.Connect(new Uri("ws://127.0.0.1:1/")));
        }
    }

    private async Task ConnectRejected()
    {
        using (var peer = new Peer(async p =>
        {
            await p.ReadHead();
            await p.Write(Encoding.ASCII.GetBytes("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
            await p.ReadToEnd();
        }))
        using (Client client = Program.New())
        {
            await Output.Try("connect", () => client.Connect(peer.Uri));
            client.State();
        }
    }

    private async Task ConnectWithWrongAccept()
    {
        using (var peer = new Peer(async p =>
        {
            await p.ReadHead();
            await p.Write(Encoding.ASCII.GetBytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                + "Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"));
            await p.ReadToEnd();
        }))
        using (Client client = Program.New())
        {
            await Output.Try("connect", () => client.Connect(peer.Uri));
            client.State();
        }
    }

    private async Task ConnectCancelledBefore()
    {
        using (Client client = Program.New())
        {
            await Output.Try("connect", () => client.Connect(new Uri("ws://127.0.0.1:1/"), Cancelled));
            client.State();
        }
    }

    private async Task ConnectCancelledMeanwhile()
    {
        using (var peer = new Peer(async p => { await p.ReadHead(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            var source = new CancellationTokenSource();
            Task connect = client.Connect(peer.Uri, source.Token);
            client.State();
            await Task.Delay(100);
            source.Cancel();
            await Output.Try("connect", () => connect);
            client.State("after that");
            await Output.Try("connect again", () => client.Connect(peer.Uri));
        }
    }

    private async Task ConnectAborted()
    {
        using (var peer = new Peer(async p => { await p.ReadHead(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            Task connect = client.Connect(peer.Uri);
            await Task.Delay(100);
            client.Abort();
            await Output.Try("connect", () => connect);
            client.State();
        }
    }

    private async Task ConnectDisposed()
    {
        using (var peer = new Peer(async p => { await p.ReadHead(); await p.ReadToEnd(); }))
        {
            Client client = Program.New();
            Task connect = client.Connect(peer.Uri);
            await Task.Delay(100);
            client.Dispose();
            await Output.Try("connect", () => connect);
            client.State();
        }
    }

    private async Task SubProtocols()
    {
        Client options = Program.New();
        Output.Try("null", () => options.AddSubProtocol(null));
        Output.Try("empty", () => options.AddSubProtocol(""));
        Output.Try("space", () => options.AddSubProtocol("a b"));
        Output.Try("first", () => options.AddSubProtocol("a"));
        Output.Try("twice", () => options.AddSubProtocol("A"));
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade("Sec-WebSocket-Protocol: b\r\n");
            await p.ReadToEnd();
        }))
        using (Client client = Program.New())
        {
            client.AddSubProtocol("a");
            client.AddSubProtocol("b");
            await client.Connect(peer.Uri);
            Output.Line("chosen", client.SubProtocol);
            Output.Line("offered", peer.Head.ToLowerInvariant().Contains("sec-websocket-protocol: a, b\r\n"));
        }
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade("Sec-WebSocket-Protocol: c\r\n");
            await p.ReadToEnd();
        }))
        using (Client client = Program.New())
        {
            client.AddSubProtocol("a");
            await Output.Try("not offered", () => client.Connect(peer.Uri));
            client.State("after that");
        }
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            client.AddSubProtocol("a");
            await Output.Try("none chosen", () => client.Connect(peer.Uri));
            Output.Line("subprotocol", client.SubProtocol);
        }
    }

    private async Task OptionsOfTheRequest()
    {
        Client options = Program.New();
        Output.Try("negative interval", () => options.KeepAlive(TimeSpan.FromSeconds(-5)));
        Output.Try("infinite interval", () => options.KeepAlive(Timeout.InfiniteTimeSpan));
        Output.Try("no interval", () => options.KeepAlive(TimeSpan.Zero));
        Output.Try("header without name", () => options.SetHeader(null, "x"));
        Output.Try("buffer of nothing", () => options.SetBuffer(0, 0));
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            client.SetHeader("X-Test", "1");
            client.SetHeader("X-Test", "2");
            client.SetHeader("X-Gone", "1");
            client.SetHeader("X-Gone", null);
            await client.Connect(peer.Uri);
            string head = peer.Head.ToLowerInvariant();
            Output.Line("header", head.Contains("x-test: 2\r\n") && !head.Contains("x-test: 1"));
            Output.Line("removed header", head.Contains("x-gone"));
            Output.Line("extensions", head.Contains("sec-websocket-extensions"));
            Output.Try("header afterwards", () => client.SetHeader("X-Test", "3"));
            Output.Try("subprotocol afterwards", () => client.AddSubProtocol("x"));
            Output.Try("interval afterwards", () => client.KeepAlive(TimeSpan.Zero));
        }
    }

    // ---------------------------------------------------------------- receiving

    private async Task PartialReceives()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Binary, "0123456789");
            await p.Send(Peer.Text, "text");
            await p.Send(Peer.Binary, "");
            await p.Send(Peer.Text, "last");
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            var four = new byte[4];
            await Output.TryReceive("first part", () => Receive(client, four), four);
            await Output.TryReceive("second part", () => Receive(client, four), four);
            await Output.TryReceive("third part", () => Receive(client, four), four);
            await Output.TryReceive("as large as the buffer", () => Receive(client, four), four);
            await Output.TryReceive("empty message", () => Receive(client, four), four);
            await Output.TryReceive("empty buffer", () => Receive(client, new byte[0]));
            await Output.TryReceive("after the empty buffer", () => Receive(client, four), four);
            await Output.TryReceive("null", () => client.ReceiveAsync(default(ArraySegment<byte>), None));
            client.State();
        }
    }

    private async Task Fragments()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Text, "abc", false);
            await p.Send(Peer.Ping, "ping");
            await p.Send(0, "", false);
            await p.Send(0, "defg", true);
            Output.Server("server reads", await p.Read());
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            var buffer = new byte[100];
            var text = new StringBuilder();
            WebSocketReceiveResult result;
            do
            {
                result = await Receive(client, buffer);
                text.Append(Encoding.UTF8.GetString(buffer, 0, result.Count));
            }
            while (!result.EndOfMessage);
            Output.Line("message", text);
            Output.Line("type", result.MessageType);
            await Task.Delay(100);
        }
    }

    private async Task LargeMessage()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Binary, new byte[3000000]);
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            var buffer = new byte[65536];
            int total = 0;
            WebSocketReceiveResult result;
            do
            {
                result = await Receive(client, buffer);
                total += result.Count;
            }
            while (!result.EndOfMessage);
            Output.Line("size", total);
        }
    }

    private async Task MemoryOverloads()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            Output.Server("server reads", await p.Read());
            await p.Send(Peer.Text, "text");
            await p.SendClose(1000, "bye");
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            var buffer = new byte[3];
            await client.SendAsync(
                new ReadOnlyMemory<byte>(Encoding.UTF8.GetBytes("hello")), WebSocketMessageType.Binary, true, None);
            for (int i = 0; i < 3; i++)
            {
                ValueWebSocketReceiveResult result = await client.ReceiveAsync(new Memory<byte>(buffer), None);
                Output.Line("receive " + i, result.MessageType + " " + result.Count + " " + result.EndOfMessage);
            }
            client.State();
            client.CloseStatus();
        }
    }

    private async Task SecondReceive()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            Task<WebSocketReceiveResult> first = Receive(client, new byte[4]);
            await Output.TryReceive("second", () => Receive(client, new byte[4]));
            client.State();
            await Output.TryReceive("first", () => first);
            client.State("after that");
        }
    }

    private async Task ReceiveCancelled()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            var source = new CancellationTokenSource();
            Task<WebSocketReceiveResult> receive = Receive(client, new byte[4], source.Token);
            await Task.Delay(50);
            source.Cancel();
            await Output.TryReceive("receive", () => receive);
            client.State();
            await TryAll(client, "after that");
            client.CloseStatus();
        }
    }

    private async Task ReceiveCancelledBefore()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("receive", () => Receive(client, new byte[4], Cancelled));
            client.State();
        }
    }

    private async Task ReceiveLost()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.Send(Peer.Text, "abc"); p.Drop(); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("message", () => Receive(client, new byte[4]));
            await Output.TryReceive("end", () => Receive(client, new byte[4]));
            client.State();
            client.CloseStatus();
            await TryAll(client, "after that");
        }
    }

    private async Task ReceiveViolation()
    {
        // A reserved bit, an unknown opcode, a masked frame, a fragment that continues nothing, a long ping.
        var violations = new Dictionary<string, byte[]>
        {
            { "reserved bit", new byte[] { 0xc1, 0 } },
            { "unknown opcode", new byte[] { 0x83, 0 } },
            { "masked", new byte[] { 0x81, 0x80, 0, 0, 0, 0 } },
            { "continuation of nothing", new byte[] { 0x80, 0 } },
            { "close of one byte", new byte[] { 0x88, 1, 3 } },
            { "close with code 1005", new byte[] { 0x88, 2, 3, 0xed } },
        };
        foreach (KeyValuePair<string, byte[]> violation in violations)
        {
            using (var peer = new Peer(async p =>
            {
                await p.Upgrade();
                await p.Write(violation.Value);
                await p.ReadToEnd();
            }))
            using (Client client = await Program.Connected(peer))
            {
                await Output.TryReceive(violation.Key, () => Receive(client, new byte[4]));
                client.State("after " + violation.Key);
            }
        }
    }

    private async Task ReceiveInvalidText()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Text, new byte[] { 0x61, 0xff });
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("receive", () => Receive(client, new byte[4]));
            client.State();
        }
    }

    // ---------------------------------------------------------------- sending

    private async Task Sends()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            for (int i = 0; i < 7; i++)
            {
                Output.Server("server reads " + i, await p.Read());
            }
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("text", () => Send(client, "hellö"));
            await Output.Try("binary", () => client.SendAsync(Bytes("bin"), WebSocketMessageType.Binary, true, None));
            await Output.Try("empty", () => Send(client, ""));
            await Output.Try("first part", () => client.SendAsync(Bytes("a"), WebSocketMessageType.Text, false, None));
            await Output.Try("second part", () => client.SendAsync(Bytes("b"), WebSocketMessageType.Text, false, None));
            await Output.Try("last part", () => client.SendAsync(Bytes("c"), WebSocketMessageType.Text, true, None));
            await Output.Try("large", () => client.SendAsync(
                new ArraySegment<byte>(new byte[1 << 20]), WebSocketMessageType.Binary, true, None));
            await Output.Try("range", () => client.SendAsync(
                new ArraySegment<byte>(new byte[] { 65, 66, 67 }, 1, 1), WebSocketMessageType.Text, true, None));
            Task first = Send(client, "one");
            await Output.Try("at the same time", () => Send(client, "two"));
            await Output.Try("first", () => first);
            await Output.Try("type close", () => client.SendAsync(Bytes("x"), WebSocketMessageType.Close, true, None));
            await Output.Try("null", () => client.SendAsync(default(ArraySegment<byte>), WebSocketMessageType.Text, true, None));
            client.State();
            await Task.Delay(100);
        }
    }

    private async Task SendCancelledBefore()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("send", () => Send(client, "x", Cancelled));
            client.State();
        }
    }

    private async Task SendCancelledMeanwhile()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await Task.Delay(3000); }))
        using (Client client = await Program.Connected(peer))
        {
            var source = new CancellationTokenSource(200);
            await Output.Try("send", () => client.SendAsync(
                new ArraySegment<byte>(new byte[1 << 26]), WebSocketMessageType.Binary, true, source.Token));
            client.State();
        }
    }

    private async Task SendWaitsForTheNetwork()
    {
        var reads = new TaskCompletionSource<bool>();
        using (var peer = new Peer(async p => { await p.Upgrade(); await reads.Task; await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            Task send = client.SendAsync(
                new ArraySegment<byte>(new byte[1 << 25]), WebSocketMessageType.Binary, true, None);
            Output.Line("completed while nobody reads", await Task.WhenAny(send, Task.Delay(300)) == send);
            reads.SetResult(true);
            await Output.Try("send", () => send);
        }
    }

    private async Task SendToLostConnection()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); p.Drop(); }))
        using (Client client = await Program.Connected(peer))
        {
            await peer.Done;
            await Task.Delay(100);
            Exception failure = null;
            for (int i = 0; i < 20 && failure == null; i++)
            {
                try
                {
                    await Send(client, "x");
                    await Task.Delay(20);
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
            }
            Output.Line("some send", failure == null ? "ok" : "fails");
        }
    }

    private async Task SendAndReceiveAtTheSameTime()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            for (int i = 0; i < 2000; i++)
            {
                Frame frame = await p.Read();
                await p.Send(frame.Opcode, frame.Payload);
            }
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            Func<Task> sendAll = async () =>
            {
                for (int i = 0; i < 2000; i++)
                {
                    await Send(client, i.ToString());
                }
            };
            Task sending = sendAll();
            var buffer = new byte[100];
            bool inOrder = true;
            for (int i = 0; i < 2000; i++)
            {
                WebSocketReceiveResult result = await Receive(client, buffer);
                inOrder &= Encoding.UTF8.GetString(buffer, 0, result.Count) == i.ToString();
            }
            await sending;
            Output.Line("in order", inOrder);
        }
    }

    private async Task SendWhileNobodyReceives()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            for (int i = 0; i < 100; i++)
            {
                await p.Send(Peer.Text, "unread");
            }
            for (int i = 0; i < 20; i++)
            {
                await p.Read();
            }
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            for (int i = 0; i < 20; i++)
            {
                await Send(client, "x");
            }
            Output.Line("sent", 20);
            await Output.TryReceive("receive", () => Receive(client, new byte[10]));
        }
    }

    // ---------------------------------------------------------------- closing

    private async Task CloseByClient()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await AnswerClose(p); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close", () => client.CloseAsync((WebSocketCloseStatus)4001, "done", None));
            client.State();
            client.CloseStatus();
            await TryAll(client, "after that");
            client.State("at last");
        }
    }

    private async Task CloseWithoutReason()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await AnswerClose(p); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close", () => client.CloseAsync(WebSocketCloseStatus.EndpointUnavailable, null, None));
            client.State();
            client.CloseStatus();
        }
    }

    private async Task CloseWithoutCode()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await AnswerClose(p); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close", () => client.CloseAsync(WebSocketCloseStatus.Empty, null, None));
            client.State();
            client.CloseStatus();
        }
    }

    private async Task CloseArguments()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            foreach (int code in new[] { 0, 999, 1006, 1015, 5000 })
            {
                await Output.Try("code " + code, () => client.CloseAsync((WebSocketCloseStatus)code, "x", None));
                await Output.Try("output code " + code, () => client.CloseOutputAsync((WebSocketCloseStatus)code, "x", None));
            }
            await Output.Try("empty with reason", () => client.CloseAsync(WebSocketCloseStatus.Empty, "x", None));
            await Output.Try("long reason", () => client.CloseAsync(
                WebSocketCloseStatus.NormalClosure, new string('x', 124), None));
            client.State();
        }
    }

    private async Task CloseByServer()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Text, "last");
            await p.SendClose(4002, "server");
            Output.Server("server reads", await p.ReadClose());
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("message", () => Receive(client, new byte[10]));
            client.State();
            await Output.TryReceive("close frame", () => Receive(client, new byte[10]));
            client.State("after the close frame");
            client.CloseStatus();
            await Output.TryReceive("receive after that", () => Receive(client, new byte[10]));
            await Output.Try("close", () => client.CloseAsync((WebSocketCloseStatus)4002, "server", None));
            client.State("after close");
        }
    }

    private async Task CloseOutputAfterServer()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.SendClose(1000, "server");
            Output.Server("server reads", await p.ReadClose());
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("close frame", () => Receive(client, new byte[10]));
            await Output.Try("close output", () => client.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "server", None));
            client.State();
            await peer.Done;
            await Output.TryReceive("receive after that", () => Receive(client, new byte[10]));
            await Output.Try("close", () => Close(client));
            client.State("at last");
        }
    }

    private async Task SendAfterServerClosed()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.SendClose(1000, "server");
            Output.Server("server reads", await p.Read());
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("close frame", () => Receive(client, new byte[10]));
            await Output.Try("send", () => Send(client, "late"));
            client.State();
            await Task.Delay(50);
        }
    }

    private async Task CloseByServerWithoutCode()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Close, "");
            await p.ReadToEnd();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.TryReceive("close frame", () => Receive(client, new byte[10]));
            client.State();
            client.CloseStatus();
        }
    }

    private async Task CloseWithoutReceiving()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.Send(Peer.Text, "never received");
            await p.SendClose(4003, "server");
            Output.Server("server reads", await p.ReadClose());
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Task.Delay(100);
            client.State();
            await Output.Try("close", () => client.CloseAsync((WebSocketCloseStatus)4003, "server", None));
            client.State("after close");
            client.CloseStatus();
        }
    }

    private async Task CloseDropsMessages()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            for (int i = 0; i < 10; i++)
            {
                await p.Send(Peer.Text, "unread");
            }
            Frame close = await p.ReadClose();
            await p.Send(Peer.Text, "late");
            await p.Send(Peer.Close, close.Payload);
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Task.Delay(50);
            await Output.Try("close", () => Close(client));
            client.State();
            client.CloseStatus();
            await Output.TryReceive("receive", () => Receive(client, new byte[10]));
        }
    }

    private async Task CloseWhileReceiving()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await AnswerClose(p); }))
        using (Client client = await Program.Connected(peer))
        {
            Task<WebSocketReceiveResult> receive = Receive(client, new byte[10]);
            await Output.Try("close", () => Close(client));
            await Output.TryReceive("receive", () => receive);
            client.State();
            client.CloseStatus();
        }
    }

    private async Task CloseOutputFirst()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            Output.Server("server reads", await p.ReadClose());
            await p.Send(Peer.Text, "late");
            await p.SendClose(1000, "server");
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close output", () => CloseOutput(client));
            client.State();
            await Output.Try("send", () => Send(client, "x"));
            await Output.TryReceive("message", () => Receive(client, new byte[10]));
            await Output.TryReceive("close frame", () => Receive(client, new byte[10]));
            client.State("after the close frame");
            client.CloseStatus();
            await Output.TryReceive("receive after that", () => Receive(client, new byte[10]));
            await Output.Try("close", () => Close(client));
            client.State("at last");
        }
    }

    private async Task CloseAfterCloseOutput()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            await p.ReadClose();
            await Task.Delay(50);
            await p.SendClose(1000, "server");
            p.Drop();
        }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close output", () => CloseOutput(client));
            await Output.Try("close output again", () => CloseOutput(client));
            client.State();
            await Output.Try("close", () => Close(client));
            client.State("after close");
            client.CloseStatus();
        }
    }

    private async Task CloseCancelledBefore()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close", () => Close(client, Cancelled));
            client.State();
        }
    }

    private async Task CloseCancelledMeanwhile()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await Task.Delay(3000); }))
        using (Client client = await Program.Connected(peer))
        {
            var source = new CancellationTokenSource(100);
            await Output.Try("close", () => Close(client, source.Token));
            client.State();
            client.CloseStatus();
        }
    }

    private async Task CloseLost()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadClose(); p.Drop(); }))
        using (Client client = await Program.Connected(peer))
        {
            await Output.Try("close", () => Close(client));
            client.State();
            client.CloseStatus();
        }
    }

    // ---------------------------------------------------------------- abort and dispose

    private async Task Abort()
    {
        using (var peer = new Peer(async p =>
        {
            await p.Upgrade();
            Output.Server("server reads", await p.Read());
        }))
        using (Client client = await Program.Connected(peer))
        {
            Task<WebSocketReceiveResult> receive = Receive(client, new byte[4]);
            client.Abort();
            client.State();
            await Output.TryReceive("pending receive", () => receive);
            await TryAll(client, "after that");
            client.Abort();
            client.State("after a second abort");
            client.Dispose();
            client.State("after dispose");
        }
    }

    private async Task AbortBeforeConnect()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        using (Client client = Program.New())
        {
            client.Abort();
            client.State();
            await Output.Try("connect", () => client.Connect(peer.Uri));
            client.State("after connect");
        }
    }

    private async Task AbortAfterClose()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await AnswerClose(p); }))
        using (Client client = await Program.Connected(peer))
        {
            await Close(client);
            client.Abort();
            client.State();
        }
    }

    private async Task Dispose()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        {
            Client client = await Program.Connected(peer);
            client.Dispose();
            client.State();
            client.CloseStatus();
            Output.Line("subprotocol", client.SubProtocol);
            await TryAll(client, "after that");
            await Output.Try("connect", () => client.Connect(peer.Uri));
            Output.Try("dispose again", client.Dispose);
            Output.Try("abort", client.Abort);
            client.State("at last");
        }
    }

    private async Task DisposeWhileReceiving()
    {
        using (var peer = new Peer(async p => { await p.Upgrade(); await p.ReadToEnd(); }))
        {
            Client client = await Program.Connected(peer);
            Task<WebSocketReceiveResult> receive = Receive(client, new byte[4]);
            client.Dispose();
            await Output.TryReceive("pending receive", () => receive);
            client.State();
        }
    }

    private async Task DisposeBeforeConnect()
    {
        Client client = Program.New();
        client.Dispose();
        client.State();
        await Output.Try("connect", () => client.Connect(new Uri("ws://127.0.0.1:1/")));
        await TryAll(client, "after that");
    }
}
