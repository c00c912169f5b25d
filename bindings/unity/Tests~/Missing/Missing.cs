using System;
using Framewire;

// missing.exe
//
// Runs where no native library is. The first use has to say which file is missing and how to get it, and so has each
// further socket. Frames without a socket do nothing. The end of the game, finalizers included, must not crash.

internal static class Program
{
    private static int Main()
    {
        for (int attempt = 0; attempt < 2; attempt++)
        {
            try
            {
                new WebSocket(new Uri("ws://127.0.0.1:1/"));
                Console.WriteLine("a socket was created without a native library");
                return 1;
            }
            catch (DllNotFoundException problem)
            {
                Console.WriteLine(problem.Message);
                if (!problem.Message.Contains("Runtime/Plugins/linux-x86_64/libframewire.so")
                    || !problem.Message.Contains("cargo xtask dist x86_64-unknown-linux-gnu")
                    || !problem.Message.Contains("The system reports: "))
                {
                    return 1;
                }
            }
        }
        if (WebSocket.Pending != 0 || !WebSocket.Shutdown(0))
        {
            return 1;
        }
        // What an updater calls, also in a game that never uses a socket, does nothing.
        WebSocket.NetworkChanged();
        WebSocket.Suspend();
        WebSocket.Resume();
        if (WebSocket.DispatchAll() != 0 || WebSocket.DispatchAll(0, 1000) != 0)
        {
            return 1;
        }
        Console.WriteLine("4 passed, 0 failed");
        return 0;
    }
}
