extends "settings.gd"
## A socket for the Web export, on top of [WebSocketPeer].
##
## Has the methods, properties, signals and constants of `FramewireSocket`, and the same order of events. Create it with
## [method Framewire.create_socket]. What a browser cannot do is said at each member: a setting that would change who is
## connected or trusted makes [method connect_to_url] return [constant ERR_UNAVAILABLE], any other has no effect and is
## warned of once.
## [br][br]
## Call [method poll] once per frame. A hidden tab runs no frames, while the browser still receives messages. They are kept,
## up to 65,534 messages and 4 MiB or [member inbound_buffer_size]; above that, the connection ends with [signal failed].
## Let the server send less to a hidden tab, or close the connection when the page is hidden.

## Emitted when the connection is open and messages can be sent.
signal opened()
## Emitted when a text message was received. A [String] ends before the first U+0000 of the text, and does not contain a
## byte order mark at its start; [method get_packet] returns all bytes.
signal text_received(text: String)
## Emitted when a binary message was received.
signal binary_received(data: PackedByteArray)
## Emitted at the end of [method poll] with all messages that are queued for [method get_packet]: a [PackedByteArray] for
## each binary message and a [String] for each text message, as of [method get_packets], in order. While anything is connected to this signal,
## messages without a signal of their own are delivered here.
signal packets_received(packets: Array)
## Never emitted: a browser delivers complete messages.
signal fragment_received(data: PackedByteArray, is_text: bool, is_first: bool, is_final: bool)
## Never emitted: a browser sends no pings of a page, and shows no pongs.
signal pong_received(data: PackedByteArray)
## Emitted once for each message with a tag that [method send_message] has accepted, before [signal closed] or
## [signal failed]. [param outcome] is one of the [code]OUTCOME_*[/code] constants. If several messages
## have the same tag, each is reported.
signal sent(tag: int, outcome: int)
## Emitted when the connection failed and is retried in [param delay] seconds; see [member reconnect]. [param attempt]
## counts consecutive retries from 1. [method close] cancels the retry.
signal reconnecting(attempt: int, delay: float, reason: String)
## Emitted when the connection ended with a closing handshake, or was closed by the script. [param code] is the close
## code: 1005 if the server sent none, 1006 if the handshake was not completed.
signal closed(code: int, reason: String)
## Emitted when connecting failed, the connection was lost, or a limit was exceeded. A browser does not say why:
## [param phase] is [code]"connect"[/code] or [code]"open"[/code], and [param status] is 0.
signal failed(phase: String, status: int, reason: String, retriable: bool)
## Never emitted: this class has no log.
signal logged(level: int, message: String, context: String)
## Never emitted: a browser makes the requests itself.
signal request_created(request: Dictionary)

## Not connected yet.
const STATE_CONNECTING := WebSocketPeer.STATE_CONNECTING
## Connected: messages can be sent.
const STATE_OPEN := WebSocketPeer.STATE_OPEN
## [method close] was called and the closing handshake is in progress.
const STATE_CLOSING := WebSocketPeer.STATE_CLOSING
## Not connected.
const STATE_CLOSED := WebSocketPeer.STATE_CLOSED
## A text message, which must be valid UTF-8.
const WRITE_MODE_TEXT := WebSocketPeer.WRITE_MODE_TEXT
## A binary message.
const WRITE_MODE_BINARY := WebSocketPeer.WRITE_MODE_BINARY
## The message was given to the browser. The server may still not receive it.
const OUTCOME_SENT := _Lanes.Outcome.SENT
## The time to live of the message ended before it was given to the browser.
const OUTCOME_EXPIRED := _Lanes.Outcome.EXPIRED
## A newer message with the same key took its place.
const OUTCOME_REPLACED := _Lanes.Outcome.REPLACED
## The connection ended first.
const OUTCOME_LOST := _Lanes.Outcome.LOST
## No log lines; see [method set_log_level].
const LOG_OFF := 0
## A failure of the library.
const LOG_ERROR := 1
## A possible misconfiguration, such as a disabled verification.
const LOG_WARN := 2
## Connections that fail, and retries.
const LOG_INFO := 3
## The steps of each connection.
const LOG_DEBUG := 4
## Everything.
const LOG_TRACE := 5
## The simulated link works; see [member link_conditions].
const LINK_CUT_NONE := 0
## Nothing moves in either direction.
const LINK_CUT_STALL := 1
## What is sent is lost, and nothing is received.
const LINK_CUT_HALF_OPEN := 2
## Connections are reset.
const LINK_CUT_RESET := 3
## Connections end without a closing handshake.
const LINK_CUT_END := 4
## New connections are refused.
const LINK_CUT_REFUSE := 5
## Header fields of the upgrade request, authentication, and the response.
const CAPABILITY_HEADERS := 1 << 0
## A cookie jar.
const CAPABILITY_COOKIES := 1 << 1
## Redirects are followed.
const CAPABILITY_REDIRECTS := 1 << 2
## Proxies are chosen by the program.
const CAPABILITY_PROXY := 1 << 3
## [code]wss:[/code] URLs.
const CAPABILITY_TLS := 1 << 4
## Certificates, pins and verification can be set.
const CAPABILITY_TLS_SETTINGS := 1 << 5
## The HTTP version is chosen by the program.
const CAPABILITY_HTTP_VERSION := 1 << 6
## WebSocket over HTTP/2 (RFC 8441), if the library makes the connection.
const CAPABILITY_HTTP2 := 1 << 7
## Compression can be configured and disabled.
const CAPABILITY_COMPRESSION_SETTINGS := 1 << 8
## Extensions of the program.
const CAPABILITY_EXTENSIONS := 1 << 9
## Messages are received and sent in fragments.
const CAPABILITY_FRAGMENTS := 1 << 10
## Pings, keepalive, pongs and the latency.
const CAPABILITY_PING := 1 << 11
## Close codes other than 1000 and 3000 to 4999 can be sent.
const CAPABILITY_CLOSE_CODES := 1 << 12
## A full event queue stops the server.
const CAPABILITY_BACKPRESSURE := 1 << 13
## Callbacks on worker threads.
const CAPABILITY_WORKER_DISPATCH := 1 << 14
## Waiting for events blocks until there is one.
const CAPABILITY_WAIT := 1 << 15
## The Java VM of an Android app can be handed over.
const CAPABILITY_ANDROID := 1 << 16
## A bad network can be simulated: [member link_conditions].
const CAPABILITY_LINK := 1 << 17
## Traffic can be captured: [member capture_path].
const CAPABILITY_CAPTURE := 1 << 18

enum _Kind { TEXT, BINARY, OPEN, SENT, RECONNECTING, CLOSED, FAILED }

const _MessageQueue := preload("message_queue.gd")
const _Url := preload("url.gd")
## The payload of an event that is no message.
const _NONE := []
## The smallest limit of received messages that are not delivered yet, the size of the extension's event queue.
const _MIN_UNREAD_BYTES := 4 << 20
## The number of messages that [WebSocketPeer] buffers, and that are kept if they are not read.
const _MAX_BUFFERED_PACKETS := 0xffff
## The bytes of messages in lanes that the browser may hold: the most that it can send before the next frame.
const _LANE_AHEAD := 64 << 10
const _MAX_TTL := 0xffffffff
const _MAX_CLOSE_REASON := 123
const _NORMAL := 1000
const _NO_CODE := 1005
const _NO_HANDSHAKE := 1006
const _NOT_OPEN := "the socket is not open: call connect_to_url(), and send after the signal opened"
const _QUEUE_IS_FULL := "the send queue is at its limit; nothing was queued"
const _NO_AUTHORIZATION := "a browser sends no Authorization header of a page; pass a token in the URL, in a subprotocol or in the first message"
const _DEVELOPER_TOOLS := "a browser does not say why; its developer tools may"

## Godot 4.4 and later. Lists of connections cost more.
static var _has_connections_method := ClassDB.class_has_method(&"Object", &"has_connections")

## The sockets that have connected, and counters of all sockets since the game has started.
static var _connected: Array[WeakRef] = []
static var _totals := {"messages_sent": 0, "messages_received": 0, "bytes_sent": 0, "bytes_received": 0}

## The connection, or [code]null[/code] while none exists.
var _peer: WebSocketPeer
## Whether the peer was open.
var _was_open := false
## The state at the last poll.
var _state := STATE_CLOSED
## The settings of the connection.
var _plan := {}
var _max_message_size := 0
var _max_unread := 0
## The size of the buffer of the peer.
var _buffer_size := 0
var _url := ""
var _host := ""
var _port := 0
var _protocol := ""
## The time of the connect or close timeout, and of the next retry, in milliseconds; 0 for none.
var _deadline := 0
var _retry_at := 0
var _retries := 0
## What was received and is not delivered yet.
var _events := _MessageQueue.new()
var _packets := _MessageQueue.new()
## The terminal event, deferred while a script reads the packets received before it.
var _deferred_end := []
## Messages that are sent while connecting, as [kind, payload].
var _unsent := _MessageQueue.new()
## The lanes in which messages wait; null until they are used.
var _waiting: _Lanes
## The number of accepted tags whose outcome is not delivered yet.
var _undelivered_tags := 0
## The last events of connections that the script has dropped, to be delivered first: the outcomes of messages, and the
## terminal event.
var _dropped: Array[Array] = []
## Raised whenever the connection is replaced or dropped, so that a poll notices that a handler has done so.
var _generation := 0
## The arguments of [method close], while messages in lanes go first.
var _close_frame := []
var _packet_error := OK
var _was_text := false
var _was_read := false
var _warned_of_full_queue := false
var _close_code := -1
var _close_reason := ""
var _last_error := {}
var _last_message_time := 0.0
var _bytes_sent := 0
var _bytes_received := 0
var _messages_sent := 0
var _messages_received := 0
var _reconnects := 0
var _has_credentials := false


func _notification(what: int) -> void:
	# The browser sends what it has queued before the close frame. Methods of this object cannot be called any more.
	if what == NOTIFICATION_PREDELETE and _peer != null:
		if _waiting != null and _peer.get_ready_state() == STATE_OPEN:
			_waiting.flush(_peer)
		_peer.close(_NORMAL)


## Starts connecting to a [code]ws:[/code] or [code]wss:[/code] URL and returns immediately. The result is emitted as
## [signal opened] or [signal failed]. If this does not return [constant OK], no connection was started; see
## [method get_last_error].
## [br][br]
## [param tls_client_options] must not have certificates: a browser verifies certificates itself.
func connect_to_url(url: String, tls_client_options: Object = null) -> Error:
	if _state != STATE_CLOSED:
		_last_error = {"kind": "call", "phase": "", "message": "the socket is connecting, open or closing already"}
		return ERR_ALREADY_IN_USE
	if _Url.has_credentials(url):
		return _report("connect_to_url", ERR_UNAVAILABLE, "the URL has credentials: " + _NO_AUTHORIZATION)
	var parts := _Url.parse(url)
	if parts.is_empty():
		return _report("connect_to_url", ERR_INVALID_PARAMETER, "\"%s\" is not a URL like wss://host:port/path" % url)
	var problem := _invalid_setting()
	if problem.is_empty() and tls_client_options != null:
		if not tls_client_options is TLSOptions:
			problem = "tls_client_options is a %s, not a TLSOptions" % tls_client_options.get_class()
		elif tls_client_options.is_server():
			problem = "these TLSOptions are for a server"
	if not problem.is_empty():
		return _report("connect_to_url", ERR_INVALID_PARAMETER, problem)
	problem = _unavailable_setting()
	if problem.is_empty() and _has_credentials:
		problem = "set_basic_auth and set_bearer_auth: " + _NO_AUTHORIZATION
	if problem.is_empty() and tls_client_options != null:
		var options: TLSOptions = tls_client_options
		if options.is_unsafe_client() or options.get_trusted_ca_chain() != null or not options.get_common_name_override().is_empty():
			problem = "tls_client_options: a browser verifies certificates itself"
	if not problem.is_empty():
		return _report("connect_to_url", ERR_UNAVAILABLE, problem)
	for signal_name: StringName in [&"fragment_received", &"pong_received", &"logged", &"request_created"]:
		if _is_connected(signal_name) and not _warned.has(signal_name):
			_warned[signal_name] = true
			push_warning("FramewireSocket.%s is never emitted in a browser" % signal_name)
	_reset()
	_generation += 1
	_url = url
	_host = parts.host
	_port = parts.port
	_max_unread = maxi(inbound_buffer_size, _MIN_UNREAD_BYTES)
	_max_message_size = mini(max_message_size, _max_unread)
	_buffer_size = nearest_po2(_max_unread * 2)
	_plan = {
		"url": parts.url,
		"is_mixed_content": parts.is_mixed_content,
		"protocols": supported_protocols.duplicate(),
		"connect_timeout": _milliseconds(connect_timeout),
		"close_timeout": _milliseconds(close_timeout),
		"reconnect": reconnect,
		"min_delay": _milliseconds(reconnect_min_delay),
		"max_delay": _milliseconds(reconnect_max_delay),
		"max_attempts": reconnect_max_attempts,
		"queue_sends": reconnect and reconnect_queue_sends,
	}
	_state = STATE_CONNECTING
	_count_socket()
	_start()
	return OK


## Starts the closing handshake after all queued messages. [signal closed] is emitted when it is complete. While
## connecting, this cancels the attempt. [param code] is 1000 or 3000 to 4999, and [param reason] has at most 123 bytes of
## UTF-8; otherwise, this prints an error and has no other effect. Messages that are received after this call are discarded.
## [br][br]
## A negative code drops the connection immediately, without a handshake. The next [method poll] emits [signal sent] for its
## tags and then [signal closed], also if the socket connects again before, and nothing else of it.
func close(code: int = 1000, reason: String = "") -> void:
	if code < 0:
		_drop_by_script()
		return
	if _state == STATE_CLOSED or _state == STATE_CLOSING:
		return
	if code == 0:
		code = _NORMAL
	if code != _NORMAL and (code < 3000 or code > 4999):
		_report("close", ERR_INVALID_PARAMETER, "the close code %d must be 1000 or 3000 to 4999: a browser sends no other" % code)
		return
	if reason.to_utf8_buffer().size() > _MAX_CLOSE_REASON:
		_report("close", ERR_INVALID_PARAMETER, "a close reason must be at most 123 bytes (RFC 6455 section 5.5.1)")
		return
	_state = STATE_CLOSING
	if _peer != null and _was_open:
		# Closing discards what the peer has buffered.
		_read_messages()
	if _peer != null and _was_open:
		_deadline = Time.get_ticks_msec() + int(_plan.close_timeout)
		_close_frame = [code, reason]
		_send_close_frame()
	elif _peer != null or _retry_at > 0:
		_end([_Kind.CLOSED, _NONE, _NO_HANDSHAKE, "cancelled while connecting"])


## Makes [method connect_to_url] return [constant ERR_UNAVAILABLE]: a browser sends no Authorization header of a page.
func set_basic_auth(_user: String, _password: String) -> void:
	_has_credentials = true


## Makes [method connect_to_url] return [constant ERR_UNAVAILABLE]: a browser sends no Authorization header of a page.
func set_bearer_auth(_token: String) -> void:
	_has_credentials = true


## Removes the credentials set by [method set_basic_auth] or [method set_bearer_auth].
func clear_auth() -> void:
	_has_credentials = false


## No effect: this class has no log. Keys and values have the limits of the extension.
func set_context(_key: String, _value: String) -> void:
	pass


## No effect: this class has no log. Returns [constant ERR_INVALID_PARAMETER] for a number that is not a level.
static func set_log_level(level: int) -> Error:
	return OK if level >= LOG_OFF and level <= LOG_TRACE else ERR_INVALID_PARAMETER


## Returns statistics of all sockets: [code]sockets[/code], which are connecting, open or closing,
## [code]queued_bytes[/code], the payload that they have queued for sending, and [code]messages_sent[/code],
## [code]messages_received[/code], [code]bytes_sent[/code] and [code]bytes_received[/code], of payloads, since the game has
## started.
static func get_global_statistics() -> Dictionary:
	var statistics := {"sockets": 0, "queued_bytes": 0}
	for reference in _connected:
		var socket: RefCounted = reference.get_ref()
		if socket != null and socket.get_ready_state() != STATE_CLOSED:
			statistics.sockets += 1
			statistics.queued_bytes += socket.get_current_outbound_buffered_amount()
	statistics.merge(_totals)
	return statistics


## Returns zeros: this class has no buffer pool.
static func get_buffer_statistics() -> Dictionary:
	return {"blocks_in_use": 0, "bytes_in_use": 0, "blocks_free": 0, "bytes_free": 0, "allocations": 0}


## No effect: this class has no buffer pool.
static func trim_buffers() -> void:
	pass


## Returns what sockets of this class can do, a combination of [code]CAPABILITY_*[/code] constants: in a browser,
## [constant CAPABILITY_TLS] alone.
static func get_capabilities() -> int:
	return CAPABILITY_TLS


## No effect: a browser detects itself that the network has changed.
static func network_changed() -> void:
	pass


## No effect: a browser suspends pages itself.
static func suspend() -> void:
	pass


## No effect: a browser resumes pages itself.
static func resume() -> void:
	pass


## Returns [constant ERR_UNAVAILABLE], unless [param conditions] is empty: a browser makes the connections itself.
static func set_global_link_conditions(conditions: Dictionary) -> Error:
	if conditions.is_empty():
		return OK
	push_error("FramewireSocket.set_global_link_conditions: " + _NO_LINK)
	return ERR_UNAVAILABLE


## Returns [constant ERR_UNAVAILABLE], unless [param path] is empty: a browser lets no page see frames; its developer
## tools show them.
static func set_global_capture(path: String, _max_file_bytes: int = 0, _include_secrets: bool = false) -> Error:
	if path.is_empty():
		return OK
	push_error("FramewireSocket.set_global_capture: " + _NO_CAPTURE)
	return ERR_UNAVAILABLE


## Queues a copy of a message for sending, by default as binary. Returns [constant FAILED] if the socket is not open,
## [constant ERR_OUT_OF_MEMORY] if [member outbound_buffer_size] is reached, or [constant ERR_INVALID_PARAMETER] if a text
## is not valid UTF-8. If this does not return [constant OK], nothing was queued.
func send(message: PackedByteArray, write_mode: int = 1) -> Error:
	if write_mode != WRITE_MODE_TEXT and write_mode != WRITE_MODE_BINARY:
		return _report("send", ERR_INVALID_PARAMETER, "write_mode must be WRITE_MODE_TEXT or WRITE_MODE_BINARY")
	if write_mode == WRITE_MODE_TEXT and not _is_utf8(message):
		return _report("send", ERR_INVALID_PARAMETER, "the text is not UTF-8; nothing was sent")
	return _send("send", _Kind.TEXT if write_mode == WRITE_MODE_TEXT else _Kind.BINARY, message)


## Sends a text message. Returns the same values as [method send].
func send_text(message: String) -> Error:
	return _send("send_text", _Kind.TEXT, message.to_utf8_buffer())


## Returns [constant ERR_UNAVAILABLE]: a browser sends no pings of a page.
func ping(_data: PackedByteArray = PackedByteArray()) -> Error:
	return _report("ping", ERR_UNAVAILABLE, "a browser sends no pings of a page; send a message that the server answers")


## Sends a binary message. Returns the same values as [method send].
func put_packet(buffer: PackedByteArray) -> Error:
	return send(buffer, WRITE_MODE_BINARY)


## Sends a value as a binary message, in Godot's binary serialization format. Returns [constant ERR_INVALID_PARAMETER] if it
## cannot be encoded, [constant ERR_OUT_OF_MEMORY] above [member encode_buffer_max_size], and otherwise the same values as
## [method send].
func put_var(var_: Variant, full_objects: bool = false) -> Error:
	var bytes := var_to_bytes_with_objects(var_) if full_objects else var_to_bytes(var_)
	# Godot prints why.
	if bytes.is_empty():
		return _report("put_var", ERR_INVALID_PARAMETER, "the value cannot be encoded; nothing was sent")
	if bytes.size() > encode_buffer_max_size:
		return _report("put_var", ERR_OUT_OF_MEMORY, "the encoded value of %d bytes exceeds encode_buffer_max_size" % bytes.size())
	return put_packet(bytes)


## Sends a message with delivery options: a [PackedByteArray] as a binary message, or a [String] as a text message.
## [param options] may contain:
## [br][br]
## [code]lane[/code]: the lane in which the message waits, from 0, the default; see [member lanes].
## [br]
## [code]key[/code]: any int but 0. The message replaces the waiting message with the same key in the same lane, in its
## place.
## [br]
## [code]ttl_ms[/code]: milliseconds after which the message is dropped if it was not given to the browser, 0 to 4294967295;
## 0, the default, for never.
## [br]
## [code]tag[/code]: any int but 0. [signal sent] is emitted once with this tag and what became of the message.
## [br]
## [code]text[/code]: true to send a [PackedByteArray] as a text message; it must be valid UTF-8.
## [br]
## [code]uncompressed[/code]: no effect: the browser decides.
## [br][br]
## From the first call on, or with [member lanes], all messages of the connection wait in lanes until they are given to the
## browser: in [method poll] only, while it holds less than 64 KiB. A message that it holds cannot be overtaken, replaced
## or expire, so send large data in parts.
## [br][br]
## Returns [constant ERR_INVALID_PARAMETER] for an unknown option, a value out of range or a lane that the socket does not
## have, [constant ERR_OUT_OF_MEMORY] also if the lane is full, 65536 messages wait or too many outcomes are not delivered,
## and otherwise the same values as [method send].
func send_message(message: Variant, options: Dictionary = {}) -> Error:
	var queued := _Lanes.Message.new()
	var problem := _set_options(queued, options)
	if not problem.is_empty():
		return _report("send_message", ERR_INVALID_PARAMETER, problem)
	if message is String or message is StringName:
		queued.is_text = true
		queued.payload = String(message).to_utf8_buffer()
	elif message is PackedByteArray:
		queued.is_text = options.get("text", false)
		if queued.is_text and not _is_utf8(message):
			return _report("send_message", ERR_INVALID_PARAMETER, "the text is not UTF-8; nothing was queued")
		# The script may change its array afterwards.
		queued.payload = message.duplicate()
	else:
		return _report("send_message", ERR_INVALID_PARAMETER, "message must be a PackedByteArray or a String")
	if not _is_open() and not _queues_while_connecting():
		return _report("send_message", FAILED, _NOT_OPEN)
	if _waiting == null:
		_waiting = _Lanes.new([])
	return _send_in_lane("send_message", queued)


## Returns counters of a lane since [method connect_to_url]: [code]waiting_messages[/code], [code]waiting_bytes[/code],
## [code]oldest_us[/code], [code]queue_time_max_us[/code], [code]queue_time_total_us[/code], [code]begun[/code],
## [code]sent[/code], [code]expired[/code], [code]replaced[/code] and [code]lost[/code]. Times are in microseconds, from the
## send call until the message is given to the browser. For a lane that the socket does not have, prints an error and
## returns an empty dictionary.
func get_lane_statistics(lane: int) -> Dictionary:
	var problem := _lane_problem(lane)
	if problem.is_empty() and lane >= (_waiting.size() if _waiting != null else maxi(lanes.size(), 1)):
		problem = "lane %d does not exist" % lane
	if not problem.is_empty():
		_report("get_lane_statistics", ERR_INVALID_PARAMETER, problem)
		return {}
	return _waiting.statistics(lane) if _waiting != null else _Lanes.statistics_of(null)


## Returns the number of queued packets. Messages whose signal is connected are not queued.
func get_available_packet_count() -> int:
	return _packets.size()


## Dequeues the oldest packet. If there is none, returns an empty array, and [method get_packet_error] returns
## [constant ERR_UNAVAILABLE].
func get_packet() -> PackedByteArray:
	if _packets.is_empty():
		_packet_error = ERR_UNAVAILABLE
		return PackedByteArray()
	var packet := _packets.pop()
	_packet_error = OK
	_was_read = true
	_was_text = packet[0] == _Kind.TEXT
	return packet[1]


## Dequeues all packets, oldest first: a [PackedByteArray] for each binary message and a [String] for each text message. A
## [String] ends before the first U+0000 of the text, and does not contain a byte order mark at its start;
## [method get_packet] returns all bytes.
func get_packets() -> Array:
	var packets := _packets.take_all()
	_packet_error = ERR_UNAVAILABLE if packets.is_empty() else OK
	if not packets.is_empty():
		_was_read = true
		_was_text = packets[-1][0] == _Kind.TEXT
	return _to_values(packets)


## Returns the result of the last [method get_packet], [method get_packets] or [method get_var].
func get_packet_error() -> Error:
	return _packet_error


## Returns whether the last packet dequeued was text.
func was_string_packet() -> bool:
	return _was_text


## Dequeues the oldest packet and decodes it from Godot's binary serialization format. Allow objects only from servers you
## trust: they can contain code.
func get_var(allow_objects: bool = false) -> Variant:
	var bytes := get_packet()
	if _packet_error != OK:
		return null
	return bytes_to_var_with_objects(bytes) if allow_objects else bytes_to_var(bytes)


## Returns the number of payload bytes queued for sending.
func get_current_outbound_buffered_amount() -> int:
	return _unsent.bytes + (0 if _waiting == null else _waiting.bytes) + (0 if _peer == null else _peer.get_current_outbound_buffered_amount())


## Processes the events since the last call: emits signals, queues packets and updates the state. Call it once per frame.
func poll() -> void:
	poll_within(0)


## Does the same as [method poll] within a time budget of [param budget_usec] microseconds. Remaining events are processed
## at the next call. 0 is no limit. A negative budget, such as the rest of a frame that took too long, processes at most
## one event.
func poll_within(budget_usec: int) -> void:
	var deadline := Time.get_ticks_usec() + budget_usec if budget_usec > 0 else 0
	_warn_of_full_queue()
	_receive()
	for i in _dropped.size():
		# A handler may have polled.
		if not _dropped.is_empty():
			_deliver_dropped(_dropped.pop_front())
	if not _deferred_end.is_empty() and not _is_being_read():
		var end := _deferred_end
		_deferred_end = []
		# In the order in which they were received.
		if _emit_packets_and_stay():
			_change_state(end)
	_was_read = false
	# Only events pending now, so that a fast server cannot keep the call from returning.
	var left := _events.size() if budget_usec >= 0 else mini(_events.size(), 1)
	# What is known holds until a script runs, which only signals do.
	var is_full := _is_full()
	var is_text_connected := _is_connected(&"text_received")
	var is_binary_connected := _is_connected(&"binary_received")
	# Nothing follows the end of a connection before it is delivered.
	while left > 0 and not _events.is_empty() and _deferred_end.is_empty() and _dropped.is_empty():
		if deadline > 0 and Time.get_ticks_usec() >= deadline:
			break
		if is_full and _state != STATE_CLOSING:
			if not _emit_packets():
				break
		else:
			left -= 1
			var event: Array = _events.pop()
			var kind: _Kind = event[0]
			if kind == _Kind.TEXT and not is_text_connected or kind == _Kind.BINARY and not is_binary_connected:
				# It is full only after close(). A script that no longer reads must still get the terminal event.
				if not is_full:
					_packets.push(event)
					is_full = _is_full()
				continue
			_deliver(event)
		is_full = _is_full()
		is_text_connected = _is_connected(&"text_received")
		is_binary_connected = _is_connected(&"binary_received")
	_emit_packets()
	# What handlers have sent.
	_hand_over()


## Returns the state at the last [method poll], one of the [code]STATE_*[/code] constants.
func get_ready_state() -> int:
	return _state


## Returns the close code from the server, or -1 if the connection did not end with a closing handshake.
func get_close_code() -> int:
	return _close_code


## Returns the close reason from the server, or the error message.
func get_close_reason() -> String:
	return _close_reason


## Returns the last error of the connection or of a failed call, or an empty dictionary. It contains [code]message[/code],
## [code]kind[/code] and [code]phase[/code], and for connection errors also [code]http_status[/code],
## [code]tls_alert[/code] and [code]os_code[/code], which are 0 in a browser, and [code]retriable[/code].
func get_last_error() -> Dictionary:
	return _last_error.duplicate()


## Returns the subprotocol selected by the server, or an empty string.
func get_selected_protocol() -> String:
	return _protocol


## Returns the URL passed to [method connect_to_url].
func get_requested_url() -> String:
	return _url


## Returns the URL passed to [method connect_to_url]: browsers follow no redirects of WebSocket handshakes.
func get_final_url() -> String:
	return _url


## Returns the host of the URL. Empty if the socket is not open.
func get_connected_host() -> String:
	return _host if _state == STATE_OPEN else ""


## Returns the port of the server. 0 if the socket is not open.
func get_connected_port() -> int:
	return _port if _state == STATE_OPEN else 0


## No effect.
func set_no_delay(enabled: bool) -> void:
	if not enabled:
		push_warning("FramewireSocket.set_no_delay: Nagle's algorithm stays disabled")


## Returns -1: a browser shows no round-trip times.
func get_latency() -> float:
	return -1.0


## Returns the Unix time in seconds at which the last message was received, or 0.
func get_last_message_time() -> float:
	return _last_message_time


## Returns an empty string: [WebSocketPeer] does not tell which extensions the server accepted.
func get_extensions() -> String:
	return ""


## Returns 0: a browser does not show the response to the upgrade request.
func get_http_version() -> int:
	return 0


## Returns 0: a browser does not show the response to the upgrade request.
func get_response_status() -> int:
	return 0


## Returns an empty string: a browser does not show the response to the upgrade request.
func get_response_header(_name: String) -> String:
	return ""


## Returns an empty array: a browser does not show the response to the upgrade request.
func get_response_headers() -> PackedStringArray:
	return PackedStringArray()


## Returns an empty array: a browser does not show the response to the upgrade request.
func get_response_body() -> PackedByteArray:
	return PackedByteArray()


## Returns counters since [method connect_to_url]: messages, the bytes of their payloads, and successful reconnects.
## The other counters of the extension are 0.
func get_stats() -> Dictionary:
	return {
		"bytes_sent": _bytes_sent, "bytes_received": _bytes_received, "messages_sent": _messages_sent,
		"messages_received": _messages_received, "frames_sent": 0, "frames_received": 0, "pings_sent": 0, "pongs_received": 0,
		"reconnects": _reconnects, "payload_bytes_before_compression": 0, "payload_bytes_after_compression": 0,
		"resolve_us": 0, "connect_us": 0, "tls_us": 0, "upgrade_us": 0,
	}


func _reset() -> void:
	_drop_peer()
	_retry_at = 0
	_retries = 0
	_protocol = ""
	_events.clear()
	_packets.clear()
	_unsent.clear()
	_waiting = null if lanes.is_empty() else _Lanes.new(lanes)
	_undelivered_tags = 0
	_deferred_end = []
	_packet_error = OK
	_was_text = false
	_was_read = false
	_warned_of_full_queue = false
	_close_code = -1
	_close_reason = ""
	_last_error = {}
	_last_message_time = 0.0
	_bytes_sent = 0
	_bytes_received = 0
	_messages_sent = 0
	_messages_received = 0
	_reconnects = 0


## Adds this socket to the list of all, without those that were freed.
func _count_socket() -> void:
	var live: Array[WeakRef] = [weakref(self)]
	for reference in _connected:
		if reference.get_ref() != null and reference.get_ref() != self:
			live.append(reference)
	_connected = live


func _is_in_use() -> bool:
	return _state != STATE_CLOSED


## Stores the message of a failed call, and prints it.
func _report(method: String, error: Error, message: String) -> Error:
	_last_error = {"kind": "call", "phase": "", "message": message}
	# A full send queue and a closed connection are normal at run time.
	if error != ERR_OUT_OF_MEMORY and error != FAILED:
		push_error("FramewireSocket.%s: %s" % [method, message])
	return error


## Starts an attempt to connect.
func _start() -> void:
	_retry_at = 0
	_was_open = false
	if _plan.is_mixed_content:
		_fail("io", "connect", "could not connect to %s: a page loaded over https may only connect to wss: URLs" % _url, false)
		return
	_peer = WebSocketPeer.new()
	_peer.supported_protocols = _plan.protocols
	# So that only the limits of this class apply. Godot rounds sizes up to a power of two.
	_peer.inbound_buffer_size = _buffer_size - 1
	_peer.outbound_buffer_size = 0
	_peer.max_queued_packets = _MAX_BUFFERED_PACKETS
	_deadline = Time.get_ticks_msec() + int(_plan.connect_timeout)
	var result := _peer.connect_to_url(_plan.url)
	if result != OK:
		_fail("io", "connect", "could not connect to %s: %s" % [_url, error_string(result)], true)


## Takes from the peer what has happened since the last call.
func _receive() -> void:
	if _waiting != null:
		_waiting.sweep()
		_take_outcomes()
	if _peer == null:
		if _retry_at > 0 and Time.get_ticks_msec() >= _retry_at:
			_start()
		return
	_peer.poll()
	var state := _peer.get_ready_state()
	var has_ended := state == STATE_CLOSED
	# Both may have happened since the last call: frames stop in a hidden tab.
	var was_opened := state == STATE_OPEN or has_ended and (_has_close_code() or _peer.get_available_packet_count() > 0)
	if was_opened and not _was_open:
		_set_open()
	if _was_open:
		_read_messages()
	if _peer == null:
		return
	_hand_over()
	if has_ended:
		_set_ended()
	elif _deadline > 0 and Time.get_ticks_msec() >= _deadline:
		_set_timed_out()


func _has_close_code() -> bool:
	var code := _peer.get_close_code()
	return code != -1 and code != _NO_HANDSHAKE


func _set_open() -> void:
	_was_open = true
	_deadline = 0
	_protocol = _peer.get_selected_protocol()
	if _retries > 0:
		_reconnects += 1
		_retries = 0
	_events.push([_Kind.OPEN, _NONE])
	if _peer.get_ready_state() != STATE_OPEN:
		return
	for message: Array in _unsent.take_all():
		_pass_on(message[0], message[1])


func _read_messages() -> void:
	var bytes := 0
	var count := _peer.get_available_packet_count()
	if count > 0:
		_last_message_time = Time.get_unix_time_from_system()
	for i in count:
		# The peer discards a message for which its buffer has no room, and does not tell. Up to here it had room for
		# any message, so nothing is missing.
		if bytes + _max_message_size >= _buffer_size or i == _MAX_BUFFERED_PACKETS - 1:
			_overflow()
			return
		var payload := _peer.get_packet()
		var size := payload.size()
		if size > _max_message_size:
			var limit := "max_message_size" if _max_message_size == max_message_size else "inbound_buffer_size"
			_fail("too_large", "open", "a message of %d bytes exceeds the limit of %d bytes (%s)" % [size, _max_message_size, limit], false)
			return
		# Outcomes do not count.
		if _events.bytes + size > _max_unread or _events.size() - _undelivered_tags >= _MAX_BUFFERED_PACKETS:
			_overflow()
			return
		bytes += size
		_messages_received += 1
		_bytes_received += size
		_totals.messages_received += 1
		_totals.bytes_received += size
		_events.push([_Kind.TEXT if _peer.was_string_packet() else _Kind.BINARY, payload])


## Ends the connection: the script reads more slowly than the server sends, and a browser has no backpressure.
func _overflow() -> void:
	_fail("too_large", "open", (
		"more than %d bytes or %d messages were received and not read: call poll() and read packets more often, " +
		"let the server send less while the tab is hidden, or increase inbound_buffer_size"
	) % [_max_unread, _MAX_BUFFERED_PACKETS], false)


func _set_ended() -> void:
	var code := _peer.get_close_code()
	if _has_close_code():
		# 0 is none outside of a browser.
		_end([_Kind.CLOSED, _NONE, code if code > 0 else _NO_CODE, _peer.get_close_reason()])
	elif _state == STATE_CLOSING:
		_end([_Kind.CLOSED, _NONE, _NO_HANDSHAKE, "the connection was lost before the closing handshake was complete"])
	elif _was_open:
		_fail("reset", "open", "the connection to %s was lost: %s" % [_url, _DEVELOPER_TOOLS], true)
	else:
		_fail("io", "connect", "could not connect to %s: %s" % [_url, _DEVELOPER_TOOLS], true)


func _set_timed_out() -> void:
	if _was_open:
		_end([_Kind.CLOSED, _NONE, _NO_HANDSHAKE, "the server did not complete the closing handshake within %d ms" % _plan.close_timeout])
	else:
		_fail("timed_out", "connect", "could not connect to %s within %d ms" % [_url, _plan.connect_timeout], true)


## Ends the connection with an error, or retries.
func _fail(kind: String, phase: String, message: String, retriable: bool) -> void:
	var error := {
		"kind": kind, "phase": phase, "message": message, "http_status": 0, "tls_alert": 0, "os_code": 0, "retriable": retriable
	}
	var is_last: bool = _plan.max_attempts != 0 and _retries >= _plan.max_attempts
	if not retriable or is_last or not _plan.reconnect or _state == STATE_CLOSING:
		_end([_Kind.FAILED, _NONE, error])
		return
	_drop_peer()
	# What is sent while connecting waits for the next connection.
	if _was_open:
		_lose_messages()
	_retries += 1
	var delay := _retry_delay()
	_retry_at = Time.get_ticks_msec() + delay
	_events.push([_Kind.RECONNECTING, _NONE, error, _retries, delay / 1000.0])


## Exponential backoff with full jitter, in milliseconds.
func _retry_delay() -> int:
	var minimum: int = _plan.min_delay
	var longest := maxi(mini(minimum << mini(_retries, 20), _plan.max_delay), minimum)
	return minimum + randi() % (longest - minimum + 1)


## Queues the terminal event.
func _end(event: Array) -> void:
	_drop_peer()
	_retry_at = 0
	_unsent.clear()
	_lose_messages()
	_events.push(event)


func _drop_peer() -> void:
	_deadline = 0
	_close_frame = []
	if _peer != null:
		_peer.close(-1)
		_peer = null


func _drop_by_script() -> void:
	if _state == STATE_CLOSED:
		return
	_dropped.append_array(_events.take_all().filter(func(event: Array) -> bool: return event[0] == _Kind.SENT))
	_end([_Kind.CLOSED, _NONE, _NO_HANDSHAKE, "dropped by the script"])
	_dropped.append_array(_events.take_all())
	_undelivered_tags = 0
	_deferred_end = []
	_state = STATE_CLOSED
	_close_code = -1
	_generation += 1


func _send(method: String, kind: _Kind, payload: PackedByteArray) -> Error:
	var is_open := _is_open()
	if not is_open and not _queues_while_connecting():
		return _report(method, FAILED, _NOT_OPEN)
	if _waiting != null:
		var message := _Lanes.Message.new()
		message.is_text = kind == _Kind.TEXT
		message.payload = payload.duplicate()
		return _send_in_lane(method, message)
	if is_open:
		if _peer.get_current_outbound_buffered_amount() >= maxi(outbound_buffer_size, 1):
			return _report(method, ERR_OUT_OF_MEMORY, _QUEUE_IS_FULL)
		return OK if _pass_on(kind, payload) == OK else _report(method, FAILED, _NOT_OPEN)
	if _unsent.bytes >= maxi(outbound_buffer_size, 1):
		return _report(method, ERR_OUT_OF_MEMORY, _QUEUE_IS_FULL)
	# The script may change its array afterwards.
	_unsent.push([kind, payload.duplicate()])
	return OK


func _is_open() -> bool:
	return _state != STATE_CLOSING and _state != STATE_CLOSED and _peer != null and _was_open and _peer.get_ready_state() == STATE_OPEN


func _queues_while_connecting() -> bool:
	if _state == STATE_CLOSING or _state == STATE_CLOSED or not _plan.queue_sends:
		return false
	return _retry_at > 0 or _peer != null and not _was_open


## Sets the options of a message. Returns what is wrong with them, or an empty string.
func _set_options(message: _Lanes.Message, options: Dictionary) -> String:
	for name: Variant in options:
		if not (name is String or name is StringName):
			return "the names of options must be Strings"
		var value: Variant = options[name]
		match String(name):
			"lane", "key", "tag", "ttl_ms":
				if not value is int:
					return "%s must be an int" % name
			"text", "uncompressed":
				if not value is bool:
					return "%s must be a bool" % name
			_:
				return "the option \"%s\" is unknown; the options are lane, key, ttl_ms, tag, text and uncompressed" % name
	message.lane = options.get("lane", 0)
	message.key = options.get("key", 0)
	message.tag = options.get("tag", 0)
	var ttl: int = options.get("ttl_ms", 0)
	message.ttl = ttl * 1000
	if ttl < 0 or ttl > _MAX_TTL:
		return "ttl_ms is %d, but must be 0 to %d" % [ttl, _MAX_TTL]
	return _lane_problem(message.lane)


func _lane_problem(lane: int) -> String:
	if lane < 0 or lane >= _Lanes.MAX_LANES:
		return "lane is %d, but must be 0 to %d" % [lane, _Lanes.MAX_LANES - 1]
	return ""


func _change_lanes(value: Array) -> String:
	if _waiting != null:
		return _waiting.set_lanes(value)
	if _is_in_use():
		_waiting = _Lanes.new(value)
	return ""


func _send_in_lane(method: String, message: _Lanes.Message) -> Error:
	if message.lane >= _waiting.size():
		return _report(method, ERR_INVALID_PARAMETER, "lane %d does not exist: the socket has %d" % [message.lane, _waiting.size()])
	if message.tag != 0 and _undelivered_tags >= _MAX_BUFFERED_PACKETS:
		return _report(method, ERR_OUT_OF_MEMORY, "the event queue has no room for the outcome; nothing was queued")
	var problem := _waiting.push(message, maxi(outbound_buffer_size, 1) - get_current_outbound_buffered_amount())
	if not problem.is_empty():
		return _report(method, ERR_OUT_OF_MEMORY, problem)
	_undelivered_tags += int(message.tag != 0)
	return OK


## Gives messages in lanes to the browser, up to what it may hold, and the close frame after the last one.
func _hand_over() -> void:
	if _waiting == null or _peer == null or not _was_open or _peer.get_ready_state() != STATE_OPEN:
		return
	var room := _LANE_AHEAD - _peer.get_current_outbound_buffered_amount()
	while room > 0:
		var message := _waiting.next()
		if message == null:
			break
		room -= maxi(message.payload.size(), 1)
		_waiting.end(message, _pass_on(_Kind.TEXT if message.is_text else _Kind.BINARY, message.payload) == OK)
	_send_close_frame()
	_take_outcomes()


## Closes the peer when no message in a lane goes first.
func _send_close_frame() -> void:
	if _close_frame.is_empty() or _waiting != null and _waiting.count > 0:
		return
	_peer.close(_close_frame[0], _close_frame[1])
	_close_frame = []


func _lose_messages() -> void:
	if _waiting != null:
		_waiting.clear()
		_take_outcomes()


func _take_outcomes() -> void:
	for outcome in _waiting.take_outcomes():
		_events.push([_Kind.SENT, _NONE, outcome[0], outcome[1]])


func _pass_on(kind: _Kind, payload: PackedByteArray) -> Error:
	var result := _peer.send(payload, WebSocketPeer.WRITE_MODE_TEXT if kind == _Kind.TEXT else WebSocketPeer.WRITE_MODE_BINARY)
	if result == OK:
		_messages_sent += 1
		_bytes_sent += payload.size()
		_totals.messages_sent += 1
		_totals.bytes_sent += payload.size()
	return result


func _is_full() -> bool:
	return _packets.size() >= maxi(max_queued_packets, 1) or _packets.bytes >= maxi(inbound_buffer_size, 1)


## Returns whether the script reads the packets received before the end.
func _is_being_read() -> bool:
	return _was_read and not _packets.is_empty() and _state == STATE_OPEN


func _warn_of_full_queue() -> void:
	if _warned_of_full_queue or _was_read or _state != STATE_OPEN or not _is_full():
		return
	_warned_of_full_queue = true
	push_warning("FramewireSocket: the queue is full (%d packets): poll() delivers no more messages until get_packet() is called" % _packets.size())


func _is_connected(signal_name: StringName) -> bool:
	if _has_connections_method:
		return call(&"has_connections", signal_name)
	return not get_signal_connection_list(signal_name).is_empty()


## Emits the signal of an event, or defers the end while packets can be read that came before it.
func _deliver(event: Array) -> void:
	var kind: _Kind = event[0]
	if kind == _Kind.TEXT:
		text_received.emit(event[1].get_string_from_utf8())
		return
	if kind == _Kind.BINARY:
		binary_received.emit(event[1])
		return
	if kind == _Kind.SENT:
		# Does not divide the packets of a frame: it has no place among the messages received.
		_undelivered_tags -= 1
		sent.emit(event[2], event[3])
		return
	# In the order in which they were received.
	if not _emit_packets_and_stay():
		return
	if kind != _Kind.OPEN and _state == STATE_OPEN and not _packets.is_empty():
		_deferred_end = event
	else:
		_change_state(event)


## Delivers an event of a connection that the script has dropped.
func _deliver_dropped(event: Array) -> void:
	if event[0] == _Kind.SENT:
		sent.emit(event[2], event[3])
		return
	# Those that were received before.
	_emit_packets()
	# The script may have connected again.
	if _state == STATE_CLOSED:
		_change_state(event)
	else:
		closed.emit(event[2], event[3])


func _change_state(event: Array) -> void:
	match event[0]:
		_Kind.OPEN:
			# An earlier close() takes precedence.
			if _state != STATE_CLOSING:
				_state = STATE_OPEN
			opened.emit()
		_Kind.RECONNECTING:
			if _state != STATE_CLOSING:
				_state = STATE_CONNECTING
			_last_error = event[2]
			reconnecting.emit(event[3], event[4], event[2].message)
		_Kind.CLOSED:
			_state = STATE_CLOSED
			_close_code = -1 if event[2] == _NO_HANDSHAKE else event[2]
			_close_reason = event[3]
			closed.emit(event[2], event[3])
		_Kind.FAILED:
			var error: Dictionary = event[2]
			_state = STATE_CLOSED
			_close_code = -1
			_close_reason = error.message
			_last_error = error
			failed.emit(error.phase, error.http_status, error.message, error.retriable)


## Emits all queued packets as one signal, if it is connected. Returns whether it was emitted.
func _emit_packets() -> bool:
	if _packets.is_empty() or not _is_connected(&"packets_received"):
		return false
	packets_received.emit(_to_values(_packets.take_all()))
	return true


## Emits all queued packets. Returns whether no handler has dropped the connection, and perhaps connected again.
func _emit_packets_and_stay() -> bool:
	var before := _generation
	_emit_packets()
	return _generation == before


static func _to_values(packets: Array[Array]) -> Array:
	var values := []
	values.resize(packets.size())
	for i in packets.size():
		values[i] = packets[i][1].get_string_from_utf8() if packets[i][0] == _Kind.TEXT else packets[i][1]
	return values


static func _is_utf8(bytes: PackedByteArray) -> bool:
	# A string of Godot has no U+0000, and leaves out a byte order mark at its start.
	var text := PackedByteArray([0x20])
	text.append_array(bytes)
	var zero := text.find(0)
	while zero >= 0:
		text[zero] = 0x20
		zero = text.find(0, zero + 1)
	return text.get_string_from_utf8().to_utf8_buffer() == text
