extends "res://suite.gd"
## Tests captures of the traffic.


## Waits until the file contains the text, and returns its content as text.
func content_with(path: String, text: String) -> String:
	var content := [""]
	var is_written := func() -> bool:
		content[0] = FileAccess.get_file_as_bytes(path).get_string_from_ascii() if FileAccess.file_exists(path) else ""
		return FileAccess.file_exists(path) and contains(FileAccess.get_file_as_bytes(path), text)
	await until(is_written, "%s in the capture" % text, [])
	return content[0]


## Returns whether the bytes contain the text.
func contains(bytes: PackedByteArray, text: String) -> bool:
	return bytes.hex_encode().contains(text.to_utf8_buffer().hex_encode())


func path_of(name: String) -> String:
	var path := ProjectSettings.globalize_path("user://" + name)
	DirAccess.remove_absolute(path)
	return path


func test_traffic_of_a_socket_is_captured() -> bool:
	if not can("capture"):
		return refuses({"capture_path": "x.pcapng"})
	var path := path_of("one.pcapng")
	var socket := new_socket()
	socket.capture_path = path
	socket.set_bearer_auth("s3cr3t")
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	socket.send_text("captured")
	# What the server sends is not masked.
	await content_with(path, "captured")
	check(not contains(FileAccess.get_file_as_bytes(path), "s3cr3t"), "a secret is in the file")
	socket.close()
	await until_state(socket, WebSocketPeer.STATE_CLOSED)
	return true


func test_traffic_of_all_sockets_is_captured() -> bool:
	if not can("capture"):
		equal(new_socket().set_global_capture("x.pcapng"), ERR_UNAVAILABLE, "set_global_capture")
		equal(new_socket().set_global_capture("x.pcapng", 1, true), ERR_UNAVAILABLE, "set_global_capture")
		equal(new_socket().set_global_capture(""), OK, "set_global_capture without a path")
		return true
	var path := path_of("all.pcapng")
	equal(new_socket().set_global_capture(path), OK, "set_global_capture")
	var socket := await open_socket()
	socket.send_text("captured")
	await content_with(path, "captured")
	equal(socket.set_global_capture(""), OK, "set_global_capture without a path")
	await content_with(path, "were not captured")
	return true


func test_options_of_a_global_capture_apply() -> bool:
	if not can("capture"):
		return skip("captures")
	var path := path_of("options.pcapng")
	var socket := new_socket()
	equal(socket.set_global_capture(path, -1), ERR_INVALID_PARAMETER, "set_global_capture with a negative size")
	equal(socket.set_global_capture(path, 1 << 20, true), OK, "set_global_capture")
	socket.set_bearer_auth("s3cr3t")
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	await content_with(path, "s3cr3t")
	equal(socket.set_global_capture(""), OK, "set_global_capture without a path")
	return true
