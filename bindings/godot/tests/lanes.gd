extends "res://suite.gd"
## Tests lanes and delivery options of messages.

const MIN_INT := -9223372036854775808


## A socket that is connecting and queues messages, so that they wait in lanes, and the server that has not answered yet.
## Where a script cannot listen, in a browser, the connection is open at a poll only.
class Waiting:
	var socket: RefCounted
	var server: WebSocketPeer
	var listener: TCPServer
	## The texts that the server has received, or sent back.
	var received := []

	func poll() -> void:
		socket.poll()
		if listener == null:
			return
		if server == null:
			if not listener.is_connection_available():
				return
			server = WebSocketPeer.new()
			server.inbound_buffer_size = 1 << 24
			server.max_queued_packets = 1 << 16
			server.accept_stream(listener.take_connection())
		server.poll()
		while server.get_available_packet_count() > 0:
			received.append(server.get_packet().get_string_from_utf8())


func connecting(lanes := [], wait_to_open := false) -> Waiting:
	var waiting := Waiting.new()
	waiting.socket = new_socket()
	waiting.socket.lanes = lanes
	waiting.socket.reconnect = true
	waiting.socket.reconnect_queue_sends = true
	var url := ws + "/"
	if can("listen"):
		waiting.listener = TCPServer.new()
		waiting.listener.listen(0, "127.0.0.1")
		url = "ws://127.0.0.1:%d/" % waiting.listener.get_local_port()
	else:
		waiting.socket.text_received.connect(func(text: String) -> void: waiting.received.append(text))
	equal(waiting.socket.connect_to_url(url), OK, "connect_to_url")
	if wait_to_open:
		await until(func() -> bool: return waiting.socket.get_ready_state() == WebSocketPeer.STATE_OPEN, "open", [waiting])
	return waiting


func send_message(socket: RefCounted, message: Variant, options := {}) -> void:
	equal(socket.send_message(message, options), OK, "send_message(%s)" % options)


## Checks that the server receives these texts in this order.
func receives(waiting: Waiting, texts: Array) -> void:
	await until(func() -> bool: return waiting.received.size() >= texts.size(), "%d texts" % texts.size(), [waiting])
	equal(waiting.received, texts, "texts")


func test_lanes_of_lower_priority_number_go_first() -> bool:
	var waiting := await connecting([{"priority": 5}, {"priority": 0}, {"priority": 1}])
	for i in 3:
		send_message(waiting.socket, "bulk %d" % i)
	for i in 3:
		send_message(waiting.socket, "soon %d" % i, {"lane": 2})
	send_message(waiting.socket, "urgent", {"lane": 1})
	equal(waiting.socket.send_text("other send methods use lane 0"), OK, "send_text")
	equal(waiting.socket.get_lane_statistics(0).waiting_messages, 4, "waiting in lane 0")
	await receives(waiting, ["urgent", "soon 0", "soon 1", "soon 2", "bulk 0", "bulk 1", "bulk 2", "other send methods use lane 0"])
	return true


func test_weights_share_among_equal_priorities() -> bool:
	var waiting := await connecting([{"weight": 3}, {"weight": 1}])
	for i in 12:
		send_message(waiting.socket, "a", {"lane": 0})
	for i in 12:
		send_message(waiting.socket, "b", {"lane": 1})
	await until(func() -> bool: return waiting.received.size() == 24, "texts", [waiting])
	# Three of the first for each of the second, while both have messages.
	equal(waiting.received.slice(0, 8).count("a"), 6, "of the first lane in %s" % [waiting.received])
	return true


func test_key_replaces_the_waiting_message_in_its_place() -> bool:
	var waiting := await connecting()
	var log := record(waiting.socket, ["sent"])
	var socket := waiting.socket
	for options: Dictionary in [{"key": 1, "tag": 1}, {"tag": 2}, {"key": -1, "tag": 3}, {"key": 1, "tag": 4}, {"key": MIN_INT, "tag": 5}]:
		send_message(socket, "message %d" % options.tag, options)
	await receives(waiting, ["message 4", "message 2", "message 3", "message 5"])
	await until(func() -> bool: return log.size() >= 5, "outcomes", [waiting])
	equal(log[0], ["sent", 1, socket.OUTCOME_REPLACED], "of the first message")
	log.sort_custom(func(a: Array, b: Array) -> bool: return a[1] < b[1])
	equal(log.slice(1), range(2, 6).map(func(tag: int) -> Array: return ["sent", tag, socket.OUTCOME_SENT]), "of the others")
	equal(socket.get_lane_statistics(0).replaced, 1, "replaced")
	return true


func test_time_to_live_drops_what_has_not_begun() -> bool:
	var waiting := await connecting()
	var socket := waiting.socket
	var log := record(socket, ["sent"])
	send_message(socket, "late", {"ttl_ms": 1, "tag": 1})
	send_message(socket, "for ever", {"ttl_ms": 4294967295, "tag": 2})
	send_message(socket, "never expires", {"ttl_ms": 0, "tag": 3})
	var start := Time.get_ticks_msec()
	await until(func() -> bool: return Time.get_ticks_msec() > start + 50, "50 ms")
	await receives(waiting, ["for ever", "never expires"])
	await until(func() -> bool: return log.size() >= 3, "outcomes", [waiting])
	equal(log, [["sent", 1, socket.OUTCOME_EXPIRED], ["sent", 2, socket.OUTCOME_SENT], ["sent", 3, socket.OUTCOME_SENT]], "outcomes")
	equal(socket.get_lane_statistics(0).expired, 1, "expired")
	return true


## Fills the buffers between both, until messages of lane 1 wait.
func fill(waiting: Waiting) -> int:
	var part := "x".repeat(16_384)
	var sent := [0, 0]
	await until(func() -> bool:
		for i in 16:
			if waiting.socket.get_lane_statistics(1).waiting_messages < 50:
				send_message(waiting.socket, part, {"lane": 1})
				sent[0] += 1
				sent[1] = 0
		# Nothing is taken for some frames.
		sent[1] += 1
		waiting.socket.poll()
		return sent[1] > 20, "full buffers")
	return sent[0]


func test_urgent_message_overtakes_bulk_that_waits() -> bool:
	if not can("listen"):
		return skip("a listening socket")
	var waiting: Waiting = await connecting([{"priority": 0}, {"priority": 1}], true)
	var count: int = await fill(waiting)
	var still_waiting: int = waiting.socket.get_lane_statistics(1).waiting_messages
	check(still_waiting > 0, "nothing waits")
	send_message(waiting.socket, "urgent")
	await until(func() -> bool: return waiting.received.size() == count + 1, "all messages", [waiting])
	var place: int = waiting.received.find("urgent")
	check(place <= count - still_waiting + 1, "message %d of %d, of which %d waited" % [place, count, still_waiting])
	return true


func test_what_expires_before_a_slow_reader_is_dropped() -> bool:
	if not can("listen"):
		return skip("a listening socket")
	var waiting: Waiting = await connecting([{"priority": 0}, {"priority": 1}], true)
	var log := record(waiting.socket, ["sent"])
	await fill(waiting)
	var before: int = waiting.socket.get_current_outbound_buffered_amount()
	for i in 10:
		send_message(waiting.socket, "state", {"lane": 1, "key": 1, "ttl_ms": 30, "tag": i + 1})
	await until(func() -> bool: return log.size() == 10, "outcomes", [waiting.socket])
	var outcomes := log.map(func(entry: Array) -> int: return entry[2])
	equal(outcomes.count(waiting.socket.OUTCOME_REPLACED), 9, "replaced")
	equal(outcomes.back(), waiting.socket.OUTCOME_EXPIRED, "the last")
	check(waiting.socket.get_current_outbound_buffered_amount() <= before, "what was dropped is still counted")
	return true


## Sends messages of all kinds with the tags from 1.
func send_with_tags(socket: RefCounted, count: int) -> void:
	for i in count:
		var options := {"lane": i % 2, "key": i % 7, "tag": i + 1}
		if i % 5 == 0:
			options.ttl_ms = 1
		send_message(socket, "%d" % i, options)


## Checks that each tag has one outcome before the terminal signal.
func check_outcomes(log: Array, count: int, end: String) -> void:
	var tags := log.slice(0, -1).map(func(entry: Array) -> int: return entry[1])
	tags.sort()
	equal(tags, range(1, count + 1), "tags")
	equal(log.back()[0], end, "terminal signal")


func test_close_sends_what_waits_and_each_tag_is_reported_once_before() -> bool:
	var socket := new_socket()
	socket.lanes = [{"priority": 1}, {}]
	var log := record(socket, ["sent", "closed", "failed"])
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	send_with_tags(socket, 200)
	socket.close(4001, "done")
	equal(socket.send_message("too late"), FAILED, "send_message after close")
	await until_ended(log, socket)
	check_outcomes(log, 200, "closed")
	equal(log.back(), ["closed", 4001, "done"], "terminal signal")
	check(not log.any(func(entry: Array) -> bool: return entry.slice(0, 1) == ["sent"] and entry[2] == socket.OUTCOME_LOST), "lost messages")
	return true


func test_each_tag_is_reported_before_the_end_of_a_dropped_connection() -> bool:
	var socket := new_socket()
	socket.lanes = [{"priority": 1}, {}]
	var log := record(socket, ["sent", "closed", "failed"])
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	send_with_tags(socket, 50)
	for i in 3:
		await tree.process_frame
	send_message(socket, "another of a tag", {"tag": 50})
	socket.close(-1)
	equal(log, [], "signals before poll()")
	socket.poll()
	equal(log.filter(func(entry: Array) -> bool: return entry == ["sent", 50, socket.OUTCOME_LOST] or entry == ["sent", 50, socket.OUTCOME_SENT]).size(), 2, "outcomes of the tag")
	log.remove_at(log.find(log.filter(func(entry: Array) -> bool: return entry[1] == 50)[0]))
	check_outcomes(log, 50, "closed")
	return true


func test_socket_that_connects_again_still_reports_what_it_has_dropped() -> bool:
	var socket := await open_socket()
	var log := record(socket, ["opened", "sent", "closed", "failed"])
	for i in 2:
		send_message(socket, "x", {"tag": 1 + i})
		socket.close(-1)
		equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
		equal(log, [], "signals before poll()")
		await until_state(socket, WebSocketPeer.STATE_OPEN)
		equal(log[0].slice(0, 2), ["sent", 1 + i], "signals")
		equal(log.slice(1), [["closed", 1006, "dropped by the script"], ["opened"]], "signals")
		log.clear()
	return true


func test_each_tag_is_reported_before_a_lost_connection_fails() -> bool:
	var socket := new_socket()
	socket.lanes = [{"priority": 1}, {}]
	var log := record(socket, ["sent", "closed", "failed"])
	equal(socket.connect_to_url(ws + "/drop"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	# The server drops the connection at the first message, and the rest may be refused.
	var count := 0
	while count < 50 and socket.send_message("x", {"lane": count % 2, "tag": count + 1}) == OK:
		count += 1
	check(count > 0, "no message was accepted")
	await until_ended(log, socket)
	check_outcomes(log, count, "failed")
	return true


func test_cancelled_connection_loses_what_waits() -> bool:
	var waiting := await connecting()
	var log := record(waiting.socket, ["sent", "closed", "failed"])
	for tag: int in [MIN_INT, -1, 5]:
		send_message(waiting.socket, "x", {"tag": tag})
	waiting.socket.close()
	await until_ended(log, waiting.socket)
	var lost: int = waiting.socket.OUTCOME_LOST
	log.sort_custom(func(a: Array, b: Array) -> bool: return a[0] > b[0] or a[0] == b[0] and a[1] < b[1])
	equal(log, [["sent", MIN_INT, lost], ["sent", -1, lost], ["sent", 5, lost], ["closed", 1006, "cancelled while connecting"]], "signals")
	return true


func test_handler_of_an_outcome_can_connect_again() -> bool:
	var socket := await open_socket()
	var log := record(socket, ["opened", "closed", "failed"])
	socket.sent.connect(func(_tag: int, _outcome: int) -> void:
		if socket.get_ready_state() == WebSocketPeer.STATE_CLOSED:
			socket.connect_to_url(ws + "/"))
	for i in 20:
		send_message(socket, "x", {"tag": 1})
	socket.close(-1)
	await until(func() -> bool: return log.size() == 2, "opened", [socket])
	equal(log, [["closed", 1006, "dropped by the script"], ["opened"]], "signals")
	return true


func test_messages_are_delivered_with_all_options() -> bool:
	var socket := await open_socket()
	var log := record(socket, ["text_received", "binary_received"])
	send_message(socket, "a String")
	send_message(socket, &"a StringName", {&"uncompressed": true})
	send_message(socket, PackedByteArray([1, 2]), {"text": false})
	send_message(socket, "as text".to_utf8_buffer(), {"text": true, "lane": 0, "key": 0, "ttl_ms": 0, "tag": 0})
	send_message(socket, "")
	var bytes := PackedByteArray([3])
	send_message(socket, bytes)
	bytes[0] = 4
	await until(func() -> bool: return log.size() == 6, "echoes", [socket])
	equal(log, [
		["text_received", "a String"], ["text_received", "a StringName"], ["binary_received", PackedByteArray([1, 2])],
		["text_received", "as text"], ["text_received", ""], ["binary_received", PackedByteArray([3])]
	], "echoes")
	return true


func test_invalid_options_are_refused() -> bool:
	var socket := await open_socket()
	var log := record(socket, ["sent"])
	for case: Array in [
		[{"prio": 1}, "prio"], [{"Lane": 1}, "Lane"], [{1: 2}, "String"], [{"lane": 1}, "lane 1"], [{"lane": -1}, "lane is -1"],
		[{"lane": 8}, "0 to 7"], [{"lane": 0.0}, "int"], [{"lane": "0"}, "int"], [{"ttl_ms": -1}, "ttl_ms is -1"],
		[{"ttl_ms": 4294967296}, "4294967295"], [{"ttl_ms": MIN_INT}, "ttl_ms"], [{"ttl_ms": NAN}, "ttl_ms must be an int"],
		[{"key": null}, "key must be an int"], [{"key": 1.5}, "key"], [{"tag": true}, "tag must be an int"],
		[{"text": 1}, "text must be a bool"], [{"uncompressed": "yes"}, "uncompressed"], [{"tag": 1, "lane": 7}, "lane 7"],
	]:
		equal(socket.send_message("x", case[0]), ERR_INVALID_PARAMETER, "send_message with %s" % case[0])
		check(case[1] in socket.get_last_error().message, "%s: %s" % [case[0], socket.get_last_error()])
	for message: Variant in [null, 5, 1.5, [1, 2], {}, PackedInt32Array([1])]:
		equal(socket.send_message(message), ERR_INVALID_PARAMETER, "send_message(%s)" % [message])
		check("PackedByteArray" in socket.get_last_error().message, "%s" % socket.get_last_error())
	equal(socket.send_message(PackedByteArray([255]), {"text": true, "tag": 1}), ERR_INVALID_PARAMETER, "bad UTF-8")
	check("UTF-8" in socket.get_last_error().message, "%s" % socket.get_last_error())
	equal(socket.get_current_outbound_buffered_amount(), 0, "buffered amount")
	equal(new_socket().send_message("x"), FAILED, "send_message of a new socket")
	send_message(socket, "still open", {"tag": 2})
	await until(func() -> bool: return log.size() == 1, "an outcome", [socket])
	equal(log, [["sent", 2, socket.OUTCOME_SENT]], "outcomes")
	return true


func test_invalid_lanes_are_refused() -> bool:
	var valid := [{"priority": 4294967295, "weight": 1000, "max_bytes": 9223372036854775807}]
	for state: String in ["closed", "open"]:
		var socket := new_socket() if state == "closed" else await open_socket()
		socket.lanes = valid
		for case: Array in [
			[[{"prio": 1}], "prio"], [[{}, {"weight": 0}], "weight of lane 1 is 0"], [[{"weight": 1001}], "1 to 1000"],
			[[{"weight": -1}], "weight"], [[{"priority": -1}], "priority"], [[{"priority": 4294967296}], "priority"],
			[[{"max_bytes": -1}], "max_bytes"], [[{"max_bytes": 1.5}], "max_bytes of lane 0 must be an int"], [[{1: 1}], "String"],
			[[5], "lane 0 must be a Dictionary"], [[null], "Dictionary"], [[{}, {}, {}, {}, {}, {}, {}, {}, {}], "0 to 8"],
		]:
			socket.lanes = case[0]
			equal(socket.lanes, valid, "lanes after %s" % [case[0]])
			check(case[1] in socket.get_last_error().get("message", ""), "%s: %s" % [case[0], socket.get_last_error()])
		socket.lanes = [{}, {}, {}, {}, {}, {}, {}, {&"weight": 2}]
		equal(socket.lanes.size(), 8, "lanes")
		equal([socket.lanes[0], socket.lanes[7]], [{"priority": 0, "weight": 1, "max_bytes": 0}, {"priority": 0, "weight": 2, "max_bytes": 0}], "lanes with their defaults")
		equal(socket.get_lane_statistics(7).waiting_messages, 0, "waiting in the last lane")
		# The value is a copy.
		socket.lanes[0].weight = 5
		socket.lanes.clear()
		equal(socket.lanes.size(), 8, "lanes")
	return true


func test_lane_with_waiting_messages_cannot_be_removed() -> bool:
	var waiting := await connecting([{}, {}])
	send_message(waiting.socket, "waits", {"lane": 1})
	waiting.socket.lanes = [{}]
	equal(waiting.socket.lanes.size(), 2, "lanes")
	check("lane 1" in waiting.socket.get_last_error().message, "%s" % waiting.socket.get_last_error())
	await receives(waiting, ["waits"])
	waiting.socket.lanes = [{}]
	equal(waiting.socket.lanes.size(), 1, "lanes")
	equal(waiting.socket.send_message("x", {"lane": 1}), ERR_INVALID_PARAMETER, "the removed lane")
	return true


func test_full_lane_rejects_messages() -> bool:
	var waiting := await connecting([{}, {"max_bytes": 100}])
	var socket := waiting.socket
	var log := record(socket, ["sent"])
	send_message(socket, "x".repeat(99), {"lane": 1, "key": 1})
	send_message(socket, "y", {"lane": 1, "key": 2})
	equal(socket.send_message("z", {"lane": 1, "tag": 1}), ERR_OUT_OF_MEMORY, "a full lane")
	equal(socket.send_message("longer", {"lane": 1, "key": 2, "tag": 2}), ERR_OUT_OF_MEMORY, "a longer replacement")
	send_message(socket, "w", {"lane": 1, "key": 2})
	send_message(socket, "other lane")
	socket.outbound_buffer_size = 50
	equal(socket.send_message("x"), ERR_OUT_OF_MEMORY, "a full socket")
	equal(socket.send_text("x"), ERR_OUT_OF_MEMORY, "another send method")
	await until(func() -> bool: return waiting.received.size() == 3, "texts", [waiting])
	equal(waiting.received.count("w"), 1, "the replacement in %s" % [waiting.received])
	equal(log, [], "outcomes")
	return true


func test_lane_statistics_count_messages() -> bool:
	var names := ["waiting_messages", "waiting_bytes", "oldest_us", "queue_time_max_us", "queue_time_total_us", "begun", "sent", "expired", "replaced", "lost"]
	equal(new_socket().get_lane_statistics(0), names.reduce(func(all: Dictionary, name: String) -> Dictionary: return all.merged({name: 0}), {}), "of a new socket")
	equal(new_socket().get_lane_statistics(1), {}, "of a lane that does not exist")
	equal(new_socket().get_lane_statistics(-1), {}, "of lane -1")
	var waiting := await connecting([{}, {}])
	var socket := waiting.socket
	for i in 3:
		send_message(socket, "12345", {"lane": 1})
	var statistics: Dictionary = socket.get_lane_statistics(1)
	equal([statistics.waiting_messages, statistics.waiting_bytes, statistics.begun], [3, 15, 0], "waiting")
	equal(socket.get_current_outbound_buffered_amount(), 15, "buffered amount")
	await until(func() -> bool: return socket.get_lane_statistics(1).sent == 3, "all sent", [waiting])
	statistics = socket.get_lane_statistics(1)
	equal([statistics.waiting_messages, statistics.waiting_bytes, statistics.oldest_us, statistics.begun, statistics.lost], [0, 0, 0, 3, 0], "sent")
	check(statistics.queue_time_max_us > 0 and statistics.queue_time_total_us >= statistics.queue_time_max_us, "%s" % statistics)
	equal(socket.get_lane_statistics(0).begun, 0, "the other lane")
	equal(socket.get_lane_statistics(2), {}, "a lane that does not exist")
	return true


func test_connection_that_is_retried_keeps_its_lanes() -> bool:
	var socket := new_socket()
	socket.lanes = [{"priority": 1}, {}]
	socket.reconnect = true
	socket.reconnect_min_delay = 0.001
	socket.reconnect_max_delay = 0.005
	var log := record(socket, ["opened", "sent", "reconnecting", "closed", "failed"])
	socket.connect_to_url(ws + "/drop")
	await until(func() -> bool: return log.size() == 1, "opened", [socket])
	send_message(socket, "the server drops the connection", {"lane": 1, "tag": 1})
	await until(func() -> bool: return log.size() >= 4, "opened again", [socket])
	equal(log.slice(0, 4).map(func(entry: Array) -> String: return entry[0]), ["opened", "sent", "reconnecting", "opened"], "signals")
	send_message(socket, "again", {"lane": 1})
	return true


func test_values_and_packets_wait_in_lanes_too() -> bool:
	var socket := new_socket()
	socket.lanes = [{}]
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	equal(socket.put_var({"a": 1}), OK, "put_var")
	equal(socket.put_packet(PackedByteArray([1])), OK, "put_packet")
	await until(func() -> bool: return socket.get_available_packet_count() == 2, "packets", [socket])
	equal(socket.get_var(), {"a": 1}, "value")
	equal(socket.get_packet(), PackedByteArray([1]), "packet")
	equal(socket.get_lane_statistics(0).begun, 2, "begun")
	return true
