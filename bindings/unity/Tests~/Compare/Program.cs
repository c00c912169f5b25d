using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Reflection;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Framewire;
using Client = System.Net.WebSockets.WebSocket;

// compare.exe system|framewire [WORD]
//
// Runs everything that ClientWebSocket documents and prints what happens, one line for each observation:
//
//     scenario: what | result
//
// With `system` on the runtime's own ClientWebSocket, with `framewire` on FramewireClientWebSocket. The lines are the
// same, except for those in Documentation~/clientwebsocket-differences.txt.

internal static class Program
{
    private static bool s_isOwn;

    private static int Main(string[] arguments)
    {
        s_isOwn = arguments[0] == "framewire";
        var scenarios = new Scenarios();
        foreach (MethodInfo method in typeof(Scenarios).GetMethods(BindingFlags.Instance | BindingFlags.NonPublic))
        {
            if (method.ReturnType != typeof(Task) || method.GetParameters().Length != 0
                || arguments.Length > 1 && !method.Name.Contains(arguments[1]))
            {
                continue;
            }
            Output.Scenario = method.Name;
            Task task = Task.Run(() => (Task)method.Invoke(scenarios, null));
            try
            {
                if (!task.Wait(10000))
                {
                    Output.Line("end", "does not end");
                }
            }
            catch (AggregateException exception)
            {
                Output.Line("end", exception.InnerException.ToString().Replace('\n', ' '));
            }
            Output.PrintServer();
        }
        return 0;
    }

    internal static Client New()
    {
        return s_isOwn ? (Client)new FramewireClientWebSocket() : new ClientWebSocket();
    }

    internal static Task Connect(this Client client, Uri uri, CancellationToken cancellation = default(CancellationToken))
    {
        return s_isOwn
            ? ((FramewireClientWebSocket)client).ConnectAsync(uri, cancellation)
            : ((ClientWebSocket)client).ConnectAsync(uri, cancellation);
    }

    internal static async Task<Client> Connected(Peer peer)
    {
        Client client = New();
        client.KeepAlive(TimeSpan.Zero);
        await client.Connect(peer.Uri);
        return client;
    }

    internal static void KeepAlive(this Client client, TimeSpan interval)
    {
        if (s_isOwn)
        {
            ((FramewireClientWebSocket)client).Options.KeepAliveInterval = interval;
        }
        else
        {
            ((ClientWebSocket)client).Options.KeepAliveInterval = interval;
        }
    }

    internal static void AddSubProtocol(this Client client, string name)
    {
        if (s_isOwn)
        {
            ((FramewireClientWebSocket)client).Options.AddSubProtocol(name);
        }
        else
        {
            ((ClientWebSocket)client).Options.AddSubProtocol(name);
        }
    }

    internal static void SetHeader(this Client client, string name, string value)
    {
        if (s_isOwn)
        {
            ((FramewireClientWebSocket)client).Options.SetRequestHeader(name, value);
        }
        else
        {
            ((ClientWebSocket)client).Options.SetRequestHeader(name, value);
        }
    }

    internal static void SetBuffer(this Client client, int receive, int send)
    {
        if (s_isOwn)
        {
            ((FramewireClientWebSocket)client).Options.SetBuffer(receive, send);
        }
        else
        {
            ((ClientWebSocket)client).Options.SetBuffer(receive, send);
        }
    }
}

internal static class Output
{
    internal static string Scenario;

    internal static void Line(string what, object result)
    {
        lock (typeof(Output))
        {
            Console.WriteLine(Scenario + ": " + what + " | " + (result ?? "null"));
        }
    }

    /// <summary>Prints what the server observes, after what the client does.</summary>
    internal static void Server(string what, object result)
    {
        lock (s_server)
        {
            s_server.Add(what + " | " + (result ?? "null"));
        }
    }

    internal static void PrintServer()
    {
        lock (s_server)
        {
            foreach (string line in s_server)
            {
                Console.WriteLine(Scenario + ": " + line);
            }
            s_server.Clear();
        }
    }

    private static readonly List<string> s_server = new List<string>();

    internal static void State(this Client client)
    {
        Line("state", client.State);
    }

    internal static void State(this Client client, string when)
    {
        Line("state " + when, client.State);
    }

    internal static void CloseStatus(this Client client)
    {
        Line("close status", client.CloseStatus == null ? "null" : (int)client.CloseStatus + " '"
            + (client.CloseStatusDescription ?? "null") + "'");
    }

    /// <summary>Prints whether code throws.</summary>
    internal static void Try(string what, Action code)
    {
        try
        {
            code();
            Line(what, "ok");
        }
        catch (Exception exception)
        {
            Line(what, Name(exception));
        }
    }

    /// <summary>Prints how a task ends.</summary>
    internal static async Task Try(string what, Func<Task> code)
    {
        try
        {
            Task task = code();
            if (await Task.WhenAny(task, Task.Delay(3000)) != task)
            {
                Line(what, "does not end");
                return;
            }
            await task;
            Line(what, "ok");
        }
        catch (Exception exception)
        {
            Line(what, Name(exception));
        }
    }

    /// <summary>Prints what a receive returns.</summary>
    internal static async Task TryReceive(string what, Func<Task<WebSocketReceiveResult>> code, byte[] buffer = null)
    {
        try
        {
            Task<WebSocketReceiveResult> task = code();
            if (await Task.WhenAny(task, Task.Delay(3000)) != task)
            {
                Line(what, "does not end");
                return;
            }
            WebSocketReceiveResult result = await task;
            string close = result.CloseStatus == null ? "" : " " + (int)result.CloseStatus + " '"
                + (result.CloseStatusDescription ?? "null") + "'";
            string text = buffer == null ? "" : " '" + Encoding.UTF8.GetString(buffer, 0, result.Count) + "'";
            Line(what, result.MessageType + " " + result.Count + (result.EndOfMessage ? " end" : "") + close + text);
        }
        catch (Exception exception)
        {
            Line(what, Name(exception));
        }
    }

    private static string Name(Exception exception)
    {
        if (exception is OperationCanceledException)
        {
            return "OperationCanceledException";
        }
        var webSocket = exception as WebSocketException;
        return exception.GetType().Name + (webSocket == null ? "" : " " + webSocket.WebSocketErrorCode);
    }
}
