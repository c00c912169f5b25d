using System;
using System.Runtime.InteropServices;

namespace Framewire.Native
{
    /// <summary>
    /// Destroys the native socket when it is disposed, or in its finalizer, also while an AppDomain unloads.
    /// Stale handles are safe, so calls need no reference count, and destroying takes microseconds on any
    /// thread.
    /// </summary>
    internal sealed class SocketHandle : SafeHandle
    {
        internal readonly fw_socket Socket;

        internal SocketHandle(fw_socket socket)
            : base(IntPtr.Zero, true)
        {
            // The id has 64 bits on every platform, which may not fit into an IntPtr.
            Socket = socket;
            SetHandle(new IntPtr(1));
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            // Returns INVALID_HANDLE after Shutdown, which has destroyed the socket.
            FramewireNative.fw_socket_destroy(Socket);
            return true;
        }
    }
}
