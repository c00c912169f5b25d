using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Framewire.Editor")]
[assembly: InternalsVisibleTo("Framewire.Profiler")]
[assembly: InternalsVisibleTo("Framewire.Tests")]
#if UNITY_5_3_OR_NEWER
// Prevents code stripping: WebSocketUpdater is found by its attributes, not by a call.
[assembly: UnityEngine.Scripting.AlwaysLinkAssembly]
#endif
