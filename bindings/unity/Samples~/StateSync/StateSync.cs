using System;
using Framewire;
using UnityEngine;

/// <summary>
/// Sends where <see cref="mine"/> is 60 times a second and moves <see cref="theirs"/> to where the server
/// says. Neither direction leaves garbage: what is sent is written into the library's memory, what
/// comes is read where it was received.
/// </summary>
public sealed unsafe class StateSync : MonoBehaviour
{
    // As it goes over the network: both ends are little-endian, as all of Unity's targets are.
    private struct State
    {
        public uint Number;
        public float X;
        public float Y;
        public float Z;
    }

    private const float Interval = 1f / 60f;

    // Behind by so much, the network is what lags: newer states will do.
    private const int EnoughBuffered = 256;

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
        if (_untilNext > 0 || !_socket.IsOpen || _socket.BufferedAmount > EnoughBuffered)
        {
            return;
        }
        // After a long frame one state is enough, not one for each that was missed.
        _untilNext = Math.Max(_untilNext + Interval, 0);
        Vector3 position = mine.position;
        var state = new State { Number = ++_sent, X = position.x, Y = position.y, Z = position.z };
        NativeSegment segment = NativeSegment.Get(sizeof(State));
        // Copied, as messages lie at any address, and not every processor reads numbers from there.
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
