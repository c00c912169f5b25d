extends "res://suite.gd"
## Tests scripts written for WebSocketPeer. Where possible, the same script runs with both classes.

## Classes to instantiate; Framewire.create_socket() for none.
const BOTH := ["WebSocketPeer", ""]


func test_polling_loop_of_godots_manual_works() -> bool:
	var transcripts := {}
	for type: String in BOTH:
		transcripts[type] = await run_polling_loop(new_socket(type))
	equal(transcripts[""], transcripts.WebSocketPeer, "transcript")
	check("text hällo 世界" in transcripts[""], "no echo in %s" % [transcripts[""]])
	return true


func run_polling_loop(socket: RefCounted) -> Array:
	var transcript := []
	transcript.append(socket.get_ready_state())
	transcript.append(socket.send_text("too early"))
	transcript.append(socket.connect_to_url(ws + "/"))
	transcript.append(socket.connect_to_url(ws + "/"))
	var sent := false
	var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
	while Time.get_ticks_msec() < deadline:
		socket.poll()
		var state: int = socket.get_ready_state()
		if state == WebSocketPeer.STATE_OPEN:
			if not sent:
				sent = true
				transcript.append(["open", socket.get_requested_url() == ws + "/", socket.get_selected_protocol()])
				transcript.append(socket.send_text("hällo 世界"))
				transcript.append(socket.send(PackedByteArray([0, 1, 255])))
				transcript.append(socket.send("as text".to_utf8_buffer(), WebSocketPeer.WRITE_MODE_TEXT))
				transcript.append(socket.put_var({"position": Vector2(1, 2)}))
			while socket.get_available_packet_count():
				var packet: PackedByteArray = socket.get_packet()
				transcript.append("text " + packet.get_string_from_utf8() if socket.was_string_packet() else packet)
				if packet.size() > 20 and not socket.was_string_packet():
					transcript.append(bytes_to_var(packet))
					socket.close(3001, "enough")
					transcript.append(socket.get_ready_state())
		elif state == WebSocketPeer.STATE_CLOSED:
			transcript.append([socket.get_close_code(), socket.get_close_reason()])
			break
		await tree.process_frame
	transcript.append([socket.get_connected_host(), socket.get_connected_port()])
	transcript.append(socket.send_text("too late"))
	return transcript


## WebSocketPeer loses the empty binary message.
func test_empty_messages_are_delivered() -> bool:
	if not can("empty binary messages"):
		return skip("empty binary messages")
	var socket := await open_socket()
	equal(socket.put_packet(PackedByteArray()), OK, "put_packet")
	equal(socket.send_text(""), OK, "send_text")
	await until(func() -> bool: return socket.get_available_packet_count() == 2, "the echoes", [socket])
	for is_text: bool in [false, true]:
		equal(socket.get_packet(), PackedByteArray(), "packet")
		equal(socket.get_packet_error(), OK, "error")
		equal(socket.was_string_packet(), is_text, "is text")
	return true


## A String of Godot ends at U+0000, so only the packet has all bytes.
func test_text_may_contain_zero_bytes() -> bool:
	var socket := await open_socket()
	var text := PackedByteArray([0x41, 0x00, 0xC3, 0xA4])
	equal(socket.send(text, WebSocketPeer.WRITE_MODE_TEXT), OK, "send")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	equal(socket.get_packet(), text, "packet")
	equal(socket.was_string_packet(), true, "is text")
	return true


func test_missing_packet_sets_packet_error() -> bool:
	var socket := await open_socket()
	equal(socket.get_packet_error(), OK, "error before")
	equal(socket.get_packet(), PackedByteArray(), "packet")
	equal(socket.get_packet_error(), ERR_UNAVAILABLE, "error after")
	equal(socket.get_var(), null, "value")
	return true


func test_values_are_echoed_unchanged() -> bool:
	var socket := await open_socket()
	var value := {"name": "Åsa", "at": Vector3(1, 2, 3), "bag": [1, 2.5, &"x", PackedInt32Array([7])]}
	equal(socket.put_var(value), OK, "put_var")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	equal(socket.get_var(), value, "value")
	equal(socket.get_packet_error(), OK, "error")
	socket.encode_buffer_max_size = 16
	equal(socket.put_var(value), ERR_OUT_OF_MEMORY, "over encode_buffer_max_size")
	return true


## Godot limits the depth of what it encodes.
func test_value_that_cannot_be_encoded_is_not_sent() -> bool:
	var socket := await open_socket()
	var deep := []
	for i in 2000:
		deep = [deep]
	equal(socket.put_var(deep), ERR_INVALID_PARAMETER, "put_var")
	check("cannot be encoded" in socket.get_last_error().message, "%s" % socket.get_last_error())
	equal(socket.put_var(null), OK, "put_var of null")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	equal(socket.get_packet(), var_to_bytes(null), "the echo")
	return true


## WebSocketPeer returns ERR_OUT_OF_MEMORY here, because its buffer has 64 KiB.
func test_large_messages_need_no_settings() -> bool:
	var socket := await open_socket()
	var large := PackedByteArray()
	large.resize(3_000_000)
	large.fill(171)
	equal(socket.send(large), OK, "send")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	check(socket.get_packet() == large, "the echo differs")
	equal(socket.get_current_outbound_buffered_amount(), 0, "buffered amount")
	return true


func test_full_outbound_buffer_rejects_messages() -> bool:
	var socket := new_socket()
	socket.outbound_buffer_size = 1000
	# The server does not read, so only the system's buffers accept data.
	equal(socket.connect_to_url(ws + "/push?hz=1&size=1"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	var block := PackedByteArray()
	block.resize(1_000_000)
	var results := {}
	# Full for several consecutive calls: the system's buffers are full too.
	var rejected := [0]
	var fill := func() -> bool:
		var result: int = socket.send(block)
		results[result] = true
		rejected[0] = rejected[0] + 1 if result == ERR_OUT_OF_MEMORY else 0
		return rejected[0] == 20
	await until(fill, "full buffers", [socket])
	equal(results.keys(), [OK, ERR_OUT_OF_MEMORY], "results")
	check(socket.get_current_outbound_buffered_amount() > 0, "nothing is buffered")
	check(socket.get_last_error().message != "", "no message")
	return true


func test_invalid_arguments_are_rejected() -> bool:
	var socket := await open_socket()
	equal(socket.send(PackedByteArray([255, 254]), WebSocketPeer.WRITE_MODE_TEXT), ERR_INVALID_PARAMETER, "bad UTF-8")
	equal(socket.send(PackedByteArray(), 7), ERR_INVALID_PARAMETER, "write mode 7")
	for code: int in [999, 1005, 1006, 5000, 70_000]:
		socket.close(code)
		equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state after close(%d)" % code)
	var printed := errors_of(socket, "close", [1000, "ä".repeat(62)])
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state after a long reason")
	check("123" in socket.get_last_error().message, "%s" % socket.get_last_error())
	check("close: a close reason" in printed or not ClassDB.class_exists("Logger"), "printed: %s" % printed)
	var another := new_socket()
	for url: String in ["", "nonsense", "ftp://127.0.0.1/", "ws://", "ws://a b/", "ws://127.0.0.1:99999/", "ws://x/\r\nA: b"]:
		equal(another.connect_to_url(url), ERR_INVALID_PARAMETER, "connect_to_url(%s)" % url.c_escape())
		equal(another.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	return true


## The queue is bounded, backpressure stops the server, and no packet is lost.
func test_full_packet_queue_loses_no_packet() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	socket.max_queued_packets = 10
	equal(socket.connect_to_url(ws + "/count?n=1000"), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_available_packet_count() == 10, "10 packets", [socket])
	for i in 20:
		socket.poll()
	equal(socket.get_available_packet_count(), 10, "packets")
	var next := 0
	while socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
		socket.poll()
		while socket.get_available_packet_count():
			if socket.get_packet().decode_u64(0) == next:
				next += 1
		await tree.process_frame
	equal(next, 1000, "packets in order")
	equal(socket.get_close_code(), 1000, "close code")
	return true


func test_inbound_buffer_size_limits_bytes() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	socket.inbound_buffer_size = 5000
	equal(socket.connect_to_url(ws + "/count?n=100&size=1000"), OK, "connect_to_url")
	await until(func() -> bool: return socket.get_available_packet_count() == 5, "5 packets", [socket])
	for i in 20:
		socket.poll()
	equal(socket.get_available_packet_count(), 5, "packets of 1000 bytes")
	socket.inbound_buffer_size = 1
	while socket.get_available_packet_count():
		socket.get_packet()
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "one packet over the limit", [socket])
	return true
