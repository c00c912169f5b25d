extends SceneTree
## Uses the chat of the demo as a player does. Copied into its project.


func _initialize() -> void:
	run()


func run() -> void:
	await process_frame
	var chat: Control = load("res://chat.tscn").instantiate()
	root.add_child(chat)
	chat.get_node("Top/Url").text = OS.get_environment("FRAMEWIRE_WS")
	chat.get_node("Top/Connect").pressed.emit()
	var passed := await until_shown(chat, "connected to")
	chat.get_node("Line").text_submitted.emit("hello")
	passed = passed and await until_shown(chat, "< hello")
	chat.get_node("Top/Connect").pressed.emit()
	passed = passed and await until_shown(chat, "closed: 1000")
	print("1 passed, 0 failed" if passed else "0 passed, 1 failed")
	chat.free()
	quit(int(not passed))


func until_shown(chat: Control, text: String) -> bool:
	var deadline := Time.get_ticks_msec() + 20_000
	while not text in chat.get_node("Log").get_parsed_text():
		if Time.get_ticks_msec() > deadline:
			print("FAILED the chat does not show \"%s\":\n%s" % [text, chat.get_node("Log").get_parsed_text()])
			return false
		await process_frame
	return true
