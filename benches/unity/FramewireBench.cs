// Framewire's Unity binding, in Mono and CoreCLR. Follows the script of ../c/bench.c with one connection.
//
//     FramewireBench.exe MODE URL [--size N] [--count N] [--warm N] [--variant V] [--round N]
//
// MODE is echo, recv, send or connect. The variant is the handler that receives: no-alloc (the default), no-copy
// or array. With "budget" in the variant, dispatching has a time budget, as in a Unity frame.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using Framewire;

internal static unsafe class FramewireBench
{
    private static string s_mode = "echo", s_url = "", s_variant = "no-alloc";
    private static int s_size = 128;
    private static long s_count = 10000, s_warm = -1, s_round;
    private static long s_seen, s_toSend, s_sendRound;
    private static bool s_done, s_isOpen, s_isReceiving;
    private static int s_budget;
    private static byte[] s_payload;
    private static WebSocket s_socket;

    private static readonly List<long> s_times = new List<long>();
    private static readonly long[] s_usage = new long[32];
    private static readonly Func<long> s_allocatedByThread = FindCounter();
    private static long s_wall, s_cpu, s_user, s_allocated, s_since, s_nativeCalls;
    private static int s_collections;

    [DllImport("libc", CallingConvention = CallingConvention.Cdecl)]
    private static extern int getrusage(int who, long* usage);

    private static long Now()
    {
        return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
    }

    private static void Stamp(int sign)
    {
        s_allocated += sign * (s_allocatedByThread == null ? 0 : s_allocatedByThread());
        s_collections += sign * GC.CollectionCount(0);
        s_nativeCalls += sign * Framewire.Native.EventBatch.NativeCalls;
        s_wall += sign * Now();
        fixed (long* usage = s_usage)
        {
            // struct rusage begins with two struct timeval: user and system.
            getrusage(0, usage);
            s_user += sign * (usage[0] * 1000000000 + usage[1] * 1000);
            s_cpu += sign * ((usage[0] + usage[2]) * 1000000000 + (usage[1] + usage[3]) * 1000);
        }
    }

    private static void End()
    {
        Stamp(1);
        s_done = true;
    }

    private static Func<long> FindCounter()
    {
        var method = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread");
        return method == null ? null : (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), method);
    }

    private static void Send()
    {
        if (s_socket.Send(s_payload) != SendResult.Queued)
        {
            throw new Exception("a message was not queued");
        }
    }

    private static void SendAllowed()
    {
        long count = s_toSend;
        s_toSend = 0;
        for (; count > 0; count--)
        {
            Send();
        }
    }

    private static void Request(long messages)
    {
        s_socket.Send(messages.ToString());
    }

    // ------------------------------------------------------------------------------------------- handlers

    private static void OnOpen(WebSocket socket)
    {
        s_isOpen = true;
        switch (s_mode)
        {
            case "echo":
                Send();
                break;
            case "recv":
                Request(s_warm);
                break;
            case "send":
                s_warm = s_sendRound * 2;
                s_count = (s_count + s_sendRound - 1) / s_sendRound * s_sendRound;
                Request(s_sendRound);
                s_toSend = s_sendRound * 2;
                SendAllowed();
                break;
        }
    }

    private static void OnError(WebSocket socket, string error)
    {
        Console.Error.WriteLine(error);
        Environment.Exit(1);
    }

    private static void OnArray(WebSocket socket, byte[] message)
    {
        Received(message.Length);
    }

    private static void OnNoAlloc(WebSocket socket, BufferSegment message)
    {
        Received(message.Count);
    }

    private static void OnNoCopy(WebSocket socket, NativeSegment message)
    {
        Received(message.Count);
    }

    private static void Received(int length)
    {
        s_seen++;
        if (s_isReceiving)
        {
            if (length != s_size)
            {
                throw new Exception("received a message of another size");
            }
            if (s_seen == s_warm)
            {
                Request(s_round == 0 ? s_count : s_round);
                Stamp(-1);
            }
            else if (s_seen == s_warm + s_count)
            {
                End();
            }
            else if (s_round != 0 && s_seen > s_warm && s_seen % s_round == 0)
            {
                Request(s_round);
            }
        }
        else
        {
            Echoed();
        }
    }

    private static void Echoed()
    {
        long now = Now();
        if (s_seen > s_warm)
        {
            s_times.Add(now - s_since);
        }
        if (s_seen == s_warm)
        {
            Stamp(-1);
        }
        if (s_seen == s_warm + s_count)
        {
            End();
            return;
        }
        s_since = Now();
        Send();
    }

    // The server has confirmed a round.
    private static void OnConfirmed(WebSocket socket, BufferSegment text)
    {
        s_seen += s_sendRound;
        if (s_seen == s_warm)
        {
            Stamp(-1);
            s_toSend = Math.Min(s_count, s_sendRound * 2);
        }
        else if (s_seen > s_warm)
        {
            long asked = s_seen - s_warm + s_sendRound;
            if (s_seen == s_warm + s_count)
            {
                End();
            }
            else if (asked < s_count)
            {
                s_toSend += s_sendRound;
            }
        }
        SendAllowed();
    }

    // ------------------------------------------------------------------------------------------------ run

    private static void Frame()
    {
        if (WebSocket.Wait(100))
        {
            WebSocket.DispatchAll(0, s_budget);
        }
    }

    private static void Open()
    {
        s_socket = new WebSocket(new Uri(s_url), null, null, null);
        s_socket.OnOpen = OnOpen;
        s_socket.OnError = OnError;
        s_socket.OnMessageNoAlloc = OnConfirmed;
        if (s_variant.StartsWith("array"))
        {
            s_socket.OnBinary = OnArray;
        }
        else if (s_variant.StartsWith("no-copy"))
        {
            s_socket.OnBinaryNoCopy = OnNoCopy;
        }
        else
        {
            s_socket.OnBinaryNoAlloc = OnNoAlloc;
        }
        s_socket.Open();
    }

    private static void Connect()
    {
        Stamp(-1);
        for (long i = 0; i < s_count; i++)
        {
            long begun = Now();
            s_isOpen = false;
            Open();
            while (!s_isOpen)
            {
                Frame();
            }
            s_times.Add(Now() - begun);
            s_socket.Abort();
            s_socket.Dispose();
        }
        End();
    }

    private static void Parse(string[] arguments)
    {
        s_mode = arguments[0];
        s_isReceiving = s_mode == "recv";
        for (int i = 2; i + 1 < arguments.Length; i += 2)
        {
            string value = arguments[i + 1];
            switch (arguments[i])
            {
                case "--size": s_size = int.Parse(value); break;
                case "--count": s_count = long.Parse(value); break;
                case "--warm": s_warm = long.Parse(value); break;
                case "--round": s_round = long.Parse(value); break;
                case "--variant": s_variant = value; break;
            }
        }
        s_warm = s_warm < 0 ? s_count / 10 + 1 : s_warm;
        if (s_round != 0)
        {
            s_warm = s_round * 2;
            s_count = (s_count + s_round - 1) / s_round * s_round;
        }
        s_budget = s_variant.Contains("budget") ? 1000 : 0;
        string path = s_mode == "echo" ? "/echo" : s_mode == "recv" ? "/flood/" + s_size
            : s_mode == "send" ? "/sink" : "/idle";
        s_url = arguments[1] + path;
        s_payload = new byte[s_size];
        s_times.Capacity = s_mode == "echo" || s_mode == "connect" ? (int)s_count + 1 : 0;
        s_sendRound = Math.Max(2, (512 << 10) / (s_size + 16));
    }

    private static long Percentile(double part)
    {
        return s_times.Count == 0 ? 0 : s_times[Math.Min(s_times.Count - 1, (int)(s_times.Count * part))];
    }

    private static void Main(string[] arguments)
    {
        Parse(arguments);
        if (s_mode == "connect")
        {
            Connect();
        }
        else
        {
            Open();
            while (!s_done)
            {
                Frame();
            }
        }
        s_times.Sort();
        Console.WriteLine(
            "{{\"client\":\"framewire\",\"variant\":\"{0}\",\"mode\":\"{1}\",\"tls\":0,\"size\":{2},\"count\":{3},"
            + "\"connections\":1,\"wall_ns\":{4},\"cpu_ns\":{5},\"user_ns\":{6},\"managed_bytes\":{7},"
            + "\"collections\":{8},\"native_calls\":{9},\"p50_ns\":{10},\"p99_ns\":{11},\"p999_ns\":{12},"
            + "\"max_ns\":{13}}}",
            s_variant, s_mode, s_size, s_count, s_wall, s_cpu, s_user, s_allocated, s_collections, s_nativeCalls,
            Percentile(0.5), Percentile(0.99), Percentile(0.999), Percentile(1));
        WebSocket.Shutdown(2000);
    }
}
