extends "res://suite.gd"
## Tests that the samples of the manual parse, with and without the extension.

const MANUAL := "res://addons/framewire/README.md"


## Compiles the samples. Those that are not whole scripts may use a socket and a node of the extension.
func test_samples_of_the_manual_parse() -> bool:
	if not FileAccess.file_exists(MANUAL):
		return skip("the manual, which is not exported")
	var samples := FileAccess.get_file_as_string(MANUAL).split("```gdscript\n").slice(1)
	check(samples.size() >= 2, "only %d samples" % samples.size())
	for sample in samples:
		var source := sample.split("\n```")[0]
		var is_for_extension := "FramewireSocket" in source or "FramewireNode" in source
		if is_for_extension and not has_extension:
			check(false, "the sample needs the extension:\n" + source)
			continue
		if not source.begins_with("extends"):
			source = "extends Node\nvar socket := Framewire.create_socket()\nfunc run() -> void:\n" + source.indent("\t")
		var script := GDScript.new()
		script.source_code = source
		equal(script.reload(), OK, "a sample does not parse:\n" + source)
	return true
