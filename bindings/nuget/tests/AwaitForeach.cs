using System;
using System.Threading.Tasks;
using Framewire;

// Receives messages with `await foreach`, completed inside DispatchAll. Prints them; the exit code is 0 on success.
internal static class Program
{
    private static int Main(string[] arguments)
    {
        Task<int> game = Play(new Uri(arguments[0]));
        while (!game.IsCompleted)
        {
            WebSocket.Wait(10);
            WebSocket.DispatchAll();
        }
        return game.Result;
    }

    private static async Task<int> Play(Uri uri)
    {
        using var socket = new WebSocket(uri);
        await socket.OpenAsync();
        for (int i = 0; i < 3; i++)
        {
            socket.Send("number " + i);
        }
        int received = 0;
        await foreach (WebSocketMessage message in socket.ReceiveAllAsync())
        {
            Console.WriteLine(message.Text);
            if (++received == 3)
            {
                // The loop can end before the connection does.
                break;
            }
        }
        socket.Send("last");
        Task closing = null;
        await foreach (WebSocketMessage message in socket.ReceiveAllAsync())
        {
            Console.WriteLine(message.Text);
            closing = socket.CloseAsync().AsTask();
        }
        if (closing == null)
        {
            return 1;
        }
        await closing;
        return socket.CloseCode == 1000 ? 0 : 1;
    }
}
