using System;

namespace Framewire
{
    // The handlers of an event are stored as an array, so that each is called also after one has thrown. A delegate alone
    // would have to be split for that in every call, which allocates.
    internal static class Handlers
    {
        /// <summary>Returns the handlers that a delegate combines, or null for null.</summary>
        internal static T[] Split<T>(T combined) where T : class
        {
            if (combined == null)
            {
                return null;
            }
            Delegate[] list = ((Delegate)(object)combined).GetInvocationList();
            return Array.ConvertAll(list, handler => (T)(object)handler);
        }

        /// <summary>Returns one delegate for these handlers, or null for null.</summary>
        internal static T Combine<T>(T[] handlers) where T : class
        {
            return handlers == null ? null : (T)(object)Delegate.Combine((Delegate[])(object)handlers);
        }
    }
}
