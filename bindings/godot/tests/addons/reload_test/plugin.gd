@tool
extends EditorPlugin
## Reloads the extension in the editor while objects exist, and quits with the result.

const EXTENSION := "res://addons/framewire/framewire.gdextension"

var failures: PackedStringArray = []


func _enter_tree() -> void:
	run.call_deferred()


func check(holds: bool, what: String) -> void:
	if not holds:
		failures.append(what)


func run() -> void:
	var socket: RefCounted = ClassDB.instantiate("FramewireSocket")
	var node: Node = ClassDB.instantiate("FramewireNode")
	for i in 3:
		socket.origin = "https://game%d.example" % i
		socket.handshake_headers = PackedStringArray(["A: %d" % i])
		socket.connect_timeout = 1.5
		check(socket.connect_to_url(OS.get_environment("FRAMEWIRE_WS")) == OK, "connect_to_url")
		var status := GDExtensionManager.reload_extension(EXTENSION)
		check(status == GDExtensionManager.LOAD_STATUS_OK, "status %d" % status)
		await get_tree().process_frame
		check(socket.origin == "https://game%d.example" % i, "origin: %s" % socket.origin)
		check(socket.handshake_headers == PackedStringArray(["A: %d" % i]), "headers")
		check(socket.connect_timeout == 1.5, "connect_timeout")
		check(socket.get_ready_state() == WebSocketPeer.STATE_CLOSED, "state")
	for failure in failures:
		print("FAILED ", failure)
	node.free()
	print("%d passed, %d failed" % [int(failures.is_empty()), failures.size()])
	get_tree().quit(failures.size())
