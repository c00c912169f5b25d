extends "res://suite.gd"
## What scripts written for WebSocketPeer do, and what it does: where both can be asked, the same
## script runs with both classes.

const BOTH := ["WebSocketPeer", "FramewireSocket"]


func test_the_loop_of_godots_manual() -> bool:
	var transcripts := {}
	for type: String in BOTH:
		transcripts[type] = await the_loop_of_the_manual(new_socket(type))
	equal(transcripts.FramewireSocket, transcripts.WebSocketPeer, "transcript")
	check("text hällo 世界" in transcripts.FramewireSocket, "no echo in %s" % [transcripts.FramewireSocket])
	return true


func the_loop_of_the_manual(socket: RefCounted) -> Array:
	var transcript := []
	transcript.append(socket.get_ready_state())
	transcript.append(socket.send_text("too early"))
	transcript.append(socket.connect_to_url(ws + "/"))
	transcript.append(socket.connect_to_url(ws + "/"))
	var sent := false
	var ends := Time.get_ticks_msec() + int(PATIENCE * 1000)
	while Time.get_ticks_msec() < ends:
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


## WebSocketPeer loses the binary one.
func test_empty_messages() -> bool:
	var socket := await open_socket()
	equal(socket.put_packet(PackedByteArray()), OK, "put_packet")
	equal(socket.send_text(""), OK, "send_text")
	await until(func() -> bool: return socket.get_available_packet_count() == 2, "the echoes", [socket])
	for is_text: bool in [false, true]:
		equal(socket.get_packet(), PackedByteArray(), "packet")
		equal(socket.get_packet_error(), OK, "error")
		equal(socket.was_string_packet(), is_text, "is text")
	return true


func test_a_packet_that_is_not_there() -> bool:
	var socket := await open_socket()
	equal(socket.get_packet_error(), OK, "error before")
	equal(socket.get_packet(), PackedByteArray(), "packet")
	equal(socket.get_packet_error(), ERR_UNAVAILABLE, "error after")
	equal(socket.get_var(), null, "value")
	return true


func test_values_survive_the_journey() -> bool:
	var socket := await open_socket()
	var value := {"name": "Åsa", "at": Vector3(1, 2, 3), "bag": [1, 2.5, &"x", PackedInt32Array([7])]}
	equal(socket.put_var(value), OK, "put_var")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
	equal(socket.get_var(), value, "value")
	equal(socket.get_packet_error(), OK, "error")
	socket.encode_buffer_max_size = 16
	equal(socket.put_var(value), ERR_OUT_OF_MEMORY, "over encode_buffer_max_size")
	return true


## WebSocketPeer answers ERR_OUT_OF_MEMORY here, by its buffer of 64 KiB.
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


func test_a_full_outbound_buffer_refuses() -> bool:
	var socket := new_socket()
	socket.outbound_buffer_size = 1000
	# The server reads nothing but what the system's buffers take.
	equal(socket.connect_to_url(ws + "/push?hz=1&size=1"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	var block := PackedByteArray()
	block.resize(1_000_000)
	var answers := {}
	# Full for some frames in a row: the system takes no more either.
	var refused := [0]
	var fill := func() -> bool:
		var answer: int = socket.send(block)
		answers[answer] = true
		refused[0] = refused[0] + 1 if answer == ERR_OUT_OF_MEMORY else 0
		return refused[0] == 20
	await until(fill, "the buffers never fill", [socket])
	equal(answers.keys(), [OK, ERR_OUT_OF_MEMORY], "answers")
	check(socket.get_current_outbound_buffered_amount() > 0, "nothing is buffered")
	check(socket.get_last_error().message != "", "no word of why")
	return true


func test_bad_arguments_are_refused() -> bool:
	var socket := await open_socket()
	equal(socket.send(PackedByteArray([255, 254]), WebSocketPeer.WRITE_MODE_TEXT), ERR_INVALID_PARAMETER, "bad UTF-8")
	equal(socket.send(PackedByteArray(), 7), ERR_INVALID_PARAMETER, "write mode 7")
	for code: int in [999, 1005, 1006, 5000, 70_000]:
		socket.close(code)
		equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state after close(%d)" % code)
	socket.close(1000, "x".repeat(124))
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state after a long reason")
	check("123" in socket.get_last_error().message, "%s" % socket.get_last_error())
	var another := new_socket()
	for url: String in ["", "nonsense", "ftp://127.0.0.1/", "ws://", "ws://a b/", "ws://127.0.0.1:99999/", "ws://x/\r\nA: b"]:
		equal(another.connect_to_url(url), ERR_INVALID_PARAMETER, "connect_to_url(%s)" % url.c_escape())
		equal(another.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	return true


## The queue is bounded, the server waits, and nothing is lost.
func test_more_packets_than_the_queue_holds() -> bool:
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


func test_inbound_buffer_size_bounds_bytes() -> bool:
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
