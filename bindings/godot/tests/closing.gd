extends "res://suite.gd"
## Tests that every connection ends with one terminal signal.


func test_server_close_is_reported_once() -> bool:
	var socket := new_socket()
	var log := record(socket)
	socket.connect_to_url(ws + "/close?code=4005&reason=go+away")
	await until_ended(log, socket)
	equal(log, [["opened"], ["closed", 4005, "go away"]], "signals")
	equal([socket.get_close_code(), socket.get_close_reason()], [4005, "go away"], "terminal signal")
	equal(socket.get_last_error(), {}, "last error")
	return true


func test_server_close_without_code_is_1005() -> bool:
	var socket := new_socket()
	var log := record(socket, ["closed", "failed"])
	socket.connect_to_url(ws + "/close?code=1005")
	await until_ended(log, socket)
	equal(log, [["closed", 1005, ""]], "terminal signal")
	return true


func test_lost_connection_fails_after_its_messages() -> bool:
	if not can("error details"):
		return await fails_without_details()
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var socket := new_socket()
	var log := record(socket)
	socket.connect_to_url("ws://127.0.0.1:%d/" % listener.get_local_port())
	await until(listener.is_connection_available, "a connection", [socket])
	var stream := listener.take_connection()
	var server := WebSocketPeer.new()
	server.accept_stream(stream)
	await until(func() -> bool: return log.size() == 1, "opened", [server, socket])
	server.send_text("last message")
	server.poll()
	stream.disconnect_from_host()
	await until_ended(log, socket)
	equal(log.slice(0, 2), [["opened"], ["text_received", "last message"]], "signals")
	equal(log[2].slice(0, 3), ["failed", "open", 0], "terminal signal")
	equal(log[2][4], true, "retriable")
	equal(socket.get_close_code(), -1, "close code")
	equal(socket.get_close_reason(), log[2][3], "reason")
	equal(socket.get_last_error().phase, "open", "phase")
	return true


func fails_without_details() -> bool:
	var socket := new_socket()
	var log := record(socket)
	socket.connect_to_url(ws + "/drop")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	socket.send_text("the server drops the connection")
	await until_ended(log, socket)
	equal(log.size(), 2, "signals")
	equal(log[1].slice(0, 3), ["failed", "open", 0], "terminal signal")
	equal(log[1][4], true, "retriable")
	equal([socket.get_close_code(), socket.get_close_reason()], [-1, log[1][3]], "close code and reason")
	equal(socket.get_last_error().kind, "reset", "kind")
	return true


func test_lost_connection_is_retried() -> bool:
	var socket := new_socket()
	socket.reconnect = true
	socket.reconnect_min_delay = 0.001
	socket.reconnect_max_delay = 0.005
	var log := record(socket, ["opened", "reconnecting", "closed", "failed"])
	socket.connect_to_url(ws + "/drop")
	await until(func() -> bool: return log.size() == 1, "opened", [socket])
	socket.send_text("the server drops the connection")
	# The next signals may be emitted in the same frame.
	await until(func() -> bool: return log.size() >= 2, "reconnecting", [socket])
	equal(log[1].slice(0, 2), ["reconnecting", 1], "retry")
	check(log[1][2] >= 0.001 and log[1][2] <= 0.005, "delay %s" % log[1][2])
	equal(socket.get_last_error().phase, "open", "phase")
	await until(func() -> bool: return log.size() >= 3, "opened again", [socket])
	equal(log[2], ["opened"], "second connection")
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
	socket.close(-1)
	await until_ended(log, socket)
	equal(log.size(), 4, "one terminal signal")
	return true


func test_retries_are_counted_and_limited() -> bool:
	var socket := new_socket()
	socket.reconnect = true
	socket.reconnect_min_delay = 0.01
	socket.reconnect_max_delay = 0.05
	socket.reconnect_max_attempts = 4
	var log := record(socket, ["reconnecting", "closed", "failed"])
	socket.connect_to_url("ws://127.0.0.1:1/")
	await until_ended(log, socket)
	equal(log.map(func(entry: Array) -> String: return entry[0]), ["reconnecting", "reconnecting", "reconnecting", "reconnecting", "failed"], "signals")
	for i in mini(log.size(), 4):
		equal(log[i][1], i + 1, "attempt")
		check(log[i][2] >= 0.01 and log[i][2] <= minf(0.01 * 2 ** (i + 1), 0.05), "delay %d: %f" % [i, log[i][2]])
	return true


func test_close_cancels_a_retry() -> bool:
	var socket := new_socket()
	socket.reconnect = true
	socket.reconnect_min_delay = 60.0
	socket.reconnect_max_delay = 60.0
	var log := record(socket, ["reconnecting", "closed", "failed"])
	socket.connect_to_url("ws://127.0.0.1:1/")
	await until(func() -> bool: return log.size() == 1, "reconnecting", [socket])
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CONNECTING, "state")
	socket.close()
	await until_ended(log, socket)
	equal(log.slice(1), [["closed", 1006, "cancelled while connecting"]], "terminal signal")
	return true


func test_sends_while_connecting_are_queued_if_enabled() -> bool:
	var socket := new_socket()
	socket.reconnect = true
	socket.reconnect_queue_sends = true
	socket.requested_http_version = 1
	var log := record(socket, ["text_received", "failed"])
	socket.connect_to_url(ws + "/")
	equal(socket.send_text("early"), OK, "send_text while connecting")
	await until(func() -> bool: return log.size() == 1, "the echo", [socket])
	equal(log[0], ["text_received", "early"], "the echo")
	equal(socket.get_http_version(), 1 if can("response") else 0, "HTTP version")
	return true


func test_connection_survives_suspend_and_network_change() -> bool:
	if not can("ping"):
		return await static_methods_have_no_effect()
	var socket := await open_socket()
	var log := record(socket, ["pong_received", "failed"])
	socket.suspend()
	socket.resume()
	await until(func() -> bool: return log.size() >= 1, "a pong", [socket])
	socket.network_changed()
	await until(func() -> bool: return log.size() >= 2, "another pong", [socket])
	equal(log.map(func(entry: Array) -> String: return entry[0]).has("failed"), false, "connection failed")
	return true


func static_methods_have_no_effect() -> bool:
	var socket := await open_socket()
	socket.suspend()
	socket.resume()
	socket.network_changed()
	socket.send_text("still open")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	return true


func test_unreachable_proxy_fails_in_the_proxy_phase() -> bool:
	if not can("proxy"):
		await ignores({"proxy": "none", "max_redirects": 3, "keep_cookies": true})
		return refuses({"proxy": "http://127.0.0.1:1"})
	var socket := new_socket()
	var log := record(socket)
	socket.proxy = "http://127.0.0.1:1"
	socket.max_redirects = 3
	socket.keep_cookies = true
	socket.connect_to_url(ws + "/")
	await until_ended(log, socket)
	equal(log[0].slice(0, 3), ["failed", "proxy", 0], "terminal signal")
	socket.proxy = "none"
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	return true


func test_refused_connection_fails_in_the_connect_phase() -> bool:
	var socket := new_socket()
	var log := record(socket)
	# Port 1 (tcpmux) is unused.
	socket.connect_to_url("ws://127.0.0.1:1/")
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CONNECTING, "state")
	await until_ended(log, socket)
	equal(log[0].slice(0, 3), ["failed", "connect", 0], "terminal signal")
	equal(socket.get_last_error().kind, "refused" if can("error details") else "io", "kind")
	equal(socket.get_last_error().os_code != 0, can("error details"), "an OS error number")
	check("127.0.0.1" in log[0][3], "no address in the reason: %s" % log[0][3])
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	return true


func test_rejected_upgrade_reports_status_headers_and_body() -> bool:
	if not can("listen"):
		return skip("a listening socket")
	var server := TCPServer.new()
	server.listen(0, "127.0.0.1")
	var socket := new_socket()
	var log := record(socket)
	socket.connect_to_url("ws://127.0.0.1:%d/" % server.get_local_port())
	await until(server.is_connection_available, "a connection", [socket])
	var peer := server.take_connection()
	var body := "this game is full"
	peer.put_data(("HTTP/1.1 503 Busy\r\nX-Why: full\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: %d\r\n\r\n%s" % [body.length(), body]).to_utf8_buffer())
	await until_ended(log, socket)
	if not can("response"):
		equal(log[0].slice(0, 3), ["failed", "connect", 0], "terminal signal")
		equal([socket.get_response_status(), socket.get_response_header("x-why"), socket.get_response_headers(), socket.get_response_body()], [0, "", PackedStringArray(), PackedByteArray()], "response")
		return true
	equal(log[0].slice(0, 3), ["failed", "upgrade", 503], "terminal signal")
	equal(log[0][4], true, "retriable")
	equal(socket.get_response_status(), 503, "status")
	equal(socket.get_response_header("x-why"), "full", "header")
	equal(socket.get_response_header("x-none"), "", "missing header")
	var fields := PackedStringArray(["X-Why: full", "Set-Cookie: a=1", "set-cookie: b=2", "Content-Length: %d" % body.length()])
	equal(socket.get_response_headers(), fields, "all headers")
	equal(socket.get_response_body().get_string_from_utf8(), body, "body")
	return true


func test_silent_server_times_out() -> bool:
	if not can("listen"):
		return skip("a listening socket")
	var server := TCPServer.new()
	server.listen(0, "127.0.0.1")
	var socket := new_socket()
	socket.connect_timeout = 0.1
	var log := record(socket)
	socket.connect_to_url("ws://127.0.0.1:%d/" % server.get_local_port())
	await until_ended(log, socket)
	equal(log[0].slice(0, 3), ["failed", "upgrade" if can("error details") else "connect", 0], "terminal signal")
	equal(socket.get_last_error().kind, "timed_out", "kind")
	return true


func test_close_while_connecting_cancels() -> bool:
	# A browser takes what has happened at the next poll only, so there any server does.
	var silent := TCPServer.new() if can("listen") else null
	var url := ws + "/"
	if silent != null:
		silent.listen(0, "127.0.0.1")
		url = "ws://127.0.0.1:%d/" % silent.get_local_port()
	var socket := new_socket()
	var log := record(socket)
	socket.connect_to_url(url)
	socket.close()
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSING, "state")
	await until_ended(log, socket)
	equal(log, [["closed", 1006, "cancelled while connecting"]], "signals")
	equal(socket.get_close_code(), -1, "close code")
	return true


func test_negative_code_drops_the_connection() -> bool:
	var socket := await open_socket()
	var log := record(socket)
	socket.send_text("never sent")
	socket.close(-1)
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	equal(socket.get_close_code(), -1, "close code")
	equal(log, [], "signals before poll()")
	socket.poll()
	socket.poll()
	equal(log.map(func(entry: Array) -> Array: return entry.slice(0, 2)), [["closed", 1006]], "signals")
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	return true


func test_unanswered_close_times_out() -> bool:
	var socket := await open_socket("/silent")
	socket.close_timeout = 0.2
	socket.close(-1)
	socket.connect_to_url(ws + "/silent")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	var log := record(socket)
	socket.close(1000)
	await until_ended(log, socket)
	equal(log[0].slice(0, 2), ["closed", 1006], "terminal signal")
	equal(socket.get_close_code(), -1, "close code")
	return true


## A script that never reads packets still gets the terminal signal.
func test_unread_packets_do_not_suppress_the_terminal_signal() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var log := record(socket, ["closed", "failed"])
	socket.connect_to_url(ws + "/count?n=5")
	await until_ended(log, socket)
	equal(log, [["closed", 1000, "done"]], "terminal signal")
	equal(socket.get_available_packet_count(), 5, "packets still readable")
	equal(socket.get_packet().decode_u64(0), 0, "the first")
	socket.connect_to_url(ws + "/")
	equal(socket.get_available_packet_count(), 0, "packets of the previous connection")
	return true


## A full queue does not delay the terminal signal after close().
func test_full_queue_does_not_suppress_the_terminal_signal() -> bool:
	var socket := new_socket()
	socket.max_queued_packets = 3
	var log := record(socket, ["closed", "failed"])
	socket.connect_to_url(ws + "/push?hz=2000&size=10")
	await until(func() -> bool: return socket.get_available_packet_count() == 3, "a full queue", [socket])
	socket.close()
	await until_ended(log, socket)
	equal(socket.get_available_packet_count(), 3, "packets")
	return true


func test_socket_can_be_freed_while_open() -> bool:
	for i in 20:
		var socket := await open_socket("/push?hz=1000&size=100")
		socket.send_text("unsent")
		socket = null
	# While connecting, and never connected.
	for i in 20:
		var socket := new_socket()
		if i % 2:
			socket.connect_to_url(ws + "/")
		socket = null
	return true


func test_freed_socket_closes_with_a_handshake() -> bool:
	if not can("listen"):
		return skip("a listening socket")
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var box := {"socket": new_socket()}
	box.socket.connect_to_url("ws://127.0.0.1:%d/" % listener.get_local_port())
	await until(listener.is_connection_available, "a connection", [box.socket])
	var server := WebSocketPeer.new()
	server.accept_stream(listener.take_connection())
	await until(func() -> bool: return box.socket.get_ready_state() == WebSocketPeer.STATE_OPEN, "open", [server, box.socket])
	box.erase("socket")
	await until(func() -> bool: return server.get_ready_state() == WebSocketPeer.STATE_CLOSED, "the end", [server])
	equal(server.get_close_code(), 1001 if has_extension else 1000, "close code")
	return true


func test_socket_can_be_freed_in_its_own_handler() -> bool:
	var box := {"socket": new_socket(), "opened": 0}
	var weak: WeakRef = weakref(box.socket)
	box.socket.opened.connect(func() -> void:
		box.opened += 1
		box.erase("socket"))
	box.socket.connect_to_url(ws + "/")
	await until(func() -> bool:
		if box.has("socket"):
			box.socket.poll()
		return box.opened > 0, "opened")
	await tree.process_frame
	check(weak.get_ref() == null, "the socket is still there")
	return true
