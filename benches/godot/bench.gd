extends SceneTree
## Measures one way to receive or send, with one class, and prints a line of JSON:
##
##     godot --headless --path . --script res://bench.gd -- WAY CLASS URL SIZE SOCKETS COUNT
##
## WAY is `packet`, `packets`, `signal`, `batch` or `send`; CLASS is `FramewireSocket` or `WebSocketPeer`. All
## sockets are polled in one loop, as in one `_process`, with a pause of one millisecond after each round: a
## frame. In each frame 1000 messages arrive or are sent, shared by all sockets. The time is that of all threads
## of the process.

const PAUSE_USEC := 1000
const TIMEOUT_MSEC := 60_000
const MESSAGES_PER_FRAME := 1000
## Sent batches that the server has not acknowledged.
const BATCHES := 2
## The queues of both classes hold what arrives in one frame.
const BUFFER_BYTES := 4 * 1024 * 1024
const PACKETS := 65536

var received := 0
var bytes := 0
var requested := 0
var deadline := 0


func _process(_delta: float) -> bool:
	var arguments := OS.get_cmdline_user_args()
	var way := arguments[0]
	var is_peer := arguments[1] == "WebSocketPeer"
	var size := int(arguments[3])
	var count := int(arguments[5])
	var url := arguments[2] + ("/sink" if way == "send" else "/flood/%d" % size)
	deadline = Time.get_ticks_msec() + TIMEOUT_MSEC
	var peers: Array[WebSocketPeer] = []
	var sockets: Array[FramewireSocket] = []
	for i in int(arguments[4]):
		if is_peer:
			peers.append(open_peer(url))
		else:
			sockets.append(open_socket(url, way))
	var before := 0
	for share: int in [count / 10, count]:
		var each := maxi(1, share / int(arguments[4]))
		received = 0
		bytes = 0
		before = cpu_nsec()
		if way == "send":
			if is_peer:
				send_peers(peers, size, each)
			else:
				send_sockets(sockets, size, each)
		else:
			requested = 0
			var total := each * int(arguments[4])
			if is_peer:
				receive_peers(peers, total)
			elif way == "packet":
				receive_packet(sockets, total)
			elif way == "packets":
				receive_packets(sockets, total)
			else:
				receive_signals(sockets, total)
			if bytes != total * size:
				printerr("received %d of %d bytes" % [bytes, total * size])
				quit(1)
				return true
	var cpu := cpu_nsec() - before
	print(JSON.stringify({"count": received, "cpu_ns": cpu}))
	return true


func open_peer(url: String) -> WebSocketPeer:
	var peer := WebSocketPeer.new()
	peer.inbound_buffer_size = BUFFER_BYTES
	peer.outbound_buffer_size = BUFFER_BYTES
	peer.max_queued_packets = PACKETS
	peer.connect_to_url(url)
	while peer.get_ready_state() != WebSocketPeer.STATE_OPEN and in_time():
		peer.poll()
		OS.delay_usec(PAUSE_USEC)
	peer.set_no_delay(true)
	return peer


func open_socket(url: String, way: String) -> FramewireSocket:
	var socket := FramewireSocket.new()
	socket.max_queued_packets = PACKETS
	if way == "signal":
		socket.binary_received.connect(on_binary)
	if way == "batch":
		socket.packets_received.connect(on_packets)
	socket.connect_to_url(url)
	while socket.get_ready_state() != FramewireSocket.STATE_OPEN and in_time():
		socket.poll()
		OS.delay_usec(PAUSE_USEC)
	return socket


func on_binary(data: PackedByteArray) -> void:
	received += 1
	bytes += data.size()


func on_packets(packets: Array) -> void:
	for packet: PackedByteArray in packets:
		received += 1
		bytes += packet.size()


func receive_peers(peers: Array[WebSocketPeer], total: int) -> void:
	while received < total and in_time():
		if received == requested:
			for peer in peers:
				peer.send_text(str(MESSAGES_PER_FRAME / peers.size()))
			requested += MESSAGES_PER_FRAME
		OS.delay_usec(PAUSE_USEC)
		for peer in peers:
			peer.poll()
			while peer.get_available_packet_count() > 0:
				var packet := peer.get_packet()
				received += 1
				bytes += packet.size()


func receive_packet(sockets: Array[FramewireSocket], total: int) -> void:
	while received < total and in_time():
		request(sockets)
		for socket in sockets:
			socket.poll()
			while socket.get_available_packet_count() > 0:
				var packet := socket.get_packet()
				received += 1
				bytes += packet.size()


func receive_packets(sockets: Array[FramewireSocket], total: int) -> void:
	while received < total and in_time():
		request(sockets)
		for socket in sockets:
			socket.poll()
			for packet: PackedByteArray in socket.get_packets():
				received += 1
				bytes += packet.size()


func receive_signals(sockets: Array[FramewireSocket], total: int) -> void:
	while received < total and in_time():
		request(sockets)
		for socket in sockets:
			socket.poll()


## Requests the messages of the next frame, and waits for it.
func request(sockets: Array[FramewireSocket]) -> void:
	if received == requested:
		for socket in sockets:
			socket.send_text(str(MESSAGES_PER_FRAME / sockets.size()))
		requested += MESSAGES_PER_FRAME
	OS.delay_usec(PAUSE_USEC)


## The server answers each batch with a text.
func send_peers(peers: Array[WebSocketPeer], size: int, each: int) -> void:
	var message := PackedByteArray()
	message.resize(size)
	var batch := MESSAGES_PER_FRAME / peers.size()
	var batches := maxi(1, each / batch)
	var sent := PackedInt32Array()
	var acknowledged := PackedInt32Array()
	sent.resize(peers.size())
	acknowledged.resize(peers.size())
	var done := 0
	for peer in peers:
		peer.send_text(str(batch))
	while done < peers.size() and in_time():
		for i in peers.size():
			var peer := peers[i]
			if sent[i] < batches and sent[i] - acknowledged[i] < BATCHES:
				for n in batch:
					if peer.send(message) == OK:
						received += 1
				sent[i] += 1
			peer.poll()
			while peer.get_available_packet_count() > 0:
				peer.get_packet()
				acknowledged[i] += 1
				if acknowledged[i] == batches:
					done += 1
		OS.delay_usec(PAUSE_USEC)


func send_sockets(sockets: Array[FramewireSocket], size: int, each: int) -> void:
	var message := PackedByteArray()
	message.resize(size)
	var batch := MESSAGES_PER_FRAME / sockets.size()
	var batches := maxi(1, each / batch)
	var sent := PackedInt32Array()
	var acknowledged := PackedInt32Array()
	sent.resize(sockets.size())
	acknowledged.resize(sockets.size())
	var done := 0
	for socket in sockets:
		socket.send_text(str(batch))
	while done < sockets.size() and in_time():
		for i in sockets.size():
			var socket := sockets[i]
			if sent[i] < batches and sent[i] - acknowledged[i] < BATCHES:
				for n in batch:
					if socket.send(message) == OK:
						received += 1
				sent[i] += 1
			socket.poll()
			while socket.get_available_packet_count() > 0:
				socket.get_packet()
				acknowledged[i] += 1
				if acknowledged[i] == batches:
					done += 1
		OS.delay_usec(PAUSE_USEC)


func in_time() -> bool:
	return Time.get_ticks_msec() < deadline


## The CPU time of all threads in nanoseconds.
func cpu_nsec() -> int:
	var total := 0
	for task in DirAccess.get_directories_at("/proc/self/task"):
		var file := FileAccess.open("/proc/self/task/%s/schedstat" % task, FileAccess.READ)
		if file != null:
			total += int(file.get_line().get_slice(" ", 0))
	return total
