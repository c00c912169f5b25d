#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Framewire.Native;

namespace Framewire
{
    /// <summary>The type of a <see cref="WebSocketMessage"/>.</summary>
    public enum WebSocketMessageTypes : byte
    {
        /// <summary>A text message, in UTF-8.</summary>
        Text = 1,

        /// <summary>A binary message.</summary>
        Binary = 2,

        /// <summary>No message: the connection has ended with a closing handshake or a cancel.</summary>
        Closed = 8,
    }

    /// <summary>
    /// The result of <see cref="WebSocket.ReceiveAsync"/>. The payload is native memory that is valid until the next
    /// ReceiveAsync of the socket, or until it is disposed. To keep it longer, copy it or
    /// <see cref="NativeSegment.Retain"/> its Data.
    /// </summary>
    public unsafe struct WebSocketMessage
    {
        private readonly WebSocketMessageTypes _type;
        private readonly NativeSegment _data;
        private readonly ushort _closeCode;
        private readonly string _closeReason;

        internal WebSocketMessage(WebSocketMessageTypes type, fw_segment data)
        {
            _type = type;
            _data = new NativeSegment(data);
            _closeCode = 0;
            _closeReason = null;
        }

        internal WebSocketMessage(ushort closeCode, string closeReason)
        {
            _type = WebSocketMessageTypes.Closed;
            _data = default(NativeSegment);
            _closeCode = closeCode;
            _closeReason = closeReason;
        }

        /// <summary>The type.</summary>
        public WebSocketMessageTypes Type
        {
            get { return _type; }
        }

        /// <summary>Whether the connection has ended. There are no messages after this.</summary>
        public bool IsClosed
        {
            get { return _type == WebSocketMessageTypes.Closed; }
        }

        /// <summary>The payload, in native memory, without a copy.</summary>
        public NativeSegment Data
        {
            get { return _data; }
        }

        /// <summary>The size of the payload in bytes.</summary>
        public int Count
        {
            get { return _data.Count; }
        }

        /// <summary>The payload as text. Allocates a string at each call.</summary>
        public string Text
        {
            get { return Utf8.Read(_data.Data, _data.Count); }
        }

        /// <summary>Copies the payload to a new array.</summary>
        /// <returns>The array.</returns>
        public byte[] ToArray()
        {
            return _data.ToArray();
        }

        /// <summary>Copies the payload into an array.</summary>
        /// <param name="to">The destination.</param>
        /// <param name="offset">The index of the first byte in the destination.</param>
        public void CopyTo(byte[] to, int offset)
        {
            _data.CopyTo(to, offset);
        }

        /// <summary>The close code, if <see cref="IsClosed"/>; otherwise 0.</summary>
        public int CloseCode
        {
            get { return _closeCode; }
        }

        /// <summary>The close reason, if <see cref="IsClosed"/>; otherwise null.</summary>
        public string CloseReason
        {
            get { return _closeReason; }
        }
    }

    /// <summary>
    /// The messages of a socket for <c>await foreach</c>, see <see cref="WebSocket.ReceiveAllAsync"/>.
    /// </summary>
    public struct WebSocketMessages : IAsyncEnumerable<WebSocketMessage>
    {
        private readonly WebSocket _socket;
        private readonly CancellationToken _cancellation;

        internal WebSocketMessages(WebSocket socket, CancellationToken cancellation)
        {
            _socket = socket;
            _cancellation = cancellation;
        }

        /// <summary>Returns the enumerator.</summary>
        /// <param name="cancellationToken">Used if ReceiveAllAsync was called without a token.</param>
        /// <returns>The enumerator.</returns>
        public Enumerator GetAsyncEnumerator(CancellationToken cancellationToken = default(CancellationToken))
        {
            return new Enumerator(_socket, _cancellation.CanBeCanceled ? _cancellation : cancellationToken);
        }

        IAsyncEnumerator<WebSocketMessage> IAsyncEnumerable<WebSocketMessage>.GetAsyncEnumerator(
            CancellationToken cancellationToken)
        {
            return GetAsyncEnumerator(cancellationToken);
        }

        /// <summary>Receives one message after another.</summary>
        public struct Enumerator : IAsyncEnumerator<WebSocketMessage>
        {
            private readonly WebSocket _socket;
            private readonly CancellationToken _cancellation;

            internal Enumerator(WebSocket socket, CancellationToken cancellation)
            {
                _socket = socket;
                _cancellation = cancellation;
            }

            /// <summary>The message, valid until the next MoveNextAsync.</summary>
            public WebSocketMessage Current
            {
                get { return _socket.CurrentMessage; }
            }

            /// <summary>Receives the next message.</summary>
            /// <returns>False at the end of the connection.</returns>
            public ValueTask<bool> MoveNextAsync()
            {
                return _socket.MoveNextAsync(_cancellation);
            }

            /// <summary>Ends the enumeration. The socket stays open.</summary>
            /// <returns>A completed task.</returns>
            public ValueTask DisposeAsync()
            {
                return default(ValueTask);
            }
        }
    }

    /// <summary>Thrown by the asynchronous methods when a connection fails or ends.</summary>
    public sealed class WebSocketConnectionException : Exception
    {
        internal WebSocketConnectionException(string message, WebSocketError error)
            : base(message)
        {
            Error = error;
        }

        /// <summary>The details, or null if the connection was closed and did not fail.</summary>
        public WebSocketError Error { get; private set; }
    }
}
#endif
