extends "res://suite.gd"
## Compares the socket with WebSocketPeer, so that scripts can switch by changing the class name, and the class of the
## extension with the class of the Web export, so that a game can use both.

const WEB_SOCKET := "res://addons/framewire/web/socket.gd"
## Methods of WebSocketPeer that sockets do not have, and why.
const ABSENT := {
	"accept_stream": "it is for servers, and Framewire is a client",
}


func test_methods_match_web_socket_peer() -> bool:
	var ours := methods_of(new_socket())
	var compared := 0
	for type: String in ["WebSocketPeer", "PacketPeer"]:
		for theirs in ClassDB.class_get_method_list(type, true):
			if theirs.name in ABSENT or theirs.name.begins_with("_"):
				continue
			check(ours.has(theirs.name), "%s is missing" % theirs.name)
			if not ours.has(theirs.name):
				continue
			compared += 1
			var method: Dictionary = ours[theirs.name]
			equal(types_of(method.args), types_of(theirs.args), "%s: types of the arguments" % theirs.name)
			equal(defaults_of(method), defaults_of(theirs), "%s: defaults" % theirs.name)
			equal(method.return.type, theirs.return.type, "%s: type of the result" % theirs.name)
	check(compared >= 35, "only %d methods were compared" % compared)
	return true


func test_absent_methods_are_absent() -> bool:
	for name: String in ABSENT:
		check(ClassDB.class_has_method("WebSocketPeer", name), "WebSocketPeer no longer has %s" % name)
		check(not new_socket().has_method(name), "the socket has %s" % name)
	return true


func test_extension_has_all_capabilities_but_http_2_and_a_page_only_tls() -> bool:
	var constants := constants_of(new_socket())
	var all_but_http_2: int = 2 * constants.CAPABILITY_WAIT - 1 - constants.CAPABILITY_HTTP2 + constants.CAPABILITY_LINK + constants.CAPABILITY_CAPTURE
	var expected: int = all_but_http_2 if has_extension else constants.CAPABILITY_TLS
	equal(new_socket().get_capabilities(), expected, "capabilities")
	return true


func test_constants_match_web_socket_peer() -> bool:
	var names := ClassDB.class_get_integer_constant_list("WebSocketPeer", true)
	check(names.size() >= 6, "WebSocketPeer has only the constants %s" % names)
	var ours := constants_of(new_socket())
	for name in names:
		equal(ours.get(name), ClassDB.class_get_integer_constant("WebSocketPeer", name), name)
		equal(new_socket().get(name), ours.get(name), "%s of an object" % name)
	return true


func test_properties_match_web_socket_peer() -> bool:
	var ours := properties_of(new_socket())
	var compared := 0
	for type: String in ["WebSocketPeer", "PacketPeer"]:
		for property in ClassDB.class_get_property_list(type, true):
			if property.usage & (PROPERTY_USAGE_CATEGORY | PROPERTY_USAGE_GROUP):
				continue
			compared += 1
			var type_here: int = ours.get(property.name, [TYPE_NIL])[0]
			# Godot declares this property as int, but its accessors use float.
			if property.name == "heartbeat_interval" and type_here == TYPE_FLOAT:
				continue
			equal(type_here, property.type, "type of %s" % property.name)
	check(compared >= 7, "only %d properties were compared" % compared)
	return true


func test_signals_are_those_of_the_documentation() -> bool:
	equal(signals_of(new_socket()), {
		"opened": [],
		"text_received": [["text", TYPE_STRING]],
		"binary_received": [["data", TYPE_PACKED_BYTE_ARRAY]],
		"packets_received": [["packets", TYPE_ARRAY]],
		"fragment_received": [
			["data", TYPE_PACKED_BYTE_ARRAY], ["is_text", TYPE_BOOL], ["is_first", TYPE_BOOL], ["is_final", TYPE_BOOL]
		],
		"pong_received": [["data", TYPE_PACKED_BYTE_ARRAY]],
		"sent": [["tag", TYPE_INT], ["outcome", TYPE_INT]],
		"reconnecting": [["attempt", TYPE_INT], ["delay", TYPE_FLOAT], ["reason", TYPE_STRING]],
		"closed": [["code", TYPE_INT], ["reason", TYPE_STRING]],
		"failed": [["phase", TYPE_STRING], ["status", TYPE_INT], ["reason", TYPE_STRING], ["retriable", TYPE_BOOL]],
		"logged": [["level", TYPE_INT], ["message", TYPE_STRING], ["context", TYPE_STRING]],
		"request_created": [["request", TYPE_DICTIONARY]],
	}, "signals")
	return true


func test_signals_of_socket_and_node_match() -> bool:
	if not can("node"):
		return skip("node")
	var node: Node = ClassDB.instantiate("FramewireNode")
	equal(signals_of(node), signals_of(new_socket()), "signals")
	node.free()
	return true


func test_node_exists_only_with_the_extension() -> bool:
	equal(ClassDB.class_exists("FramewireNode"), can("node"), "the class exists")
	return true


func test_entry_creates_the_class_of_the_extension_if_it_is_loaded() -> bool:
	var script: Script = new_socket().get_script()
	equal(Framewire.has_extension(), ClassDB.class_exists("FramewireSocket"), "has_extension")
	equal("" if script == null else script.resource_path, "" if has_extension else WEB_SOCKET, "script")
	return true


## Both classes are loaded only where the extension is.
func test_class_of_the_web_export_has_the_methods_of_the_extension() -> bool:
	if not has_extension:
		return skip("both classes")
	var native := methods_of(ClassDB.instantiate("FramewireSocket"))
	var web := methods_of(load(WEB_SOCKET).new())
	equal(sorted(web), sorted(native), "methods")
	for name: String in native:
		if not web.has(name):
			continue
		equal(types_of(web[name].args), types_of(native[name].args), "%s: types of the arguments" % name)
		equal(defaults_of(web[name]), defaults_of(native[name]), "%s: defaults" % name)
		equal(web[name].return.type, native[name].return.type, "%s: type of the result" % name)
		equal(web[name].return.class_name, native[name].return.class_name, "%s: class of the result" % name)
		equal(web[name].flags & METHOD_FLAG_STATIC, native[name].flags & METHOD_FLAG_STATIC, "%s: static" % name)
		# A setter cannot name its argument as its property.
		if not name.begins_with("set_"):
			equal(names_of(web[name].args), names_of(native[name].args), "%s: names of the arguments" % name)
	check(native.size() > 90, "only %d methods were compared" % native.size())
	return true


func test_class_of_the_web_export_has_the_properties_of_the_extension() -> bool:
	if not has_extension:
		return skip("both classes")
	var native := properties_of(ClassDB.instantiate("FramewireSocket"))
	equal(properties_of(load(WEB_SOCKET).new()), native, "properties, with types and defaults")
	check(native.size() > 25, "only %d properties were compared" % native.size())
	return true


func test_class_of_the_web_export_has_the_signals_of_the_extension() -> bool:
	if not has_extension:
		return skip("both classes")
	equal(signals_of(load(WEB_SOCKET).new()), signals_of(ClassDB.instantiate("FramewireSocket")), "signals")
	return true


func test_class_of_the_web_export_has_the_constants_of_the_extension() -> bool:
	if not has_extension:
		return skip("both classes")
	var native := constants_of(ClassDB.instantiate("FramewireSocket"))
	equal(constants_of(load(WEB_SOCKET).new()), native, "constants")
	check(native.size() > 8, "only %d constants were compared" % native.size())
	return true


func test_class_of_the_web_export_has_the_statistics_of_the_extension() -> bool:
	if not has_extension:
		return skip("both classes")
	equal(load(WEB_SOCKET).new().get_stats(), ClassDB.instantiate("FramewireSocket").get_stats(), "statistics of a new socket")
	return true


## Returns the methods that the class adds to RefCounted, by name.
func methods_of(socket: RefCounted) -> Dictionary:
	var script: Script = socket.get_script()
	var list := ClassDB.class_get_method_list(socket.get_class(), true) if script == null else script.get_script_method_list()
	var methods := {}
	for method in list:
		if not (method.name.begins_with("_") or method.name.begins_with("@")):
			methods[method.name] = method
	return methods


## Returns [type, value] of each property, by name.
func properties_of(socket: RefCounted) -> Dictionary:
	var properties := {}
	for name in property_names(socket):
		properties[name] = [typeof(socket.get(name)), socket.get(name)]
	return properties


## Returns [[name, type], ...] of the arguments of each signal, by name.
func signals_of(object: Object) -> Dictionary:
	var script: Script = object.get_script()
	var list := ClassDB.class_get_signal_list(object.get_class(), true) if script == null else script.get_script_signal_list()
	var signals := {}
	for info in list:
		signals[info.name] = info.args.map(func(arg: Dictionary) -> Array: return [arg.name, arg.type])
	return signals


func constants_of(socket: RefCounted) -> Dictionary:
	var constants := {}
	var script: Script = socket.get_script()
	if script == null:
		for name in ClassDB.class_get_integer_constant_list(socket.get_class(), true):
			constants[name] = ClassDB.class_get_integer_constant(socket.get_class(), name)
		return constants
	while script != null:
		var declared := script.get_script_constant_map()
		for name: String in declared:
			if not name.begins_with("_"):
				constants[name] = declared[name]
		script = script.get_base_script()
	return constants


## The order in which members are declared does not matter.
func sorted(names: Dictionary) -> Array:
	var list := names.keys()
	list.sort()
	return list


func types_of(arguments: Array) -> Array:
	return arguments.map(func(argument: Dictionary) -> int: return argument.type)


## GDScript marks unused arguments with an underscore, and `var` is a keyword.
func names_of(arguments: Array) -> Array:
	return arguments.map(func(argument: Dictionary) -> String: return argument.name.trim_prefix("_").trim_suffix("_"))


## Returns the defaults of the last arguments, null for an empty value: GDScript lists an empty array as null, and Godot
## null as an object.
func defaults_of(method: Dictionary) -> Array:
	return method.default_args.map(func(default: Variant) -> Variant: return default if default else null)


func test_message_names_the_missing_library() -> bool:
	for expected: Array in [
		["Android", "arm64", "bin/android.arm64/libframewire_godot.so on Android (arm64)", "dist aarch64-linux-android'"],
		["Android", "arm32", "bin/android.arm32/libframewire_godot.so", "dist armv7-linux-androideabi'"],
		["iOS", "arm64", "bin/ios/libframewire_godot.xcframework", "dist aarch64-apple-ios "],
	]:
		var message: String = Framewire._missing_library(expected[0], expected[1])
		check(message.contains(expected[2]) and message.contains(expected[3]), message)
	check(Framewire._missing_library("Windows", "arm64").begins_with("Framewire has no library for Windows (arm64)."), "Windows")
	return true
