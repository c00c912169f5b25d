// Makes framewire.h and framewire.hpp available to the modules of an Unreal project. Not yet built in Unreal.
// SPDX-License-Identifier: MIT OR Apache-2.0

using System.IO;
using UnrealBuildTool;

public class Framewire : ModuleRules
{
    public Framewire(ReadOnlyTargetRules Target) : base(Target)
    {
        Type = ModuleType.External;

        string platform;
        if (Target.Platform == UnrealTargetPlatform.Win64)
        {
            platform = Path.Combine(ModuleDirectory, "Win64");
            PublicDefinitions.Add("FW_SHARED=1");
            PublicAdditionalLibraries.Add(Path.Combine(platform, "lib", "framewire.lib"));
            PublicDelayLoadDLLs.Add("framewire.dll");
            RuntimeDependencies.Add("$(BinaryOutputDir)/framewire.dll", Path.Combine(platform, "bin", "framewire.dll"));
        }
        else if (Target.Platform == UnrealTargetPlatform.Linux)
        {
            platform = Path.Combine(ModuleDirectory, "Linux");
            AddShared(Path.Combine(platform, "lib", "framewire", "plugin", "libframewire.so"));
        }
        else if (Target.Platform == UnrealTargetPlatform.Mac)
        {
            platform = Path.Combine(ModuleDirectory, "Mac");
            AddShared(Path.Combine(platform, "lib", "libframewire.dylib"));
        }
        else
        {
            throw new BuildException("Framewire.Build.cs does not support " + Target.Platform);
        }
        PublicSystemIncludePaths.Add(Path.Combine(platform, "include", "framewire"));
    }

    // A library that is linked, and loaded from the folder of the program.
    private void AddShared(string library)
    {
        PublicAdditionalLibraries.Add(library);
        RuntimeDependencies.Add("$(BinaryOutputDir)/" + Path.GetFileName(library), library);
    }
}
