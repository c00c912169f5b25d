extends "res://suite.gd"
## Tests TLS settings, by property and by Godot's TLSOptions.


func ca_pem() -> String:
	return FileAccess.get_file_as_string(ca_path)


func ca() -> X509Certificate:
	var certificate := X509Certificate.new()
	equal(certificate.load(ca_path), OK, "the CA's certificate")
	return certificate


## A browser verifies certificates itself.
func test_tls_settings_are_refused_in_a_browser() -> bool:
	if can("tls"):
		return skip("limits of the Web export")
	equal(new_socket().connect_to_url(wss + "/", RefCounted.new()), ERR_INVALID_PARAMETER, "not a TLSOptions")
	for options: TLSOptions in [TLSOptions.client_unsafe(), TLSOptions.client(X509Certificate.new()), TLSOptions.client(null, "other.example")]:
		var socket := new_socket()
		equal(socket.connect_to_url(wss + "/", options), ERR_UNAVAILABLE, "connect_to_url")
		check("tls_client_options" in socket.get_last_error().message, socket.get_last_error().message)
	equal(new_socket().connect_to_url(ws + "/", TLSOptions.client()), OK, "the default")
	return refuses({
		"tls_ca_pem": "pem", "tls_pins": PackedStringArray(["pin"]), "tls_client_cert_pem": "pem", "tls_client_key_pem": "pem",
		"tls_roots": 2, "tls_insecure": true,
	})


## An unknown authority is rejected without saying so.
func test_failed_verification_has_no_details() -> bool:
	if can("tls"):
		return skip("limits of the Web export")
	equal(await outcome(new_socket()), "connect", "outcome")
	return true


## Returns the result of connecting: "opened", or the phase in which it failed.
func outcome(socket: RefCounted, options: TLSOptions = null) -> String:
	var log := record(socket, ["opened", "failed"])
	var result: int = socket.connect_to_url(wss + "/", options)
	if result != OK:
		return error_string(result)
	await until(func() -> bool: return not log.is_empty(), "opened or failed", [socket])
	return "" if log.is_empty() else "opened" if log[0][0] == "opened" else log[0][1]


func test_unknown_authority_is_rejected() -> bool:
	if not can("tls"):
		return skip("tls")
	var socket := new_socket()
	equal(await outcome(socket), "tls", "outcome")
	equal(socket.get_last_error().kind, "tls", "kind")
	check(not socket.get_last_error().retriable, "retriable")
	check("add it with tls_ca_pem" in socket.get_last_error().message, socket.get_last_error().message)
	return true


func test_authority_can_be_set_by_property() -> bool:
	if not can("tls"):
		return skip("tls")
	for roots: int in 3:
		var socket := new_socket()
		socket.tls_ca_pem = ca_pem()
		socket.tls_roots = roots
		equal(await outcome(socket), "opened", "outcome with roots %d" % roots)
		if socket.get_ready_state() == WebSocketPeer.STATE_OPEN:
			socket.send_text("secret")
			await until(func() -> bool: return socket.get_available_packet_count() == 1, "the echo", [socket])
			equal(socket.get_packet().get_string_from_utf8(), "secret", "echo")
	return true


func test_authority_can_be_set_by_tls_options() -> bool:
	if not can("tls"):
		return skip("tls")
	equal(await outcome(new_socket(), TLSOptions.client(ca())), "opened", "outcome")
	return true


func test_verification_can_be_disabled() -> bool:
	if not can("tls"):
		return skip("tls")
	var socket := new_socket()
	socket.tls_insecure = true
	equal(await outcome(socket), "opened", "by property")
	equal(await outcome(new_socket(), TLSOptions.client_unsafe()), "opened", "by TLSOptions")
	equal(await outcome(new_socket(), TLSOptions.client_unsafe(ca())), "opened", "with the CA")
	return true


func test_wrong_pin_is_rejected() -> bool:
	if not can("tls"):
		return skip("tls")
	var socket := new_socket()
	socket.tls_ca_pem = ca_pem()
	socket.tls_pins = PackedStringArray(["sha256//" + Marshalls.raw_to_base64("another key".sha256_buffer())])
	equal(await outcome(socket), "tls", "outcome with another pin")
	return true


func test_pins_apply_with_tls_options() -> bool:
	if not can("tls"):
		return skip("tls")
	var socket := new_socket()
	socket.tls_pins = PackedStringArray(["sha256//" + Marshalls.raw_to_base64("another key".sha256_buffer())])
	equal(await outcome(socket, TLSOptions.client(ca())), "tls", "outcome with another pin")
	return true


func test_unsupported_tls_options_are_rejected() -> bool:
	if not can("tls"):
		return skip("tls")
	var key := Crypto.new().generate_rsa(2048)
	equal(await outcome(new_socket(), TLSOptions.server(key, ca())), error_string(ERR_INVALID_PARAMETER), "server's")
	equal(await outcome(new_socket(), TLSOptions.client(ca(), "other.example")), error_string(ERR_UNAVAILABLE), "name override")
	equal(new_socket().connect_to_url(wss + "/", RefCounted.new()), ERR_INVALID_PARAMETER, "not a TLSOptions")
	for options: TLSOptions in [TLSOptions.client(X509Certificate.new()), TLSOptions.client_unsafe(X509Certificate.new())]:
		equal(new_socket().connect_to_url(wss + "/", options), ERR_INVALID_PARAMETER, "an empty certificate")
	return true


func test_reconnecting_with_the_same_settings_works() -> bool:
	if not can("tls"):
		return skip("tls")
	var socket := new_socket()
	socket.tls_ca_pem = ca_pem()
	for i in 3:
		equal(await outcome(socket), "opened", "outcome %d" % i)
		socket.close()
		await until_state(socket, WebSocketPeer.STATE_CLOSED)
	return true
