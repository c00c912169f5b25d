// Prevents code stripping: no other assembly refers to this one.
[assembly: UnityEngine.Scripting.AlwaysLinkAssembly]
