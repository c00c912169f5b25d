extends "res://suite.gd"
## Compares the class with WebSocketPeer, so that scripts can switch by changing the class name.

## Methods of WebSocketPeer that FramewireSocket does not have, and why.
const ABSENT := {
	"accept_stream": "it is for servers, and Framewire is a client",
}


func test_methods_match_web_socket_peer() -> bool:
	var compared := 0
	for type: String in ["WebSocketPeer", "PacketPeer"]:
		for theirs in ClassDB.class_get_method_list(type, true):
			if theirs.name in ABSENT or theirs.name.begins_with("_"):
				continue
			var ours := method_of("FramewireSocket", theirs.name)
			check(not ours.is_empty(), "%s is missing" % theirs.name)
			if ours.is_empty():
				continue
			compared += 1
			equal(ours.args.size(), theirs.args.size(), "%s: arguments" % theirs.name)
			equal(ours.default_args, theirs.default_args, "%s: defaults" % theirs.name)
			equal(ours.return.type, theirs.return.type, "%s: type of the result" % theirs.name)
			for i in mini(ours.args.size(), theirs.args.size()):
				equal(ours.args[i].type, theirs.args[i].type, "%s: type of argument %d" % [theirs.name, i])
	check(compared >= 35, "only %d methods were compared" % compared)
	return true


func test_absent_methods_are_absent() -> bool:
	for name: String in ABSENT:
		check(ClassDB.class_has_method("WebSocketPeer", name), "WebSocketPeer no longer has %s" % name)
		check(not ClassDB.class_has_method("FramewireSocket", name), "FramewireSocket has %s" % name)
	return true


func test_extension_has_all_capabilities_but_http_2() -> bool:
	var capabilities := FramewireSocket.get_capabilities()
	equal(capabilities, 2 * FramewireSocket.CAPABILITY_WAIT - 1 - FramewireSocket.CAPABILITY_HTTP2, "capabilities")
	check(capabilities & FramewireSocket.CAPABILITY_HEADERS, "no header fields")
	return true


func test_constants_match_web_socket_peer() -> bool:
	var names := ClassDB.class_get_integer_constant_list("WebSocketPeer", true)
	check(names.size() >= 6, "WebSocketPeer has only the constants %s" % names)
	for name in names:
		check(name in ClassDB.class_get_integer_constant_list("FramewireSocket", true), "%s is missing" % name)
		equal(
			ClassDB.class_get_integer_constant("FramewireSocket", name),
			ClassDB.class_get_integer_constant("WebSocketPeer", name),
			name
		)
	return true


func test_properties_match_web_socket_peer() -> bool:
	var ours := {}
	for property in ClassDB.class_get_property_list("FramewireSocket", true):
		ours[property.name] = property.type
	var compared := 0
	for type: String in ["WebSocketPeer", "PacketPeer"]:
		for property in ClassDB.class_get_property_list(type, true):
			if property.usage & (PROPERTY_USAGE_CATEGORY | PROPERTY_USAGE_GROUP):
				continue
			compared += 1
			var type_here: int = ours.get(property.name, TYPE_NIL)
			# Godot declares this property as int, but its accessors use float.
			if property.name == "heartbeat_interval" and type_here == TYPE_FLOAT:
				continue
			equal(type_here, property.type, "type of %s" % property.name)
	check(compared >= 7, "only %d properties were compared" % compared)
	return true


func test_signals_of_socket_and_node_match() -> bool:
	var described := {}
	for type: String in ["FramewireSocket", "FramewireNode"]:
		var signals := {}
		for info in ClassDB.class_get_signal_list(type, true):
			signals[info.name] = info.args.map(func(arg: Dictionary) -> Array: return [arg.name, arg.type])
		described[type] = signals
	equal(described.FramewireNode, described.FramewireSocket, "signals")
	equal(described.FramewireSocket, {
		"opened": [],
		"text_received": [["text", TYPE_STRING]],
		"binary_received": [["data", TYPE_PACKED_BYTE_ARRAY]],
		"packets_received": [["packets", TYPE_ARRAY]],
		"fragment_received": [
			["data", TYPE_PACKED_BYTE_ARRAY], ["is_text", TYPE_BOOL], ["is_first", TYPE_BOOL], ["is_final", TYPE_BOOL]
		],
		"pong_received": [["data", TYPE_PACKED_BYTE_ARRAY]],
		"reconnecting": [["attempt", TYPE_INT], ["delay", TYPE_FLOAT], ["reason", TYPE_STRING]],
		"closed": [["code", TYPE_INT], ["reason", TYPE_STRING]],
		"failed": [["phase", TYPE_STRING], ["status", TYPE_INT], ["reason", TYPE_STRING], ["retriable", TYPE_BOOL]],
	}, "signals")
	return true


func method_of(type: String, name: String) -> Dictionary:
	for method in ClassDB.class_get_method_list(type, true):
		if method.name == name:
			return method
	return {}
