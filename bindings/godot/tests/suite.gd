extends RefCounted
## What every suite can use. A test is a method `test_*` that returns true at its end: one that
## a script error cuts short has failed.

## Generous, for machines under load; a test that passes never waits for it.
const PATIENCE := 20.0

var tree: SceneTree
var ws := OS.get_environment("FRAMEWIRE_WS").trim_suffix("/")
var wss := OS.get_environment("FRAMEWIRE_WSS").trim_suffix("/")
var ca_path := OS.get_environment("FRAMEWIRE_CA")
var complaints: PackedStringArray = []
## Weak references to the sockets of a test.
var made: Array[WeakRef] = []


func check(holds: bool, what: String) -> void:
	if not holds:
		complaints.append(what)


func equal(actual: Variant, expected: Variant, what: String) -> void:
	# Values of different types are not comparable in GDScript, and never equal here.
	var same: bool = typeof(actual) == typeof(expected) and actual == expected
	check(same, "%s: expected %s, got %s" % [what, var_to_str(expected), var_to_str(actual)])


## A new socket. By name, so that a missing extension is told as such, and not as a parse error.
func new_socket(type := "FramewireSocket") -> RefCounted:
	var socket: RefCounted = ClassDB.instantiate(type)
	made.append(weakref(socket))
	return socket


## After each test. A handler that captures its own socket keeps it alive for ever, as in any
## script, until it is disconnected.
func clean_up() -> void:
	for reference in made:
		var socket: RefCounted = reference.get_ref()
		if socket == null:
			continue
		for info in socket.get_signal_list():
			for connection in socket.get_signal_connection_list(info.name):
				connection.signal.disconnect(connection.callable)
	made.clear()


## Polls the sockets each frame until `done` says so.
func until(done: Callable, what: String, sockets: Array = []) -> bool:
	var ends := Time.get_ticks_msec() + int(PATIENCE * 1000)
	while not done.call():
		if Time.get_ticks_msec() > ends:
			check(false, "waited %d s in vain: %s" % [PATIENCE, what])
			return false
		for socket in sockets:
			socket.poll()
		if done.call():
			break
		await tree.process_frame
	return true


func until_state(socket: RefCounted, state: int) -> bool:
	return await until(func() -> bool: return socket.get_ready_state() == state, "state %d" % state, [socket])


## An open socket, or null.
func open_socket(path := "/", type := "FramewireSocket") -> RefCounted:
	var socket := new_socket(type)
	equal(socket.connect_to_url(ws + path), OK, "connect_to_url")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	return socket


## Writes down every signal of an object: [[name, arguments...], ...].
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
	return await until(func() -> bool: return has_ended(log), "the end", [socket])
