using System;
using System.Runtime.InteropServices;

namespace Framewire.Native
{
    /// <summary>
    /// Destroys the native socket when it is disposed, or by its finalizer when a game has forgotten
    /// to, also while an AppDomain unloads. The library refuses dead handles, so calls need no
    /// reference count around them, and destroying takes microseconds on any thread.
    /// </summary>
    internal sealed class SocketHandle : SafeHandle
    {
        internal readonly fw_socket Socket;

        internal SocketHandle(fw_socket socket)
            : base(IntPtr.Zero, true)
        {
            // The id is 64 bits wide everywhere, an IntPtr is not.
            Socket = socket;
            SetHandle(new IntPtr(1));
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            // INVALID_HANDLE after Shutdown, which has destroyed it already: nothing is leaked.
            FramewireNative.fw_socket_destroy(Socket);
            return true;
        }
    }
}
