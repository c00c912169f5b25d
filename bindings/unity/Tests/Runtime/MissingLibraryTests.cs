using System;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests the message for a package that lacks the library of a platform.</summary>
    public sealed class MissingLibraryTests
    {
        [Test]
        public void MessageNamesFileAndCommand()
        {
            Check("Android", "Arm64", "Runtime/Plugins/android-arm64/libframewire.so", "dist aarch64-linux-android'");
            Check("Android", "Arm", "Runtime/Plugins/android-armv7/libframewire.so", "dist armv7-linux-androideabi'");
            Check("Android", "X64", "Runtime/Plugins/android-x86_64/libframewire.so", "dist x86_64-linux-android'");
            Check("iOS", "Arm64", "Runtime/Plugins/ios/libframewire.a", "dist aarch64-apple-ios'");
            Check("Windows", "X64", "Runtime/Plugins/windows-x86_64/framewire.dll", "dist x86_64-pc-windows-gnu'");
        }

        [Test]
        public void PlatformWithoutLibraryIsNamed()
        {
            Assert.AreEqual("Framewire has no native library for Android (X86).", MissingLibrary.Describe("Android", "X86"));
            Assert.AreEqual("Framewire has no native library for Windows (Arm64).", MissingLibrary.Describe("Windows", "Arm64"));
        }

        private static void Check(string system, string cpu, string file, string command)
        {
            string message = MissingLibrary.Describe(system, cpu);
            Assert.IsTrue(message.StartsWith("The native library for " + system + " (" + cpu + ") ", StringComparison.Ordinal));
            Assert.IsTrue(message.Contains(file));
            Assert.IsTrue(message.Contains(command));
        }
    }
}
