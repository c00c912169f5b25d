// System.Net.WebSockets.ClientWebSocket, in Mono, as in Unity. Implements the modes of ../c/bench.c that use
// one connection.
//
//     mono ClientWebSocketBench.exe MODE URL [--size N] [--count N] ...      (as bench.h says)

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

static class ClientWebSocketBench
{
    static string mode = "echo", url = "";
    static int size = 128, connections = 1;
    static long count = 10000, warm = -1;
    static readonly List<long> times = new List<long>();
    static TimeSpan cpuBegun;
    static long wallBegun, wall, cpu;
    static byte[] buffer, payload;

    static long Now() { return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency)); }

    static void Begin()
    {
        cpuBegun = Process.GetCurrentProcess().TotalProcessorTime;
        wallBegun = Now();
    }

    static void End()
    {
        wall = Now() - wallBegun;
        cpu = (long)((Process.GetCurrentProcess().TotalProcessorTime - cpuBegun).TotalMilliseconds * 1e6);
    }

    static async Task<ClientWebSocket> Open()
    {
        var paths = new Dictionary<string, string> {
            { "echo", "/echo" }, { "recv", "/flood/" + size }, { "send", "/sink" }, { "connect", "/idle" },
        };
        var socket = new ClientWebSocket();
        socket.Options.KeepAliveInterval = TimeSpan.Zero;
        await socket.ConnectAsync(new Uri(url + paths[mode]), CancellationToken.None);
        return socket;
    }

    static Task Send(ClientWebSocket socket)
    {
        return socket.SendAsync(new ArraySegment<byte>(payload), WebSocketMessageType.Binary, true,
                                CancellationToken.None);
    }

    static Task Order(ClientWebSocket socket, long number)
    {
        var text = Encoding.ASCII.GetBytes(number.ToString());
        return socket.SendAsync(new ArraySegment<byte>(text), WebSocketMessageType.Text, true,
                                CancellationToken.None);
    }

    static async Task<int> Receive(ClientWebSocket socket)
    {
        var have = 0;
        for (;;)
        {
            var part = await socket.ReceiveAsync(new ArraySegment<byte>(buffer, have, buffer.Length - have),
                                                 CancellationToken.None);
            have += part.Count;
            if (part.EndOfMessage) return have;
        }
    }

    static async Task Echo(ClientWebSocket socket)
    {
        for (long i = 0; i < warm + count; i++)
        {
            if (i == warm) Begin();
            var begun = Now();
            await Send(socket);
            await Receive(socket);
            if (i >= warm) times.Add(Now() - begun);
        }
        End();
    }

    static async Task Recv(ClientWebSocket socket)
    {
        foreach (var many in new[] { warm, count })
        {
            Begin();
            await Order(socket, many);
            for (long i = 0; i < many; i++)
                if (await Receive(socket) != size) throw new Exception("a message of another size came");
        }
        End();
    }

    static async Task SendAll(ClientWebSocket socket)
    {
        long round = Math.Max(2, (512 << 10) / (size + 16));
        count = (count + round - 1) / round * round;
        await Order(socket, round);
        foreach (var many in new[] { round * 2, count })
        {
            Begin();
            for (long i = 0; i < many; i++) await Send(socket);
            for (long i = 0; i < many; i += round) await Receive(socket);
        }
        End();
    }

    static async Task Connect()
    {
        Begin();
        for (long i = 0; i < count; i++)
        {
            var begun = Now();
            var socket = await Open();
            times.Add(Now() - begun);
            socket.Abort();
        }
        End();
    }

    static async Task Run()
    {
        if (mode == "connect")
        {
            await Connect();
            return;
        }
        var socket = await Open();
        if (mode == "echo") await Echo(socket);
        else if (mode == "recv") await Recv(socket);
        else await SendAll(socket);
    }

    static long Part(double part)
    {
        return times.Count == 0 ? 0 : times[Math.Min(times.Count - 1, (int)(times.Count * part))];
    }

    static void Main(string[] arguments)
    {
        mode = arguments[0];
        url = arguments[1];
        for (var i = 2; i + 1 < arguments.Length; i += 2)
        {
            if (arguments[i] == "--size") size = int.Parse(arguments[i + 1]);
            if (arguments[i] == "--count") count = long.Parse(arguments[i + 1]);
            if (arguments[i] == "--warm") warm = long.Parse(arguments[i + 1]);
        }
        if (warm < 0) warm = count / 10 + 1;
        payload = new byte[size];
        buffer = new byte[size + 64];
        Run().GetAwaiter().GetResult();
        times.Sort();
        Console.WriteLine(
            "{{\"client\":\"ClientWebSocket\",\"mode\":\"{0}\",\"size\":{1},\"count\":{2},\"connections\":{3}," +
            "\"wall_ns\":{4},\"cpu_ns\":{5},\"p50_ns\":{6},\"p99_ns\":{7},\"p999_ns\":{8},\"max_ns\":{9}}}",
            mode, size, count, connections, wall, cpu, Part(0.5), Part(0.99), Part(0.999), Part(1));
        Environment.Exit(0);
    }
}
