using System;
using System.Collections.Generic;

// The subset of Unity's profiler and of the package com.unity.profiling.core that the package uses.

namespace Unity.Profiling
{
    public enum ProfilerMarkerDataUnit : byte
    {
        Undefined,
        TimeNanoseconds,
        Bytes,
        Count,
    }

    [Flags]
    public enum ProfilerCounterOptions : ushort
    {
        None = 0,
        FlushOnEndOfFrame = 2,
        ResetToZeroOnFlush = 4,
    }

    public struct ProfilerCategory
    {
        private readonly string _name;

        private ProfilerCategory(string name)
        {
            _name = name;
        }

        public static ProfilerCategory Network
        {
            get { return new ProfilerCategory("Network"); }
        }

        public string Name
        {
            get { return _name; }
        }
    }

    // The constraint of Unity's struct is "unmanaged" (C# 7.3).
    public readonly struct ProfilerCounterValue<T> where T : struct
    {
        private readonly StubCounter<T> _counter;

        public ProfilerCounterValue(
            ProfilerCategory category, string name, ProfilerMarkerDataUnit dataUnit, ProfilerCounterOptions counterOptions)
        {
            _counter = new StubCounter<T> { Options = counterOptions, Unit = dataUnit, Category = category.Name };
            StubProfiler.Counters.Add(name, _counter);
        }

        public T Value
        {
            get { return _counter.Value; }
            set { _counter.Value = value; }
        }
    }

    public abstract class StubCounter
    {
        public ProfilerCounterOptions Options;
        public ProfilerMarkerDataUnit Unit;
        public string Category;

        public abstract object Flush();
    }

    public sealed class StubCounter<T> : StubCounter where T : struct
    {
        public T Value;

        public override object Flush()
        {
            T value = Value;
            if ((Options & ProfilerCounterOptions.ResetToZeroOnFlush) != 0)
            {
                Value = default(T);
            }
            return value;
        }
    }

    /// <summary>What the profiler records.</summary>
    public static class StubProfiler
    {
        public static readonly Dictionary<string, StubCounter> Counters = new Dictionary<string, StubCounter>();

        /// <summary>Ends a frame and returns the values of the counters in it.</summary>
        public static Dictionary<string, object> EndFrame()
        {
            var frame = new Dictionary<string, object>();
            foreach (KeyValuePair<string, StubCounter> counter in Counters)
            {
                frame.Add(counter.Key, counter.Value.Flush());
            }
            return frame;
        }
    }
}
