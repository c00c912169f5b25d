// The part of Unreal's build API that Framewire.Build.cs uses, and a test that runs the rules for each platform.
//
//     build_rules.exe FOLDER

using System;
using System.Collections.Generic;
using System.IO;

namespace UnrealBuildTool
{
    public struct UnrealTargetPlatform
    {
        public static readonly UnrealTargetPlatform Win64 = new UnrealTargetPlatform("Win64");
        public static readonly UnrealTargetPlatform Linux = new UnrealTargetPlatform("Linux");
        public static readonly UnrealTargetPlatform Mac = new UnrealTargetPlatform("Mac");
        public static readonly UnrealTargetPlatform IOS = new UnrealTargetPlatform("IOS");

        private readonly string _name;

        private UnrealTargetPlatform(string name)
        {
            _name = name;
        }

        public static bool operator ==(UnrealTargetPlatform a, UnrealTargetPlatform b)
        {
            return a._name == b._name;
        }

        public static bool operator !=(UnrealTargetPlatform a, UnrealTargetPlatform b)
        {
            return a._name != b._name;
        }

        public override bool Equals(object other)
        {
            return other is UnrealTargetPlatform && (UnrealTargetPlatform)other == this;
        }

        public override int GetHashCode()
        {
            return _name.GetHashCode();
        }

        public override string ToString()
        {
            return _name;
        }
    }

    public class ReadOnlyTargetRules
    {
        public UnrealTargetPlatform Platform;
    }

    public class BuildException : Exception
    {
        public BuildException(string message) : base(message)
        {
        }
    }

    public class RuntimeDependencyList
    {
        public readonly List<string> Sources = new List<string>();

        public void Add(string path, string sourcePath)
        {
            Sources.Add(sourcePath);
        }
    }

    public class ModuleRules
    {
        public enum ModuleType
        {
            CPlusPlus,
            External,
        }

        public static string Folder;

        public ModuleType Type;
        public readonly List<string> PublicDefinitions = new List<string>();
        public readonly List<string> PublicAdditionalLibraries = new List<string>();
        public readonly List<string> PublicDelayLoadDLLs = new List<string>();
        public readonly List<string> PublicSystemIncludePaths = new List<string>();
        public readonly RuntimeDependencyList RuntimeDependencies = new RuntimeDependencyList();

        public ModuleRules(ReadOnlyTargetRules target)
        {
        }

        public string ModuleDirectory
        {
            get { return Folder; }
        }
    }
}

internal static class Program
{
    private static int Main(string[] arguments)
    {
        UnrealBuildTool.ModuleRules.Folder = arguments[0];
        var platforms = new[]
        {
            UnrealBuildTool.UnrealTargetPlatform.Win64,
            UnrealBuildTool.UnrealTargetPlatform.Linux,
            UnrealBuildTool.UnrealTargetPlatform.Mac,
        };
        foreach (UnrealBuildTool.UnrealTargetPlatform platform in platforms)
        {
            var target = new UnrealBuildTool.ReadOnlyTargetRules { Platform = platform };
            var rules = new Framewire(target);
            var paths = new List<string>(rules.PublicAdditionalLibraries);
            paths.AddRange(rules.RuntimeDependencies.Sources);
            paths.AddRange(rules.PublicSystemIncludePaths);
            foreach (string path in paths)
            {
                Console.WriteLine(path);
                string start = Path.Combine(arguments[0], platform.ToString()) + Path.DirectorySeparatorChar;
                if (!path.StartsWith(start, StringComparison.Ordinal))
                {
                    return 1;
                }
            }
            if (rules.Type != UnrealBuildTool.ModuleRules.ModuleType.External || paths.Count != 3)
            {
                return 1;
            }
        }
        try
        {
            new Framewire(
                new UnrealBuildTool.ReadOnlyTargetRules { Platform = UnrealBuildTool.UnrealTargetPlatform.IOS });
            return 1;
        }
        catch (UnrealBuildTool.BuildException problem)
        {
            Console.WriteLine(problem.Message);
        }
        Console.WriteLine("4 passed, 0 failed");
        return 0;
    }
}
