extends "res://suite.gd"
## Tests the peer for Godot's high-level multiplayer against the server of Godot, in one process: each end has its own
## branch of the tree. Without the extension, the same tests run with WebSocketMultiplayerPeer.

const Actor := preload("res://multiplayer_actor.gd")
## Members of WebSocketMultiplayerPeer that the peer does not have, and why.
const ABSENT := {
	"create_server": "Framewire is a client",
	"get_peer": "the socket is the property `socket`",
	"get_peer_address": "it is for servers",
	"get_peer_port": "it is for servers",
}


## One end: a branch of the tree with an actor.
class End:
	var api := SceneMultiplayer.new()
	var root := Node.new()
	var actor := Actor.new()
	var log := []

	func _init(tree: SceneTree, name: String, peer: MultiplayerPeer) -> void:
		root.name = name
		actor.name = "Actor"
		root.add_child(actor)
		tree.set_multiplayer(api, NodePath("/root/" + name))
		tree.root.add_child(root)
		# Not lambdas, which would keep the end alive.
		for signal_name: String in ["connected_to_server", "connection_failed", "server_disconnected"]:
			api.connect(signal_name, log.append.bind([signal_name]))
		api.peer_connected.connect(_on_peer.bind("peer_connected"))
		api.peer_disconnected.connect(_on_peer.bind("peer_disconnected"))
		api.multiplayer_peer = peer

	func _on_peer(id: int, what: String) -> void:
		log.append([what, id])

	func id() -> int:
		return api.get_unique_id()

	func free_nodes(tree: SceneTree) -> void:
		var path := NodePath("/root/" + root.name)
		# First: synchronizers unregister from the API.
		root.free()
		api.multiplayer_peer = null
		tree.set_multiplayer(null, path)


## A WebSocket server that sends what a test wants.
class ScriptedServer:
	var listener := TCPServer.new()
	var peer := WebSocketPeer.new()
	var first_messages := []
	var has_accepted := false

	func _init() -> void:
		listener.listen(0, "127.0.0.1")

	func url() -> String:
		return "ws://127.0.0.1:%d/" % listener.get_local_port()

	func poll() -> void:
		if not has_accepted:
			if not listener.is_connection_available():
				return
			peer.accept_stream(listener.take_connection())
			has_accepted = true
		peer.poll()
		if peer.get_ready_state() == WebSocketPeer.STATE_OPEN:
			while not first_messages.is_empty():
				var message: Variant = first_messages.pop_front()
				if message is String:
					peer.send_text(message)
				else:
					peer.send(message)


var ends: Array[End] = []
var port := 0


func clean_up() -> void:
	for end in ends:
		end.free_nodes(tree)
	ends.clear()
	super()


func new_peer() -> MultiplayerPeer:
	return Framewire.create_multiplayer_peer()


## Adds a server, on any free port.
func add_server(settings := {}) -> End:
	var server := WebSocketMultiplayerPeer.new()
	for name: String in settings:
		server.set(name, settings[name])
	for i in 50:
		port = randi_range(20_000, 60_000)
		if server.create_server(port, "127.0.0.1") == OK:
			break
	ends.append(End.new(tree, "Server", server))
	return ends[-1]


func add_client(settings := {}) -> End:
	var peer := new_peer()
	for name: String in settings:
		peer.set(name, settings[name])
	equal(peer.create_client("ws://127.0.0.1:%d/" % port), OK, "create_client")
	equal(peer.get_connection_status(), MultiplayerPeer.CONNECTION_CONNECTING, "status")
	ends.append(End.new(tree, "Client%d" % ends.size(), peer))
	var client := ends[-1]
	await until(func() -> bool: return not client.log.is_empty(), "the connection")
	return client


func id_bytes(id: int) -> PackedByteArray:
	var bytes := PackedByteArray([0, 0, 0, 0])
	bytes.encode_s32(0, id)
	return bytes


func is_disconnected(peer: MultiplayerPeer) -> bool:
	return peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED


func test_client_gets_its_id_and_is_seen_by_the_server() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := add_server()
	var client: End = await add_client()
	equal(client.log, [["connected_to_server"], ["peer_connected", 1]], "signals of the client")
	check(client.id() >= 2, "ID %d" % client.id())
	await until(func() -> bool: return server.log.size() == 1, "the client at the server")
	equal(server.log, [["peer_connected", client.id()]], "signals of the server")
	equal(client.api.is_server(), false, "is_server")
	equal(Array(client.api.get_peers()), [1], "peers")
	var peer := client.api.multiplayer_peer
	equal([peer.get_packet_channel(), peer.get_packet_mode()], [0, MultiplayerPeer.TRANSFER_MODE_RELIABLE], "channel and mode")
	equal(peer.is_server_relay_supported(), true, "relay")
	return true


func test_rpcs_work_in_both_directions() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := add_server()
	var client: End = await add_client()
	client.actor.note.rpc("to all")
	client.actor.note.rpc_id(1, {"a": [1, Vector2(2, 3)]})
	client.actor.note_unreliably.rpc("unreliable")
	await until(func() -> bool: return server.actor.calls.size() == 3, "calls of the server")
	equal(server.actor.calls, [
		[client.id(), "to all"], [client.id(), {"a": [1, Vector2(2, 3)]}], [client.id(), "unreliable"]
	], "calls of the server")
	for i in 100:
		server.actor.note.rpc_id(client.id(), i)
	await until(func() -> bool: return client.actor.calls.size() == 100, "calls of the client")
	equal(client.actor.calls, range(100).map(func(i: int) -> Array: return [1, i]), "calls of the client")
	return true


func test_large_rpc_works_in_both_directions() -> bool:
	if not can("listen"):
		return skip("a server")
	var size := 1 << 20
	var buffers := {"inbound_buffer_size": 4 * size, "outbound_buffer_size": 4 * size}
	var server := add_server(buffers)
	var client: End = await add_client(buffers)
	var bytes := PackedByteArray()
	bytes.resize(size)
	bytes[-1] = 7
	client.actor.note.rpc_id(1, bytes)
	await until(func() -> bool: return server.actor.calls.size() == 1, "the server")
	check(server.actor.calls[0][1] == bytes, "the server has got something else")
	server.actor.note.rpc_id(client.id(), bytes)
	await until(func() -> bool: return client.actor.calls.size() == 1, "the client")
	check(client.actor.calls[0][1] == bytes, "the client has got something else")
	return true


func test_synchronizers_work_in_both_directions() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := add_server()
	var client: End = await add_client()
	for end: End in [server, client]:
		end.actor.synchronize("from_server", 1)
		end.actor.synchronize("from_client", client.id())
	for i in 3:
		server.actor.from_server = 40 + i
		client.actor.from_client = "state %d" % i
		await until(func() -> bool:
			return client.actor.from_server == 40 + i and server.actor.from_client == "state %d" % i, "state %d" % i)
	return true


func test_server_relays_between_clients() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := add_server()
	var first: End = await add_client()
	var second: End = await add_client()
	await until(func() -> bool: return first.api.get_peers().size() == 2 and second.api.get_peers().size() == 2, "each other")
	first.actor.note.rpc_id(second.id(), "from the first")
	await until(func() -> bool: return second.actor.calls.size() == 1, "a relayed call")
	equal(second.actor.calls, [[first.id(), "from the first"]], "calls of the second client")
	second.actor.note.rpc("to all")
	await until(func() -> bool: return first.actor.calls.size() == 1 and server.actor.calls.size() == 1, "a relayed broadcast")
	equal(first.actor.calls, [[second.id(), "to all"]], "calls of the first client")
	equal(server.actor.calls, [[second.id(), "to all"]], "calls of the server")
	second.api.multiplayer_peer.close()
	await until(func() -> bool: return first.api.get_peers().size() == 1, "the second client to disappear")
	equal(first.log[-1][0], "peer_disconnected", "signal of the first client")
	return true


func test_invalid_id_disconnects_with_a_reason() -> bool:
	if not can("listen"):
		return skip("a server")
	var cases := [
		[PackedByteArray([2, 0, 0]), "has 3 bytes, not 4"],
		[PackedByteArray([2, 0, 0, 0, 0]), "has 5 bytes, not 4"],
		[id_bytes(0), "0 is not the ID of a client"],
		[id_bytes(1), "1 is not the ID of a client"],
		[id_bytes(-5), "-5 is not the ID of a client"],
		["hello", "is text"],
	]
	if has_extension:
		# Godot's peer takes this for an ID.
		cases.append(["four", "is text"])
		cases.append([PackedByteArray(), "has 0 bytes, not 4"])
	for expected: Array in cases:
		var server := ScriptedServer.new()
		server.first_messages = [expected[0], id_bytes(2)]
		var peer := new_peer()
		var log := []
		peer.peer_connected.connect(func(id: int) -> void: log.append(id))
		peer.peer_disconnected.connect(func(id: int) -> void: log.append(id))
		equal(peer.create_client(server.url()), OK, "create_client")
		await until(func() -> bool: return is_disconnected(peer), "the end after %s" % [expected[0]], [peer, server])
		equal(log, [], "signals")
		if has_extension:
			var reason: String = peer.get_disconnect_reason()
			check("invalid ID" in reason and expected[1] in reason, reason)
			equal(peer.socket.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state of the socket")
			await until(func() -> bool: return server.peer.get_ready_state() == WebSocketPeer.STATE_CLOSED, "the close frame", [server])
			equal([server.peer.get_close_code(), server.peer.get_close_reason()], [1002, "invalid ID"], "close frame")
	return true


func test_handshake_times_out_without_an_id() -> bool:
	# Godot's peer waits for the ID without a limit.
	if not has_extension:
		return skip("a timeout for the ID")
	var silent := TCPServer.new()
	silent.listen(0, "127.0.0.1")
	var without_id := ScriptedServer.new()
	equal(new_peer().handshake_timeout, 3.0, "default")
	for expected: Array in [
		["ws://127.0.0.1:%d/" % silent.get_local_port(), "there is no connection after 0.3 s"],
		[without_id.url(), "the server has sent no ID after 0.3 s"],
	]:
		var api := SceneMultiplayer.new()
		var log := []
		api.connection_failed.connect(func() -> void: log.append("connection_failed"))
		var peer := new_peer()
		peer.handshake_timeout = 0.3
		var start := Time.get_ticks_msec()
		equal(peer.create_client(expected[0]), OK, "create_client")
		api.multiplayer_peer = peer
		await until(func() -> bool: return not log.is_empty(), "the timeout", [api, without_id])
		check(Time.get_ticks_msec() - start >= 300, "too early")
		equal(log, ["connection_failed"], "signals")
		check(expected[1] in peer.get_disconnect_reason(), peer.get_disconnect_reason())
	return true


func test_failure_to_connect_has_a_reason() -> bool:
	var peer := new_peer()
	if has_extension:
		equal(peer.create_client("not a URL"), ERR_INVALID_PARAMETER, "create_client")
	equal(peer.get_connection_status(), MultiplayerPeer.CONNECTION_DISCONNECTED, "status")
	equal(peer.create_client("ws://127.0.0.1:1/"), OK, "create_client")
	equal(peer.create_client("ws://127.0.0.1:1/"), ERR_ALREADY_IN_USE, "create_client while connecting")
	await until(func() -> bool: return is_disconnected(peer), "the end", [peer])
	if has_extension:
		check("127.0.0.1:1" in peer.get_disconnect_reason(), peer.get_disconnect_reason())
	return true


func test_end_of_the_server_is_reported() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := add_server()
	var client: End = await add_client()
	var peer := client.api.multiplayer_peer
	client.log.clear()
	server.api.multiplayer_peer.close()
	await until(func() -> bool: return client.log.size() == 2, "the end")
	equal(client.log, [["peer_disconnected", 1], ["server_disconnected"]], "signals")
	if has_extension:
		check("without a closing handshake" in peer.get_disconnect_reason(), peer.get_disconnect_reason())
	return true


func test_server_that_vanishes_is_detected() -> bool:
	if not (can("listen") and can("link")):
		return skip("a simulated link")
	add_server()
	var client: End = await add_client()
	var peer := client.api.multiplayer_peer
	client.log.clear()
	peer.socket.heartbeat_interval = 0.2
	peer.socket.link_conditions = {"cut": peer.socket.LINK_CUT_HALF_OPEN}
	await until(func() -> bool: return client.log.size() == 2, "the end")
	equal(client.log, [["peer_disconnected", 1], ["server_disconnected"]], "signals")
	check("keepalive" in peer.get_disconnect_reason() or "ping" in peer.get_disconnect_reason(), peer.get_disconnect_reason())
	return true


func test_packets_before_the_end_of_the_server_are_delivered() -> bool:
	if not (can("listen") and can("messages before a close")):
		return skip("messages before a close")
	var server := ScriptedServer.new()
	server.first_messages = [id_bytes(5), "a".to_utf8_buffer(), "b".to_utf8_buffer()]
	var peer := new_peer()
	peer.create_client(server.url())
	await until(func() -> bool: return server.first_messages.is_empty(), "the server", [server])
	server.peer.close(4001, "full")
	var got := []
	var log := []
	peer.peer_disconnected.connect(func(id: int) -> void: log.append(id))
	await until(func() -> bool:
		while peer.get_available_packet_count() > 0:
			equal([peer.get_packet_peer(), peer.get_unique_id()], [1, 5], "sender and ID")
			got.append(peer.get_packet().get_string_from_utf8())
		return is_disconnected(peer), "the end", [server, peer])
	equal(got, ["a", "b"], "packets")
	equal(log, [1], "signals")
	check("4001: full" in peer.get_disconnect_reason(), peer.get_disconnect_reason())
	return true


func test_close_has_code_1000_and_allows_another_client_at_once() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := ScriptedServer.new()
	server.first_messages = [id_bytes(2)]
	var peer := new_peer()
	peer.create_client(server.url())
	await until(func() -> bool: return peer.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTED, "the ID", [server, peer])
	equal(peer.put_packet("last".to_utf8_buffer()), OK, "put_packet")
	var log := record(peer.socket, ["closed", "failed"]) if has_extension else []
	peer.close()
	check(is_disconnected(peer), "not disconnected")
	equal(peer.put_packet("late".to_utf8_buffer()), ERR_UNCONFIGURED, "put_packet after close")
	if has_extension:
		equal(log, [["closed", 1000, ""]], "signals of the socket")
	var second := ScriptedServer.new()
	second.first_messages = [id_bytes(3)]
	equal(peer.create_client(second.url()), OK, "create_client")
	await until(func() -> bool: return peer.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTED, "the second ID", [second, peer])
	equal(peer.get_unique_id(), 3, "ID")
	if has_extension:
		await until(func() -> bool: return server.peer.get_ready_state() == WebSocketPeer.STATE_CLOSED, "the close frame", [server])
		equal(server.peer.get_close_code(), 1000, "close code")
	return true


func test_disconnect_peer_ends_the_connection() -> bool:
	if not can("listen"):
		return skip("a server")
	for force: bool in [false, true]:
		add_server()
		var client: End = await add_client()
		var peer := client.api.multiplayer_peer
		peer.disconnect_peer(1, force)
		equal(is_disconnected(peer), force, "disconnected at once")
		await until(func() -> bool: return client.log[-1] == ["server_disconnected"], "the end")
		clean_up()
	return true


func test_server_sees_headers_and_subprotocol_of_the_peer() -> bool:
	if not can("headers"):
		return skip("headers")
	var server := ScriptedServer.new()
	server.peer.supported_protocols = PackedStringArray(["game"])
	server.first_messages = [id_bytes(2)]
	var peer := new_peer()
	peer.supported_protocols = PackedStringArray(["game"])
	peer.handshake_headers = PackedStringArray(["X-Team: red"])
	equal(peer.socket.handshake_headers, peer.handshake_headers, "headers of the socket")
	peer.create_client(server.url())
	await until(func() -> bool: return peer.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTED, "the ID", [server, peer])
	equal(peer.socket.get_selected_protocol(), "game", "subprotocol")
	return true


func test_reconnect_is_rejected() -> bool:
	if not has_extension:
		return skip("reconnect")
	var peer := new_peer()
	peer.socket.reconnect = true
	equal(peer.create_client("ws://127.0.0.1:1/"), ERR_INVALID_PARAMETER, "create_client")
	check("new client" in peer.socket.get_last_error().message, peer.socket.get_last_error().message)
	return true


func test_peer_can_be_freed_while_open() -> bool:
	if not can("listen"):
		return skip("a server")
	var server := ScriptedServer.new()
	server.first_messages = [id_bytes(2)]
	var peer := new_peer()
	peer.create_client(server.url())
	await until(func() -> bool: return server.first_messages.is_empty(), "the connection", [server, peer])
	peer = null
	await until(func() -> bool: return server.peer.get_ready_state() == WebSocketPeer.STATE_CLOSED, "the end", [server])
	return true


func test_peer_has_the_members_of_web_socket_multiplayer_peer() -> bool:
	if not has_extension:
		return skip("both classes")
	var theirs := "WebSocketMultiplayerPeer"
	var ours := "FramewireMultiplayerPeer"
	equal(ClassDB.get_parent_class(ours), &"MultiplayerPeerExtension", "parent")
	var compared := 0
	for method in ClassDB.class_get_method_list(theirs, true):
		if method.name in ABSENT or method.name.begins_with("_"):
			continue
		compared += 1
		check(ClassDB.class_has_method(ours, method.name, true), "%s is missing" % method.name)
		if method.name == "create_client":
			var types := func(info: Dictionary) -> Array: return info.args.map(func(argument: Dictionary) -> int: return argument.type)
			for info in ClassDB.class_get_method_list(ours, true):
				if info.name == method.name:
					equal(types.call(info), types.call(method), "arguments of create_client")
					equal(info.default_args.size(), method.default_args.size(), "defaults of create_client")
	for name: String in ABSENT:
		check(ClassDB.class_has_method(theirs, name), "%s no longer exists" % name)
		check(not ClassDB.class_has_method(ours, name), "the peer has %s" % name)
	var types_here := {}
	for property in ClassDB.class_get_property_list(ours, true):
		types_here[property.name] = property.type
	for property in ClassDB.class_get_property_list(theirs, true):
		if not property.usage & (PROPERTY_USAGE_CATEGORY | PROPERTY_USAGE_GROUP):
			compared += 1
			equal(types_here.get(property.name), property.type, "type of %s" % property.name)
	check(compared >= 15, "only %d members were compared" % compared)
	return true
