using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

// wasm-abi.exe ASSEMBLY FOLDER
//
// Writes the [DllImport] declarations of a compiled binding as C, with the types that IL2CPP uses, for emcc:
//
//   layout.cpp   compares structs, parameters and results with framewire.h; an assertion fails for each difference
//   calls.c      declares the functions without framewire.h and calls each, to be linked with libframewire.a and run

internal static class WasmAbi
{
    private static int Main(string[] arguments)
    {
        Assembly assembly = Assembly.LoadFrom(arguments[0]);
        var structs = new List<Type>();
        var functions = new List<MethodInfo>();
        Type numbers = null;
        uint version = 0, capabilities = 0;
        foreach (Type type in assembly.GetTypes())
        {
            foreach (MethodInfo method in type.GetMethods(Members | BindingFlags.Static | BindingFlags.DeclaredOnly))
            {
                if ((method.Attributes & MethodAttributes.PinvokeImpl) != 0)
                {
                    functions.Add(method);
                }
            }
            if (type.IsValueType && !type.IsEnum && type.Name.StartsWith("fw_"))
            {
                AddWithFields(type, structs);
            }
            numbers = type.Name == "fw_struct" ? type : numbers;
            FieldInfo constant = type.GetField("FW_VERSION", Members | BindingFlags.Static);
            version = constant != null ? (uint)constant.GetRawConstantValue() : version;
            constant = type.GetField("OfBrowsers", Members | BindingFlags.Static);
            capabilities = constant != null ? (uint)constant.GetRawConstantValue() : capabilities;
        }
        File.WriteAllText(Path.Combine(arguments[1], "layout.cpp"), Layout(structs, functions));
        File.WriteAllText(Path.Combine(arguments[1], "calls.c"), Calls(structs, functions, numbers, version, capabilities));
        Console.WriteLine(functions.Count + " functions, " + structs.Count + " structs");
        return functions.Count > 0 ? 0 : 1;
    }

    private const BindingFlags Members = BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>Adds a struct after the structs that it contains.</summary>
    private static void AddWithFields(Type type, List<Type> structs)
    {
        if (structs.Contains(type))
        {
            return;
        }
        foreach (FieldInfo field in Fields(type))
        {
            if (IsStruct(field.FieldType))
            {
                AddWithFields(field.FieldType, structs);
            }
        }
        structs.Add(type);
    }

    private static string Layout(List<Type> structs, List<MethodInfo> functions)
    {
        var text = new StringBuilder(LayoutPrelude);
        text.Append("namespace managed {\n\n");
        foreach (Type type in structs)
        {
            text.Append(Declaration(type)).Append('\n');
        }
        text.Append("}  // namespace managed\n\n");
        foreach (Type type in structs)
        {
            text.AppendFormat("template <> struct counterpart<managed::{0}> {{ using type = ::{0}; }};\n", type.Name);
        }
        foreach (Type type in structs)
        {
            text.AppendFormat(
                "static_assert(sizeof(managed::{0}) == sizeof(::{0}), \"{0}: size\");\n"
                + "static_assert(alignof(managed::{0}) == alignof(::{0}), \"{0}: alignment\");\n",
                type.Name);
            foreach (FieldInfo field in Fields(type))
            {
                // A field per element stands for an array in C: reserved0 is reserved[0].
                uint element;
                bool isElement = field.Name.StartsWith("reserved") && uint.TryParse(field.Name.Substring(8), out element);
                string member = isElement ? "reserved[" + field.Name.Substring(8) + "]" : field.Name;
                text.AppendFormat(
                    "static_assert(offsetof(managed::{0}, {1}) == offsetof(::{0}, {2}), \"{0}.{1}: offset\");\n"
                    + "static_assert(same<decltype(managed::{0}::{1}), plain<decltype(std::declval<::{0}>().{2})>>(), "
                    + "\"{0}.{1}: type\");\n",
                    type.Name, field.Name, member);
            }
        }
        foreach (MethodInfo method in functions)
        {
            var import = (DllImportAttribute)Attribute.GetCustomAttribute(method, typeof(DllImportAttribute));
            if (import.Value != "__Internal")
            {
                text.AppendFormat(
                    "static_assert(false, \"{0}: library {1}, not __Internal\");\n", method.Name, import.Value);
            }
            ParameterInfo[] parameters = method.GetParameters();
            text.AppendFormat(
                "static_assert(decltype(list_of(&::{0}))::count == {1}, \"{0}: number of parameters\");\n"
                + "static_assert(same<{2}, decltype(list_of(&::{0}))::result>(), \"{0}: result\");\n",
                method.Name, parameters.Length, Name(method.ReturnType, "managed::"));
            for (int i = 0; i < parameters.Length; i++)
            {
                text.AppendFormat(
                    "static_assert(same<{2}, decltype(list_of(&::{0}))::at<{1}>>(), \"{0}: parameter {1}\");\n",
                    method.Name, i, Name(parameters[i].ParameterType, "managed::"));
            }
        }
        return text.ToString();
    }

    private static string Calls(
        List<Type> structs, List<MethodInfo> functions, Type numbers, uint version, uint capabilities)
    {
        var text = new StringBuilder(CallsPrelude);
        foreach (Type type in structs)
        {
            text.Append(Declaration(type)).AppendFormat("typedef struct {0} {0};\n\n", type.Name);
        }
        var calls = new StringBuilder();
        foreach (MethodInfo method in functions)
        {
            var parameters = new List<string>();
            var zeros = new List<string>();
            foreach (ParameterInfo parameter in method.GetParameters())
            {
                string type = Name(parameter.ParameterType, string.Empty);
                parameters.Add(type);
                zeros.Add(IsStruct(parameter.ParameterType) ? "(" + type + "){0}" : "0");
            }
            text.AppendFormat(
                "extern {0} {1}({2});\n",
                Name(method.ReturnType, string.Empty),
                method.Name,
                parameters.Count == 0 ? "void" : string.Join(", ", parameters.ToArray()));
            calls.AppendFormat(
                "    (void){0}({1});\n    calls++;\n", method.Name, string.Join(", ", zeros.ToArray()));
        }
        text.Append("\nint main(void)\n{\n    int calls = 0, faults = 0;\n");
        text.AppendFormat("    CHECK(fw_version() == {0}u);\n", version);
        foreach (string number in numbers == null ? new string[0] : Enum.GetNames(numbers))
        {
            // FW_STRUCT_EVENT is the number of fw_event.
            string name = "fw_" + number.Substring("FW_STRUCT_".Length).ToLowerInvariant();
            if (structs.Exists(type => type.Name == name))
            {
                text.AppendFormat(
                    "    CHECK(fw_sizeof({0}) == sizeof({1}));\n",
                    Convert.ToUInt32(Enum.Parse(numbers, number)), name);
            }
        }
        if (functions.Exists(method => method.Name == "fw_socket_create"))
        {
            text.AppendFormat("    CHECK(fw_capabilities() == {0}u);\n", capabilities);
            text.Append(CallsWithHandles);
        }
        return text.Append(calls).Append(CallsEnd).ToString();
    }

    private static string Declaration(Type type)
    {
        var text = new StringBuilder("struct " + type.Name + " {\n");
        foreach (FieldInfo field in Fields(type))
        {
            text.AppendFormat("    {0} {1};\n", Name(field.FieldType, string.Empty), field.Name);
        }
        return text.Append("};\n").ToString();
    }

    /// <summary>Returns the fields in the order of the metadata, which is that of the source.</summary>
    private static FieldInfo[] Fields(Type type)
    {
        FieldInfo[] fields = type.GetFields(Members | BindingFlags.Instance);
        Array.Sort(fields, (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        return fields;
    }

    private static bool IsStruct(Type type)
    {
        return type.IsValueType && !type.IsEnum && !type.IsPrimitive && type != typeof(void) && type != typeof(UIntPtr)
            && type != typeof(IntPtr);
    }

    /// <summary>Returns the C type that IL2CPP uses for a managed type.</summary>
    private static string Name(Type type, string scope)
    {
        if (type.IsPointer)
        {
            return Name(type.GetElementType(), scope) + " *";
        }
        if (type.IsEnum)
        {
            return Name(Enum.GetUnderlyingType(type), scope);
        }
        switch (type.FullName)
        {
            case "System.Void":
                return "void";
            case "System.Byte":
                return "uint8_t";
            case "System.SByte":
                return "int8_t";
            case "System.UInt16":
                return "uint16_t";
            case "System.Int16":
                return "int16_t";
            case "System.UInt32":
                return "uint32_t";
            case "System.Int32":
            case "System.Boolean":
                return "int32_t";
            case "System.UInt64":
                return "uint64_t";
            case "System.Int64":
                return "int64_t";
            case "System.UIntPtr":
                return "uintptr_t";
            case "System.IntPtr":
                return "intptr_t";
        }
        if (!IsStruct(type))
        {
            throw new NotSupportedException(type.FullName + " is not blittable.");
        }
        return scope + type.Name;
    }

    private const string LayoutPrelude = @"// Generated from the [DllImport] declarations of the Unity binding.
#include ""framewire.h""

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

template <class T> using plain = std::remove_cv_t<std::remove_reference_t<T>>;

// The struct of framewire.h that a managed struct stands for.
template <class T> struct counterpart { using type = void; };

// The result and the parameters of a function.
struct missing {};
template <class R, class... A> struct list {
    using result = R;
    static constexpr std::size_t count = sizeof...(A);
    template <std::size_t I> using at = std::tuple_element_t<I < count ? I : count, std::tuple<A..., missing>>;
};
template <class R, class... A> list<R, A...> list_of(R (*)(A...));

// Whether a managed type is passed and stored like a type of framewire.h.
template <class M, class C> constexpr bool same()
{
    if constexpr (std::is_void_v<M> || std::is_void_v<C>) {
        return std::is_void_v<M> && std::is_void_v<C>;
    } else if constexpr (std::is_pointer_v<M> && std::is_pointer_v<C>) {
        using A = plain<std::remove_pointer_t<M>>;
        using B = plain<std::remove_pointer_t<C>>;
        if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
            return true;
        } else if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
            return sizeof(A) == sizeof(B);
        } else {
            return same<A, B>();
        }
    } else if constexpr (std::is_class_v<M> && std::is_class_v<C>) {
        return std::is_same_v<typename counterpart<M>::type, C>;
    } else if constexpr (std::is_enum_v<C>) {
        return same<M, std::underlying_type_t<C>>();
    } else if constexpr (std::is_integral_v<M> && std::is_integral_v<C>) {
        return sizeof(M) == sizeof(C) && std::is_signed_v<M> == std::is_signed_v<C>;
    } else {
        return false;
    }
}

";

    private const string CallsPrelude = @"// Generated from the [DllImport] declarations of the Unity binding.
#include <stdint.h>
#include <stdio.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf(""FAULT %s\n"", #condition); \
            faults++; \
        } \
    } while (0)

";

    // A handle is a struct of 64 bits, passed by value.
    private const string CallsWithHandles = @"    fw_socket socket = {0};
    CHECK(fw_socket_create((uint8_t *)""ws://localhost/"", &socket) == 0);
    CHECK(socket.id != 0);
    CHECK(fw_socket_state(socket) == 3);
    CHECK(fw_socket_latency_us(socket) == -1);

    // What Capability.cs relies on: defaults are accepted, and the rest is NOT_SUPPORTED.
    uint8_t *text = (uint8_t *)""a"";
    fw_tls tls = {0};
    CHECK(fw_socket_set_origin(socket, (uint8_t *)"""") == 0);
    CHECK(fw_socket_set_http_version(socket, 0) == 0);
    CHECK(fw_socket_set_proxy(socket, 0) == 0);
    CHECK(fw_socket_set_max_redirects(socket, 0) == 0);
    CHECK(fw_socket_set_cookies(socket, 0) == 0);
    CHECK(fw_socket_enable_event(socket, 4, 0) == 0);
    CHECK(fw_socket_enable_event(socket, 5, 0) == 0);
    CHECK(fw_socket_close(socket, 3000, text) == 3);
    CHECK(fw_socket_enable_event(socket, 4, 1) == 8);
    CHECK(fw_socket_enable_event(socket, 5, 1) == 8);
    CHECK(fw_socket_ping(socket, 0, 0) == 8);
    CHECK(fw_socket_set_start_ping_thread(socket, 1) == 8);
    CHECK(fw_socket_set_ping_frequency(socket, 1000) == 8);
    CHECK(fw_socket_set_close_after_no_message(socket, 1000) == 8);
    CHECK(fw_socket_set_origin(socket, text) == 8);
    CHECK(fw_socket_set_max_fragment_size(socket, 1000) == 8);
    CHECK(fw_socket_set_http_version(socket, 1) == 8);
    CHECK(fw_socket_set_proxy(socket, (uint8_t *)""http://proxy/"") == 8);
    CHECK(fw_socket_set_max_redirects(socket, 1) == 8);
    CHECK(fw_socket_set_cookies(socket, 1) == 8);
    CHECK(fw_socket_set_compression(socket, 0) == 8);
    CHECK(fw_socket_add_header(socket, text, text) == 8);
    CHECK(fw_socket_set_basic_auth(socket, text, text) == 8);
    CHECK(fw_socket_set_bearer_auth(socket, text) == 8);
    CHECK(fw_socket_close(socket, 1001, text) == 8);
    CHECK(fw_tls_create(&tls) == 8);
    CHECK(fw_socket_create((uint8_t *)""ws://user@localhost/"", &socket) == 8);
    CHECK(fw_next_events(0, 0) == 0);
    fw_segment segment = {0};
    CHECK(fw_buffer_get(100, &segment) == 0);
    CHECK(segment.count == 100 && segment.data != 0 && segment.buffer.id != 0);
    CHECK(fw_segment_release(segment) == 0);
    CHECK(fw_segment_release(segment) == 2);
    CHECK(fw_socket_destroy(socket) == 0);
    CHECK(fw_socket_state(socket) == 4);

    // Zeros are valid, or an invalid handle or argument.
";

    private const string CallsEnd = @"    printf(""%d functions called, %d faults\n"", calls, faults);
    return faults;
}
";
}
