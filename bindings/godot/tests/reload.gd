extends SceneTree
## The extension is unloaded and loaded again, as the editor does when its library has changed:
## no thread and no socket of the old one may be left.

const EXTENSION := "res://addons/framewire/framewire.gdextension"
const ROUNDS := 5

var failed := 0


func _initialize() -> void:
	run()


func run() -> void:
	await process_frame
	for i in ROUNDS:
		await talk()
		# What the coroutine held, the socket among it, goes with the next frame.
		await process_frame
		check(GDExtensionManager.unload_extension(EXTENSION) == GDExtensionManager.LOAD_STATUS_OK, "unload")
		check(not ClassDB.class_exists("FramewireSocket"), "the class is still there")
		check(threads() == 0, "%d threads are left" % threads())
		check(GDExtensionManager.load_extension(EXTENSION) == GDExtensionManager.LOAD_STATUS_OK, "load")
	await talk()
	print("%d passed, %d failed" % [ROUNDS - mini(failed, ROUNDS), failed])
	quit(failed)


## Leaves a socket open, for the unloading to deal with.
func talk() -> void:
	var socket: RefCounted = ClassDB.instantiate("FramewireSocket")
	check(socket.connect_to_url(OS.get_environment("FRAMEWIRE_WS")) == OK, "connect_to_url")
	var ends := Time.get_ticks_msec() + 20_000
	while socket.get_available_packet_count() == 0 and Time.get_ticks_msec() < ends:
		socket.poll()
		if socket.get_ready_state() == WebSocketPeer.STATE_OPEN and socket.get_stats().messages_sent == 0:
			socket.send_text("hello")
		await process_frame
	check(socket.get_packet().get_string_from_utf8() == "hello", "the echo")
	check(threads() > 0 or not OS.has_feature("linux"), "no thread runs while a socket is open")


## The library's threads, by their names.
func threads() -> int:
	var count := 0
	for task in DirAccess.get_directories_at("/proc/self/task"):
		var name := FileAccess.open("/proc/self/task/%s/comm" % task, FileAccess.READ).get_line()
		count += int(name.begins_with("framewire") or name.begins_with("fw-"))
	return count


func check(holds: bool, what: String) -> void:
	if not holds:
		failed += 1
		print("FAILED ", what)
