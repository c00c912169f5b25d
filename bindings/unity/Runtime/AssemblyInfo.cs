using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Framewire.Editor")]
[assembly: InternalsVisibleTo("Framewire.Tests")]
#if UNITY_5_3_OR_NEWER
// The updater is found by its attributes, not by a call: keep it where code is stripped.
[assembly: UnityEngine.Scripting.AlwaysLinkAssembly]
#endif
