using System;

namespace Framewire
{
    /// <summary>
    /// Reserved bits of a WebSocket frame, which mark the messages that an extension has encoded (RFC 6455
    /// section 5.2).
    /// </summary>
    [Flags]
    public enum ReservedBits : byte
    {
        /// <summary>No bit.</summary>
        None = 0,

        /// <summary>RSV3.</summary>
        Rsv3 = 1,

        /// <summary>RSV2.</summary>
        Rsv2 = 2,

        /// <summary>RSV1. <see cref="PerMessageCompression"/> uses it.</summary>
        Rsv1 = 4,
    }

    /// <summary>
    /// The base class for WebSocket extensions of your own (RFC 6455 section 9), for the constructor of
    /// <see cref="WebSocket"/>. Not available under WebGL.
    /// </summary>
    /// <remarks>
    /// Its methods are called on the thread that sends or dispatches, never on a worker thread. Messages pass the
    /// extensions in the order of the constructor when they are sent, before compression, and in the reverse order
    /// when they are received. An exception in <see cref="Accept"/> is reported to
    /// <see cref="WebSocket.UnhandledException"/> and rejects the parameters. An exception in <see cref="Encode"/>
    /// reaches the caller of Send, and nothing is sent.
    /// An exception in <see cref="Decode"/>, a text that is no UTF-8 after it, or a result larger than
    /// <see cref="WebSocket.MaxMessageSize"/> closes the connection.
    /// </remarks>
    public abstract class CustomExtension : IExtension
    {
        /// <summary>The name in the Sec-WebSocket-Extensions header, a token.</summary>
        public abstract string Name { get; }

        /// <summary>The reserved bits that mark its messages; at least one, which no other extension uses.</summary>
        public abstract ReservedBits ReservedBits { get; }

        /// <summary>
        /// The offer in the upgrade request, such as <c>x-xor; key=7</c>. Read when the socket is created.
        /// Default: the name.
        /// </summary>
        public virtual string Offer
        {
            get { return Name; }
        }

        /// <summary>
        /// Reads the server's response, before <see cref="WebSocket.OnOpen"/> is called. Called for each connection
        /// whose server has accepted the extension; otherwise the extension is not used.
        /// </summary>
        /// <param name="element">The accepted extension, such as <c>x-xor; key=7</c>.</param>
        /// <returns>Whether the parameters are valid; otherwise the socket is closed with code 1010.</returns>
        public virtual bool Accept(string element)
        {
            return true;
        }

        /// <summary>Encodes a message, inside the Send method.</summary>
        /// <param name="type">The type of the message.</param>
        /// <param name="payload">The payload, valid until the method returns.</param>
        /// <param name="encoded">Receives the encoded payload, which is copied when the method returns.</param>
        /// <returns>Whether the message was encoded; otherwise it is sent unchanged, without the reserved bits.</returns>
        public abstract bool Encode(WebSocketFrameTypes type, BufferSegment payload, out BufferSegment encoded);

        /// <summary>Decodes a received message that has a reserved bit of the extension, before the event is called.</summary>
        /// <param name="type">The type of the message.</param>
        /// <param name="payload">The payload, valid until the method returns.</param>
        /// <returns>The decoded payload, which is copied when the method returns.</returns>
        public abstract BufferSegment Decode(WebSocketFrameTypes type, BufferSegment payload);
    }
}
