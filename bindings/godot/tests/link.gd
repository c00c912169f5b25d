extends "res://suite.gd"
## Tests the simulated link.


## Returns how many milliseconds an echo takes.
func echo_time(socket: RefCounted) -> int:
	var start := Time.get_ticks_msec()
	equal(socket.send_text("echo"), OK, "send_text")
	await until(func() -> bool: return socket.get_available_packet_count() > 0, "the echo", [socket])
	socket.get_packets()
	return Time.get_ticks_msec() - start


func test_link_delays_connecting_and_messages() -> bool:
	if not can("link"):
		return refuses({"link_conditions": {"out_delay_ms": 100}})
	var socket := new_socket()
	socket.link_conditions = {"out_delay_ms": 50, "in_delay_ms": 30, &"seed": 7}
	equal(socket.link_conditions.out_delay_ms, 50, "delay")
	equal(socket.link_conditions.stall_ms, 0, "a condition with its default")
	var start := Time.get_ticks_msec()
	socket.connect_to_url(ws + "/")
	await until_state(socket, WebSocketPeer.STATE_OPEN)
	check(Time.get_ticks_msec() - start >= 80, "connected after %d ms" % (Time.get_ticks_msec() - start))
	var time: int = await echo_time(socket)
	check(time >= 80, "an echo after %d ms" % time)
	return true


func test_link_of_an_open_socket_can_change() -> bool:
	var socket := await open_socket()
	if not can("link"):
		socket.link_conditions = {"out_delay_ms": 100}
		equal(socket.link_conditions, {}, "conditions")
		check("a browser" in socket.get_last_error().message, "%s" % socket.get_last_error())
		return true
	socket.link_conditions = {"in_delay_ms": 100}
	var time: int = await echo_time(socket)
	check(time >= 100, "an echo after %d ms" % time)
	socket.link_conditions = {}
	equal(socket.link_conditions, {}, "conditions")
	time = await echo_time(socket)
	equal(socket.get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
	return true


func test_each_cut_fails_as_the_real_failure() -> bool:
	if not can("link"):
		return skip("link")
	var socket := await open_socket()
	var log := record(socket, ["closed", "failed"])
	socket.link_conditions = {"cut": socket.LINK_CUT_RESET}
	await until_ended(log, socket)
	equal([log[0].slice(0, 2), socket.get_last_error().kind], [["failed", "open"], "reset"], "reset")
	log.clear()
	socket.link_conditions = {"cut": socket.LINK_CUT_REFUSE}
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_ended(log, socket)
	equal([log[0].slice(0, 2), socket.get_last_error().kind], [["failed", "connect"], "refused"], "refused")
	log.clear()
	socket.link_conditions = {"cut": socket.LINK_CUT_STALL}
	socket.connect_timeout = 0.1
	equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url")
	await until_ended(log, socket)
	equal(socket.get_last_error().kind, "timed_out", "kind of a stall")
	return true


func test_global_link_applies_to_all_sockets() -> bool:
	var socket := await open_socket()
	if not can("link"):
		equal(socket.set_global_link_conditions({"in_delay_ms": 100}), ERR_UNAVAILABLE, "set_global_link_conditions")
		equal(socket.set_global_link_conditions({}), OK, "no conditions")
		return true
	equal(socket.set_global_link_conditions({"in_delay_ms": 100}), OK, "set_global_link_conditions")
	var another := await open_socket()
	for each: RefCounted in [socket, another]:
		var time: int = await echo_time(each)
		check(time >= 100, "an echo after %d ms" % time)
	equal(socket.link_conditions, {}, "conditions of the socket itself")
	for invalid: Dictionary in [{"delay": 5}, {"cut": 6}, {"out_delay_ms": 60001}]:
		equal(socket.set_global_link_conditions(invalid), ERR_INVALID_PARAMETER, "%s" % invalid)
	equal(socket.set_global_link_conditions({}), OK, "no conditions")
	equal((await open_socket()).get_ready_state(), WebSocketPeer.STATE_OPEN, "state")
	return true


func test_invalid_conditions_are_refused() -> bool:
	if not can("link"):
		return skip("link")
	for state: String in ["closed", "open"]:
		var socket := new_socket() if state == "closed" else await open_socket()
		socket.link_conditions = {"seed": 3}
		for case: Array in [
			[{"delay": 5}, "\"delay\""], [{5: 5}, "String"], [{"out_delay_ms": -1}, "out_delay_ms is -1"], [{"cut": 6}, "cut is 6"],
			[{"cut": -1}, "cut is -1"], [{"in_jitter_ms": 1.5}, "in_jitter_ms must be an int"], [{"burst_bytes": 4294967296}, "4294967295"],
			[{"seed": "x"}, "seed must be an int"],
		]:
			socket.link_conditions = case[0]
			equal(socket.link_conditions.seed, 3, "seed after %s" % [case[0]])
			check(case[1] in socket.get_last_error().get("message", ""), "%s: %s" % [case[0], socket.get_last_error()])
	for conditions: Dictionary in [{"out_delay_ms": 60001}, {"jitter_max_ms": 60001}, {"stall_every_ms": 3600001}, {"stall_every_ms": 5, "stall_ms": 5}, {"stall_ms": 1}]:
		var socket := new_socket()
		socket.link_conditions = conditions
		equal(socket.connect_to_url(ws + "/"), ERR_INVALID_PARAMETER, "connect_to_url with %s" % conditions)
		socket.link_conditions = {}
		equal(socket.connect_to_url(ws + "/"), OK, "connect_to_url without")
		await until_state(socket, WebSocketPeer.STATE_OPEN)
		socket.link_conditions = conditions
		equal(socket.link_conditions, {}, "conditions of an open socket after %s" % conditions)
	return true
