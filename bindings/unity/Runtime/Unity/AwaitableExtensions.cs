#if UNITY_2023_1_OR_NEWER
using System.Threading;
using UnityEngine;

namespace Framewire
{
    /// <summary>The asynchronous methods of <see cref="WebSocket"/> with Unity's Awaitable, which is pooled.</summary>
    public static class WebSocketAwaitableExtensions
    {
        /// <summary>As <see cref="WebSocket.OpenAsync"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Aborts the attempt.</param>
        /// <returns>An Awaitable to await once.</returns>
        public static async Awaitable OpenAwaitable(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            await webSocket.OpenAsync(cancellation);
        }

        /// <summary>As <see cref="WebSocket.CloseAsync(CancellationToken)"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Aborts the connection.</param>
        /// <returns>An Awaitable to await once.</returns>
        public static async Awaitable CloseAwaitable(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            await webSocket.CloseAsync(cancellation);
        }

        /// <summary>As <see cref="WebSocket.ReceiveAsync"/>.</summary>
        /// <param name="webSocket">The socket.</param>
        /// <param name="cancellation">Ends the wait without losing a message.</param>
        /// <returns>An Awaitable to await once.</returns>
        public static async Awaitable<WebSocketMessage> ReceiveAwaitable(
            this WebSocket webSocket, CancellationToken cancellation = default(CancellationToken))
        {
            return await webSocket.ReceiveAsync(cancellation);
        }
    }
}
#endif
