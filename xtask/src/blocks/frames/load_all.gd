# Loads block_0.gd, block_1.gd and so on, as many as the argument says. Godot prints the errors.
extends SceneTree


func _init() -> void:
	var count := OS.get_cmdline_user_args()[0].to_int()
	var failed := 0
	for index in count:
		var script := load("res://block_%d.gd" % index) as GDScript
		if script == null or not script.can_instantiate():
			failed += 1
	print("%d scripts loaded, %d failed" % [count - failed, failed])
	quit(0 if failed == 0 else 1)
