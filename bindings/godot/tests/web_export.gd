extends "res://suite.gd"
## Tests the limits that only the class of the Web export has.


func mebibyte(first: int) -> PackedByteArray:
	var bytes := PackedByteArray()
	bytes.resize(1 << 20)
	bytes[0] = first
	return bytes


## Reads packets until the end. Returns the first bytes of the binary ones.
func read_to_end(socket: RefCounted, log: Array) -> Array:
	var got := []
	await until(func() -> bool:
		for packet: Variant in socket.get_packets():
			if packet is PackedByteArray:
				got.append(packet[0])
		return has_ended(log), "terminal signal", [socket])
	return got


func test_unread_messages_above_the_limit_end_the_connection() -> bool:
	if has_extension:
		return skip("limits of the Web export")
	var socket := await open_socket()
	var log := record(socket, ["closed", "failed"])
	socket.max_queued_packets = 1
	for i in 6:
		equal(socket.send(mebibyte(i)), OK, "send")
	# Nothing is read until the limit of 4 MiB is exceeded.
	await until(func() -> bool: return socket.send_text("") == FAILED, "the end", [socket])
	equal(log, [], "signals before the packets are read")
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state before the packets are read")
	var got: Array = await read_to_end(socket, log)
	check(got == range(got.size()) and got.size() in [4, 5], "packets %s" % [got])
	equal(log.map(func(entry: Array) -> Array: return [entry[0], entry[1], entry[4]]), [["failed", "open", false]], "terminal signal")
	equal(socket.get_last_error().kind, "too_large", "kind")
	check("inbound_buffer_size" in socket.get_last_error().message, socket.get_last_error().message)
	return true


func test_unread_messages_above_the_number_end_the_connection() -> bool:
	if has_extension:
		return skip("limits of the Web export")
	var socket := await open_socket()
	var log := record(socket, ["closed", "failed"])
	socket.max_queued_packets = 1
	for i in 14:
		for j in 5000:
			socket.send_text("x")
		var expected := mini((i + 1) * 5000, 65_000)
		await until(func() -> bool: return socket.get_stats().messages_received >= expected, "%d messages" % expected, [socket])
	await until(func() -> bool: return socket.send_text("x") == FAILED, "the end", [socket])
	# So that it does not take a frame for each message.
	socket.max_queued_packets = 100_000
	var got := [0]
	await until(func() -> bool:
		got[0] += socket.get_packets().size()
		return has_ended(log), "terminal signal", [socket])
	check(got[0] >= 65_000 and got[0] <= 65_536, "%d packets" % got[0])
	equal(log.map(func(entry: Array) -> Array: return [entry[0], entry[1]]), [["failed", "open"]], "terminal signal")
	return true


func test_inbound_buffer_size_raises_the_limit() -> bool:
	if has_extension:
		return skip("limits of the Web export")
	var socket := new_socket()
	socket.inbound_buffer_size = 16 << 20
	socket.max_queued_packets = 1
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	for i in 6:
		socket.send(mebibyte(i))
	await until(func() -> bool: return socket.get_stats().messages_received == 6, "all messages", [socket])
	var got := []
	await until(func() -> bool:
		for packet: PackedByteArray in socket.get_packets():
			got.append(packet[0])
		return got.size() == 6, "all packets", [socket])
	equal(got, range(6), "packets")
	return true


func test_message_larger_than_the_buffer_ends_the_connection() -> bool:
	if has_extension:
		return skip("limits of the Web export")
	var socket := await open_socket()
	var log := record(socket, ["binary_received", "closed", "failed"])
	var large := PackedByteArray()
	large.resize((4 << 20) + 1)
	socket.send(large)
	await until_ended(log, socket)
	equal(log.map(func(entry: Array) -> String: return entry[0]), ["failed"], "signals")
	check("inbound_buffer_size" in socket.get_last_error().message, socket.get_last_error().message)
	return true


## The browser receives while the game is not polled, as in a hidden tab. What is delivered has no gaps.
func test_flood_while_not_polled_ends_the_connection_without_gaps() -> bool:
	if not in_browser:
		return skip("a browser")
	var counts := []
	for path: String in ["/count?n=10000&size=1000", "/count?n=70000&size=8"]:
		var result: Array = await receive_without_polling(path)
		counts.append(result[0])
		equal(result[1].slice(0, 2), ["failed", "open"], "terminal signal of " + path)
		check("65535 messages" in result[1][3], result[1][3])
	# The limits are 4 MiB and the number of messages that WebSocketPeer buffers.
	check(counts[0] > 4000 and counts[0] < 4200, "%d messages of 1000 bytes" % counts[0])
	equal(counts[1], 65_534, "messages of 8 bytes")
	return true


func test_many_messages_while_not_polled_are_delivered() -> bool:
	if not in_browser:
		return skip("a browser")
	equal(await receive_without_polling("/count?n=60000&size=8"), [60_000, ["closed", 1000, "done"]], "messages and terminal signal")
	return true


## Returns the number of messages and the terminal signal.
func receive_without_polling(path: String) -> Array:
	var socket := new_socket()
	var log := record(socket, ["opened", "closed", "failed"])
	socket.connect_to_url(ws + path)
	var frames := Engine.get_process_frames()
	await until(func() -> bool: return Engine.get_process_frames() > frames + 150, "some seconds")
	var next := 0
	var in_order := true
	while not has_ended(log):
		socket.poll()
		for packet: PackedByteArray in socket.get_packets():
			in_order = in_order and packet.decode_u64(0) == next
			next += 1
	check(in_order, "a gap before message %d" % next)
	return [next, log[-1]]


## Opened and closed between two calls of poll().
func test_connection_that_ended_unpolled_is_delivered_in_order() -> bool:
	if not in_browser:
		return skip("a browser")
	var socket := new_socket()
	var log := record(socket, ["opened", "text_received", "closed", "failed"])
	socket.connect_to_url(ws + "/text?n=3&size=1")
	var frames := Engine.get_process_frames()
	await until(func() -> bool: return Engine.get_process_frames() > frames + 60, "a second")
	equal(log, [], "signals before poll()")
	socket.poll()
	equal(log, [["opened"], ["text_received", "0"], ["text_received", "1"], ["text_received", "2"], ["closed", 1000, "done"]], "signals")
	return true


func test_close_codes_are_those_of_a_page() -> bool:
	if has_extension:
		return skip("limits of the Web export")
	var socket := await open_socket()
	for code: int in [1001, 1011, 2999]:
		socket.close(code)
		equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state after close(%d)" % code)
		check("3000 to 4999" in socket.get_last_error().message, socket.get_last_error().message)
	var log := record(socket)
	socket.close(4999, "x".repeat(123))
	await until_ended(log, socket)
	equal(log, [["closed", 4999, "x".repeat(123)]], "signals")
	return true


func test_each_setting_without_effect_is_warned_of_once() -> bool:
	if has_extension or not ClassDB.class_exists("Logger"):
		return skip("limits of the Web export")
	var logger: RefCounted = load("res://logger.gd").new()
	OS.call("add_logger", logger)
	for i in 2:
		var socket := new_socket()
		socket.requested_http_version = 1
		socket.max_fragment_size = 100
	OS.call("remove_logger", logger)
	# Another test may have set them before.
	for property: String in ["requested_http_version", "max_fragment_size"]:
		var count := 0
		for line in logger.errors:
			count += int(property in line and "no effect in a browser" in line)
		check(count <= 1, "%d warnings of %s" % [count, property])
	return true
