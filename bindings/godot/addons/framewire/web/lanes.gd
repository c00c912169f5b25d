extends RefCounted
## The lanes of a socket: messages wait here until they are given to the browser.
##
## Only what waits can be replaced or expire. Among lanes of equal priority, the message with the earliest start in
## virtual time is next: virtual time advances with the bytes that the lanes send, divided by their weights, and a lane
## that was idle starts at the current one.

const MAX_LANES := 8
const MAX_WEIGHT := 1000
const MAX_MESSAGES := 65_536

enum Outcome { SENT = 1, EXPIRED, REPLACED, LOST }

const _MIN_REMOVED := 64


class Message:
	var is_text := false
	var payload: PackedByteArray
	var lane := 0
	var key := 0
	var tag := 0
	## In microseconds; 0 for never.
	var ttl := 0
	## Set when the message is queued, in microseconds.
	var queued := 0
	var expires := 0


class Lane:
	var priority := 0
	var weight := 1
	var max_bytes := 0
	var messages: Array[Message] = []
	## The number of messages at the front that were removed. Erasing from the front of an array moves all others.
	var removed := 0
	## The waiting message with a key.
	var keys := {}
	var bytes := 0
	## No message expires before; 0 if none does.
	var expiry := 0
	## When its next message starts, in virtual time.
	var start := 0
	## When its last message started, in virtual time.
	var served := 0
	var queue_time_max := 0
	var queue_time_total := 0
	var begun := 0
	## The number of messages by their outcome.
	var ended := {Outcome.SENT: 0, Outcome.EXPIRED: 0, Outcome.REPLACED: 0, Outcome.LOST: 0}

	func count() -> int:
		return messages.size() - removed

	func pop() -> Message:
		var message := messages[removed]
		messages[removed] = null
		removed += 1
		if removed > _MIN_REMOVED and removed * 2 > messages.size():
			messages = messages.slice(removed)
			removed = 0
		forget(message)
		return message

	func expires_at(time: int) -> void:
		if time > 0:
			expiry = mini(expiry, time) if expiry > 0 else time

	## Updates what counts a message that leaves the lane.
	func forget(message: Message) -> void:
		bytes -= message.payload.size()
		if message.key != 0:
			keys.erase(message.key)


## The payload bytes of all waiting messages, and their number.
var bytes := 0
var count := 0

var _lanes: Array[Lane] = []
## Of messages with a tag, as [tag, outcome].
var _outcomes: Array[Array] = []


func _init(settings: Array) -> void:
	set_lanes(settings)


## Returns why the value cannot be the lanes of a socket, or an empty string.
static func problem_of(settings: Array) -> String:
	if settings.size() > MAX_LANES:
		return "the number of lanes must be 0 to %d" % MAX_LANES
	for index in settings.size():
		if not settings[index] is Dictionary:
			return "lane %d must be a Dictionary" % index
		for name: Variant in settings[index]:
			if not (name is String or name is StringName):
				return "the names of settings must be Strings"
			if not String(name) in ["priority", "weight", "max_bytes"]:
				return "the setting \"%s\" of lane %d is unknown; the settings are priority, weight and max_bytes" % [name, index]
			var value: Variant = settings[index][name]
			var what := "%s of lane %d" % [name, index]
			if not value is int:
				return "%s must be an int" % what
			var minimum := 1 if String(name) == "weight" else 0
			var maximum := {"priority": 0xffffffff, "weight": MAX_WEIGHT, "max_bytes": 0x7fffffffffffffff}[String(name)] as int
			if value < minimum or value > maximum:
				return "%s is %d, but must be %d to %d" % [what, value, minimum, maximum]
	return ""


## Returns the value with all settings.
static func complete(settings: Array) -> Array:
	var defaults := {"priority": 0, "weight": 1, "max_bytes": 0}
	return settings.map(func(lane: Dictionary) -> Dictionary: return lane.merged(defaults))


## Changes the lanes; the waiting messages stay where they are. Returns why it cannot, or an empty string. No lanes are the
## same as one.
func set_lanes(settings: Array) -> String:
	var all := complete(settings if not settings.is_empty() else [{}])
	for index in range(all.size(), _lanes.size()):
		if _lanes[index].count() > 0:
			return "lane %d has waiting messages and cannot be removed" % index
	while _lanes.size() < all.size():
		_lanes.append(Lane.new())
	_lanes.resize(all.size())
	for index in all.size():
		_lanes[index].priority = all[index].priority
		_lanes[index].weight = all[index].weight
		_lanes[index].max_bytes = all[index].max_bytes
	return ""


func size() -> int:
	return _lanes.size()


## Queues a message, or puts it in the place of the waiting message with its key. [param room] is what the limit of the
## socket leaves; one message may exceed it. Returns why nothing was queued, or an empty string.
func push(message: Message, room: int) -> String:
	message.queued = Time.get_ticks_usec()
	message.expires = message.queued + message.ttl if message.ttl > 0 else 0
	var lane := _lanes[message.lane]
	var replaced: Message = lane.keys.get(message.key)
	if (replaced == null or message.payload.size() > replaced.payload.size()) and _is_full(lane, room):
		# Those that have expired make room.
		var before := bytes
		sweep()
		if _is_full(lane, room + before - bytes):
			return "the send queue or the lane is at its limit; nothing was queued"
		replaced = lane.keys.get(message.key)
	if replaced == null and count >= MAX_MESSAGES:
		return "%d messages wait, which is the limit; nothing was queued" % MAX_MESSAGES
	lane.expires_at(message.expires)
	if replaced == null:
		_append(lane, message)
	else:
		_replace(lane, replaced, message)
	return ""


## Takes the message that is next, or returns null. [method end] must follow.
func next() -> Message:
	var now := Time.get_ticks_usec()
	while true:
		var first: Lane = null
		for lane in _lanes:
			if lane.count() > 0 and (first == null or lane.priority < first.priority
					or lane.priority == first.priority and lane.start < first.start):
				first = lane
		if first == null:
			return null
		var message := first.pop()
		bytes -= message.payload.size()
		count -= 1
		if message.expires > 0 and message.expires <= now:
			_report(first, message, Outcome.EXPIRED)
			continue
		first.served = first.start
		first.start += _virtual_length(message.payload.size(), first.weight)
		var waited := now - message.queued
		first.begun += 1
		first.queue_time_max = maxi(first.queue_time_max, waited)
		first.queue_time_total += waited
		return message
	return null


## Records what became of a message that [method next] has returned.
func end(message: Message, is_sent: bool) -> void:
	_report(_lanes[message.lane], message, Outcome.SENT if is_sent else Outcome.LOST)


## Gives all messages to an open peer.
func flush(peer: WebSocketPeer) -> void:
	var message := next()
	while message != null:
		peer.send(message.payload, WebSocketPeer.WRITE_MODE_TEXT if message.is_text else WebSocketPeer.WRITE_MODE_BINARY)
		message = next()


## Drops the messages that have expired.
func sweep() -> void:
	var now := Time.get_ticks_usec()
	for lane in _lanes:
		if lane.expiry == 0 or now < lane.expiry:
			continue
		lane.expiry = 0
		var kept: Array[Message] = []
		for message in lane.messages.slice(lane.removed):
			if message.expires > 0 and message.expires <= now:
				_drop(lane, message, Outcome.EXPIRED)
				continue
			kept.append(message)
			lane.expires_at(message.expires)
		lane.messages = kept
		lane.removed = 0


## Drops all waiting messages: they are lost.
func clear() -> void:
	for lane in _lanes:
		for message in lane.messages.slice(lane.removed):
			_drop(lane, message, Outcome.LOST)
		lane.messages = []
		lane.removed = 0
		lane.expiry = 0


## Returns the outcomes of messages with a tag since the last call, as [tag, outcome].
func take_outcomes() -> Array[Array]:
	var outcomes := _outcomes
	_outcomes = []
	return outcomes


## Returns the counters of a lane, all 0 for null.
static func statistics_of(lane: Lane) -> Dictionary:
	var now := Time.get_ticks_usec()
	var of := lane if lane != null else Lane.new()
	var oldest := now
	for message in of.messages.slice(of.removed):
		oldest = mini(oldest, message.queued)
	return {
		"waiting_messages": of.count(), "waiting_bytes": of.bytes, "oldest_us": now - oldest,
		"queue_time_max_us": of.queue_time_max, "queue_time_total_us": of.queue_time_total, "begun": of.begun,
		"sent": of.ended[Outcome.SENT], "expired": of.ended[Outcome.EXPIRED], "replaced": of.ended[Outcome.REPLACED],
		"lost": of.ended[Outcome.LOST],
	}


func statistics(lane: int) -> Dictionary:
	return statistics_of(_lanes[lane])


func _append(lane: Lane, message: Message) -> void:
	if lane.count() == 0:
		for other in _lanes:
			if other.priority == lane.priority:
				lane.start = maxi(lane.start, other.served)
	if message.key != 0:
		lane.keys[message.key] = message
	lane.messages.append(message)
	lane.bytes += message.payload.size()
	bytes += message.payload.size()
	count += 1


## The place in the lane is that of the waiting message, which gets the contents of the new one.
func _replace(lane: Lane, waiting: Message, message: Message) -> void:
	_report(lane, waiting, Outcome.REPLACED)
	var longer := message.payload.size() - waiting.payload.size()
	lane.bytes += longer
	bytes += longer
	for property: String in ["is_text", "payload", "tag", "queued", "expires"]:
		waiting.set(property, message.get(property))


func _is_full(lane: Lane, room: int) -> bool:
	return room <= 0 or lane.max_bytes > 0 and lane.bytes >= lane.max_bytes


func _drop(lane: Lane, message: Message, outcome: Outcome) -> void:
	lane.forget(message)
	bytes -= message.payload.size()
	count -= 1
	_report(lane, message, outcome)


func _report(lane: Lane, message: Message, outcome: Outcome) -> void:
	lane.ended[outcome] += 1
	if message.tag != 0:
		_outcomes.append([message.tag, outcome])


## What a message uses of the connection, in virtual time: its bytes with the frame header. One byte of the largest weight
## is not rounded to nothing.
static func _virtual_length(payload: int, weight: int) -> int:
	var header := 6 if payload < 126 else 8 if payload < 0x10000 else 14
	return (payload + header) * MAX_WEIGHT / weight
