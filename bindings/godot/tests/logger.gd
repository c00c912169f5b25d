extends Logger
## Records errors that Godot prints, and calls a function for each.

var errors: PackedStringArray = []
var on_error := Callable()


func _log_error(_function: String, _file: String, _line: int, code: String, rationale: String, _notify: bool, _type: int, _backtraces: Array[ScriptBacktrace]) -> void:
	errors.append("%s %s" % [code, rationale])
	if on_error.is_valid():
		on_error.call()
