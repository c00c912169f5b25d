extends Node
## Runs the suites: the main scene of the project, because an exported project can start nothing else.

const Suite := preload("res://suite.gd")
const SUITES := [
	"res://api.gd",
	"res://compatibility.gd",
	"res://signals.gd",
	"res://packets.gd",
	"res://lanes.gd",
	"res://capture.gd",
	"res://link.gd",
	"res://calls.gd",
	"res://closing.gd",
	"res://settings.gd",
	"res://tls.gd",
	"res://diagnostics.gd",
	"res://node.gd",
	"res://multiplayer.gd",
	"res://web_export.gd",
	"res://manual.gd",
]


func _ready() -> void:
	Engine.max_fps = 500
	run()


func run() -> void:
	# The tree is complete after the first frame.
	await get_tree().process_frame
	var passed := 0
	var failed := 0
	# The number of tests by what they are about.
	var skipped := {}
	var only := Suite.parameter("FRAMEWIRE_ONLY")
	for path: String in SUITES:
		var script: GDScript = load(path)
		if script == null or not script.can_instantiate():
			failed += 1
			print("FAILED %s does not compile" % path)
			continue
		var suite: RefCounted = script.new()
		suite.tree = get_tree()
		for method in suite.get_method_list():
			var name: String = method.name
			if not name.begins_with("test_") or not (only.is_empty() or name.contains(only)):
				continue
			suite.failures = []
			suite.skipped = ""
			var completed: Variant = await suite.call(name)
			suite.clean_up()
			if completed != true:
				suite.failures.append("a script error ended the test")
			if suite.failures.is_empty() and not suite.skipped.is_empty():
				skipped[suite.skipped] = skipped.get(suite.skipped, 0) + 1
			elif suite.failures.is_empty():
				passed += 1
			else:
				failed += 1
				print("FAILED %s %s" % [path, name])
				for failure in suite.failures:
					print("  ", failure)
	if not skipped.is_empty():
		print("skipped: ", skipped)
	var tested := "extension" if Framewire.has_extension() else "browser" if OS.has_feature("web") else "fallback"
	print("%s: %d passed, %d failed" % [tested, passed, failed])
	get_tree().quit(mini(failed, 100))
