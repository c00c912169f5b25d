#if UNITY_2021_2_OR_NEWER || FRAMEWIRE_NETSTANDARD_2_1
using System;
using System.Collections.Generic;
using System.Net;

namespace Framewire
{
    // What the server has answered to the upgrade request.
    public sealed partial class FramewireClientWebSocket
    {
        private HttpStatusCode _httpStatusCode;
        private IReadOnlyDictionary<string, IEnumerable<string>> _httpResponseHeaders;

        /// <summary>
        /// The HTTP status of the response if <c>Options.CollectHttpResponseDetails</c> is set; otherwise 0. Always 0 under
        /// WebGL.
        /// </summary>
        public HttpStatusCode HttpStatusCode
        {
            get { return _httpStatusCode; }
        }

        /// <summary>
        /// The headers of the response if <c>Options.CollectHttpResponseDetails</c> is set; otherwise null. Names are
        /// case-insensitive. Can be set to null when they are not needed any more. Always null under WebGL.
        /// </summary>
        public IReadOnlyDictionary<string, IEnumerable<string>> HttpResponseHeaders
        {
            get { return _httpResponseHeaders; }
            set { _httpResponseHeaders = value; }
        }

        /// <summary>Keeps what is wanted of a response, also of one that rejects the upgrade.</summary>
        private void KeepResponse()
        {
            int status = _socket.ResponseStatus;
            if (status == 0)
            {
                return;
            }
            if (_options.CollectHttpResponseDetails)
            {
                _httpStatusCode = (HttpStatusCode)status;
                _httpResponseHeaders = ByName(_socket.GetResponseHeaders());
            }
            _options.KeepCookies(_socket, _uri);
        }

        private static IReadOnlyDictionary<string, IEnumerable<string>> ByName(KeyValuePair<string, string>[] fields)
        {
            var byName = new Dictionary<string, IEnumerable<string>>(StringComparer.OrdinalIgnoreCase);
            foreach (KeyValuePair<string, string> field in fields)
            {
                IEnumerable<string> values;
                if (!byName.TryGetValue(field.Key, out values))
                {
                    values = new List<string>();
                    byName.Add(field.Key, values);
                }
                ((List<string>)values).Add(field.Value);
            }
            return byName;
        }
    }
}
#endif
