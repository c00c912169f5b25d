using System;
using System.Runtime.InteropServices;

// Contains the faults that emcc must detect in what WasmAbi.cs writes.

internal struct fw_socket
{
    public uint id;
}

internal struct fw_buffer
{
    public ulong id;
}

internal unsafe struct fw_segment
{
    public byte* data;
    public UIntPtr offset;
    public UIntPtr count;
    public fw_buffer buffer;
}

internal unsafe struct fw_error
{
    public int os_code;
    public uint kind;
    public uint phase;
    public ushort http_status;
    public byte tls_alert;
    public uint retriable;
    public byte* message;
    public ulong reserved0;
    public ulong reserved1;
}

internal struct fw_reconnect
{
    public uint struct_size;
    public uint enabled;
    public uint min_delay_ms;
    public ulong max_delay_ms;
}

internal static unsafe class Planted
{
    [DllImport("framewire", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_version();

    [DllImport("__Internal", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_socket_close(fw_buffer socket, uint code);

    [DllImport("__Internal", CallingConvention = CallingConvention.Cdecl)]
    internal static extern int fw_socket_latency_us(fw_socket socket);

    [DllImport("__Internal", CallingConvention = CallingConvention.Cdecl)]
    internal static extern byte fw_wait(ulong timeout_ms);

    [DllImport("__Internal", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_segment_release(fw_segment* segment);

    [DllImport("__Internal", CallingConvention = CallingConvention.Cdecl)]
    internal static extern uint fw_socket_send_text(fw_socket socket, ushort* text, UIntPtr length);
}
