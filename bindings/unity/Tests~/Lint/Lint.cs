using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

// lint.exe HEADER ASSEMBLY [PLANTED]
//
// Compares a compiled binding with framewire.h (functions, parameters, enums, structs, version) and checks
// the rules of IL2CPP: blittable parameters, and no delegates for native code. PLANTED is an assembly with
// known faults, all of which must be detected.

internal static class Lint
{
    private static int Main(string[] arguments)
    {
        var header = new Header(File.ReadAllText(arguments[0]));
        var faults = Check(header, arguments[1]);
        foreach (string fault in faults)
        {
            Console.WriteLine("FAULT " + fault);
        }
        int passed = faults.Count == 0 ? 1 : 0;
        int failed = 1 - passed;
        if (arguments.Length > 2)
        {
            List<string> found = Check(header, arguments[2]);
            foreach (string expected in Planted)
            {
                bool seen = found.Exists(one => one.Contains(expected));
                passed += seen ? 1 : 0;
                failed += seen ? 0 : 1;
                if (!seen)
                {
                    Console.WriteLine("NOT DETECTED " + expected);
                }
            }
        }
        Console.WriteLine(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    /// <summary>The faults in Planted.cs.</summary>
    private static readonly string[] Planted =
    {
        "fw_version: not cdecl",
        "fw_not_there: not in the header",
        "fw_socket_open: 2 parameters",
        "fw_socket_is_open: returns Boolean",
        "fw_socket_set_origin: String is not blittable",
        "fw_socket_on_open: fw_open_fn is a delegate",
        "fw_state.FW_STATE_OPEN is 7",
        "fw_phase lacks FW_PHASE_CLOSING",
        "fw_segment: field 1 is count",
        "fw_pool_stats: 2 fields",
        "fw_error: os_code is Int64",
        "FW_VERSION",
        "GetFunctionPointerForDelegate",
        "System.Reflection.Emit",
    };

    private static List<string> Check(Header header, string file)
    {
        var faults = new List<string>();
        Assembly assembly = Assembly.LoadFrom(file);
        const BindingFlags all = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
        int functions = 0;
        foreach (Type type in assembly.GetTypes())
        {
            foreach (MethodInfo method in type.GetMethods(all | BindingFlags.DeclaredOnly))
            {
                if ((method.Attributes & MethodAttributes.PinvokeImpl) != 0)
                {
                    functions++;
                    Function(header, method, faults);
                }
            }
            if (type.IsEnum && type.Name.StartsWith("fw_"))
            {
                Enumeration(header, type, faults);
            }
            else if (type.IsValueType && type.Name.StartsWith("fw_"))
            {
                Struct(header, type, faults);
            }
            if (typeof(Delegate).IsAssignableFrom(type)
                && type.IsDefined(typeof(UnmanagedFunctionPointerAttribute), false))
            {
                faults.Add(type.Name + ": a delegate for native code");
            }
            FieldInfo version = type.GetField("FW_VERSION", all);
            if (version != null && (uint)version.GetRawConstantValue() != header.Version)
            {
                faults.Add("FW_VERSION is not the header's");
            }
        }
        if (functions == 0)
        {
            faults.Add("no functions found");
        }
        // The metadata of an assembly contains the names of the methods it calls.
        string bytes = Encoding.GetEncoding("iso-8859-1").GetString(File.ReadAllBytes(file));
        foreach (string name in new[] { "GetFunctionPointerForDelegate", "System.Reflection.Emit", "UnmanagedCallersOnly" })
        {
            if (bytes.Contains("\0" + name + "\0"))
            {
                faults.Add("uses " + name);
            }
        }
        return faults;
    }

    private static void Function(Header header, MethodInfo method, List<string> faults)
    {
        string name = method.Name;
        var import = (DllImportAttribute)Attribute.GetCustomAttribute(method, typeof(DllImportAttribute));
        if (import.CallingConvention != CallingConvention.Cdecl)
        {
            faults.Add(name + ": not cdecl");
        }
        ParameterInfo[] parameters = method.GetParameters();
        foreach (ParameterInfo parameter in parameters)
        {
            Type type = parameter.ParameterType;
            if (typeof(Delegate).IsAssignableFrom(type))
            {
                faults.Add(name + ": " + type.Name + " is a delegate");
            }
            else if (!IsBlittable(type))
            {
                faults.Add(name + ": " + type.Name + " is not blittable");
            }
        }
        string[] declared;
        if (!header.Functions.TryGetValue(name, out declared))
        {
            faults.Add(name + ": not in the header");
            return;
        }
        if (declared.Length - 1 != parameters.Length)
        {
            faults.Add(name + ": " + parameters.Length + " parameters, the header has " + (declared.Length - 1));
            return;
        }
        if (Header.Managed(declared[0]) != NameOf(method.ReturnType))
        {
            faults.Add(name + ": returns " + method.ReturnType.Name + ", the header " + declared[0]);
        }
        for (int i = 0; i < parameters.Length; i++)
        {
            string shown = NameOf(parameters[i].ParameterType);
            if (Header.Managed(declared[i + 1]) != shown)
            {
                faults.Add(name + ": parameter " + i + " is " + shown + ", the header has " + declared[i + 1]);
            }
        }
    }

    private static void Enumeration(Header header, Type type, List<string> faults)
    {
        Dictionary<string, long> declared;
        if (Enum.GetUnderlyingType(type) != typeof(uint) || !header.Enums.TryGetValue(type.Name, out declared))
        {
            faults.Add(type.Name + ": no enum of 32 bits in the header");
            return;
        }
        foreach (KeyValuePair<string, long> one in declared)
        {
            if (!Enum.IsDefined(type, one.Key))
            {
                faults.Add(type.Name + " lacks " + one.Key);
            }
            else if (Convert.ToInt64(Enum.Parse(type, one.Key)) != one.Value)
            {
                faults.Add(type.Name + "." + one.Key + " is " + Convert.ToInt64(Enum.Parse(type, one.Key)));
            }
        }
        foreach (string name in Enum.GetNames(type))
        {
            if (!declared.ContainsKey(name))
            {
                faults.Add(type.Name + "." + name + " is not in the header");
            }
        }
    }

    private static void Struct(Header header, Type type, List<string> faults)
    {
        List<string[]> declared;
        if (!header.Structs.TryGetValue(type.Name, out declared))
        {
            faults.Add(type.Name + ": not in the header");
            return;
        }
        // In metadata order, which is source order.
        FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
        Array.Sort(fields, (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        if (fields.Length != declared.Count)
        {
            faults.Add(type.Name + ": " + fields.Length + " fields, the header has " + declared.Count);
            return;
        }
        for (int i = 0; i < fields.Length; i++)
        {
            if (fields[i].Name != declared[i][1])
            {
                faults.Add(type.Name + ": field " + i + " is " + fields[i].Name + ", the header has " + declared[i][1]);
            }
            else if (NameOf(fields[i].FieldType) != Header.Managed(declared[i][0]))
            {
                faults.Add(type.Name + ": " + fields[i].Name + " is " + fields[i].FieldType.Name);
            }
        }
        if (!type.IsLayoutSequential)
        {
            faults.Add(type.Name + ": not sequential");
        }
    }

    private static bool IsBlittable(Type type)
    {
        if (type.IsPointer)
        {
            return type.GetElementType() == typeof(void) || IsBlittable(type.GetElementType());
        }
        if (type.IsEnum || type == typeof(UIntPtr) || type == typeof(IntPtr))
        {
            return true;
        }
        if (type.IsPrimitive)
        {
            return type != typeof(bool) && type != typeof(char);
        }
        if (!type.IsValueType)
        {
            return false;
        }
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            if (!IsBlittable(field.FieldType))
            {
                return false;
            }
        }
        return true;
    }

    private static string NameOf(Type type)
    {
        return type.IsPointer ? NameOf(type.GetElementType()) + "*" : type.Name;
    }
}

/// <summary>The declarations in framewire.h.</summary>
internal sealed class Header
{
    /// <summary>The return type, followed by the parameter types, of each function.</summary>
    internal readonly Dictionary<string, string[]> Functions = new Dictionary<string, string[]>();
    internal readonly Dictionary<string, Dictionary<string, long>> Enums = new Dictionary<string, Dictionary<string, long>>();
    internal readonly Dictionary<string, List<string[]>> Structs = new Dictionary<string, List<string[]>>();
    internal readonly uint Version;

    internal Header(string text)
    {
        text = Regex.Replace(text, "/\\*.*?\\*/", string.Empty, RegexOptions.Singleline);
        text = Regex.Replace(text, "//.*", string.Empty);
        foreach (Match match in Regex.Matches(text, @"^enum (fw_\w+)[^{]*\{(.*?)\};", RegexOptions.Singleline | RegexOptions.Multiline))
        {
            var values = new Dictionary<string, long>();
            foreach (Match value in Regex.Matches(match.Groups[2].Value, @"(FW_\w+) = (\d+)"))
            {
                values.Add(value.Groups[1].Value, long.Parse(value.Groups[2].Value));
            }
            Enums.Add(match.Groups[1].Value, values);
        }
        foreach (Match match in Regex.Matches(text, @"^typedef struct (fw_\w+) \{(.*?)^\}", RegexOptions.Singleline | RegexOptions.Multiline))
        {
            var fields = new List<string[]>();
            foreach (Match field in Regex.Matches(match.Groups[2].Value, @"([\w\s\*]+?)(\w+)(?:\[(\d+)\])?;"))
            {
                if (!field.Groups[3].Success)
                {
                    fields.Add(new[] { field.Groups[1].Value, field.Groups[2].Value });
                    continue;
                }
                // An array is represented by one field per element.
                for (int i = 0; i < int.Parse(field.Groups[3].Value); i++)
                {
                    fields.Add(new[] { field.Groups[1].Value, field.Groups[2].Value + i });
                }
            }
            Structs.Add(match.Groups[1].Value, fields);
        }
        foreach (Match match in Regex.Matches(text, @"^FW_API ([a-z][\w \*]*?)\b(fw_\w+)\(([^)]*)\);", RegexOptions.Multiline))
        {
            var types = new List<string> { match.Groups[1].Value };
            if (match.Groups[3].Value != "void")
            {
                foreach (string parameter in match.Groups[3].Value.Split(','))
                {
                    types.Add(Regex.Replace(parameter.Trim(), @"\w+$", string.Empty));
                }
            }
            Functions.Add(match.Groups[2].Value, types.ToArray());
        }
        if (Functions.Count < 50 || Structs.Count < 5 || Enums.Count < 5)
        {
            throw new InvalidDataException("The header cannot be read.");
        }
        Version = Number(text, "MAJOR") << 16 | Number(text, "MINOR") << 8 | Number(text, "PATCH");
    }

    /// <summary>Returns the managed name of a C type.</summary>
    internal static string Managed(string type)
    {
        string bare = Regex.Replace(type, @"\b(const|struct)\b", string.Empty).Trim();
        string stars = Regex.Replace(bare, @"[^\*]", string.Empty);
        string name = bare.Replace("*", string.Empty).Trim();
        switch (name)
        {
            case "void":
                return "Void" + stars;
            case "char":
            case "uint8_t":
                return "Byte" + stars;
            case "bool":
                return "Byte";
            case "uint16_t":
                return "UInt16";
            case "uint32_t":
                return "UInt32";
            case "int32_t":
                return "Int32";
            case "uint64_t":
                return "UInt64";
            case "int64_t":
                return "Int64";
            case "size_t":
                return "UIntPtr";
            default:
                // Functions in structs are left NULL, so their types do not matter here.
                return name.EndsWith("_fn") ? "Void*" : name + stars;
        }
    }

    private static uint Number(string text, string part)
    {
        return uint.Parse(Regex.Match(text, "#define FW_VERSION_" + part + @" (\d+)").Groups[1].Value);
    }
}
