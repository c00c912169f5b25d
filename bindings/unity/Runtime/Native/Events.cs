namespace Framewire.Native
{
    // Releases events whose payload may have been replaced by a segment of the binding.
    internal static unsafe class Events
    {
        /// <summary>In a reserved word of the event, which the library leaves 0.</summary>
        private const ulong OwnPayload = 1;

        /// <summary>Releases the payload and puts a segment of the binding in its place.</summary>
        internal static void ReplacePayload(fw_event* next, fw_segment payload)
        {
            fw_event taken = *next;
            FramewireNative.fw_event_release(next);
            *next = taken;
            next->payload = payload;
            next->reserved0 = OwnPayload;
        }

        /// <summary>Releases the event and zeroes its payload.</summary>
        internal static void Release(fw_event* next)
        {
            if (next->reserved0 == OwnPayload)
            {
                FramewireNative.fw_segment_release(next->payload);
                next->reserved0 = 0;
                next->payload = default(fw_segment);
            }
            FramewireNative.fw_event_release(next);
        }
    }
}
