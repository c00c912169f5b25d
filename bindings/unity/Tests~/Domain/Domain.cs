using System;
using System.Diagnostics;
using System.IO;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;
using Framewire;
using Framewire.Native;
using Framewire.Tests;
using WebSocket = Framewire.WebSocket;

// domain.exe [exit]
//
// Unity reloads scripts by unloading their AppDomain. This test unloads a domain while its sockets are
// busy, three times; the native library stays loaded, as in the editor. With `exit`, Main returns while
// sockets are busy, and the process must exit.

/// <summary>The code that runs in the unloaded domain.</summary>
internal sealed class InDomain : MarshalByRefObject
{
    private const int Each = 4;

    // With handlers, with await, and clients with their own thread.
    internal const int Sockets = 3 * Each;
    private static readonly byte[] s_payload = new byte[1000];
    private static volatile int s_received, s_awaited, s_clients;

    public void Start()
    {
        for (int i = 0; i < Each; i++)
        {
            EchoWithAwait();
            Task.Run(new Func<Task>(EchoWithClient));
            var socket = new WebSocket(Server.Plain("/"));
            socket.OnOpen += ws =>
            {
                for (int burst = 0; burst < 20; burst++)
                {
                    ws.Send(s_payload);
                }
            };
            socket.OnBinaryNoAlloc += (ws, data) =>
            {
                s_received++;
                ws.Send(s_payload);
            };
            socket.Open();
        }
        var game = new Thread(() =>
        {
            while (true)
            {
                WebSocket.Wait(10);
                WebSocket.DispatchAll(0, 1000);
            }
        });
        game.IsBackground = true;
        game.Start();
    }

    private static async void EchoWithAwait()
    {
        var socket = new WebSocket(Server.Plain("/"));
        await socket.OpenAsync();
        while (true)
        {
            socket.Send(s_payload);
            await socket.ReceiveAsync();
            s_awaited++;
        }
    }

    private static async Task EchoWithClient()
    {
        var client = new FramewireClientWebSocket();
        var buffer = new ArraySegment<byte>(new byte[s_payload.Length]);
        await client.ConnectAsync(Server.Plain("/"), CancellationToken.None);
        while (true)
        {
            await client.SendAsync(
                new ArraySegment<byte>(s_payload), WebSocketMessageType.Binary, true, CancellationToken.None);
            await client.ReceiveAsync(buffer, CancellationToken.None);
            s_clients++;
        }
    }

    /// <summary>The number of messages received in the way of which there are the fewest.</summary>
    public int Received()
    {
        return Math.Min(s_received, Math.Min(s_awaited, s_clients));
    }
}

internal static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length > 0 && arguments[0] == "exit")
        {
            var busy = new InDomain();
            busy.Start();
            WaitFor("traffic", () => busy.Received() > 500);
            Console.WriteLine("1 passed, 0 failed");
            return 0;
        }
        int passed = 0;
        for (int round = 0; round < 3; round++)
        {
            AppDomain domain = AppDomain.CreateDomain("scripts " + round);
            var inside = (InDomain)domain.CreateInstanceAndUnwrap(
                typeof(InDomain).Assembly.FullName, typeof(InDomain).FullName);
            inside.Start();
            WaitFor("traffic", () => inside.Received() > 500);
            WaitFor("connections", () => Connections() == InDomain.Sockets);
            Stopwatch clock = Stopwatch.StartNew();
            AppDomain.Unload(domain);
            Console.WriteLine("unloaded in " + clock.ElapsedMilliseconds + " ms");
            // The finalizers of the socket handles have destroyed the sockets.
            WaitFor("closed sockets", () => Connections() == 0);
            // That of the batch has released the events that were not delivered.
            WaitFor("released events", () => Leases() == 0);
            passed++;
        }
        // The library still works.
        bool opened = false;
        using (var socket = new WebSocket(Server.Plain("/")))
        {
            socket.OnOpen += ws => opened = true;
            socket.Open();
            WaitFor("a new socket", () =>
            {
                WebSocket.DispatchAll();
                return opened;
            });
            passed++;
        }
        Console.WriteLine(passed + " passed, " + (4 - passed) + " failed");
        return passed == 4 ? 0 : 1;
    }

    private static unsafe ulong Leases()
    {
        fw_pool_stats stats = default(fw_pool_stats);
        FramewireNative.fw_pool_stats_init(&stats, (UIntPtr)sizeof(fw_pool_stats));
        FramewireNative.fw_buffer_pool_stats(&stats);
        return stats.leases;
    }

    /// <summary>Returns the number of connections to the server, as Linux counts them.</summary>
    private static int Connections()
    {
        int sockets = 0;
        foreach (string line in File.ReadAllLines("/proc/self/net/tcp"))
        {
            // 01 is established. Only on the client's side is the server's port the remote port.
            string[] columns = line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
            if (columns.Length > 3 && columns[2].EndsWith(":" + Server.Plain("/").Port.ToString("X4")) && columns[3] == "01")
            {
                sockets++;
            }
        }
        return sockets;
    }

    private static void WaitFor(string what, Func<bool> condition)
    {
        Stopwatch clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.ElapsedMilliseconds > 10000)
            {
                Console.WriteLine("no " + what + " within 10 seconds\n0 passed, 1 failed");
                Environment.Exit(1);
            }
            Thread.Sleep(5);
        }
    }
}
