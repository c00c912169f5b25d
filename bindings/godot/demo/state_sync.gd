extends VBoxContainer
## Sends the states of some objects 60 times per second, beside a transfer in bulk, on one socket. For a server that echoes:
## cargo run -p framewire-servers -- --ws-port 9001
##
## A state has a key, so that a newer one replaces the one that still waits, and a time to live. The parts of the transfer
## wait in a lane of their own, behind the states.

const STATES := 0
const TRANSFER := 1
const LANES := [{"priority": 0}, {"priority": 1}]

const OBJECTS := 8
const STATE_SIZE := 20
## A state that is older than this is of no use.
const TTL_MS := 250
## Outcomes are counted, so all states have the same tag.
const TAG := 1

## A part that has begun holds up the states, so it is small.
const PART_SIZE := 16 * 1024
const MOST_WAITING := 256 * 1024

## 1 Mbit/s, 60 ms in each direction.
const SLOW_LINK := {"out_bytes_per_s": 125_000, "out_delay_ms": 60, "in_delay_ms": 60}

## Works in native builds and in the Web export.
var socket := Framewire.create_socket()
var part := PackedByteArray()
var outcomes := {}
var states_received := 0
var transferred := 0
var latency := 0.0

@onready var status: Label = $Status
@onready var button: Button = $Top/Connect
@onready var transfer: CheckButton = $Transfer
@onready var options: CheckButton = $Options


func _ready() -> void:
	part.resize(PART_SIZE)
	# No network can be simulated in a browser.
	$SlowLink.visible = Framewire.has_extension()
	socket.lanes = LANES
	socket.binary_received.connect(_on_binary_received)
	socket.sent.connect(_on_sent)
	socket.closed.connect(func(code: int, reason: String) -> void: show_end("closed: %d %s" % [code, reason]))
	socket.failed.connect(func(_phase: String, _status: int, reason: String, _retriable: bool) -> void: show_end(reason))


func _process(_delta: float) -> void:
	socket.poll()
	if socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
		if transfer.button_pressed:
			send_parts()
		show_status()


## Runs 60 times per second.
func _physics_process(_delta: float) -> void:
	if socket.get_ready_state() != WebSocketPeer.STATE_OPEN:
		return
	for id in OBJECTS:
		if options.button_pressed:
			socket.send_message(state_of(id), {"lane": STATES, "key": id + 1, "ttl_ms": TTL_MS, "tag": TAG})
		else:
			# To compare: in order with the parts, and each is sent.
			socket.send_message(state_of(id), {"lane": TRANSFER, "tag": TAG})


func state_of(id: int) -> PackedByteArray:
	var now := Time.get_ticks_usec()
	var angle := now / 1e6 + id
	var state := PackedByteArray()
	state.resize(STATE_SIZE)
	state.encode_u32(0, id)
	state.encode_u64(4, now)
	state.encode_float(12, cos(angle))
	state.encode_float(16, sin(angle))
	return state


## Keeps some parts in their lane, so that the connection is never idle, and memory stays bounded.
func send_parts() -> void:
	while socket.get_lane_statistics(TRANSFER).waiting_bytes < MOST_WAITING:
		if socket.send_message(part, {"lane": TRANSFER}) != OK:
			break


func _on_binary_received(data: PackedByteArray) -> void:
	if data.size() != STATE_SIZE:
		transferred += data.size()
		return
	states_received += 1
	latency = (Time.get_ticks_usec() - data.decode_u64(4)) / 1e6


func _on_sent(_tag: int, outcome: int) -> void:
	outcomes[outcome] = outcomes.get(outcome, 0) + 1


func _on_connect_pressed() -> void:
	if socket.get_ready_state() != WebSocketPeer.STATE_CLOSED:
		socket.close()
	elif socket.connect_to_url($Top/Url.text) == OK:
		button.text = "Close"
		status.text = "connecting"
	else:
		status.text = socket.get_last_error().message


func _on_slow_link_toggled(on: bool) -> void:
	socket.link_conditions = SLOW_LINK if on else {}


func show_status() -> void:
	status.text = "states: %d received, the last after %.1f ms, %d replaced, %d expired\ntransferred: %.1f MiB" % [
		states_received, latency * 1000.0, outcomes.get(socket.OUTCOME_REPLACED, 0), outcomes.get(socket.OUTCOME_EXPIRED, 0),
		transferred / 1048576.0
	]


func show_end(message: String) -> void:
	status.text = message
	button.text = "Connect"
