extends SceneTree
## Runs the suites: godot --headless --path . --script res://run.gd

const SUITES := [
	"res://api.gd",
	"res://compatibility.gd",
	"res://signals.gd",
	"res://packets.gd",
	"res://calls.gd",
	"res://closing.gd",
	"res://settings.gd",
	"res://tls.gd",
	"res://node.gd",
]


func _initialize() -> void:
	Engine.max_fps = 500
	run()


func run() -> void:
	# The tree is complete after the first frame.
	await process_frame
	if not ClassDB.class_exists("FramewireSocket"):
		printerr("The extension is not loaded.")
		quit(2)
		return
	var passed := 0
	var failed := 0
	var only := OS.get_environment("FRAMEWIRE_ONLY")
	for path: String in SUITES:
		var script: GDScript = load(path)
		if script == null or not script.can_instantiate():
			failed += 1
			print("FAILED %s does not compile" % path)
			continue
		var suite: RefCounted = script.new()
		suite.tree = self
		for method in suite.get_method_list():
			var name: String = method.name
			if not name.begins_with("test_") or not (only.is_empty() or name.contains(only)):
				continue
			suite.failures = []
			var completed: Variant = await suite.call(name)
			suite.clean_up()
			if completed != true:
				suite.failures.append("a script error ended the test")
			if suite.failures.is_empty():
				passed += 1
			else:
				failed += 1
				print("FAILED %s %s" % [path, name])
				for failure in suite.failures:
					print("  ", failure)
	print("%d passed, %d failed" % [passed, failed])
	quit(mini(failed, 100))
