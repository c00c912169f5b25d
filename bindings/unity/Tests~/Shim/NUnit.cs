using System;
using System.Collections.Generic;
using System.Reflection;

// The subset of NUnit that Tests/Runtime uses, so that the tests of Unity's test runner can also run as a
// program on any runtime, without NUnit.

namespace NUnit.Framework
{
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class TestAttribute : Attribute
    {
    }

    public delegate void TestDelegate();

    public sealed class AssertionException : Exception
    {
        public AssertionException(string message)
            : base(message)
        {
        }
    }

    public static class Assert
    {
        public static void AreEqual(object expected, object actual)
        {
            if (!Equals(expected, actual))
            {
                Fail("expected: " + Shown(expected) + "\n  but was:  " + Shown(actual));
            }
        }

        public static void IsTrue(bool condition)
        {
            IsTrue(condition, "expected true");
        }

        public static void IsTrue(bool condition, string message)
        {
            if (!condition)
            {
                Fail(message);
            }
        }

        public static void IsFalse(bool condition)
        {
            IsTrue(!condition, "expected false");
        }

        public static void IsFalse(bool condition, string message)
        {
            IsTrue(!condition, message);
        }

        public static void IsNull(object value)
        {
            IsTrue(value == null, "expected null, was " + Shown(value));
        }

        public static void IsNull(object value, string message)
        {
            IsTrue(value == null, message);
        }

        public static void Less(IComparable left, IComparable right)
        {
            IsTrue(left.CompareTo(right) < 0, "expected " + left + " < " + right);
        }

        public static void Greater(IComparable left, IComparable right)
        {
            IsTrue(left.CompareTo(right) > 0, "expected " + left + " > " + right);
        }

        public static void GreaterOrEqual(IComparable left, IComparable right)
        {
            IsTrue(left.CompareTo(right) >= 0, "expected " + left + " >= " + right);
        }

        public static T Throws<T>(TestDelegate code) where T : Exception
        {
            Exception thrown = null;
            try
            {
                code();
            }
            catch (Exception exception)
            {
                thrown = exception;
            }
            IsTrue(thrown != null && thrown.GetType() == typeof(T), "expected " + typeof(T) + ", was " + Shown(thrown));
            return (T)thrown;
        }

        public static void Fail(string message)
        {
            throw new AssertionException(message);
        }

        private static string Shown(object value)
        {
            return value == null ? "null" : value + " (" + value.GetType().Name + ")";
        }
    }
}

namespace Framewire.Tests
{
    /// <summary>Runs all tests of this program, or those whose name contains the argument.</summary>
    internal static class Runner
    {
        private static int Main(string[] arguments)
        {
            int passed = 0;
            var failed = new List<string>();
            foreach (Type type in Assembly.GetExecutingAssembly().GetTypes())
            {
                foreach (MethodInfo method in type.GetMethods())
                {
                    string name = type.Name + "." + method.Name;
                    bool wanted = arguments.Length == 0 || name.Contains(arguments[0]);
                    if (!wanted || !method.IsDefined(typeof(NUnit.Framework.TestAttribute), false))
                    {
                        continue;
                    }
                    if (Environment.GetEnvironmentVariable("FRAMEWIRE_TEST_NAMES") != null)
                    {
                        Console.WriteLine(name);
                    }
                    try
                    {
                        method.Invoke(Activator.CreateInstance(type), null);
                        passed++;
                    }
                    catch (TargetInvocationException exception)
                    {
                        Console.WriteLine("FAILED " + name + "\n  " + exception.InnerException);
                        failed.Add(name);
                    }
                }
            }
            Console.WriteLine(passed + " passed, " + failed.Count + " failed");
            return failed.Count == 0 && passed > 0 ? 0 : 1;
        }
    }
}
