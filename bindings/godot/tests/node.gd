extends "res://suite.gd"
## Tests FramewireNode.


func add_node() -> Node:
	var node: Node = ClassDB.instantiate("FramewireNode")
	tree.root.add_child(node)
	return node


func test_node_polls_its_socket() -> bool:
	if not can("node"):
		return skip("node")
	var node := add_node()
	var log := record(node)
	equal(node.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until(func() -> bool: return not log.is_empty(), "opened")
	equal(node.get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
	equal(node.send_text("text"), OK, "send_text")
	equal(node.send(PackedByteArray([1])), OK, "send")
	await until(func() -> bool: return log.size() == 3, "echoes")
	node.close(4002, "done")
	await until(func() -> bool: return has_ended(log), "terminal signal")
	equal(log, [
		["opened"], ["text_received", "text"], ["binary_received", PackedByteArray([1])], ["closed", 4002, "done"]
	], "signals")
	node.free()
	return true


func test_node_connects_when_ready() -> bool:
	if not can("node"):
		return skip("node")
	var node: Node = ClassDB.instantiate("FramewireNode")
	node.url = ws + "/close?code=4003"
	node.connect_on_ready = true
	var log := record(node)
	tree.root.add_child(node)
	await until(func() -> bool: return has_ended(log), "terminal signal")
	equal(log, [["opened"], ["closed", 4003, ""]], "signals")
	node.free()
	return true


func test_node_emits_all_signals_of_its_socket() -> bool:
	if not can("node"):
		return skip("node")
	var node := add_node()
	var log := record(node, ["fragment_received", "pong_received", "sent", "failed"])
	node.connect_to_url(ws + "/fragments?n=2&size=1")
	await until(func() -> bool: return log.size() == 2, "fragments")
	equal(log, [
		["fragment_received", PackedByteArray([0]), false, true, false],
		["fragment_received", PackedByteArray([1]), false, false, true],
	], "fragments")
	log.clear()
	node.socket.ping("p".to_utf8_buffer())
	await until(func() -> bool: return log.size() == 1, "a pong")
	equal(log, [["pong_received", "p".to_utf8_buffer()]], "pong")
	log.clear()
	equal(node.send_message("with a tag", {"tag": 7}), OK, "send_message")
	await until(func() -> bool: return log.size() == 1, "an outcome")
	equal(log, [["sent", 7, node.socket.OUTCOME_SENT]], "outcome")
	log.clear()
	node.close(-1)
	node.connect_to_url("ws://127.0.0.1:1/")
	await until(func() -> bool: return has_ended(log), "terminal signal")
	equal(log[-1][1], "connect", "phase")
	node.free()
	return true


## Both emit connected signals; other messages are queued as packets.
func test_socket_and_node_both_emit() -> bool:
	if not can("node"):
		return skip("node")
	var node := add_node()
	var from_socket := record(node.socket, ["text_received"])
	var from_node := record(node, ["text_received"])
	node.connect_to_url(ws + "/")
	await until(func() -> bool: return node.get_ready_state() == WebSocketPeer.STATE_OPEN, "open")
	node.send_text("both")
	node.send(PackedByteArray([1]))
	await until(func() -> bool: return node.socket.get_available_packet_count() == 1, "a packet")
	equal(from_socket, [["text_received", "both"]], "signals of the socket")
	equal(from_node, from_socket, "signals of the node")
	node.free()
	return true


func test_poll_budget_is_respected() -> bool:
	if not can("node"):
		return skip("node")
	var node := add_node()
	node.poll_budget_usec = 1000
	var frames := {}
	var count := {"messages": 0}
	node.binary_received.connect(func(_data: PackedByteArray) -> void:
		OS.delay_usec(300)
		count.messages += 1
		var frame := Engine.get_process_frames()
		frames[frame] = frames.get(frame, 0) + 1)
	node.connect_to_url(ws + "/count?n=100")
	await until(func() -> bool: return count.messages == 100, "all messages")
	check(frames.values().max() <= 4, "%s messages in one frame" % frames.values().max())
	node.free()
	return true


## Godot cannot free an object that is emitting a signal, but handlers of the socket can free the node.
func test_node_can_be_freed_in_handlers() -> bool:
	if not can("node"):
		return skip("node")
	for way: String in ["free", "queue_free"]:
		for name: String in ["opened", "binary_received"]:
			var node := add_node()
			var id := node.get_instance_id()
			var handler := {"calls": 0}
			var act := func(_data: Variant = null) -> void:
				handler.calls += 1
				if not is_instance_id_valid(id):
					return
				if way == "free":
					instance_from_id(id).free()
				else:
					instance_from_id(id).queue_free()
			var emitter: Object = node.socket if way == "free" else node
			emitter.connect(name, act)
			emitter = null
			node.connect_to_url(ws + "/push?hz=1000&size=10")
			await until(func() -> bool: return not is_instance_id_valid(id), "%s in %s" % [way, name])
			check(handler.calls >= 1, "the handler did not run")
	return true


func test_app_pause_and_resume_check_the_connections_once() -> bool:
	if not can("node"):
		return skip("node")
	var nodes := [add_node(), add_node()]
	var log := record(nodes[0].socket, ["opened", "pong_received"])
	nodes[0].connect_to_url(ws + "/")
	await until(func() -> bool: return log.size() == 1, "opened")
	var app := func() -> void:
		tree.root.propagate_notification(Node.NOTIFICATION_APPLICATION_PAUSED)
		tree.root.propagate_notification(Node.NOTIFICATION_APPLICATION_RESUMED)
	app.call()
	await until(func() -> bool: return log.size() == 2, "the pong of the check")
	for node in nodes:
		node.automatic_suspend = false
	app.call()
	nodes[0].socket.ping()
	await until(func() -> bool: return log.size() == 3, "the pong of the ping")
	for i in 20:
		await tree.process_frame
	equal(log.size(), 3, "pongs: of one check for both nodes, and of the ping")
	for node in nodes:
		node.free()
	return true


func test_library_resumes_without_the_nodes_that_suspended_it() -> bool:
	if not can("node"):
		return skip("node")
	var socket := await open_socket()
	for way: String in ["freed", "removed", "one remains"]:
		var nodes := [add_node(), add_node()]
		tree.root.propagate_notification(Node.NOTIFICATION_APPLICATION_PAUSED)
		match way:
			"freed":
				nodes.map(func(node: Node) -> void: node.free())
			"removed":
				nodes.map(func(node: Node) -> void: tree.root.remove_child(node))
				nodes.map(func(node: Node) -> void: node.free())
			_:
				nodes[0].free()
				tree.root.propagate_notification(Node.NOTIFICATION_APPLICATION_RESUMED)
				nodes[1].free()
		# resume() checks each connection.
		var log := record(socket, ["pong_received"])
		await until(func() -> bool: return log.size() == 1, "the pong of the check: %s" % way, [socket])
		for connection in socket.pong_received.get_connections():
			socket.pong_received.disconnect(connection.callable)
	return true


## A script on the node is not called before its methods, and does not replace what the node does.
func test_script_on_a_node_can_override_ready_and_process() -> bool:
	if not can("node"):
		return skip("node")
	var script := GDScript.new()
	script.source_code = "\n".join([
		"extends FramewireNode",
		"var frames := 0",
		"func _ready() -> void:",
		"\turl += \"/close?code=4003\"",
		"func _process(_delta: float) -> void:",
		"\tframes += 1",
	])
	equal(script.reload(), OK, "reload")
	var node: Node = ClassDB.instantiate("FramewireNode")
	node.set_script(script)
	node.url = ws
	node.connect_on_ready = true
	var log := record(node)
	tree.root.add_child(node)
	await until(func() -> bool: return has_ended(log), "terminal signal")
	equal(log, [["opened"], ["closed", 4003, ""]], "signals")
	check(node.frames > 0, "_process did not run")
	node.free()
	return true


func test_paused_tree_loses_no_message() -> bool:
	if not can("node"):
		return skip("node")
	var node := add_node()
	var log := record(node)
	node.connect_to_url(ws + "/text?n=50")
	await until(func() -> bool: return not log.is_empty(), "opened")
	tree.paused = true
	var before := log.size()
	for i in 20:
		await tree.process_frame
	equal(log.size(), before, "signals while paused")
	tree.paused = false
	await until(func() -> bool: return has_ended(log), "terminal signal")
	equal(log.size(), 52, "signals")
	node.free()
	return true
