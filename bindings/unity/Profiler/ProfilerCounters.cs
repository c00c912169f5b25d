// Not in release builds, which have no profiler.
#if ENABLE_PROFILER
using Unity.Profiling;
using UnityEngine;
using UnityEngine.Scripting;

namespace Framewire
{
    /// <summary>
    /// Counters for Unity's Profiler, over all sockets. Updated by each DispatchAll, once per frame, without garbage.
    /// </summary>
    internal static class ProfilerCounters
    {
        private const ProfilerCounterOptions PerFrame =
            ProfilerCounterOptions.FlushOnEndOfFrame | ProfilerCounterOptions.ResetToZeroOnFlush;

        private static readonly TrafficMeter s_meter = new TrafficMeter();

        // Not readonly, because the setter of a readonly field's Value is not accepted by the compiler.
        private static ProfilerCounterValue<ulong> s_messagesSent =
            Create("Framewire Messages Sent", ProfilerMarkerDataUnit.Count, PerFrame);
        private static ProfilerCounterValue<ulong> s_messagesReceived =
            Create("Framewire Messages Received", ProfilerMarkerDataUnit.Count, PerFrame);
        private static ProfilerCounterValue<ulong> s_bytesSent =
            Create("Framewire Bytes Sent", ProfilerMarkerDataUnit.Bytes, PerFrame);
        private static ProfilerCounterValue<ulong> s_bytesReceived =
            Create("Framewire Bytes Received", ProfilerMarkerDataUnit.Bytes, PerFrame);
        private static ProfilerCounterValue<ulong> s_sendQueue =
            Create("Framewire Send Queue", ProfilerMarkerDataUnit.Bytes, ProfilerCounterOptions.FlushOnEndOfFrame);
        private static ProfilerCounterValue<ulong> s_latency =
            Create("Framewire Latency", ProfilerMarkerDataUnit.TimeNanoseconds, ProfilerCounterOptions.FlushOnEndOfFrame);

        [Preserve]
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        internal static void Start()
        {
            SocketTable.Meter = s_meter;
            WebSocket.Dispatched = Sample;
        }

        private static ProfilerCounterValue<ulong> Create(
            string name, ProfilerMarkerDataUnit unit, ProfilerCounterOptions options)
        {
            return new ProfilerCounterValue<ulong>(ProfilerCategory.Network, name, unit, options);
        }

        private static void Sample()
        {
            Traffic traffic = SocketTable.Measure(s_meter);
            s_messagesSent.Value += traffic.MessagesSent;
            s_messagesReceived.Value += traffic.MessagesReceived;
            s_bytesSent.Value += traffic.BytesSent;
            s_bytesReceived.Value += traffic.BytesReceived;
            s_sendQueue.Value = traffic.SendQueueBytes;
            s_latency.Value = traffic.LatencyMicroseconds * 1000;
        }
    }
}
#endif
