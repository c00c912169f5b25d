using System;
using System.Threading;
using System.Threading.Tasks;

namespace Nakama
{
    /// <summary>The interface of the Nakama client for sockets (version 3), to compile the adapter without it.</summary>
    public interface ISocketAdapter
    {
        event Action Connected;

        event Action<string> Closed;

        event Action<Exception> ReceivedError;

        event Action<ArraySegment<byte>> Received;

        bool IsConnected { get; }

        bool IsConnecting { get; }

        Task CloseAsync();

        Task ConnectAsync(Uri uri, int timeout);

        Task SendAsync(
            ArraySegment<byte> buffer, bool reliable = true, CancellationToken canceller = default(CancellationToken));
    }
}
