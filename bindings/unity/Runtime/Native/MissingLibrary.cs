using System;
using System.Runtime.InteropServices;

namespace Framewire.Native
{
    /// <summary>Explains which file of the package is missing, and how to get it.</summary>
    internal static class MissingLibrary
    {
        /// <summary>Creates the exception for a native library that cannot be loaded.</summary>
        internal static DllNotFoundException Explain(Exception reason)
        {
            return new DllNotFoundException(Message(System, RuntimeInformation.ProcessArchitecture, reason.Message), reason);
        }

        internal static string Message(string system, Architecture processor, string reason)
        {
            string platform = system + " " + processor;
            string file = File(system, processor);
            string message = file == null
                ? "Framewire has no native library for " + platform + "."
                : "The native library of Framewire for " + platform + " cannot be loaded: Packages/com.framewire.websocket/"
                    + file + ". If the file is missing, install the package (.tgz) of a release, which contains the "
                    + "libraries of all platforms, or build it with `cargo xtask dist`. If it exists, check its import "
                    + "settings, and restart the editor.";
            return message + " (" + reason + ")";
        }

        /// <summary>The path in the package, or null if there is none for the platform.</summary>
        internal static string File(string system, Architecture processor)
        {
            switch (system + " " + processor)
            {
                case "Android Arm64":
                    return "Runtime/Plugins/android-arm64/libframewire.so";
                case "Android Arm":
                    return "Runtime/Plugins/android-armv7/libframewire.so";
                case "Linux X64":
                    return "Runtime/Plugins/linux-x86_64/libframewire.so";
                case "Linux Arm64":
                    return "Runtime/Plugins/linux-arm64/libframewire.so";
                case "Windows X64":
                    return "Runtime/Plugins/windows-x86_64/framewire.dll";
                case "macOS X64":
                case "macOS Arm64":
                    return "Runtime/Plugins/macos/libframewire.dylib";
                default:
                    return null;
            }
        }

        private static string System
        {
            get
            {
#if UNITY_ANDROID && !UNITY_EDITOR
                return "Android";
#else
                return RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "Windows"
                    : RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "macOS"
                    : "Linux";
#endif
            }
        }
    }
}
