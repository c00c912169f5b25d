class_name Framewire
extends RefCounted
## Creates sockets and multiplayer peers in native builds and in the Web export.
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
const _EXTENSION_PEER_CLASS := &"FramewireMultiplayerPeer"
const _WebSocket := preload("web/socket.gd")

## Files of the extension in "bin" of this addon by system and CPU, and the targets of "cargo xtask dist" that build them.
const _LIBRARIES := {
	"Linux x86_64": ["linux.x86_64/libframewire_godot.so", "x86_64-unknown-linux-gnu"],
	"Linux arm64": ["linux.arm64/libframewire_godot.so", "aarch64-unknown-linux-gnu"],
	"Windows x86_64": ["windows.x86_64/framewire_godot.dll", "x86_64-pc-windows-gnu"],
	"macOS x86_64": ["macos/libframewire_godot.dylib", "aarch64-apple-darwin x86_64-apple-darwin"],
	"macOS arm64": ["macos/libframewire_godot.dylib", "aarch64-apple-darwin x86_64-apple-darwin"],
	"Android arm64": ["android.arm64/libframewire_godot.so", "aarch64-linux-android"],
	"Android arm32": ["android.arm32/libframewire_godot.so", "armv7-linux-androideabi"],
	"Android x86_64": ["android.x86_64/libframewire_godot.so", "x86_64-linux-android"],
	"iOS arm64": ["ios/libframewire_godot.xcframework", "aarch64-apple-ios aarch64-apple-ios-sim"],
}

## The values of [code]get_global_statistics()[/code] that the monitors show. All but the first and the last are rates.
const _MONITORS := {
	"framewire/sockets": "sockets",
	"framewire/messages_in_per_second": "messages_received",
	"framewire/messages_out_per_second": "messages_sent",
	"framewire/bytes_in_per_second": "bytes_received",
	"framewire/bytes_out_per_second": "bytes_sent",
	"framewire/queued_bytes": "queued_bytes",
}
const _SAMPLE_USEC := 500_000

static var _has_warned := false
## A socket, on which static methods can be called by both classes.
static var _statistics_source: RefCounted
## The last statistics, their time, and the rates between them and those before.
static var _sample := {}


## Creates a socket: a [code]FramewireSocket[/code] if the extension is loaded, and otherwise an object with the same
## methods, properties, signals and constants on top of [WebSocketPeer]. If the extension is not loaded in a native build, a
## warning says once which file is missing and how to get it.
static func create_socket() -> RefCounted:
	if has_extension():
		return ClassDB.instantiate(_EXTENSION_CLASS)
	_warn_of_missing_library()
	return _WebSocket.new()


## Creates a client for Godot's high-level multiplayer, on which [code]create_client(url)[/code] is to be called: a
## [code]FramewireMultiplayerPeer[/code] if the extension is loaded, and otherwise a [WebSocketMultiplayerPeer], which has
## the same properties. The server is a [WebSocketMultiplayerPeer] in both cases:
## [codeblock]
## func _ready() -> void:
##     var peer := Framewire.create_multiplayer_peer()
##     peer.create_client("wss://example.org/play")
##     multiplayer.multiplayer_peer = peer
## [/codeblock]
static func create_multiplayer_peer() -> MultiplayerPeer:
	if has_extension():
		return ClassDB.instantiate(_EXTENSION_PEER_CLASS)
	_warn_of_missing_library()
	return WebSocketMultiplayerPeer.new()


## Adds monitors to [Performance], which the debugger of the editor plots: [code]framewire/sockets[/code],
## [code]framewire/messages_in_per_second[/code], [code]framewire/messages_out_per_second[/code],
## [code]framewire/bytes_in_per_second[/code], [code]framewire/bytes_out_per_second[/code] and
## [code]framewire/queued_bytes[/code], the payload queued for sending. Rates are of the time since they were last computed,
## at least half a second.
static func add_monitors() -> void:
	if _statistics_source == null:
		_statistics_source = create_socket()
	for monitor: String in _MONITORS:
		if not Performance.has_custom_monitor(monitor):
			Performance.add_custom_monitor(monitor, _monitor.bind(_MONITORS[monitor]))


## Removes the monitors that [method add_monitors] has added.
static func remove_monitors() -> void:
	for monitor: String in _MONITORS:
		if Performance.has_custom_monitor(monitor):
			Performance.remove_custom_monitor(monitor)
	_statistics_source = null
	_sample = {}


## Returns whether the extension is loaded. If it is not, as in the Web export, only what a browser can do is available.
static func has_extension() -> bool:
	return ClassDB.class_exists(_EXTENSION_CLASS)


static func _monitor(name: String) -> float:
	var statistics: Dictionary = _statistics_source.get_global_statistics()
	if name in ["sockets", "queued_bytes"]:
		return statistics[name]
	var now := Time.get_ticks_usec()
	if _sample.is_empty():
		_sample = {"time": now, "statistics": statistics, "rates": {}}
	var elapsed: int = now - _sample.time
	if elapsed >= _SAMPLE_USEC:
		var rates := {}
		for counter: String in statistics:
			rates[counter] = (statistics[counter] - _sample.statistics[counter]) * 1e6 / elapsed
		_sample = {"time": now, "statistics": statistics, "rates": rates}
	return _sample.rates.get(name, 0.0)


static func _warn_of_missing_library() -> void:
	if not OS.has_feature("web") and not _has_warned:
		_has_warned = true
		push_warning(_missing_library(OS.get_name(), Engine.get_architecture_name()))


static func _missing_library(system: String, cpu: String) -> String:
	const FALLBACK := "Sockets use Godot's WebSocketPeer, with what it can do."
	var library: Array = _LIBRARIES.get("%s %s" % [system, cpu], [])
	if library.is_empty():
		return "Framewire has no library for %s (%s). %s" % [system, cpu, FALLBACK]
	return ("Framewire's extension is not loaded: it needs addons/framewire/bin/%s on %s (%s). If the file is missing, install "
		+ "the addon that 'cargo xtask dist' builds, which has the libraries of all platforms, or build it with "
		+ "'cargo xtask dist %s'. %s") % [library[0], system, cpu, library[1], FALLBACK]
