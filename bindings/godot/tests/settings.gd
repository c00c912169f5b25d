extends "res://suite.gd"
## Tests settings and connection status.

## Properties that only the extension can apply.
const UNAVAILABLE := ["handshake_headers", "origin", "proxy", "link_conditions", "tls_ca_pem", "tls_pins", "tls_client_cert_pem", "tls_client_key_pem"]


## Returns the request head as the server received it.
func request_head(socket: RefCounted, path := "/headers") -> String:
	equal(socket.connect_to_url(ws + path), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_available_packet_count() > 0, "the head", [socket])
	return socket.get_packet().get_string_from_utf8().to_lower()


func test_upgrade_request_contains_settings() -> bool:
	if not can("headers"):
		return await offers_subprotocols()
	var socket := new_socket()
	socket.handshake_headers = PackedStringArray(["X-Team: red", "X-Empty:"])
	socket.supported_protocols = PackedStringArray(["chat.v2", "chat.v1"])
	socket.origin = "https://game.example"
	socket.set_basic_auth("user", "pa:ss")
	var head: String = await request_head(socket, "/headers?a=b")
	for line: String in [
		"/headers?a=b ", "x-team: red\r\n", "x-empty: \r\n", "sec-websocket-protocol: chat.v2, chat.v1\r\n",
		"origin: https://game.example\r\n", "authorization: basic %s\r\n" % Marshalls.utf8_to_base64("user:pa:ss").to_lower()
	]:
		check(line in head, "no %s in\n%s" % [line, head])
	equal(socket.get_selected_protocol(), "chat.v2", "protocol")
	equal(socket.get_requested_url(), ws + "/headers?a=b", "URL")
	equal(socket.get_connected_host(), "127.0.0.1", "host")
	equal(socket.get_connected_port(), int(ws.get_slice(":", 2)), "port")
	equal(socket.get_response_status(), 101, "status")
	equal(socket.get_http_version(), 1, "HTTP version")
	equal(socket.get_response_header("Sec-WebSocket-Protocol"), "chat.v2", "response header")
	return true


func offers_subprotocols() -> bool:
	var socket := new_socket()
	socket.supported_protocols = PackedStringArray(["chat.v2", "chat.v1"])
	check("chat.v2" in await request_head(socket, "/headers?a=b"), "the subprotocol is not offered")
	equal(socket.get_selected_protocol(), "chat.v2", "protocol")
	equal(socket.get_requested_url(), ws + "/headers?a=b", "URL")
	equal(socket.get_connected_host(), "127.0.0.1", "host")
	equal(socket.get_connected_port(), int(ws.get_slice(":", 2)), "port")
	equal([socket.get_response_status(), socket.get_http_version()], [0, 0], "response")
	return refuses({"handshake_headers": PackedStringArray(["X-Team: red"]), "origin": "https://game.example"})


func test_origin_can_be_a_header_field() -> bool:
	if not can("headers"):
		return refuses({"handshake_headers": PackedStringArray(["Origin: https://game.example"])})
	var socket := new_socket()
	socket.handshake_headers = PackedStringArray(["Origin: https://game.example"])
	check("origin: https://game.example\r\n" in await request_head(socket), "no Origin")
	socket.close(-1)
	# The property replaces it.
	socket.origin = "https://other.example"
	var head: String = await request_head(socket)
	check("origin: https://other.example\r\n" in head and not "game.example" in head, head)
	return true


func test_context_has_at_most_32_keys() -> bool:
	if not can("error details"):
		return skip("a log")
	for is_open: bool in [false, true]:
		var socket := await open_socket() if is_open else new_socket()
		for i in 32:
			socket.set_context("key %d" % i, "value")
		equal(socket.get_last_error(), {}, "last error")
		socket.set_context("key 0", "another")
		equal(socket.get_last_error(), {}, "last error")
		socket.set_context("one too many", "value")
		check("32" in socket.get_last_error().message, "%s" % socket.get_last_error())
	return true


## The extension is built without it, as its documentation says.
func test_http_2_is_refused() -> bool:
	if not can("error details"):
		return await ignores({"requested_http_version": 2})
	var socket := new_socket()
	socket.requested_http_version = 2
	equal(socket.connect_to_url(ws + "/"), ERR_UNAVAILABLE, "connect_to_url")
	return true


func test_user_agent_can_be_replaced() -> bool:
	if not can("headers"):
		return refuses({"handshake_headers": PackedStringArray(["User-Agent: Game/1"])})
	check("user-agent: framewire/" in await request_head(new_socket()), "no User-Agent")
	var socket := new_socket()
	socket.handshake_headers = PackedStringArray(["User-Agent: Game/1"])
	var head: String = await request_head(socket)
	check("user-agent: game/1\r\n" in head and not "framewire" in head, head)
	return true


func test_zone_of_an_address_selects_the_interface() -> bool:
	if not can("error details"):
		equal(new_socket().connect_to_url("ws://[fe80::1%25eth0]:9/"), ERR_INVALID_PARAMETER, "a zone, which browsers reject")
		return true
	var socket := new_socket()
	var log := record(socket, ["failed"])
	equal(socket.connect_to_url("ws://[fe80::1%25no-such-if]:9/"), OK, "connect_to_url")
	await until_ended(log, socket)
	equal(log[0][1], "resolve", "phase")
	check("no-such-if" in log[0][3], log[0][3])
	equal(new_socket().connect_to_url("ws://[::1%25lo]:9/"), ERR_INVALID_PARAMETER, "zone of an address without zones")
	return true


func test_authorization_can_change() -> bool:
	if not can("headers"):
		return await credentials_are_refused()
	var socket := new_socket()
	socket.set_basic_auth("user", "password")
	socket.set_bearer_auth("abc.def")
	check("authorization: bearer abc.def\r\n" in await request_head(socket), "no bearer token")
	socket.close(-1)
	socket.clear_auth()
	check(not "authorization" in await request_head(socket), "still authorized")
	return true


func credentials_are_refused() -> bool:
	var socket := new_socket()
	for call: Array in [["set_basic_auth", "user", "password"], ["set_bearer_auth", "abc.def"]]:
		socket.callv(call[0], call.slice(1))
		equal(socket.connect_to_url(ws + "/"), ERR_UNAVAILABLE, "connect_to_url after %s" % call[0])
		check(call[0] in socket.get_last_error().message, socket.get_last_error().message)
		socket.clear_auth()
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url after clear_auth")
	return true


func test_compression_is_offered_unless_disabled() -> bool:
	if not can("compression"):
		equal(new_socket().get_extensions(), "", "extensions")
		return await ignores({"compression": false})
	var offer := "sec-websocket-extensions: permessage-deflate"
	check(offer in await request_head(new_socket()), "not offered")
	var socket := new_socket()
	socket.compression = false
	check(not "sec-websocket-extensions" in await request_head(socket), "offered")
	equal(socket.get_extensions(), "", "extensions")
	return true


func test_invalid_urls_are_rejected() -> bool:
	for url: String in [
		"", "localhost", "ftp://x", "ws://", "ws:///x", "ws://h:0/", "ws://h:70000", "ws://h h/", "ws://h/#x", "ws://h/ä",
		"ws://bücher.example/", "ws://[::1", "ws://[::1::2]/", "ws://::1/", "ws://h\\x/", "ws://h:12a/", "ws://h/a\nb",
		" ws://h/", "ws://1.2.3.4.5/", "ws://1.2.3/", "ws://%41/", "ws://h/%zz", "ws://" + "x".repeat(64) + "/",
		"ws://h/" + "x".repeat(9000)
	]:
		equal(new_socket().connect_to_url(url), ERR_INVALID_PARAMETER, url.c_escape())
	for url: String in [
		"ws://h", "WS://h/", "http://h", "https://h/a?b", "ws://h?x=1", "ws://h:/", "ws://h:00080/", "ws://a_b/", "ws://[::1]:9",
		"ws://h/%20", "ws://127.0.0.1:9"
	]:
		var socket := new_socket()
		equal(socket.connect_to_url(url), OK, url)
		equal(socket.get_requested_url(), url, "URL")
		socket.close(-1)
	equal(new_socket().connect_to_url("ws://user:password@h/"), OK if can("headers") else ERR_UNAVAILABLE, "credentials")
	return true


func test_invalid_settings_are_rejected() -> bool:
	var invalid_values := {
		"handshake_headers": PackedStringArray(["X-Team: red\r\nX-Injected: 1"]),
		"supported_protocols": PackedStringArray(["two words"]),
		"origin": "https://x\r\nX-Injected: 1",
		"connect_timeout": 0.0,
		"close_timeout": -1.0,
		"heartbeat_timeout": -1.0,
		"inbound_buffer_size": 0,
		"outbound_buffer_size": -1,
		"max_queued_packets": -1,
		"max_fragment_size": -1,
		"tls_client_key_pem": "a key without a certificate",
		"max_message_size": -5,
		"tls_roots": 17,
		"tls_ca_pem": "no certificate",
		"tls_pins": PackedStringArray(["too short"]),
		"heartbeat_interval": 0.001,
		"proxy": "ftp://proxy.example",
		"max_redirects": -1,
		"requested_http_version": 3,
		"link_conditions": {"out_delay_ms": 60001},
	}
	for property: String in invalid_values:
		var socket := new_socket()
		socket.set(property, invalid_values[property])
		var expected := ERR_INVALID_PARAMETER if can("headers") or not property in UNAVAILABLE else ERR_UNAVAILABLE
		equal(socket.connect_to_url(ws + "/"), expected, "connect_to_url with an invalid %s" % property)
		check(socket.get_last_error().message != "", "no message for %s" % property)
	for invalid_time: float in [-1.0, NAN]:
		for property: String in ["connect_timeout", "heartbeat_interval", "reconnect_min_delay", "reconnect_max_delay"]:
			var socket := new_socket()
			socket.reconnect = true
			socket.set(property, invalid_time)
			equal(socket.connect_to_url(ws + "/"), ERR_INVALID_PARAMETER, "connect_to_url with %s = %f" % [property, invalid_time])
			check(property in socket.get_last_error().message, socket.get_last_error().message)
	if not can("headers"):
		return true
	for header: String in ["no colon", "Sec-WebSocket-Key: x", "Bad Name: x", "Host: x"]:
		var socket := new_socket()
		socket.handshake_headers = PackedStringArray([header])
		equal(socket.connect_to_url(ws + "/"), ERR_INVALID_PARAMETER, "connect_to_url with %s" % header)
	return true


func test_rejected_value_does_not_change_the_property() -> bool:
	var socket := await open_socket()
	for property: String in ["max_fragment_size", "outbound_buffer_size", "heartbeat_interval", "heartbeat_timeout"]:
		var before: Variant = socket.get(property)
		socket.set(property, -1)
		equal(socket.get(property), before, property)
		check(socket.get_last_error().message != "", "no message for %s" % property)
	socket.max_fragment_size = 100
	equal(socket.max_fragment_size, 100, "valid value")
	return true


func test_value_above_encode_limit_names_the_property() -> bool:
	var socket := await open_socket()
	socket.encode_buffer_max_size = 10
	equal(socket.put_var("more than ten bytes"), ERR_OUT_OF_MEMORY, "put_var")
	check("encode_buffer_max_size" in socket.get_last_error().message, "%s" % socket.get_last_error())
	return true


func test_message_above_the_limit_ends_the_connection() -> bool:
	var socket := new_socket()
	socket.max_message_size = 1000
	var log := record(socket, ["binary_received", "failed"])
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	var bytes := PackedByteArray()
	bytes.resize(1000)
	socket.send(bytes)
	bytes.resize(1001)
	socket.send(bytes)
	await until_ended(log, socket)
	equal(log.map(func(entry: Array) -> String: return entry[0]), ["binary_received", "failed"], "signals")
	equal(socket.get_last_error().kind, "too_large", "kind")
	return true


func test_heartbeat_measures_latency() -> bool:
	if not can("ping"):
		equal(new_socket().get_latency(), -1.0, "latency")
		return await ignores({"heartbeat_interval": 0.05, "heartbeat_timeout": 1.0})
	var socket := await open_socket()
	equal(socket.get_latency(), -1.0, "latency before")
	var log := record(socket, ["pong_received"])
	# Long, because a loaded machine may answer late.
	socket.heartbeat_timeout = TIMEOUT
	socket.heartbeat_interval = 0.05
	await until(func() -> bool: return socket.get_latency() >= 0.0 and log.size() >= 2, "two pongs", [socket])
	check(socket.get_latency() < TIMEOUT, "latency %f" % socket.get_latency())
	check(socket.get_stats().pings_sent >= 2, "%s" % socket.get_stats())
	check(socket.get_stats().pongs_received >= 2, "%s" % socket.get_stats())
	return true


func test_heartbeat_detects_a_silent_server() -> bool:
	if not can("ping"):
		return skip("ping")
	var socket := new_socket()
	socket.heartbeat_interval = 0.05
	socket.heartbeat_timeout = 0.1
	var log := record(socket, ["failed"])
	socket.connect_to_url(ws + "/silent")
	await until_ended(log, socket)
	equal(socket.get_last_error().kind, "ping_timeout", "kind")
	return true


func test_pings_of_the_server_are_answered() -> bool:
	var socket := await open_socket("/ping?data=hello")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the payload received by the server", [socket])
	equal(socket.get_packet().get_string_from_utf8(), "hello", "payload")
	return true


func test_ping_payload_is_limited() -> bool:
	if not can("ping"):
		equal(new_socket().ping(), ERR_UNAVAILABLE, "ping")
		return true
	var socket := await open_socket()
	var data := PackedByteArray()
	data.resize(126)
	equal(socket.ping(data), ERR_OUT_OF_MEMORY, "126 bytes")
	equal(socket.ping(), OK, "none")
	equal(new_socket().ping(), FAILED, "not open")
	return true


func test_connecting_twice_is_an_error_with_a_message() -> bool:
	var socket := await open_socket()
	equal(socket.connect_to_url(ws + "/"), ERR_ALREADY_IN_USE, "connect_to_url")
	check("open or closing already" in str(socket.get_last_error()), "no message")
	return true


func test_stats_count_messages_and_frames() -> bool:
	var socket := await open_socket()
	socket.max_fragment_size = 100
	socket.send("x".repeat(250).to_utf8_buffer())
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	var stats: Dictionary = socket.get_stats()
	equal([stats.messages_sent, stats.messages_received], [1, 1], "messages")
	equal([stats.frames_sent, stats.frames_received], [3, 1] if can("frames") else [0, 0], "frames")
	check(stats.bytes_sent >= 250 and stats.bytes_received >= 250, "%s" % stats)
	check(absf(socket.get_last_message_time() - Time.get_unix_time_from_system()) < 60.0, "last message")
	equal(new_socket().get_stats().bytes_sent, 0, "stats without a connection")
	equal(new_socket().get_last_message_time(), 0.0, "last message without a connection")
	return true


func test_properties_return_assigned_values() -> bool:
	var socket := new_socket()
	var values := {
		"supported_protocols": PackedStringArray(["a"]), "handshake_headers": PackedStringArray(["A: b"]),
		"origin": "o", "inbound_buffer_size": 1, "outbound_buffer_size": 2, "max_queued_packets": 3,
		"heartbeat_interval": 4.5, "heartbeat_timeout": 5.5, "max_message_size": 6, "max_fragment_size": 70,
		"compression": false, "compression_level": 14, "compression_min_size": 15,
		"compression_client_no_context_takeover": true, "compression_server_no_context_takeover": true,
		"compression_client_max_window_bits": 9, "compression_server_max_window_bits": 10, "tls_key_log": true,
		"capture_path": "r", "capture_max_file_bytes": 16, "capture_include_secrets": true,
		"connect_timeout": 8.5, "close_timeout": 9.5, "encode_buffer_max_size": 10, "tls_ca_pem": "p", "tls_roots": 1,
		"tls_pins": PackedStringArray(["q"]), "tls_client_cert_pem": "c", "tls_client_key_pem": "k", "tls_insecure": true,
		"requested_http_version": 2, "proxy": "http://p", "max_redirects": 11, "keep_cookies": true, "reconnect": true,
		"lanes": [{"priority": 1, "weight": 2, "max_bytes": 3}],
		"link_conditions": {
			"seed": 1, "out_delay_ms": 2, "in_delay_ms": 3, "out_jitter_ms": 4, "in_jitter_ms": 5, "jitter_max_ms": 6,
			"out_bytes_per_s": 7, "in_bytes_per_s": 8, "burst_bytes": 9, "stall_every_ms": 11, "stall_ms": 10, "cut": 1,
		},
		"reconnect_min_delay": 1.5, "reconnect_max_delay": 12.5, "reconnect_max_attempts": 13, "reconnect_queue_sends": true,
	}
	var properties := {}
	for name in property_names(socket):
		properties[name] = true
	equal(properties.keys().filter(func(name: String) -> bool: return not name in values), [], "properties not tested")
	for name: String in values:
		check(socket.get(name) != values[name], "%s has the value already" % name)
		socket.set(name, values[name])
		equal(socket.get(name), values[name], name)
	return true


func test_set_no_delay_is_accepted() -> bool:
	var socket := await open_socket()
	socket.set_no_delay(true)
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
	return true
