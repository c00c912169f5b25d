class_name Framewire
extends RefCounted
## Creates sockets in native builds and in the Web export.
##
## A GDExtension cannot be loaded in the Web export of this addon, and a script that names the class
## [code]FramewireSocket[/code] does not parse where the extension is absent. [method create_socket] works everywhere:
## [codeblock]
## var socket := Framewire.create_socket()
##
## func _ready() -> void:
##     socket.text_received.connect(func(text: String) -> void: print(text))
##     socket.connect_to_url("wss://example.org/play")
##
## func _process(_delta: float) -> void:
##     socket.poll()
## [/codeblock]
## Compare states with the constants of [WebSocketPeer], such as [constant WebSocketPeer.STATE_OPEN]: they have the same
## values, and exist everywhere.

const _EXTENSION_CLASS := &"FramewireSocket"
const _EXTENSION_FILE := "res://addons/framewire/framewire.gdextension"
const _WebSocket := preload("web/socket.gd")

static var _has_warned := false


## Creates a socket: a [code]FramewireSocket[/code] if the extension is loaded, and otherwise an object with the same
## methods, properties, signals and constants on top of [WebSocketPeer].
static func create_socket() -> RefCounted:
	if has_extension():
		return ClassDB.instantiate(_EXTENSION_CLASS)
	if not _has_warned and not get_missing_library().is_empty():
		_has_warned = true
		push_warning(get_missing_library())
	return _WebSocket.new()


## Returns whether the extension is loaded. If it is not, as in the Web export, only what a browser can do is available.
static func has_extension() -> bool:
	return ClassDB.class_exists(_EXTENSION_CLASS)


## Returns which library of the extension is missing, for which platform, and how to get it. Empty if the extension is
## loaded, and where there is none, as in the Web export. [method create_socket] prints it as a warning.
static func get_missing_library() -> String:
	var file := ConfigFile.new()
	if has_extension() or OS.has_feature("web") or file.load(_EXTENSION_FILE) != OK:
		return ""
	return _explain(file)


static func _explain(file: ConfigFile) -> String:
	var platform := "%s %s" % [OS.get_name(), Engine.get_architecture_name()]
	for key in file.get_section_keys("libraries"):
		if Array(key.split(".")).all(func(feature: String) -> bool: return OS.has_feature(feature)):
			var path := _EXTENSION_FILE.get_base_dir().path_join(file.get_value("libraries", key) as String)
			return (
				"The extension of Framewire for %s cannot be loaded: %s. If the file is missing, install the addon of a "
				+ "release, which contains the libraries of all platforms, or build it with `cargo xtask dist`. Sockets use "
				+ "WebSocketPeer instead."
			) % [platform, path]
	return "The extension of Framewire has no library for %s. Sockets use WebSocketPeer instead." % platform
