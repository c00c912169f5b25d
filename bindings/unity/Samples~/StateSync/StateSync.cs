using System;
using Framewire;
using UnityEngine;

/// <summary>
/// Sends the position of <see cref="mine"/> 60 times per second and moves <see cref="theirs"/> to received
/// positions. Allocates no garbage: messages are written to and read from native memory.
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

    // With more bytes queued, the network is congested, and states are skipped.
    private const int MaxBuffered = 256;

    [SerializeField]
    private string address = "ws://127.0.0.1:9001/";

    [SerializeField]
    private Transform mine = null;

    [SerializeField]
    private Transform theirs = null;

    private WebSocket _socket;
    private Vector3 _target;
    private uint _sent;
    private uint _seen;
    private float _untilNext;

    private void Start()
    {
        _socket = new WebSocket(new Uri(address));
        _socket.StartPingThread = true;
        _socket.OnBinaryNoCopy += OnState;
        _socket.OnError += (ws, error) => Debug.LogError(error);
        _socket.Open();
    }

    private void Update()
    {
        theirs.position = Vector3.Lerp(theirs.position, _target, 0.5f);
        _untilNext -= Time.deltaTime;
        if (_untilNext > 0 || !_socket.IsOpen || _socket.BufferedAmount > MaxBuffered)
        {
            return;
        }
        // After a long frame, sends one state instead of catching up.
        _untilNext = Math.Max(_untilNext + Interval, 0);
        Vector3 position = mine.position;
        var state = new State { Number = ++_sent, X = position.x, Y = position.y, Z = position.z };
        NativeSegment segment = NativeSegment.Get(sizeof(State));
        // Copied, because a payload may be unaligned.
        Buffer.MemoryCopy(&state, segment.Data, sizeof(State), sizeof(State));
        _socket.SendAsBinary(segment);
    }

    private void OnDestroy()
    {
        _socket.Dispose();
    }

    private void OnState(WebSocket ws, NativeSegment segment)
    {
        if (segment.Count != sizeof(State))
        {
            return;
        }
        State state;
        Buffer.MemoryCopy(segment.Data, &state, sizeof(State), sizeof(State));
        if (state.Number > _seen)
        {
            _seen = state.Number;
            _target = new Vector3(state.X, state.Y, state.Z);
        }
    }
}
