using System;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests that public enums have the same names and values as those of the library.</summary>
    public sealed class NamesTests
    {
        [Test]
        public void PublicEnumsMatchTheLibrary()
        {
            Compare(typeof(fw_state), "FW_STATE_", typeof(WebSocketStates));
            Compare(typeof(fw_error_kind), "FW_ERROR_KIND_", typeof(WebSocketErrorKind));
            Compare(typeof(fw_phase), "FW_PHASE_", typeof(WebSocketPhase));
            Compare(typeof(fw_log_level), "FW_LOG_", typeof(WebSocketLogLevel));
            Compare(typeof(fw_roots), "FW_ROOTS_", typeof(TlsRoots));
            Compare(typeof(fw_link_cut), "FW_LINK_CUT_", typeof(LinkCut));
            Compare(typeof(fw_capability), "FW_CAPABILITY_", typeof(WebSocketCapabilities));
        }

        [Test]
        public void NativeLibraryHasAllCapabilities()
        {
            foreach (WebSocketCapabilities capability in Enum.GetValues(typeof(WebSocketCapabilities)))
            {
                if (capability == WebSocketCapabilities.Android)
                {
                    continue;
                }
                Assert.AreEqual(capability, WebSocket.Capabilities & capability);
            }
        }

        [Test]
        public void AndroidIsInitializedOnAndroidOnly()
        {
            if ((WebSocket.Capabilities & WebSocketCapabilities.Android) == 0)
            {
                Assert.Throws<NotSupportedException>(() => WebSocket.InitializeAndroid(new IntPtr(1), new IntPtr(1)));
            }
            Assert.Throws<ArgumentException>(() => WebSocket.InitializeAndroid(IntPtr.Zero, new IntPtr(1)));
        }

        [Test]
        public void NativeVersionIsThatOfTheLibrary()
        {
            uint version = FramewireNative.fw_version();
            Assert.AreEqual(
                (version >> 16) + "." + (version >> 8 & 0xff) + "." + (version & 0xff), WebSocket.NativeVersion);
        }

        [Test]
        public void CompatibleVersionsAreAccepted()
        {
            Assert.IsTrue(FramewireLibrary.IsCompatible(0x000105, 0x000100));
            Assert.IsFalse(FramewireLibrary.IsCompatible(0x000200, 0x000100));
            Assert.IsFalse(FramewireLibrary.IsCompatible(0x010000, 0x000100));
            Assert.IsTrue(FramewireLibrary.IsCompatible(0x010300, 0x010000));
            Assert.IsFalse(FramewireLibrary.IsCompatible(0x020000, 0x010000));
        }

        private static void Compare(Type native, string prefix, Type managed)
        {
            string[] names = Enum.GetNames(native);
            Assert.AreEqual(names.Length, Enum.GetNames(managed).Length);
            foreach (string name in names)
            {
                string plain = name.Substring(prefix.Length).Replace("_", string.Empty);
                object value = Enum.Parse(managed, plain, true);
                Assert.AreEqual(Convert.ToInt64(Enum.Parse(native, name)), Convert.ToInt64(value));
            }
        }
    }
}
