extends VBoxContainer
## A chat with a server that echoes text: cargo run -p framewire-servers -- --ws-port 9001

## Works in native builds and in the Web export.
var socket := Framewire.create_socket()

@onready var log_view: RichTextLabel = $Log
@onready var status: Label = $Status
@onready var line: LineEdit = $Line
@onready var button: Button = $Top/Connect


func _ready() -> void:
	if Framewire.has_extension():
		# A ping per second keeps the latency current and detects a dead server.
		socket.heartbeat_interval = 1.0
		socket.heartbeat_timeout = 5.0
	socket.opened.connect(_on_opened)
	socket.text_received.connect(_on_text_received)
	socket.binary_received.connect(_on_binary_received)
	socket.closed.connect(_on_closed)
	socket.failed.connect(_on_failed)


func _process(_delta: float) -> void:
	socket.poll()
	if socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
		var latency: float = socket.get_latency()
		status.text = "open" if latency < 0.0 else "open, %.1f ms" % (latency * 1000.0)


func _on_connect_pressed() -> void:
	if socket.get_ready_state() != WebSocketPeer.STATE_CLOSED:
		socket.close()
		return
	if socket.connect_to_url($Top/Url.text) == OK:
		button.text = "Close"
		status.text = "connecting"
	else:
		say(socket.get_last_error().message)


func _on_line_submitted(text: String) -> void:
	if socket.send_text(text) == OK:
		say("> " + text)
		line.clear()
	else:
		say("not sent: the connection is not open")


func _on_opened() -> void:
	say("connected to " + socket.get_requested_url())


func _on_text_received(text: String) -> void:
	say("< " + text)


func _on_binary_received(data: PackedByteArray) -> void:
	say("< %d bytes" % data.size())


func _on_closed(code: int, reason: String) -> void:
	show_end("closed: %d %s" % [code, reason])


func _on_failed(phase: String, _http_status: int, reason: String, retriable: bool) -> void:
	show_end("failed (%s): %s%s" % [phase, reason, " (retriable)" if retriable else ""])


func show_end(message: String) -> void:
	say(message)
	status.text = "closed"
	button.text = "Connect"


func say(text: String) -> void:
	log_view.add_text(text + "\n")
