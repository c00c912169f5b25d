extends SceneTree
## Uses the scenes of the demo as a player does. Copied into its project.


func _initialize() -> void:
	run()


func run() -> void:
	await process_frame
	var passed := int(await use_chat()) + int(await use_state_sync())
	print("%d passed, %d failed" % [passed, 2 - passed])
	quit(int(passed < 2))


func use_chat() -> bool:
	var chat: Control = load("res://chat.tscn").instantiate()
	root.add_child(chat)
	chat.get_node("Top/Url").text = OS.get_environment("FRAMEWIRE_WS")
	chat.get_node("Top/Connect").pressed.emit()
	var shows := func(text: String) -> bool: return text in chat.get_node("Log").get_parsed_text()
	var passed: bool = await until(shows.bind("connected to"), "the chat is not connected")
	chat.get_node("Line").text_submitted.emit("hello")
	passed = passed and await until(shows.bind("< hello"), "the chat shows no echo")
	chat.get_node("Top/Connect").pressed.emit()
	passed = passed and await until(shows.bind("closed: 1000"), "the chat is not closed")
	chat.free()
	return passed


func use_state_sync() -> bool:
	var scene: Control = load("res://state_sync.tscn").instantiate()
	root.add_child(scene)
	scene.get_node("Top/Url").text = OS.get_environment("FRAMEWIRE_WS")
	scene.get_node("Top/Connect").pressed.emit()
	scene.get_node("Transfer").button_pressed = true
	var passed: bool = await until(func() -> bool: return scene.transferred > 4 << 20, "nothing is transferred")
	passed = passed and await until(func() -> bool: return scene.states_received > 100, "no states are received")
	if Framewire.has_extension():
		scene.get_node("SlowLink").button_pressed = true
		passed = passed and await until(func() -> bool: return scene.latency > 0.12, "the link is not slow")
		scene.get_node("SlowLink").button_pressed = false
	passed = passed and scene.outcomes.get(scene.socket.OUTCOME_LOST, 0) == 0
	scene.get_node("Top/Connect").pressed.emit()
	passed = passed and await until(func() -> bool: return "closed: 1000" in scene.get_node("Status").text, "the state sync is not closed")
	scene.free()
	return passed


func until(done: Callable, problem: String) -> bool:
	var deadline := Time.get_ticks_msec() + 20_000
	while not done.call():
		if Time.get_ticks_msec() > deadline:
			print("FAILED ", problem)
			return false
		await process_frame
	return true
