using System;
using System.Runtime.InteropServices;
using System.Security;

namespace Framewire.Native
{
    /// <summary>
    /// Declares the functions of framewire.h that this binding uses; the header documents them. All
    /// parameters are blittable: text is a pointer to UTF-8, bool is a byte.
    /// </summary>
    [SuppressUnmanagedCodeSecurity]
    internal static unsafe class FramewireNative
    {
#if (UNITY_IOS || UNITY_WEBGL) && !UNITY_EDITOR
        // Linked statically, because iOS apps and web pages cannot load their own dynamic libraries.
        internal const string Library = "__Internal";
#else
        internal const string Library = "framewire";
#endif

        /// <summary>The version of the header that these declarations match.</summary>
        internal const uint FW_VERSION = 0u << 16 | 2u << 8 | 0u;

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* fw_result_name(fw_result result);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_last_error(byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint fw_capabilities();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint fw_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte* fw_version_string();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_sizeof(fw_struct which);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_config_init(fw_config* config, UIntPtr struct_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_init(fw_config* config);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_shutdown(uint timeout_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_queue_log(fw_log_level max);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte fw_next_log(
            fw_log_level* level,
            fw_socket* socket,
            byte* context,
            UIntPtr context_cap,
            byte* message,
            UIntPtr message_cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_create(byte* url, fw_socket* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_open(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_close(fw_socket socket, ushort code, byte* reason);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_abort(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_destroy(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_destroy_when_sent(fw_socket socket, uint timeout_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_user_data(fw_socket socket, void* user_data);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_enable_event(fw_socket socket, fw_event_type type, byte enable);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_pending();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte fw_wait(uint timeout_ms);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_next_events(fw_event* @out, UIntPtr count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_next_events(fw_socket socket, fw_event* @out, UIntPtr count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_events_release(fw_event* events, UIntPtr count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_event_release(fw_event* @event);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_text(fw_socket socket, byte* text, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_binary(fw_socket socket, void* data, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send(fw_socket socket, fw_message* message);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_lanes(fw_socket socket, fw_lane* lanes, UIntPtr count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_link(fw_socket socket, fw_link* link);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_capture(fw_socket socket, byte* path, fw_capture* options);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_lane_stats(fw_socket socket, uint lane, fw_lane_stats* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_text_segment(fw_socket socket, fw_segment segment);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_binary_segment(fw_socket socket, fw_segment segment);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_ping(fw_socket socket, void* data, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_buffered_amount(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_max_buffered_amount(fw_socket socket, UIntPtr bytes);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_text_with(
            fw_socket socket, byte* text, UIntPtr len, fw_send_flags flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_send_binary_with(
            fw_socket socket, void* data, UIntPtr len, fw_send_flags flags);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_offer_extension(fw_socket socket, byte* offer, uint rsv);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_buffer_get(UIntPtr size, fw_segment* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_segment_retain(fw_segment segment);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_segment_release(fw_segment segment);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_pool_stats_init(fw_pool_stats* stats, UIntPtr struct_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_buffer_pool_stats(fw_pool_stats* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_buffer_pool_trim();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_origin(fw_socket socket, byte* origin);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_add_protocol(fw_socket socket, byte* protocol);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_add_header(fw_socket socket, byte* name, byte* value);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_basic_auth(fw_socket socket, byte* user, byte* password);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_bearer_auth(fw_socket socket, byte* token);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_max_fragment_size(fw_socket socket, UIntPtr bytes);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_max_message_size(fw_socket socket, UIntPtr bytes);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_compression_init(fw_compression* compression, UIntPtr struct_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_compression(fw_socket socket, fw_compression* compression);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_start_ping_thread(fw_socket socket, byte enable);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_ping_frequency(fw_socket socket, uint milliseconds);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_close_after_no_message(fw_socket socket, uint milliseconds);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_connect_timeout(fw_socket socket, uint milliseconds);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_close_timeout(fw_socket socket, uint milliseconds);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_http_version(fw_socket socket, fw_http version);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_proxy(fw_socket socket, byte* url);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_max_redirects(fw_socket socket, uint count);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_cookies(fw_socket socket, byte enable);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_reconnect_init(fw_reconnect* reconnect, UIntPtr struct_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_reconnect(fw_socket socket, fw_reconnect* reconnect);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_network_changed();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_suspend();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_resume();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_android_init(void* java_vm, void* application_context);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_tls(fw_socket socket, fw_tls tls);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_set_context(fw_socket socket, byte* key, byte* value);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_create(fw_tls* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_add_ca_pem(fw_tls tls, byte* pem, UIntPtr len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_set_client_cert_pem(
            fw_tls tls, byte* cert_pem, UIntPtr cert_len, byte* key_pem, UIntPtr key_len);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_add_pin_sha256(fw_tls tls, byte* pin);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_set_roots(fw_tls tls, fw_roots roots);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_set_insecure(fw_tls tls, byte enable);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_set_key_log(fw_tls tls, byte enable);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_tls_destroy(fw_tls tls);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_state fw_socket_state(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern byte fw_socket_is_open(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern long fw_socket_latency_us(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern ulong fw_socket_last_message_received(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_protocol(fw_socket socket, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_extensions(fw_socket socket, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint fw_socket_http_version(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern ushort fw_socket_response_status(fw_socket socket);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_response_header(
            fw_socket socket, byte* name, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_response_headers(fw_socket socket, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_response_body(fw_socket socket, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_socket_url(fw_socket socket, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void fw_stats_init(fw_stats* stats, UIntPtr struct_size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_socket_stats(fw_socket socket, fw_stats* @out);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_request_url(fw_request request, byte* buf, UIntPtr cap);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint fw_request_http_version(fw_request request);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern uint fw_request_attempt(fw_request request);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_request_set_header(fw_request request, byte* name, byte* value);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_request_add_header(fw_request request, byte* name, byte* value);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern fw_result fw_request_remove_header(fw_request request, byte* name);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern UIntPtr fw_request_header(fw_request request, byte* name, byte* buf, UIntPtr cap);
    }
}
