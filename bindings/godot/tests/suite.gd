extends RefCounted
## Base class of the test suites. A test is a method `test_*` that returns true at its end; a script error
## makes it return earlier, which is a failure.

## Timeout in seconds, generous for machines under load.
const TIMEOUT := 20.0

var tree: SceneTree
var has_extension := Framewire.has_extension()
var in_browser := OS.has_feature("web")
var ws := parameter("FRAMEWIRE_WS").trim_suffix("/")
var wss := parameter("FRAMEWIRE_WSS").trim_suffix("/")
var ca_path := OS.get_environment("FRAMEWIRE_CA")
var failures: PackedStringArray = []
## What a skipped test is about.
var skipped := ""
## Weak references to the sockets created by a test.
var created_sockets: Array[WeakRef] = []


## Returns an environment variable, or in a browser, which has none, an argument `++ NAME=value`.
static func parameter(name: String) -> String:
	for argument in OS.get_cmdline_user_args():
		if argument.begins_with(name + "="):
			return argument.trim_prefix(name + "=")
	return OS.get_environment(name)


func check(holds: bool, what: String) -> void:
	if not holds:
		failures.append(what)


func equal(actual: Variant, expected: Variant, what: String) -> void:
	# GDScript cannot compare values of some different types.
	var same: bool = typeof(actual) == typeof(expected) and actual == expected
	check(same, "%s: expected %s, got %s" % [what, var_to_str(expected), var_to_str(actual)])


## Marks a test as skipped, because it is about something that this run does not have.
func skip(what: String) -> bool:
	skipped = what
	return true


## Returns whether the sockets of this run have a capability. A test of a function that does something else without it
## checks that instead. The class of the Web export has the same limits outside of a browser, where it is only tested.
func can(capability: String) -> bool:
	match capability:
		# Godot's own WebSocketPeer loses the messages that it receives together with a close frame, and empty ones.
		"messages before a close", "empty binary messages":
			return has_extension or in_browser
		"listen":
			return not in_browser
		_:
			return has_extension


## Checks that each setting makes connect_to_url() return ERR_UNAVAILABLE with a message that names it.
func refuses(values: Dictionary) -> bool:
	for property: String in values:
		var socket := new_socket()
		socket.set(property, values[property])
		equal(socket.connect_to_url(ws + "/"), ERR_UNAVAILABLE, "connect_to_url with %s" % property)
		check(property in socket.get_last_error().message, "%s: %s" % [property, socket.get_last_error()])
		check("a browser" in socket.get_last_error().message, "%s: %s" % [property, socket.get_last_error()])
		equal(socket.get_ready_state(), WebSocketPeer.STATE_CLOSED, "state")
	return true


## Checks that each setting keeps its value and does not prevent a connection.
func ignores(values: Dictionary) -> bool:
	var socket := new_socket()
	for property: String in values:
		socket.set(property, values[property])
		equal(socket.get(property), values[property], property)
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	return true


## Creates a socket as games do, or an object of another class.
func new_socket(type := "") -> RefCounted:
	var socket: RefCounted = Framewire.create_socket() if type.is_empty() else ClassDB.instantiate(type)
	created_sockets.append(weakref(socket))
	return socket


## Returns the names of the properties that scripts use.
func property_names(socket: RefCounted) -> Array[String]:
	var inherited := RefCounted.new().get_property_list().map(func(property: Dictionary) -> String: return property.name)
	var names: Array[String] = []
	for property in socket.get_property_list():
		var is_listed: bool = not property.usage & (PROPERTY_USAGE_CATEGORY | PROPERTY_USAGE_GROUP)
		if is_listed and not property.name.begins_with("_") and not property.name in inherited:
			names.append(property.name)
	return names


## Disconnects all signals after a test, because a handler that captures its own socket keeps it alive.
func clean_up() -> void:
	for reference in created_sockets:
		var socket: RefCounted = reference.get_ref()
		if socket == null:
			continue
		for info in socket.get_signal_list():
			for connection in socket.get_signal_connection_list(info.name):
				connection.signal.disconnect(connection.callable)
	created_sockets.clear()


## Calls a method and returns the errors that Godot prints; none before Godot 4.5, which has no loggers.
func errors_of(object: Object, method: String, arguments: Array, on_error := Callable()) -> String:
	if not ClassDB.class_exists("Logger"):
		object.callv(method, arguments)
		return ""
	var logger: RefCounted = load("res://logger.gd").new()
	logger.on_error = on_error
	OS.call("add_logger", logger)
	object.callv(method, arguments)
	OS.call("remove_logger", logger)
	return "\n".join(logger.errors)


## Polls the sockets each frame until `done` returns true.
func until(done: Callable, what: String, sockets: Array = []) -> bool:
	var deadline := Time.get_ticks_msec() + int(TIMEOUT * 1000)
	while not done.call():
		if Time.get_ticks_msec() > deadline:
			check(false, "timed out after %d s: %s" % [TIMEOUT, what])
			return false
		for socket in sockets:
			socket.poll()
		if done.call():
			break
		await tree.process_frame
	return true


func until_state(socket: RefCounted, state: int) -> bool:
	return await until(func() -> bool: return socket.get_ready_state() == state, "state %d" % state, [socket])


## Returns an open socket.
func open_socket(path := "/") -> RefCounted:
	var socket := new_socket()
	equal(socket.connect_to_url(ws + path), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	return socket


## Records the signals of an object as [[name, arguments...], ...].
func record(object: Object, names: Array = ["opened", "text_received", "binary_received", "pong_received", "closed", "failed"]) -> Array:
	var log := []
	for name: String in names:
		match name:
			"opened":
				object.connect(name, func() -> void: log.append([name]))
			"closed":
				object.connect(name, func(code: int, reason: String) -> void: log.append([name, code, reason]))
			"failed":
				object.connect(name, func(phase: String, status: int, reason: String, retriable: bool) -> void:
					log.append([name, phase, status, reason, retriable]))
			"sent":
				object.connect(name, func(tag: int, outcome: int) -> void: log.append([name, tag, outcome]))
			"reconnecting":
				object.connect(name, func(attempt: int, delay: float, reason: String) -> void:
					log.append([name, attempt, delay, reason]))
			"fragment_received":
				object.connect(name, func(data: PackedByteArray, is_text: bool, first: bool, last: bool) -> void:
					log.append([name, data, is_text, first, last]))
			_:
				object.connect(name, func(payload: Variant) -> void: log.append([name, payload]))
	return log


func has_ended(log: Array) -> bool:
	return not log.is_empty() and log[-1][0] in ["closed", "failed"]


func until_ended(log: Array, socket: RefCounted) -> bool:
	return await until(func() -> bool: return has_ended(log), "terminal signal", [socket])
