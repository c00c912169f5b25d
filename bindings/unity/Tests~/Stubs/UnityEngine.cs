using System;
using System.Collections.Generic;

// The subset of Unity's API that the package and the snippets use, so that both compile, and the
// package's lifecycle in Unity can be tested, without Unity.

namespace UnityEngine
{
    public class Object
    {
        /// <summary>What DestroyImmediate has destroyed, for tests.</summary>
        public static readonly List<Object> Destroyed = new List<Object>();

        public string name { get; set; }

        public HideFlags hideFlags { get; set; }

        public static void DontDestroyOnLoad(Object target)
        {
        }

        public static void DestroyImmediate(Object target)
        {
            Destroyed.Add(target);
        }
    }

    public class ScriptableObject : Object
    {
    }

    public class Component : Object
    {
        public GameObject gameObject { get; internal set; }
    }

    public class Behaviour : Component
    {
    }

    public class MonoBehaviour : Behaviour
    {
    }

    public sealed class GameObject : Object
    {
        public GameObject(string name)
        {
            this.name = name;
        }

        public T AddComponent<T>() where T : Component, new()
        {
            return new T { gameObject = this };
        }
    }

    [Flags]
    public enum HideFlags
    {
        None = 0,
        HideAndDontSave = 61,
    }

    public static class Debug
    {
        public static event Action<string> Logged;

        public static void Log(object message)
        {
            Write("log: " + message);
        }

        public static void LogWarning(object message)
        {
            Write("warning: " + message);
        }

        public static void LogError(object message)
        {
            Write("error: " + message);
        }

        public static void LogException(Exception exception)
        {
            Write("exception: " + exception.Message);
        }

        private static void Write(string line)
        {
            if (Logged != null)
            {
                Logged(line);
            }
        }
    }

    public enum NetworkReachability
    {
        NotReachable,
        ReachableViaCarrierDataNetwork,
        ReachableViaLocalAreaNetwork,
    }

    public static class Application
    {
        public static string persistentDataPath = "";
        public static NetworkReachability internetReachability { get; set; }

        public static event Action quitting;

        public static bool isPlaying { get; set; }

        public static void Quit()
        {
            if (quitting != null)
            {
                quitting();
            }
        }
    }

    public static class Time
    {
        public static float deltaTime { get; set; }

        public static float time { get; set; }
    }

    public struct Vector2
    {
    }

    public struct Vector3
    {
        public float x, y, z;

        public Vector3(float x, float y, float z)
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public static Vector3 Lerp(Vector3 a, Vector3 b, float t)
        {
            return new Vector3(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t);
        }
    }

    public sealed class Transform : Component
    {
        public Vector3 position { get; set; }
    }

    public struct Rect
    {
        public Rect(float x, float y, float width, float height)
        {
        }
    }

    public static class Screen
    {
        public static int width { get; set; }

        public static int height { get; set; }
    }

    public sealed class GUILayoutOption
    {
    }

    public class GUIContent
    {
        public GUIContent(string text, string tooltip)
        {
            this.text = text;
            this.tooltip = tooltip;
        }

        public string text { get; set; }

        public string tooltip { get; set; }
    }

    public static class GUILayout
    {
        public static void BeginArea(Rect area)
        {
        }

        public static void EndArea()
        {
        }

        public static void BeginHorizontal(params GUILayoutOption[] options)
        {
        }

        public static void EndHorizontal()
        {
        }

        public static event Action<string> Labelled;

        public static string Clicked { get; set; }

        public static void Label(string text, params GUILayoutOption[] options)
        {
            if (Labelled != null)
            {
                Labelled(text);
            }
        }

        public static void Label(GUIContent content, params GUILayoutOption[] options)
        {
            Label(content.text, options);
        }

        public static Vector2 BeginScrollView(Vector2 position, params GUILayoutOption[] options)
        {
            return position;
        }

        public static void EndScrollView()
        {
        }

        public static void FlexibleSpace()
        {
        }

        public static GUILayoutOption ExpandWidth(bool expand)
        {
            return null;
        }

        public static string TextField(string text, params GUILayoutOption[] options)
        {
            return text;
        }

        public static bool Button(string text, params GUILayoutOption[] options)
        {
            return text == Clicked;
        }

        public static GUILayoutOption Width(float width)
        {
            return null;
        }
    }

    public enum RuntimeInitializeLoadType
    {
        AfterSceneLoad,
        BeforeSceneLoad,
        AfterAssembliesLoaded,
        BeforeSplashScreen,
        SubsystemRegistration,
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType loadType)
        {
        }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class AddComponentMenuAttribute : Attribute
    {
        public AddComponentMenuAttribute(string menuName)
        {
        }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class DisallowMultipleComponentAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Field)]
    public sealed class SerializeFieldAttribute : Attribute
    {
    }
}

namespace UnityEngine
{
    public class AndroidJavaObject : IDisposable
    {
        public T GetStatic<T>(string name)
        {
            return default(T);
        }

        public T Call<T>(string name, params object[] arguments)
        {
            return default(T);
        }

        public IntPtr GetRawObject()
        {
            return IntPtr.Zero;
        }

        public void Dispose()
        {
        }
    }

    public class AndroidJavaClass : AndroidJavaObject
    {
        public AndroidJavaClass(string name)
        {
        }
    }

    public static class AndroidJNI
    {
        public static IntPtr GetJavaVM()
        {
            return IntPtr.Zero;
        }
    }
}

namespace UnityEngine.Scripting
{
    [AttributeUsage(AttributeTargets.All)]
    public sealed class PreserveAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Assembly)]
    public sealed class AlwaysLinkAssemblyAttribute : Attribute
    {
    }
}

namespace UnityEditor
{
    [AttributeUsage(AttributeTargets.Class)]
    public sealed class InitializeOnLoadAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class MenuItemAttribute : Attribute
    {
        public MenuItemAttribute(string itemName)
        {
        }
    }

    public class EditorWindow : UnityEngine.ScriptableObject
    {
        public static EditorWindow Shown { get; private set; }

        public int Repaints { get; private set; }

        public static T GetWindow<T>(string title) where T : EditorWindow, new()
        {
            var window = new T();
            Shown = window;
            return window;
        }

        public void Repaint()
        {
            Repaints++;
        }
    }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();

        public static event AssemblyReloadCallback beforeAssemblyReload;

        public static void Reload()
        {
            if (beforeAssemblyReload != null)
            {
                beforeAssemblyReload();
            }
        }
    }

    public enum PlayModeStateChange
    {
        EnteredEditMode,
        ExitingEditMode,
        EnteredPlayMode,
        ExitingPlayMode,
    }

    public static class EditorApplication
    {
        public static event Action<PlayModeStateChange> playModeStateChanged;

        public static void ChangePlayMode(PlayModeStateChange change)
        {
            if (playModeStateChanged != null)
            {
                playModeStateChanged(change);
            }
        }

        public delegate void CallbackFunction();

        public static CallbackFunction update;

        public static double timeSinceStartup { get; set; }

        public static event Action quitting;

        public static void Quit()
        {
            if (quitting != null)
            {
                quitting();
            }
        }
    }
}
