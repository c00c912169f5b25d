using System.Threading;
using Cysharp.Threading.Tasks;

namespace Framewire
{
    /// <summary>The asynchronous methods of <see cref="WebSocket"/> with UniTask.</summary>
    public static class WebSocketUniTaskExtensions
    {
        /// <summary>As <see cref="WebSocket.OpenAsync"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Aborts the attempt.</param>
        /// <returns>A UniTask to await once.</returns>
        public static async UniTask OpenUniTask(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            await webSocket.OpenAsync(cancellation);
        }

        /// <summary>As <see cref="WebSocket.CloseAsync(CancellationToken)"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Aborts the connection.</param>
        /// <returns>A UniTask to await once.</returns>
        public static async UniTask CloseUniTask(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            await webSocket.CloseAsync(cancellation);
        }

        /// <summary>As <see cref="WebSocket.ReceiveAsync"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Ends the wait without losing a message.</param>
        /// <returns>A UniTask to await once.</returns>
        public static async UniTask<WebSocketMessage> ReceiveUniTask(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            return await webSocket.ReceiveAsync(cancellation);
        }
    }
}
