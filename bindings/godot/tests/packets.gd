extends "res://suite.gd"
## Tests get_packets() and the signal packets_received.


## Sends texts and binary messages in turn, and returns them as they are expected back.
func send_mixed(socket: RefCounted, count: int) -> Array:
	var messages := []
	for i in count:
		if i % 3 == 2:
			socket.send_text("text %d" % i)
			messages.append("text %d" % i)
		else:
			socket.send(var_to_bytes(i))
			messages.append(var_to_bytes(i))
	return messages


func test_get_packets_returns_all_packets_in_order() -> bool:
	var socket := await open_socket()
	equal(socket.get_packets(), [], "packets before any")
	equal(socket.get_packet_error(), ERR_UNAVAILABLE, "error without packets")
	var messages := send_mixed(socket, 10)
	await until(func() -> bool: return socket.get_available_packet_count() == 10, "packets", [socket])
	equal(socket.get_packet(), messages[0], "first packet")
	equal(socket.get_packets(), messages.slice(1), "other packets")
	equal(socket.get_packet_error(), OK, "error")
	equal(socket.was_string_packet(), false, "the last is text")
	equal(socket.get_available_packet_count(), 0, "packets that remain")
	equal(socket.get_packet(), PackedByteArray(), "packet after the last")
	return true


func test_get_packets_keeps_the_socket_open_until_all_are_read() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := await open_socket("/count?n=10000&size=64")
	var next := 0
	while socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
		socket.poll()
		for packet: PackedByteArray in socket.get_packets():
			next += int(packet.decode_u64(0) == next)
		await tree.process_frame
	equal(next, 10_000, "messages")
	return true


func test_unread_packets_stay_intact() -> bool:
	var socket := await open_socket()
	var messages := send_mixed(socket, 30)
	# Polls often, so that packets are queued over several calls.
	await until(func() -> bool: return socket.get_available_packet_count() == 30, "packets", [socket, socket])
	for i in 5:
		socket.poll()
	equal(socket.get_packets(), messages, "packets")
	return true


func test_packets_received_delivers_messages_in_order() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var batches := []
	var log := record(socket, ["closed", "failed"])
	socket.packets_received.connect(func(packets: Array) -> void: batches.append(packets))
	socket.closed.connect(func(_code: int, _reason: String) -> void: batches.append("closed"))
	socket.connect_to_url(ws + "/count?n=10000&size=64")
	await until_ended(log, socket)
	equal(batches.pop_back(), "closed", "last event")
	var next := 0
	for packets: Array in batches:
		check(not packets.is_empty(), "an empty signal")
		for packet: PackedByteArray in packets:
			next += int(packet.decode_u64(0) == next)
	equal(next, 10_000, "messages")
	check(batches.size() < 10_000, "each message had its own signal")
	equal(socket.get_available_packet_count(), 0, "packets of emitted messages")
	return true


func test_packets_received_contains_messages_without_their_own_signal() -> bool:
	var socket := await open_socket()
	var log := record(socket, ["text_received", "packets_received"])
	var messages := send_mixed(socket, 9)
	await until(func() -> bool:
		var count := 0
		for entry: Array in log:
			count += entry[1].size() if entry[0] == "packets_received" else 1
		return count == 9, "messages", [socket])
	var got := {"text_received": [], "packets_received": []}
	for entry: Array in log:
		if entry[0] == "text_received":
			got.text_received.append(entry[1])
		else:
			got.packets_received.append_array(entry[1])
	equal(got.text_received, messages.filter(func(message: Variant) -> bool: return message is String), "texts")
	equal(got.packets_received, messages.filter(func(message: Variant) -> bool: return not message is String), "others")
	return true


func test_full_queue_is_emitted_as_packets_received() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	socket.max_queued_packets = 3
	var sizes := []
	socket.packets_received.connect(func(packets: Array) -> void: sizes.append(packets.size()))
	var log := record(socket, ["closed", "failed"])
	socket.connect_to_url(ws + "/count?n=100&size=64")
	await until_ended(log, socket)
	equal(sizes.reduce(func(sum: int, size: int) -> int: return sum + size, 0), 100, "messages")
	equal(sizes.max(), 3, "most messages in one signal")
	return true


func test_packets_queued_before_connecting_the_signal_are_emitted_first() -> bool:
	var socket := await open_socket()
	var messages := send_mixed(socket, 3)
	await until(func() -> bool: return socket.get_available_packet_count() == 3, "packets", [socket])
	var got := []
	var handler := func(packets: Array) -> void: got.append_array(packets)
	socket.packets_received.connect(handler)
	messages += send_mixed(socket, 2)
	await until(func() -> bool: return got.size() == 5, "all messages", [socket])
	equal(got, messages, "messages")
	socket.packets_received.disconnect(handler)
	socket.send_text("packet")
	await until(func() -> bool: return socket.get_available_packet_count() == 1, "a packet", [socket])
	return true


## Whatever its handler does, the end of a connection is not that of the next.
func test_handler_of_packets_received_can_drop_and_reconnect() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	for reconnects: bool in [false, true]:
		var socket := new_socket()
		var log := record(socket, ["opened", "closed", "failed"])
		socket.packets_received.connect(func(_packets: Array) -> void:
			log.append("packets")
			socket.close(-1)
			if reconnects:
				equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url"), CONNECT_ONE_SHOT)
		socket.connect_to_url(ws + "/text?n=1")
		# So that the message and the close are polled together.
		await tree.create_timer(0.3).timeout
		await until(func() -> bool: return log.size() >= 3, "the end", [socket])
		for i in 20:
			socket.poll()
			await tree.process_frame
		var ends := [["opened"], "packets", ["closed", 1006, "dropped by the script"]]
		if reconnects:
			await until(func() -> bool: return log.size() >= 4, "opened again", [socket])
			equal(log, ends + [["opened"]], "signals")
			equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
			equal(socket.send_text("still open"), OK, "send_text")
		else:
			equal(log, ends, "signals")
	return true


## Only packets have all bytes, also after a signal.
func test_packets_have_all_bytes_of_a_text() -> bool:
	var socket := await open_socket()
	# Godot's WebSocketPeer in a browser leaves out the byte order mark.
	var marked := PackedByteArray([0x42]) if in_browser else PackedByteArray([0xEF, 0xBB, 0xBF, 0x42])
	var texts: Array[PackedByteArray] = [PackedByteArray([0x41, 0x00, 0xC3, 0xA4]), marked, "plain".to_utf8_buffer()]
	socket.binary_received.connect(func(_data: PackedByteArray) -> void: pass)
	socket.put_packet(PackedByteArray([1]))
	for text in texts:
		equal(socket.send(text, WebSocketPeer.WRITE_MODE_TEXT), OK, "send")
	await until(func() -> bool: return socket.get_available_packet_count() == 3, "packets", [socket])
	for text in texts:
		equal(socket.get_packet(), text, "packet")
	# As the last argument of a signal whose only handler has gone.
	var got := []
	socket.text_received.connect(func(text: String) -> void: got.append(text), CONNECT_ONE_SHOT)
	for text in texts:
		socket.send(text, WebSocketPeer.WRITE_MODE_TEXT)
	await until(func() -> bool: return socket.get_available_packet_count() == 2, "packets", [socket])
	equal(got, ["A"], "signals")
	equal(socket.get_packets(), ["B", "plain"], "packets as values")
	return true


func test_node_emits_packets_received() -> bool:
	if not can("node"):
		return skip("node")
	var node: Node = ClassDB.instantiate("FramewireNode")
	tree.root.add_child(node)
	var got := []
	node.packets_received.connect(func(packets: Array) -> void: got.append_array(packets))
	node.connect_to_url(ws + "/text?n=20")
	await until(func() -> bool: return got.size() == 20, "messages")
	check(got.all(func(packet: Variant) -> bool: return packet is String), "not all are texts: %s" % [got])
	node.free()
	return true


## Connects and disconnects the signal of messages in its own handler.
func test_connections_can_change_in_handlers() -> bool:
	if not can("messages before a close"):
		return skip("messages before a close")
	var socket := new_socket()
	var got := []
	var handler := func(data: PackedByteArray) -> void: got.append(data.decode_u64(0))
	socket.binary_received.connect(func(data: PackedByteArray) -> void:
		got.append(data.decode_u64(0))
		# Not connected for the next message, which is queued.
		if socket.binary_received.is_connected(handler):
			socket.binary_received.disconnect(handler), CONNECT_ONE_SHOT)
	socket.connect_to_url(ws + "/count?n=10&size=8")
	await until(func() -> bool: return socket.get_available_packet_count() == 9, "packets", [socket])
	equal(got, [0], "emitted")
	equal(socket.get_packets().map(func(data: PackedByteArray) -> int: return data.decode_u64(0)), range(1, 10), "queued")
	return true
