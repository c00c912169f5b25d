extends RefCounted
## Base class of the test suites. A test is a method `test_*` that returns true at its end; a script error
## makes it return earlier, which is a failure.

## Timeout in seconds, generous for machines under load.
const TIMEOUT := 20.0

var tree: SceneTree
var ws := OS.get_environment("FRAMEWIRE_WS").trim_suffix("/")
var wss := OS.get_environment("FRAMEWIRE_WSS").trim_suffix("/")
var ca_path := OS.get_environment("FRAMEWIRE_CA")
var failures: PackedStringArray = []
## Weak references to the sockets created by a test.
var created_sockets: Array[WeakRef] = []


func check(holds: bool, what: String) -> void:
	if not holds:
		failures.append(what)


func equal(actual: Variant, expected: Variant, what: String) -> void:
	# GDScript cannot compare values of some different types.
	var same: bool = typeof(actual) == typeof(expected) and actual == expected
	check(same, "%s: expected %s, got %s" % [what, var_to_str(expected), var_to_str(actual)])


## Creates a socket by class name, so that a missing extension is not a parse error.
func new_socket(type := "FramewireSocket") -> RefCounted:
	var socket: RefCounted = ClassDB.instantiate(type)
	created_sockets.append(weakref(socket))
	return socket


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
func open_socket(path := "/", type := "FramewireSocket") -> RefCounted:
	var socket := new_socket(type)
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
