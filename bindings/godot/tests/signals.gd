extends "res://suite.gd"
## Tests delivery of messages as signals and as packets.


func test_signals_are_emitted_in_order() -> bool:
	var socket := new_socket()
	var log := record(socket)
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	equal(log, [], "signals before poll()")
	await until(func() -> bool: return log.size() == 1, "opened", [socket])
	equal(socket.send_text("one"), OK, "send_text")
	equal(socket.send(PackedByteArray([2])), OK, "send")
	equal(socket.ping(PackedByteArray([3])), OK if can("ping") else ERR_UNAVAILABLE, "ping")
	# The server may answer the ping before or after its echoes.
	await until(func() -> bool: return log.size() == (4 if can("ping") else 3), "two echoes and a pong", [socket])
	socket.close(4000, "bye")
	equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSING, "state")
	await until_ended(log, socket)
	equal(["pong_received", PackedByteArray([3])] in log, can("ping"), "a pong in %s" % [log])
	log.erase(["pong_received", PackedByteArray([3])])
	equal(log, [
		["opened"], ["text_received", "one"], ["binary_received", PackedByteArray([2])], ["closed", 4000, "bye"]
	], "signals")
	equal(socket.get_available_packet_count(), 0, "packets of emitted messages")
	return true


func test_ten_thousand_echoes_arrive_in_order() -> bool:
	var socket := new_socket()
	var received := PackedInt32Array()
	socket.text_received.connect(func(text: String) -> void: received.append(int(text)))
	socket.binary_received.connect(func(data: PackedByteArray) -> void: received.append(data.decode_u32(0)))
	var log := record(socket, ["closed", "failed"])
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	var bytes := PackedByteArray([0, 0, 0, 0])
	for i in 10_000:
		if i % 2:
			bytes.encode_u32(0, i)
			check(socket.send(bytes) == OK, "send %d" % i)
		else:
			check(socket.send_text(str(i)) == OK, "send_text %d" % i)
	# Waits for all echoes before closing.
	await until(func() -> bool: return received.size() == 10_000, "all echoes", [socket])
	var in_order := true
	for i in received.size():
		in_order = in_order and received[i] == i
	check(in_order, "not in order")
	socket.close()
	await until_ended(log, socket)
	equal(log, [["closed", 1000, ""]], "terminal signal")
	return true


func test_ten_thousand_signals_precede_the_close() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var seen := {"next": 0}
	socket.binary_received.connect(func(data: PackedByteArray) -> void:
		if data.decode_u64(0) == seen.next:
			seen.next += 1)
	var log := record(socket, ["closed", "failed"])
	socket.closed.connect(func(_code: int, _reason: String) -> void: seen.at_close = seen.next)
	socket.connect_to_url(ws + "/count?n=10000&size=64")
	await until_ended(log, socket)
	equal(seen, {"next": 10_000, "at_close": 10_000}, "messages")
	equal(log, [["closed", 1000, "done"]], "terminal signal")
	return true


func test_ten_thousand_packets_precede_the_close() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := await open_socket("/count?n=10000&size=64")
	var next := 0
	while socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
		socket.poll()
		# Reads slowly at the end: the state must stay open while packets are being read.
		for i in 500 if next < 9_990 else 1:
			if socket.get_available_packet_count() and socket.get_packet().decode_u64(0) == next:
				next += 1
		await tree.process_frame
	equal(next, 10_000, "messages before the state was closed")
	equal([socket.get_close_code(), socket.get_close_reason()], [1000, "done"], "terminal signal")
	return true


func test_message_is_delivered_as_signal_or_packet() -> bool:
	var socket := await open_socket()
	socket.send_text("packet")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "a packet", [socket])
	var log := record(socket, ["text_received"])
	socket.send_text("signal")
	socket.send("binary".to_utf8_buffer())
	await until(func() -> bool: return socket.get_available_packet_count() == 2, "another packet", [socket])
	equal(log, [["text_received", "signal"]], "signals")
	equal(socket.get_packet().get_string_from_utf8(), "packet", "first packet")
	equal(socket.was_string_packet(), true, "first is text")
	equal(socket.get_packet().get_string_from_utf8(), "binary", "second packet")
	equal(socket.was_string_packet(), false, "second is text")
	return true


func test_no_message_is_lost_between_awaits() -> bool:
	var socket := await open_socket()
	for i in 5:
		socket.send_text(str(i))
	var got := []
	while got.size() < 5:
		got.append(await next_text(socket))
	equal(got, ["0", "1", "2", "3", "4"], "texts")
	return true


## Returns the next text, as a packet if it was received while nothing awaited the signal.
func next_text(socket: RefCounted) -> String:
	var box := []
	socket.text_received.connect(func(text: String) -> void: box.append(text), CONNECT_ONE_SHOT)
	if socket.get_available_packet_count():
		return socket.get_packet().get_string_from_utf8()
	await until(func() -> bool: return not box.is_empty() or socket.get_available_packet_count() > 0, "a text", [socket])
	return box[0]


func test_fragments_are_delivered_one_by_one() -> bool:
	if not can("fragments"):
		return await delivers_fragments_as_one_message()
	var socket := new_socket()
	var log := record(socket, ["fragment_received", "binary_received"])
	socket.connect_to_url(ws + "/fragments?n=3&size=10")
	await until(func() -> bool: return log.size() == 3, "fragments", [socket])
	var shapes := log.map(func(entry: Array) -> Array: return [entry[0], entry[1].size(), entry[1][0]] + entry.slice(2))
	equal(shapes, [
		["fragment_received", 10, 0, false, true, false],
		["fragment_received", 10, 1, false, false, false],
		["fragment_received", 10, 2, false, false, true],
	], "fragments")
	socket.send(PackedByteArray([9]))
	await until(func() -> bool: return log.size() == 4, "a message of one frame", [socket])
	equal(log[3], ["binary_received", PackedByteArray([9])], "message")
	return true


func delivers_fragments_as_one_message() -> bool:
	var socket := new_socket()
	var log := record(socket, ["fragment_received", "binary_received"])
	socket.connect_to_url(ws + "/fragments?n=3&size=10")
	await until(func() -> bool: return not log.is_empty(), "the message", [socket])
	equal([log[0][0], log[0][1].size()], ["binary_received", 30], "signal")
	return true


func test_fragments_are_assembled_without_a_handler() -> bool:
	var socket := await open_socket("/fragments?n=3&size=10")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "the message", [socket])
	equal(socket.get_packet().size(), 30, "size")
	return true


func test_handlers_can_poll_close_and_reconnect() -> bool:
	var socket := new_socket()
	var log := record(socket)
	var again := {"left": 2}
	socket.opened.connect(func() -> void: socket.send_text("x"))
	socket.text_received.connect(func(_text: String) -> void:
		socket.poll()
		socket.close(4001))
	socket.closed.connect(func(_code: int, _reason: String) -> void:
		if again.left > 0:
			again.left -= 1
			equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url in closed"))
	socket.connect_to_url(ws + "/")
	await until(func() -> bool: return log.count(["closed", 4001, ""]) == 3, "three ends", [socket])
	equal(log.count(["opened"]), 3, "opened")
	equal(log.count(["text_received", "x"]), 3, "texts")
	return true


func test_poll_within_respects_its_budget() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var seen := {"messages": 0, "most": 0}
	socket.binary_received.connect(func(_data: PackedByteArray) -> void:
		seen.messages += 1
		OS.delay_usec(300))
	socket.connect_to_url(ws + "/count?n=200")
	var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
	while seen.messages < 200 and Time.get_ticks_msec() < deadline:
		var before: int = seen.messages
		socket.poll_within(1000)
		seen.most = maxi(seen.most, seen.messages - before)
		await tree.process_frame
	equal(seen.messages, 200, "messages")
	# Each handler takes at least 0.3 ms, so no fifth starts within 1 ms.
	check(seen.most <= 4, "%d messages in one call" % seen.most)
	return true


func test_negative_budget_processes_one_event() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var seen := {"messages": 0}
	socket.binary_received.connect(func(_data: PackedByteArray) -> void: seen.messages += 1)
	socket.connect_to_url(ws + "/count?n=50")
	var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
	while seen.messages < 50 and Time.get_ticks_msec() < deadline:
		var before: int = seen.messages
		socket.poll_within(-5)
		if seen.messages - before > 1:
			check(false, "%d messages in one call" % (seen.messages - before))
			break
		await tree.process_frame
	equal(seen.messages, 50, "messages")
	return true


func test_socket_works_on_a_script_thread() -> bool:
	if not OS.has_feature("threads"):
		return skip("threads of scripts")
	var thread := Thread.new()
	thread.start(func() -> String:
		var socket := Framewire.create_socket()
		var box := []
		socket.text_received.connect(func(text: String) -> void: box.append(text))
		socket.connect_to_url(ws + "/")
		var sent := false
		var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
		while box.is_empty() and Time.get_ticks_msec() < deadline:
			socket.poll()
			if not sent and socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
				sent = true
				socket.send_text("from a thread")
			OS.delay_msec(1)
		return "".join(box))
	await until(func() -> bool: return not thread.is_alive(), "the thread")
	equal(thread.wait_to_finish(), "from a thread", "text")
	return true
