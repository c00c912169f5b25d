using System;
using System.Runtime.InteropServices;

namespace Framewire.Native
{
    /// <summary>
    /// Says which file a package lacks if the native library cannot be loaded, and how to get it.
    /// </summary>
    internal static class MissingLibrary
    {
        /// <summary>System, CPU (empty for all), path in the package, and target of <c>cargo xtask dist</c>.</summary>
        private static readonly string[,] s_libraries =
        {
            { "Linux", "X64", "linux-x86_64/libframewire.so", "x86_64-unknown-linux-gnu" },
            { "Linux", "Arm64", "linux-arm64/libframewire.so", "aarch64-unknown-linux-gnu" },
            { "Windows", "X64", "windows-x86_64/framewire.dll", "x86_64-pc-windows-gnu" },
            { "macOS", "", "macos/libframewire.dylib", "aarch64-apple-darwin x86_64-apple-darwin" },
            { "Android", "Arm64", "android-arm64/libframewire.so", "aarch64-linux-android" },
            { "Android", "Arm", "android-armv7/libframewire.so", "armv7-linux-androideabi" },
            { "Android", "X64", "android-x86_64/libframewire.so", "x86_64-linux-android" },
            { "iOS", "", "ios/libframewire.a", "aarch64-apple-ios" },
            { "WebGL", "", "WebGL/libframewire.a", "wasm32-unknown-emscripten" },
        };

        /// <summary>Creates the exception for this platform.</summary>
        internal static DllNotFoundException On(Exception cause)
        {
            string message = Describe(System(), RuntimeInformation.ProcessArchitecture.ToString());
#if !UNITY_5_3_OR_NEWER
            message += " Without Unity, put the library where the system finds it: beside the program on Windows, else in a "
                + "folder of LD_LIBRARY_PATH (DYLD_LIBRARY_PATH on macOS).";
#endif
            return new DllNotFoundException(message + " The system reports: " + cause.Message, cause);
        }

        /// <summary>Names the file for a system and a CPU, and the command that builds it.</summary>
        internal static string Describe(string system, string cpu)
        {
            for (int i = 0; i < s_libraries.GetLength(0); i++)
            {
                if (s_libraries[i, 0] == system && (s_libraries[i, 1].Length == 0 || s_libraries[i, 1] == cpu))
                {
                    return "The native library for " + system + " (" + cpu + ") cannot be loaded. The package "
                        + "com.framewire.websocket needs Runtime/Plugins/" + s_libraries[i, 2]
                        + ", enabled for this platform in its import settings. If the file is missing, install "
                        + "the package that 'cargo xtask dist' builds, which has the libraries of all platforms, or "
                        + "build the file with 'cargo xtask dist " + s_libraries[i, 3] + "'.";
                }
            }
            return "Framewire has no native library for " + system + " (" + cpu + ").";
        }

        private static string System()
        {
#if UNITY_ANDROID && !UNITY_EDITOR
            return "Android";
#elif UNITY_IOS && !UNITY_EDITOR
            return "iOS";
#elif UNITY_WEBGL && !UNITY_EDITOR
            return "WebGL";
#else
            if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
            {
                return "Windows";
            }
            return RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "macOS" : "Linux";
#endif
        }
    }
}
