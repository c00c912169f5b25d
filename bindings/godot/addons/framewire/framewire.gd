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
const _WebSocket := preload("web/socket.gd")


## Creates a socket: a [code]FramewireSocket[/code] if the extension is loaded, and otherwise an object with the same
## methods, properties, signals and constants on top of [WebSocketPeer].
static func create_socket() -> RefCounted:
	if has_extension():
		return ClassDB.instantiate(_EXTENSION_CLASS)
	return _WebSocket.new()


## Returns whether the extension is loaded. If it is not, as in the Web export, only what a browser can do is available.
static func has_extension() -> bool:
	return ClassDB.class_exists(_EXTENSION_CLASS)
