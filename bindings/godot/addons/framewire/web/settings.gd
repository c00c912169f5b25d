extends RefCounted
## The properties of the sockets of the Web export, with the names, types and defaults of `FramewireSocket`.

## Mozilla's certificate authorities in native builds; the browser's own in the Web export.
const TLS_ROOTS_WEBPKI := 0
## The certificate authorities of the operating system in native builds; the browser's own in the Web export.
const TLS_ROOTS_PLATFORM := 1
## Not available in a browser; see [member tls_roots].
const TLS_ROOTS_NONE := 2

const _Lanes := preload("lanes.gd")
const _NO_LINK := "a browser makes the connections itself, so no link can be simulated below them"
const _NO_CAPTURE := "a browser lets no page see frames; its developer tools show them"
const _TOKEN := "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
const _MAX_MESSAGE_SIZE := 0x7fffffff
const _MIN_FRAGMENT_SIZE := 16
const _MIN_HEARTBEAT := 0.01
const _MAX_MILLISECONDS := 0xffffffff

## The properties of which a script has been warned.
static var _warned := {}

## The subprotocols to offer, in order of preference.
var supported_protocols: PackedStringArray = PackedStringArray(): set = set_supported_protocols, get = get_supported_protocols
## Must be empty: a browser sends no header fields of a page. Otherwise, [method connect_to_url] returns
## [constant ERR_UNAVAILABLE]. Pass a token in the URL, in a subprotocol or in the first message.
var handshake_headers: PackedStringArray = PackedStringArray(): set = set_handshake_headers, get = get_handshake_headers
## Must be empty: a browser sends the origin of the page. Otherwise, [method connect_to_url] returns
## [constant ERR_UNAVAILABLE].
var origin: String = ""
## The maximum number of bytes queued for [method get_packet], at least 1. When it is reached, [method poll] stops
## delivering messages. A browser has no backpressure, so further messages are kept in memory; above the larger of
## 4 MiB and this size, the connection ends with [signal failed]. A received message must not be larger either.
var inbound_buffer_size: int = 4194304
## The maximum number of bytes queued for sending. Above it, send methods return [constant ERR_OUT_OF_MEMORY] and
## queue nothing. One message may exceed it.
var outbound_buffer_size: int = 67108864: set = set_outbound_buffer_size
## The maximum number of packets queued for [method get_packet], at least 1. When it is reached, [method poll] stops
## delivering messages; see [member inbound_buffer_size].
var max_queued_packets: int = 4096
## No effect: a browser sends no pings of a page.
var heartbeat_interval: float = 0.0: set = set_heartbeat_interval
## No effect: a browser sends no pings of a page.
var heartbeat_timeout: float = 0.0: set = set_heartbeat_timeout
## The maximum size of a received message in bytes; see also [member inbound_buffer_size]. A larger message ends the
## connection with [signal failed], after the browser has received it.
var max_message_size: int = 67108864
## No effect: the browser divides messages into frames.
var max_fragment_size: int = 32767: set = set_max_fragment_size
## No effect: the browser decides whether it offers compression.
var compression: bool = true: set = set_compression
## No effect: the browser decides how it compresses.
var compression_level: int = 6: set = set_compression_level
## No effect: the browser decides how it compresses.
var compression_min_size: int = 256: set = set_compression_min_size
## No effect: the browser decides how it compresses.
var compression_client_no_context_takeover: bool = false: set = set_compression_client_no_context_takeover
## No effect: the browser decides how it compresses.
var compression_server_no_context_takeover: bool = false: set = set_compression_server_no_context_takeover
## No effect: the browser decides how it compresses.
var compression_client_max_window_bits: int = 15: set = set_compression_client_max_window_bits
## No effect: the browser decides how it compresses.
var compression_server_max_window_bits: int = 15: set = set_compression_server_max_window_bits
## The timeout for connecting in seconds.
var connect_timeout: float = 20.0
## The timeout for the closing handshake in seconds.
var close_timeout: float = 5.0
## No effect: the browser chooses the HTTP version.
var requested_http_version: int = 0: set = set_requested_http_version
## Must be empty or [code]"none"[/code]: the browser uses its own proxy settings. Otherwise, [method connect_to_url]
## returns [constant ERR_UNAVAILABLE].
var proxy: String = ""
## No effect: browsers follow no redirects of WebSocket handshakes.
var max_redirects: int = 0: set = set_max_redirects
## No effect: the browser stores and sends the cookies of the server.
var keep_cookies: bool = false: set = set_keep_cookies
## Retries after a retriable failure, with exponential backoff and jitter; see [signal reconnecting].
var reconnect: bool = false
## The minimum delay before a retry in seconds. Delays are random; their upper limit doubles with each consecutive
## retry.
var reconnect_min_delay: float = 0.25
## The maximum delay before a retry in seconds.
var reconnect_max_delay: float = 30.0
## The maximum number of consecutive retries before [signal failed]; 0 for no limit.
var reconnect_max_attempts: int = 0
## Queues messages that are sent while the socket is connecting, up to [member outbound_buffer_size]. If disabled, or
## without [member reconnect], they are rejected.
var reconnect_queue_sends: bool = false
## The maximum size of a value encoded by [method put_var], in bytes.
var encode_buffer_max_size: int = 8388608
## The lanes in which messages wait until they are given to the browser, at most 8. Empty, the default, is the same as one
## lane.
## [br][br]
## Each is a dictionary: lanes with a lower [code]priority[/code] (default 0) go first. Lanes of equal priority share the
## connection by [code]weight[/code], 1 (the default) to 1000. [code]max_bytes[/code] limits the waiting payload of the
## lane; 0, the default, for no limit but [member outbound_buffer_size]. All send methods but
## [method send_message] use lane 0. Reading the property returns a copy: assign it to change the lanes.
## [br][br]
## An invalid value is refused with an error, and the property keeps its previous value: an unknown setting, a number out of
## range, or fewer lanes while one that would be removed has waiting messages.
var lanes: Array = []: set = set_lanes, get = get_lanes
## Must be empty: a browser makes the connections itself, so no bad network can be simulated below them. Otherwise,
## [method connect_to_url] returns [constant ERR_UNAVAILABLE].
var link_conditions: Dictionary = {}: set = set_link_conditions, get = get_link_conditions
## Must be empty, as every property about TLS but [member tls_roots]: the browser verifies certificates.
## Otherwise, [method connect_to_url] returns [constant ERR_UNAVAILABLE].
var tls_ca_pem: String = ""
## The browser uses its own certificate authorities. With [constant TLS_ROOTS_NONE], [method connect_to_url] returns
## [constant ERR_UNAVAILABLE].
var tls_roots: int = TLS_ROOTS_WEBPKI
## Must be empty; see [member tls_ca_pem].
var tls_pins: PackedStringArray = PackedStringArray(): set = set_tls_pins, get = get_tls_pins
## Must be empty; see [member tls_ca_pem].
var tls_client_cert_pem: String = ""
## Must be empty; see [member tls_ca_pem].
var tls_client_key_pem: String = ""
## Must be [code]false[/code]; see [member tls_ca_pem].
var tls_insecure: bool = false
## No effect: the browser has a setting of its own.
var tls_key_log: bool = false: set = set_tls_key_log
## Must be empty: a browser lets no page see frames; its developer tools show them. Otherwise, [method connect_to_url]
## returns [constant ERR_UNAVAILABLE].
var capture_path: String = ""
## No effect, as nothing is captured.
var capture_max_file_bytes: int = 0
## No effect, as nothing is captured.
var capture_include_secrets: bool = false


func get_supported_protocols() -> PackedStringArray:
	return supported_protocols.duplicate()


func set_supported_protocols(value: PackedStringArray) -> void:
	supported_protocols = value.duplicate()


func get_handshake_headers() -> PackedStringArray:
	return handshake_headers.duplicate()


func set_handshake_headers(value: PackedStringArray) -> void:
	handshake_headers = value.duplicate()


func get_origin() -> String:
	return origin


func set_origin(value: String) -> void:
	origin = value


func get_inbound_buffer_size() -> int:
	return inbound_buffer_size


func set_inbound_buffer_size(value: int) -> void:
	inbound_buffer_size = value


func get_outbound_buffer_size() -> int:
	return outbound_buffer_size


func set_outbound_buffer_size(size: int) -> void:
	if _is_rejected("outbound_buffer_size", size):
		return
	outbound_buffer_size = size


func get_max_queued_packets() -> int:
	return max_queued_packets


func set_max_queued_packets(value: int) -> void:
	max_queued_packets = value


func get_heartbeat_interval() -> float:
	return heartbeat_interval


func set_heartbeat_interval(interval: float) -> void:
	if _is_rejected("heartbeat_interval", interval):
		return
	heartbeat_interval = interval
	_warn_of_no_effect("heartbeat_interval", heartbeat_interval != 0.0)


func get_heartbeat_timeout() -> float:
	return heartbeat_timeout


func set_heartbeat_timeout(timeout: float) -> void:
	if _is_rejected("heartbeat_timeout", timeout):
		return
	heartbeat_timeout = timeout
	_warn_of_no_effect("heartbeat_timeout", heartbeat_timeout != 0.0)


func get_max_message_size() -> int:
	return max_message_size


func set_max_message_size(value: int) -> void:
	max_message_size = value


func get_max_fragment_size() -> int:
	return max_fragment_size


func set_max_fragment_size(size: int) -> void:
	if _is_rejected("max_fragment_size", size):
		return
	max_fragment_size = size
	_warn_of_no_effect("max_fragment_size", max_fragment_size != 32767)


func get_compression() -> bool:
	return compression


func set_compression(value: bool) -> void:
	compression = value
	_warn_of_no_effect("compression", compression != true)


func get_compression_level() -> int:
	return compression_level


func set_compression_level(value: int) -> void:
	compression_level = value
	_warn_of_no_effect("compression_level", compression_level != 6)


func get_compression_min_size() -> int:
	return compression_min_size


func set_compression_min_size(value: int) -> void:
	compression_min_size = value
	_warn_of_no_effect("compression_min_size", compression_min_size != 256)


func get_compression_client_no_context_takeover() -> bool:
	return compression_client_no_context_takeover


func set_compression_client_no_context_takeover(value: bool) -> void:
	compression_client_no_context_takeover = value
	_warn_of_no_effect("compression_client_no_context_takeover", compression_client_no_context_takeover != false)


func get_compression_server_no_context_takeover() -> bool:
	return compression_server_no_context_takeover


func set_compression_server_no_context_takeover(value: bool) -> void:
	compression_server_no_context_takeover = value
	_warn_of_no_effect("compression_server_no_context_takeover", compression_server_no_context_takeover != false)


func get_compression_client_max_window_bits() -> int:
	return compression_client_max_window_bits


func set_compression_client_max_window_bits(value: int) -> void:
	compression_client_max_window_bits = value
	_warn_of_no_effect("compression_client_max_window_bits", compression_client_max_window_bits != 15)


func get_compression_server_max_window_bits() -> int:
	return compression_server_max_window_bits


func set_compression_server_max_window_bits(value: int) -> void:
	compression_server_max_window_bits = value
	_warn_of_no_effect("compression_server_max_window_bits", compression_server_max_window_bits != 15)


func get_connect_timeout() -> float:
	return connect_timeout


func set_connect_timeout(value: float) -> void:
	connect_timeout = value


func get_close_timeout() -> float:
	return close_timeout


func set_close_timeout(value: float) -> void:
	close_timeout = value


func get_requested_http_version() -> int:
	return requested_http_version


func set_requested_http_version(value: int) -> void:
	requested_http_version = value
	_warn_of_no_effect("requested_http_version", requested_http_version != 0)


func get_proxy() -> String:
	return proxy


func set_proxy(value: String) -> void:
	proxy = value


func get_max_redirects() -> int:
	return max_redirects


func set_max_redirects(value: int) -> void:
	max_redirects = value
	_warn_of_no_effect("max_redirects", max_redirects != 0)


func get_keep_cookies() -> bool:
	return keep_cookies


func set_keep_cookies(value: bool) -> void:
	keep_cookies = value
	_warn_of_no_effect("keep_cookies", keep_cookies != false)


func get_reconnect() -> bool:
	return reconnect


func set_reconnect(value: bool) -> void:
	reconnect = value


func get_reconnect_min_delay() -> float:
	return reconnect_min_delay


func set_reconnect_min_delay(value: float) -> void:
	reconnect_min_delay = value


func get_reconnect_max_delay() -> float:
	return reconnect_max_delay


func set_reconnect_max_delay(value: float) -> void:
	reconnect_max_delay = value


func get_reconnect_max_attempts() -> int:
	return reconnect_max_attempts


func set_reconnect_max_attempts(value: int) -> void:
	reconnect_max_attempts = value


func get_reconnect_queue_sends() -> bool:
	return reconnect_queue_sends


func set_reconnect_queue_sends(value: bool) -> void:
	reconnect_queue_sends = value


func get_encode_buffer_max_size() -> int:
	return encode_buffer_max_size


func set_encode_buffer_max_size(value: int) -> void:
	encode_buffer_max_size = value


func get_lanes() -> Array:
	return lanes.duplicate(true)


func set_lanes(value: Array) -> void:
	var problem := _Lanes.problem_of(value)
	if problem.is_empty():
		problem = _change_lanes(value)
	if problem.is_empty():
		lanes = _Lanes.complete(value)
	else:
		_report("set_lanes", ERR_INVALID_PARAMETER, problem)


func get_link_conditions() -> Dictionary:
	return link_conditions.duplicate()


func set_link_conditions(value: Dictionary) -> void:
	if _is_in_use() and not value.is_empty():
		_report("set_link_conditions", ERR_UNAVAILABLE, _NO_LINK)
		return
	link_conditions = value.duplicate()


func get_tls_ca_pem() -> String:
	return tls_ca_pem


func set_tls_ca_pem(value: String) -> void:
	tls_ca_pem = value


func get_tls_roots() -> int:
	return tls_roots


func set_tls_roots(value: int) -> void:
	tls_roots = value


func get_tls_pins() -> PackedStringArray:
	return tls_pins.duplicate()


func set_tls_pins(value: PackedStringArray) -> void:
	tls_pins = value.duplicate()


func get_tls_client_cert_pem() -> String:
	return tls_client_cert_pem


func set_tls_client_cert_pem(value: String) -> void:
	tls_client_cert_pem = value


func get_tls_client_key_pem() -> String:
	return tls_client_key_pem


func set_tls_client_key_pem(value: String) -> void:
	tls_client_key_pem = value


func get_tls_insecure() -> bool:
	return tls_insecure


func set_tls_insecure(value: bool) -> void:
	tls_insecure = value


func get_tls_key_log() -> bool:
	return tls_key_log


func set_tls_key_log(value: bool) -> void:
	tls_key_log = value
	_warn_of_no_effect("tls_key_log", tls_key_log != false)


func get_capture_path() -> String:
	return capture_path


func set_capture_path(value: String) -> void:
	capture_path = value


func get_capture_max_file_bytes() -> int:
	return capture_max_file_bytes


func set_capture_max_file_bytes(value: int) -> void:
	capture_max_file_bytes = value


func get_capture_include_secrets() -> bool:
	return capture_include_secrets


func set_capture_include_secrets(value: bool) -> void:
	capture_include_secrets = value



## Returns what is wrong with the settings, or an empty string.
func _invalid_setting() -> String:
	var seen := {}
	for protocol in supported_protocols:
		if protocol.is_empty() or not _consists_of(protocol, _TOKEN):
			return "the subprotocol \"%s\" is not a token: letters, digits and !#$%%&'*+-.^_`|~ (RFC 6455 section 4.1)" % protocol
		if seen.has(protocol):
			return "the subprotocol \"%s\" is listed twice; each must be unique (RFC 6455 section 4.1)" % protocol
		seen[protocol] = true
	for property: String in [
		"inbound_buffer_size", "outbound_buffer_size", "max_queued_packets", "heartbeat_interval", "heartbeat_timeout",
		"max_message_size", "max_fragment_size", "connect_timeout", "close_timeout", "requested_http_version", "max_redirects",
		"reconnect_min_delay", "reconnect_max_delay", "reconnect_max_attempts", "tls_roots"
	]:
		var is_of_reconnect := property.begins_with("reconnect")
		var problem := "" if is_of_reconnect and not reconnect else _problem_of(property, get(property))
		if not problem.is_empty():
			return problem
	if reconnect and _milliseconds(reconnect_max_delay) < _milliseconds(reconnect_min_delay):
		return "reconnect_max_delay must not be less than reconnect_min_delay"
	return ""


## Returns what a browser cannot do and the settings ask for, or an empty string.
func _unavailable_setting() -> String:
	if not handshake_headers.is_empty():
		return "handshake_headers: a browser sends no header fields of a page; pass a token in the URL, in a subprotocol or in the first message"
	if not origin.is_empty():
		return "origin: a browser sends the origin of the page"
	if not proxy.is_empty() and proxy != "none":
		return "proxy: a browser uses its own proxy settings"
	if not link_conditions.is_empty():
		return "link_conditions: " + _NO_LINK
	if not capture_path.is_empty():
		return "capture_path: " + _NO_CAPTURE
	var tls := {
		"tls_ca_pem": tls_ca_pem, "tls_pins": tls_pins, "tls_client_cert_pem": tls_client_cert_pem,
		"tls_client_key_pem": tls_client_key_pem
	}
	for property: String in tls:
		if not tls[property].is_empty():
			return "%s: a browser verifies certificates itself" % property
	if tls_roots == TLS_ROOTS_NONE or tls_insecure:
		return "%s: a browser verifies certificates itself" % ("tls_insecure" if tls_insecure else "tls_roots")
	return ""


## Returns what is wrong with a value, or an empty string.
func _problem_of(property: String, value: Variant) -> String:
	if value is float:
		if is_nan(value) or value < 0.0:
			return "%s is %s, but must be a number of seconds, at least 0" % [property, value]
		if property == "heartbeat_interval":
			return "heartbeat_interval must be at least 10 ms" if value > 0.0 and value < _MIN_HEARTBEAT else ""
		return "%s must be at least 1 ms" % property if value == 0.0 and property != "heartbeat_timeout" else ""
	var minimum := 0
	var maximum := 0xffffffff
	match property:
		"inbound_buffer_size", "max_queued_packets":
			minimum = 1
		"max_message_size":
			minimum = 1
			maximum = _MAX_MESSAGE_SIZE
		"max_fragment_size":
			minimum = _MIN_FRAGMENT_SIZE
			maximum = _MAX_MESSAGE_SIZE
		"requested_http_version", "tls_roots":
			maximum = 2
	return "" if value >= minimum and value <= maximum else "%s is %d, but must be %d to %d" % [property, value, minimum, maximum]


## Reports a value that an open connection cannot take. The property then keeps its previous value.
func _is_rejected(property: String, value: Variant) -> bool:
	var problem := _problem_of(property, value) if _is_in_use() else ""
	if problem.is_empty():
		return false
	_report("set_" + property, ERR_INVALID_PARAMETER, problem)
	return true


func _warn_of_no_effect(property: String, is_set: bool) -> void:
	if is_set and not _warned.has(property):
		_warned[property] = true
		push_warning("FramewireSocket.%s has no effect in a browser, which decides this itself" % property)


func _is_in_use() -> bool:
	return false


## Overridden by the socket. Returns why the lanes cannot change, or an empty string.
func _change_lanes(_value: Array) -> String:
	return ""


## Overridden by the socket.
func _report(_call: String, error: Error, _message: String) -> Error:
	return error


## Converts to milliseconds: at least 1 for a positive time, and 49 days for infinity.
static func _milliseconds(seconds: float) -> int:
	return clampi(int(minf(seconds * 1000.0, _MAX_MILLISECONDS)), 1 if seconds > 0.0 else 0, _MAX_MILLISECONDS)


static func _consists_of(text: String, characters: String) -> bool:
	for character in text:
		if not character in characters:
			return false
	return true
