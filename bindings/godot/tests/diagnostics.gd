extends "res://suite.gd"
## Tests log lines, statistics, monitors, the upgrade request, and the project's settings.


## An HTTP server that answers each connection with the next response, and keeps the requests.
class HttpServer:
	var listener := TCPServer.new()
	var responses: Array[String] = []
	var requests: Array[String] = []
	var streams := []

	func _init() -> void:
		listener.listen(0, "127.0.0.1")

	func url() -> String:
		return "ws://127.0.0.1:%d/" % listener.get_local_port()

	func poll() -> void:
		if listener.is_connection_available():
			streams.append([listener.take_connection(), ""])
		for entry: Array in streams:
			var stream: StreamPeerTCP = entry[0]
			stream.poll()
			if entry[1].ends_with("\r\n\r\n") or stream.get_available_bytes() <= 0:
				continue
			entry[1] += stream.get_utf8_string(stream.get_available_bytes())
			if entry[1].ends_with("\r\n\r\n"):
				requests.append(entry[1].to_lower())
				stream.put_data(responses.pop_front().to_utf8_buffer())


func test_log_lines_are_emitted_with_their_context() -> bool:
	var socket := new_socket()
	equal(socket.set_log_level(99), ERR_INVALID_PARAMETER, "an unknown level")
	equal(socket.set_log_level(socket.LOG_TRACE), OK, "set_log_level")
	socket.set_context("room", "7")
	var lines := []
	socket.logged.connect(func(level: int, message: String, context: String) -> void: lines.append([level, message, context]))
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	socket.set_context("match", "8")
	socket.close()
	await until_state(socket, WebSocketPeer.STATE_CLOSED)
	socket.poll()
	if not has_extension:
		equal(lines, [], "lines without the extension")
		return true
	check(lines.size() >= 2, "only the lines %s" % [lines])
	check(lines.any(func(line: Array) -> bool: return line[2] == "room=7"), "no line with the context: %s" % [lines])
	check(lines.any(func(line: Array) -> bool: return line[2] == "room=7 match=8"), "no line with both keys: %s" % [lines])
	for line: Array in lines:
		check(line[0] >= socket.LOG_ERROR and line[0] <= socket.LOG_TRACE, "level of %s" % [line])
	socket.set_log_level(socket.LOG_OFF)
	lines.clear()
	socket.set_context("room", "")
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	equal(lines, [], "lines without a level")
	return true


func test_each_socket_emits_its_own_log_lines() -> bool:
	if not has_extension:
		return skip("log lines")
	var sockets := [new_socket(), new_socket()]
	var contexts := [[], []]
	sockets[0].set_log_level(sockets[0].LOG_DEBUG)
	for i in 2:
		sockets[i].set_context("number", str(i))
		var own: Array = contexts[i]
		sockets[i].logged.connect(func(_level: int, _message: String, context: String) -> void: own.append(context))
		sockets[i].connect_to_url(ws + "/")
	for socket: RefCounted in sockets:
		await until(func() -> bool: return socket.get_ready_state() == WebSocketPeer.STATE_OPEN, "open", sockets)
	sockets[0].set_log_level(sockets[0].LOG_OFF)
	for i in 2:
		check("number=%d" % i in contexts[i] and not "number=%d" % (1 - i) in contexts[i], "lines of %d: %s" % [i, contexts[i]])
	return true


func test_handler_of_request_created_adds_header_fields() -> bool:
	var socket := new_socket()
	var requests := []
	socket.request_created.connect(func(request: Dictionary) -> void:
		requests.append([request.url, request.http_version, request.attempt])
		request.headers["X-Token"] = "token %d" % requests.size()
		request.headers["X-Removed"] = null)
	if has_extension:
		socket.handshake_headers = PackedStringArray(["X-Removed: yes", "X-Kept: yes"])
	equal(socket.connect_to_url(ws + "/headers"), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_available_packet_count() > 0, "the head", [socket])
	var head: String = socket.get_packet().get_string_from_utf8().to_lower()
	if not has_extension:
		equal([requests, "x-token" in head], [[], false], "requests without the extension")
		return true
	equal(requests, [[ws + "/headers", 1, 1]], "requests")
	check("x-token: token 1\r\n" in head and "x-kept: yes\r\n" in head and not "x-removed" in head, head)
	return true


func test_invalid_header_field_of_a_handler_is_reported() -> bool:
	if not has_extension:
		return skip("headers")
	var socket := new_socket()
	socket.request_created.connect(func(request: Dictionary) -> void: request.headers["Sec-WebSocket-Key"] = "mine")
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	check("sec-websocket-key" in socket.get_last_error().message.to_lower(), socket.get_last_error().message)
	return true


func test_headers_of_a_handler_must_be_a_dictionary() -> bool:
	if not has_extension:
		return skip("headers")
	var socket := new_socket()
	socket.request_created.connect(func(request: Dictionary) -> void: request.headers = ["X-Token: token"])
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	check("headers" in socket.get_last_error().message, socket.get_last_error().message)
	return true


func test_cookies_are_kept_between_connections() -> bool:
	if not can("headers"):
		return skip("headers")
	var server := HttpServer.new()
	var socket := new_socket()
	socket.proxy = "none"
	socket.keep_cookies = true
	for response: String in ["Set-Cookie: session=abc\r\n", "", ""]:
		server.responses.append("HTTP/1.1 403 Forbidden\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n" % response)
	for i in 3:
		# Without the property, cookies are deleted.
		socket.keep_cookies = i < 2
		var log := record(socket, ["failed"])
		equal(socket.connect_to_url(server.url()), OK, "connect_to_url")
		await until(func() -> bool: return has_ended(log), "the rejection", [server, socket])
		clean_up_signals(socket)
	equal(server.requests.map(func(head: String) -> bool: return "\r\ncookie: session=abc\r\n" in head), [false, true, false], "cookies")
	return true


func clean_up_signals(socket: RefCounted) -> void:
	for connection in socket.get_signal_connection_list("failed"):
		connection.signal.disconnect(connection.callable)


func test_final_url_is_the_one_after_redirects() -> bool:
	if not can("proxy"):
		var plain := await open_socket()
		equal(plain.get_final_url(), ws + "/", "final URL")
		return true
	var server := HttpServer.new()
	server.responses.append("HTTP/1.1 302 Found\r\nLocation: %s/moved\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % ws.replace("ws:", "http:"))
	var socket := new_socket()
	equal(socket.get_final_url(), "", "final URL before connect_to_url")
	socket.proxy = "none"
	socket.max_redirects = 1
	equal(socket.connect_to_url(server.url()), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_ready_state() == WebSocketPeer.STATE_OPEN, "open", [server, socket])
	equal(socket.get_final_url(), ws + "/moved", "final URL")
	equal(socket.get_requested_url(), server.url(), "requested URL")
	return true


func test_compression_parameters_are_offered() -> bool:
	if not has_extension:
		return skip("compression parameters")
	var socket := new_socket()
	socket.compression_client_no_context_takeover = true
	socket.compression_server_max_window_bits = 9
	equal(socket.connect_to_url(ws + "/headers"), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_available_packet_count() > 0, "the head", [socket])
	var head: String = socket.get_packet().get_string_from_utf8().to_lower()
	check("client_no_context_takeover" in head and "server_max_window_bits=9" in head, head)
	for pair: Array in [["level", 10], ["client_max_window_bits", 16], ["server_max_window_bits", 7], ["min_size", -1]]:
		var invalid := new_socket()
		invalid.set("compression_" + pair[0], pair[1])
		equal(invalid.connect_to_url(ws + "/"), ERR_INVALID_PARAMETER, "connect_to_url with %s" % [pair])
	return true


func test_global_statistics_count_all_sockets() -> bool:
	var counter := new_socket()
	await until(func() -> bool: return counter.get_global_statistics().sockets == 0, "the sockets of other tests to be closed")
	var before: Dictionary = counter.get_global_statistics()
	var socket := await open_socket()
	var second := await open_socket()
	for i in 3:
		socket.send_text("1234")
		second.send_text("1234")
	await until(func() -> bool:
		return socket.get_available_packet_count() + second.get_available_packet_count() == 6, "echoes", [socket, second])
	var after: Dictionary = socket.get_global_statistics()
	equal(after.sockets - before.sockets, 2, "sockets")
	equal(after.messages_sent - before.messages_sent, 6, "messages sent")
	equal(after.messages_received - before.messages_received, 6, "messages received")
	check(after.bytes_sent - before.bytes_sent >= 24, "bytes sent: %s" % after)
	equal(after.queued_bytes, 0, "queued bytes")
	socket.close(-1)
	second.close()
	await until_state(second, WebSocketPeer.STATE_CLOSED)
	await until(func() -> bool: return socket.get_global_statistics().sockets == before.sockets, "the sockets to be closed")
	equal(socket.get_global_statistics().messages_sent, after.messages_sent, "messages after the end")
	return true


func test_monitors_show_sockets_and_rates() -> bool:
	Framewire.add_monitors()
	Framewire.add_monitors()
	var sockets: float = Performance.get_custom_monitor("framewire/sockets")
	var socket := await open_socket()
	equal(float(Performance.get_custom_monitor("framewire/sockets")), sockets + 1, "sockets")
	Performance.get_custom_monitor("framewire/messages_in_per_second")
	await until(func() -> bool:
		socket.send_text("x")
		return Performance.get_custom_monitor("framewire/messages_in_per_second") > 0.0, "a rate", [socket])
	check(Performance.get_custom_monitor("framewire/messages_out_per_second") > 0.0, "messages out")
	check(Performance.get_custom_monitor("framewire/bytes_out_per_second") > 0.0, "bytes out")
	check(Performance.get_custom_monitor("framewire/queued_bytes") >= 0, "queued bytes")
	var monitors := Array(Performance.get_custom_monitor_names()).filter(func(name: StringName) -> bool: return name.begins_with("framewire/"))
	equal(monitors.size(), 6, "monitors")
	Framewire.remove_monitors()
	check(not Performance.has_custom_monitor("framewire/sockets"), "a monitor remains")
	return true


func test_buffer_statistics_are_those_of_the_pool() -> bool:
	var socket := await open_socket()
	var statistics: Dictionary = socket.get_buffer_statistics()
	equal(statistics.keys(), ["blocks_in_use", "bytes_in_use", "blocks_free", "bytes_free", "allocations"], "statistics")
	equal(statistics.allocations > 0, has_extension, "allocations")
	socket.trim_buffers()
	return true


func test_project_settings_configure_the_library() -> bool:
	if not has_extension:
		return skip("project settings")
	equal(ProjectSettings.get_setting("framewire/worker_threads"), 2, "worker_threads, which the project sets")
	equal(ProjectSettings.get_setting("framewire/event_queue_bytes"), 0, "event_queue_bytes")
	equal(ProjectSettings.get_setting("framewire/ignore_network_changes"), false, "ignore_network_changes")
	await open_socket()
	if OS.get_name() == "Linux":
		var threads := []
		for thread in DirAccess.get_directories_at("/proc/self/task"):
			# Such files have no size.
			threads.append(FileAccess.open("/proc/self/task/%s/comm" % thread, FileAccess.READ).get_line())
		check("framewire-io-0" in threads and "framewire-io-1" in threads, "threads %s" % [threads])
	return true
