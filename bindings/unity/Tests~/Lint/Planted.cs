using System;
using System.Reflection.Emit;
using System.Runtime.InteropServices;

// Contains the faults that the lint must detect.

internal enum fw_state : uint
{
    FW_STATE_CONNECTING = 0,
    FW_STATE_OPEN = 7,
    FW_STATE_CLOSING = 2,
    FW_STATE_CLOSED = 3,
    FW_STATE_UNKNOWN = 4,
}

internal enum fw_phase : uint
{
    FW_PHASE_NONE = 0,
}

internal struct fw_socket
{
    public ulong id;
}

internal unsafe struct fw_segment
{
    public byte* data;
    public UIntPtr count;
    public UIntPtr offset;
    public ulong buffer;
}

internal struct fw_pool_stats
{
    public ulong blocks_in_use;
    public ulong bytes_in_use;
}

internal unsafe struct fw_error
{
    public uint kind;
    public uint phase;
    public long os_code;
    public ushort http_status;
    public byte tls_alert;
    public uint retriable;
    public byte* message;
    public ulong reserved0;
    public ulong reserved1;
}

internal delegate void fw_open_fn(fw_socket socket, IntPtr userData);

internal static class Planted
{
    internal const uint FW_VERSION = 0xff0000;

    [DllImport("framewire")]
    internal static extern uint fw_version();

    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_not_there();

    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_socket_open(fw_socket socket, uint flags);

    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern bool fw_socket_is_open(fw_socket socket);

    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_socket_set_origin(fw_socket socket, string origin);

    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_socket_on_open(fw_socket socket, fw_open_fn callback, IntPtr userData);

    internal static IntPtr Leak(fw_open_fn callback)
    {
        new DynamicMethod("emitted", typeof(void), null);
        return Marshal.GetFunctionPointerForDelegate(callback);
    }
}
