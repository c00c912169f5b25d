extends SceneTree
## Quits while sockets are connecting, open, sending and receiving, with a node in the tree. The process
## must exit quickly and cleanly.

var sockets := []
var box := {"opened": 0, "messages": 0}


func _initialize() -> void:
	var ws := OS.get_environment("FRAMEWIRE_WS").trim_suffix("/")
	for i in 8:
		var socket: RefCounted = ClassDB.instantiate("FramewireSocket")
		socket.opened.connect(func() -> void: box.opened += 1)
		socket.binary_received.connect(func(_data: PackedByteArray) -> void: box.messages += 1)
		socket.connect_to_url(ws + "/push?hz=1000&size=1000")
		sockets.append(socket)
	var node: Node = ClassDB.instantiate("FramewireNode")
	root.add_child(node)
	node.connect_to_url(ws + "/count?n=1000000&size=1000")
	sockets.append(node.socket)


func _process(_delta: float) -> bool:
	for socket: RefCounted in sockets:
		socket.poll()
		if socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
			socket.send("unanswered".to_utf8_buffer())
	if box.opened < 8 or box.messages < 100:
		return false
	var late: RefCounted = ClassDB.instantiate("FramewireSocket")
	late.connect_to_url("wss://127.0.0.1:1/")
	sockets.append(late)
	print("1 passed, 0 failed")
	quit()
	return true
