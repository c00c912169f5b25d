extends "res://suite.gd"
## Tests calls: arguments, threads, and handlers that free what calls them.

## A path and settings with which each signal is emitted.
const CAUSES := {
	"opened": "/",
	"text_received": "/headers",
	"binary_received": "/push?hz=1000&size=10",
	"packets_received": "/push?hz=1000&size=10",
	"fragment_received": "/fragments?n=3&size=10",
	"pong_received": "/",
	"sent": "/",
	"reconnecting": "",
	"closed": "/close?code=4000",
	"failed": "",
}


## Returns the signals that can be emitted.
func signals_to_provoke() -> Array:
	return CAUSES.keys().filter(func(name: String) -> bool: return can("fragments") or not name in ["fragment_received", "pong_received"])


func test_wrong_arguments_are_call_errors() -> bool:
	if not ClassDB.class_exists("Logger"):
		return skip("loggers of Godot 4.5")
	var socket := new_socket()
	for case: Array in [
		["send", [], "expected 1 argument(s), but called with 0"],
		["send", [PackedByteArray(), 1, 2], "expected 2 argument(s), but called with 3"],
		["send", ["text"], "Cannot convert argument 1 from String to PackedByteArray"],
		["send", [PackedByteArray(), "text"], "Cannot convert argument 2 from String to int"],
		["send_text", [5], "Cannot convert argument 1 from int to String"],
		["close", ["text"], "Cannot convert argument 1 from String to int"],
		["set_basic_auth", ["user"], "expected 2 argument(s), but called with 1"],
		["poll", [1], "expected 0 argument(s), but called with 1"],
		["set_supported_protocols", ["text"], "Cannot convert argument 1 from String to PackedStringArray"],
		["connect_to_url", [ws, {}], "Cannot convert argument 2 from Dictionary to Object"],
	]:
		var errors := errors_of(socket, case[0], case[1])
		check(case[2] in errors, "%s%s: %s" % [case[0], case[1], errors])
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	var node := Node.new()
	var errors := errors_of(socket, "connect_to_url", [ws, node])
	check(("Cannot convert argument 2" if has_extension else "not a TLSOptions") in errors, "an object of another class: %s" % errors)
	node.free()
	return true


func test_arguments_are_converted() -> bool:
	var socket := new_socket()
	socket.set("heartbeat_interval", 2)
	equal(socket.heartbeat_interval, 2.0, "int as float")
	socket.set("max_redirects", 3.0)
	equal(socket.max_redirects, 3, "float as int")
	socket.set("origin", &"name")
	equal(socket.origin, "name", "StringName as String")
	socket.set("supported_protocols", ["a", "b"])
	equal(socket.supported_protocols, PackedStringArray(["a", "b"]), "Array as PackedStringArray")
	for text: String in ["", "ü 世界 🎲", "x".repeat(100_000)]:
		socket.origin = text
		equal(socket.origin, text, "text")
	return true


func test_properties_have_their_defaults() -> bool:
	var defaults := {
		"supported_protocols": PackedStringArray(), "handshake_headers": PackedStringArray(), "origin": "",
		"inbound_buffer_size": 4194304, "outbound_buffer_size": 67108864, "max_queued_packets": 4096,
		"heartbeat_interval": 0.0, "heartbeat_timeout": 0.0, "max_message_size": 67108864, "max_fragment_size": 32767,
		"compression": true, "compression_level": 6, "compression_min_size": 256,
		"compression_client_no_context_takeover": false, "compression_server_no_context_takeover": false,
		"compression_client_max_window_bits": 15, "compression_server_max_window_bits": 15, "tls_key_log": false,
		"capture_path": "", "capture_max_file_bytes": 0, "capture_include_secrets": false,
		"connect_timeout": 20.0, "close_timeout": 5.0, "requested_http_version": 0, "proxy": "",
		"max_redirects": 0, "keep_cookies": false, "reconnect": false, "reconnect_min_delay": 0.25,
		"reconnect_max_delay": 30.0, "reconnect_max_attempts": 0, "reconnect_queue_sends": false,
		"encode_buffer_max_size": 8388608, "lanes": [], "link_conditions": {}, "tls_ca_pem": "", "tls_roots": 0, "tls_pins": PackedStringArray(),
		"tls_client_cert_pem": "", "tls_client_key_pem": "", "tls_insecure": false,
	}
	var socket := new_socket()
	for name in property_names(socket):
		equal(socket.get(name), defaults.get(name), name)
		defaults.erase(name)
	equal(defaults, {}, "properties that are missing")
	if not can("node"):
		return skip("node")
	for pair: Array in [["url", ""], ["connect_on_ready", false], ["automatic_suspend", true], ["poll_budget_usec", 2000]]:
		equal(ClassDB.class_get_property_default_value("FramewireNode", pair[0]), pair[1], pair[0])
	return true


## No lock is held while an error is printed: Godot passes it to loggers, which are scripts.
func test_logger_can_call_the_socket() -> bool:
	if not ClassDB.class_exists("Logger"):
		return skip("loggers of Godot 4.5")
	var socket := new_socket()
	var seen := []
	var errors := errors_of(socket, "connect_to_url", ["no URL"], func() -> void:
		seen.append(socket.get_last_error().get("message", "")))
	check("connect_to_url" in errors, errors)
	check(seen.size() == 1 and seen[0] != "", "calls of the logger: %s" % [seen])
	return true


## Makes an open socket emit a signal for which it has to send something.
func ask_for(name: String, socket: RefCounted) -> void:
	if socket.get_ready_state() != WebSocketPeer.STATE_OPEN:
		return
	if name == "pong_received":
		socket.ping()
	elif name == "sent":
		socket.send_message("a message with a tag", {"tag": 1})


## Connects so that the signal is emitted.
func provoke(name: String, socket: RefCounted) -> void:
	socket.reconnect = name == "reconnecting"
	socket.reconnect_min_delay = 0.001
	var url: String = "ws://127.0.0.1:1/" if CAUSES[name].is_empty() else ws + CAUSES[name]
	equal(socket.connect_to_url(url), OK, "connect_to_url")


func test_socket_can_be_freed_in_each_handler() -> bool:
	for name: String in signals_to_provoke():
		var box := {"socket": new_socket(), "calls": 0}
		var weak: WeakRef = weakref(box.socket)
		# Takes up to four arguments.
		var act := func(_a: Variant = null, _b: Variant = null, _c: Variant = null, _d: Variant = null) -> void:
			box.calls += 1
			box.erase("socket")
		box.socket.connect(name, act)
		provoke(name, box.socket)
		await until(func() -> bool:
			if box.has("socket"):
				box.socket.poll()
			if box.has("socket"):
				ask_for(name, box.socket)
			return box.calls > 0, name)
		await tree.process_frame
		check(weak.get_ref() == null, "%s: the socket is still there" % name)
	return true


func test_node_can_be_freed_in_each_handler() -> bool:
	if not can("node"):
		return skip("node")
	for name: String in signals_to_provoke():
		var node: Node = ClassDB.instantiate("FramewireNode")
		tree.root.add_child(node)
		var id := node.get_instance_id()
		# Godot cannot free an object that is emitting a signal, but the socket's handlers can free the node.
		node.socket.connect(name, func(_a: Variant = null, _b: Variant = null, _c: Variant = null, _d: Variant = null) -> void:
			if is_instance_id_valid(id):
				instance_from_id(id).free())
		provoke(name, node.socket)
		node = null
		await until(func() -> bool:
			if is_instance_id_valid(id):
				ask_for(name, instance_from_id(id).socket)
			return not is_instance_id_valid(id), name)
	return true


func test_socket_can_be_used_by_several_threads() -> bool:
	if not can("threads"):
		return skip("threads")
	const THREADS := 4
	const EACH := 500
	var socket := await open_socket()
	var threads: Array[Thread] = []
	var box := {"done": false}
	for i in THREADS:
		var thread := Thread.new()
		threads.append(thread)
		thread.start(func() -> int:
			var got := 0
			for n in EACH:
				if socket.send_text("x") != OK:
					return -1
			var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
			while Time.get_ticks_msec() < deadline and not box.done:
				socket.poll()
				got += socket.get_packets().size()
				got += int(not socket.get_packet().is_empty())
				socket.get_stats()
			return got)
	var total := THREADS * EACH
	await until(func() -> bool: return socket.get_stats().messages_received == total, "all echoes")
	OS.delay_msec(50)
	box.done = true
	var got := 0
	for thread in threads:
		got += thread.wait_to_finish()
	socket.poll()
	equal(got + socket.get_available_packet_count(), total, "packets")
	return true
