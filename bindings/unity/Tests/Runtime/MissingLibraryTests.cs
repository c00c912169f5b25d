using System;
using System.Runtime.InteropServices;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests what the binding says if the package has no native library for the platform.</summary>
    public sealed class MissingLibraryTests
    {
        [Test]
        public void ExceptionNamesTheFileAndHowToGetIt()
        {
            DllNotFoundException found = Assert.Throws<DllNotFoundException>(
                () => NativeLibrary.Version(() => { throw new DllNotFoundException("framewire"); }));
            string file = MissingLibrary.File("Linux", RuntimeInformation.ProcessArchitecture);
            Assert.IsTrue(file == null || found.Message.Contains(file) || !IsLinux, found.Message);
            Assert.IsTrue(found.Message.Contains("cargo xtask dist"), found.Message);
            Assert.IsTrue(found.Message.EndsWith("(framewire)"), found.Message);
        }

        [Test]
        public void EachPlatformHasItsFile()
        {
            string android = MissingLibrary.Message("Android", Architecture.Arm64, "x");
            Assert.IsTrue(android.Contains("Android Arm64") && android.Contains("android-arm64/libframewire.so"), android);
            string windows = MissingLibrary.Message("Windows", Architecture.X64, "x");
            Assert.IsTrue(windows.Contains("windows-x86_64/framewire.dll"), windows);
            string none = MissingLibrary.Message("Windows", Architecture.X86, "x");
            Assert.AreEqual("Framewire has no native library for Windows X86. (x)", none);
        }

        private static bool IsLinux
        {
            get { return RuntimeInformation.IsOSPlatform(OSPlatform.Linux); }
        }
    }
}
