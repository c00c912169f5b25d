using System;
using Framewire;
using UnityEngine;

/// <summary>
/// Sends the position of <see cref="mine"/> 60 times per second and moves <see cref="theirs"/> to received
/// positions, beside a transfer in bulk on the same socket, for a server that echoes. Allocates no garbage: messages
/// are written to and read from native memory.
/// </summary>
public sealed unsafe class StateSync : MonoBehaviour
{
    // The message layout. Both ends are little-endian, like all Unity targets.
    private struct State
    {
        public uint Number;
        public float X;
        public float Y;
        public float Z;
    }

    private const float Interval = 1f / 60f;

    // Lanes: states go before the parts of the transfer.
    private const int States = 0;
    private const int Transfer = 1;

    // A newer state replaces the one with its key that still waits, so states never queue up. With several objects,
    // each has its own key.
    private const ulong MyKey = 1;

    // A state that is older than this is of no use.
    private const int TimeToLive = 250;

    // A part that has begun holds up the states, so it is small.
    private const int PartSize = 16 * 1024;
    private const ulong MaxWaiting = 256 * 1024;

    [SerializeField]
    private string address = "ws://127.0.0.1:9001/";

    [SerializeField]
    private Transform mine = null;

    [SerializeField]
    private Transform theirs = null;

    [SerializeField]
    private bool transfer = false;

    private WebSocket _socket;
    private Vector3 _target;
    private uint _sent;
    private uint _seen;
    private float _untilNext;
    private long _transferred;

    /// <summary>Returns the bytes of the transfer that the server has sent back.</summary>
    public long Transferred
    {
        get { return _transferred; }
    }

    private void Start()
    {
        _socket = new WebSocket(new Uri(address));
        _socket.StartPingThread = true;
        _socket.OnBinaryNoCopy += OnBinary;
        _socket.OnError += (ws, error) => Debug.LogError(error);
        _socket.SetLanes(new WebSocketLane(0), new WebSocketLane(1));
        _socket.Open();
    }

    private void Update()
    {
        theirs.position = Vector3.Lerp(theirs.position, _target, 0.5f);
        if (!_socket.IsOpen)
        {
            return;
        }
        if (transfer)
        {
            SendParts();
        }
        _untilNext -= Time.deltaTime;
        if (_untilNext <= 0)
        {
            // After a long frame, sends one state instead of catching up.
            _untilNext = Math.Max(_untilNext + Interval, 0);
            SendState();
        }
    }

    private void OnDestroy()
    {
        _socket.Dispose();
    }

    private void SendState()
    {
        Vector3 position = mine.position;
        var state = new State { Number = ++_sent, X = position.x, Y = position.y, Z = position.z };
        var options = new SendOptions { Lane = States, Key = MyKey, TimeToLive = TimeToLive };
        // The payload is copied.
        _socket.Send((byte*)&state, sizeof(State), options);
    }

    // Keeps some parts in their lane, so that the connection is never idle, and memory stays bounded.
    private void SendParts()
    {
        var options = new SendOptions { Lane = Transfer };
        while (_socket.GetLaneStatistics(Transfer).WaitingBytes < MaxWaiting)
        {
            NativeSegment part = NativeSegment.Get(PartSize);
            for (int index = 0; index < PartSize; index++)
            {
                part.Data[index] = (byte)index;
            }
            if (_socket.SendAsBinary(part, options) != SendResult.Queued)
            {
                break;
            }
        }
    }

    private void OnBinary(WebSocket ws, NativeSegment segment)
    {
        if (segment.Count != sizeof(State))
        {
            _transferred += segment.Count;
            return;
        }
        State state;
        // Copied, because a payload may be unaligned.
        Buffer.MemoryCopy(segment.Data, &state, sizeof(State), sizeof(State));
        if (state.Number > _seen)
        {
            _seen = state.Number;
            _target = new Vector3(state.X, state.Y, state.Z);
        }
    }
}
