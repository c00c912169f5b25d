extends SceneTree
## Unloads and reloads the extension, as the editor does when the library has changed. No thread and no
## socket of the old library may remain.

const EXTENSION := "res://addons/framewire/framewire.gdextension"
const ROUNDS := 5

var failed := 0


func _initialize() -> void:
	run()


func run() -> void:
	await process_frame
	for i in ROUNDS:
		await open_and_echo()
		# The coroutine and its socket are freed in the next frame.
		await process_frame
		check(GDExtensionManager.unload_extension(EXTENSION) == GDExtensionManager.LOAD_STATUS_OK, "unload")
		check(not ClassDB.class_exists("FramewireSocket"), "the class is still there")
		check(count_threads() == 0, "%d threads remain" % count_threads())
		check(GDExtensionManager.load_extension(EXTENSION) == GDExtensionManager.LOAD_STATUS_OK, "load")
	await open_and_echo()
	print("%d passed, %d failed" % [ROUNDS - mini(failed, ROUNDS), failed])
	quit(failed)


## Leaves a socket open when the extension is unloaded.
func open_and_echo() -> void:
	var socket: RefCounted = ClassDB.instantiate("FramewireSocket")
	check(socket.connect_to_url(OS.get_environment("FRAMEWIRE_WS")) == OK, "connect_to_url")
	var deadline := Time.get_ticks_msec() + 20_000
	while socket.get_available_packet_count() == 0 and Time.get_ticks_msec() < deadline:
		socket.poll()
		if socket.get_ready_state() == WebSocketPeer.STATE_OPEN and socket.get_stats().messages_sent == 0:
			socket.send_text("hello")
		await process_frame
	check(socket.get_packet().get_string_from_utf8() == "hello", "the echo")
	check(count_threads() > 0 or not OS.has_feature("linux"), "no thread runs while a socket is open")


## Returns the number of threads of the library, by their names.
func count_threads() -> int:
	var count := 0
	for task in DirAccess.get_directories_at("/proc/self/task"):
		var name := FileAccess.open("/proc/self/task/%s/comm" % task, FileAccess.READ).get_line()
		count += int(name.begins_with("framewire") or name.begins_with("fw-"))
	return count


func check(holds: bool, what: String) -> void:
	if not holds:
		failed += 1
		print("FAILED ", what)
